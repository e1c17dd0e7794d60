//! A program for a heap, made from the fuzzer's bytes, and what must hold after each of its steps.

use alligator_alloc::Heap;
use arbitrary::Arbitrary;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::guarded::{Guarded, Memory};

/// Steps that a program has at most.
const STEPS_MAX: usize = 400;

/// Bytes of a request. Each kind has its own way through the allocator.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Size {
    Tiny(u8),
    Small(u16),
    Granules(u8),
    Large(u32),
    Huge(usize),
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Self::Tiny(bytes) => 1 + usize::from(bytes),
            Self::Small(bytes) => 1 + usize::from(bytes % 2_200),
            Self::Granules(bytes) => usize::from(bytes) * 1_024 + 1,
            Self::Large(bytes) => 1 + bytes as usize % 1_500_000,
            Self::Huge(bytes) => 1 + bytes % (isize::MAX as usize / 2),
        }
    }
}

/// One step. A block is named by a number, taken modulo the number of blocks.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Step {
    Allocate {
        size: Size,
        align: u8,
        zeroed: bool,
    },
    Fill {
        size: u16,
        count: u8,
    },
    Free {
        block: u16,
    },
    FreeEvery {
        stride: u8,
    },
    Resize {
        block: u16,
        size: Size,
    },
    Reserve {
        size: Size,
    },
    GrowBySomebodyElse {
        pages: u8,
    },
    Limit {
        pages: u8,
    },
    /// A fault of the program, for the canary: it reads what it has given back.
    UseAfterFree {
        block: u16,
    },
}

/// A block in use, filled with its seed.
struct Block {
    pointer: NonNull<u8>,
    layout: Layout,
    seed: u8,
}

impl Block {
    fn range(&self) -> core::ops::Range<usize> {
        let start = self.pointer.addr().get();
        start..start + self.layout.size()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: only blocks in use are here, and they are filled.
        unsafe { core::slice::from_raw_parts(self.pointer.as_ptr(), self.layout.size()) }
    }

    fn assert_is(&self, seed: u8, bytes: usize) {
        let is_kept = self.bytes()[..bytes].iter().all(|&byte| byte == seed);
        assert!(is_kept, "contents are lost: {:?}", self.layout);
    }
}

struct World {
    heap: Heap<Guarded>,
    memory: Rc<Memory>,
    blocks: Vec<Block>,
    seed: u8,
}

/// Runs a program to its end, and panics, or has AddressSanitizer report, if anything is wrong. Faults of the
/// program itself are only made if `with_faults`.
pub(crate) fn run(steps: &[Step], with_faults: bool) {
    let memory = Memory::new();
    let heap = Heap::new(Guarded(Rc::clone(&memory)));
    let mut world = World {
        heap,
        memory,
        blocks: Vec::new(),
        seed: 0,
    };
    for &step in steps.iter().take(STEPS_MAX) {
        world.step(step, with_faults);
    }
    while !world.blocks.is_empty() {
        world.free(0);
    }
    world.check();
}

impl World {
    /// Does `action` in the heap, which must leave the blocks alone.
    fn in_heap<R>(&mut self, action: impl FnOnce(&mut Heap<Guarded>) -> R) -> R {
        self.memory.allow(self.memory.all());
        for block in &self.blocks {
            self.memory.forbid(block.range());
        }
        let result = action(&mut self.heap);
        self.memory.forbid(self.memory.all());
        for block in &self.blocks {
            self.memory.allow(block.range());
        }
        result
    }

    fn check(&mut self) {
        let checked = self.in_heap(|heap| heap.check());
        assert_eq!(checked, Ok(()));
    }

    fn index(&self, block: u16) -> Option<usize> {
        usize::from(block).checked_rem(self.blocks.len())
    }

    fn step(&mut self, step: Step, with_faults: bool) {
        match step {
            Step::Allocate {
                size,
                align,
                zeroed,
            } => {
                self.allocate(size.bytes(), 1 << (align % 18), zeroed);
            }
            Step::Fill { size, count } => {
                for _ in 0..count {
                    self.allocate(1 + usize::from(size % 2_100), 8, false);
                }
            }
            Step::Free { block } => {
                if let Some(index) = self.index(block) {
                    self.free(index);
                }
            }
            Step::FreeEvery { stride } => {
                let stride = 1 + usize::from(stride % 8);
                for index in (0..self.blocks.len()).step_by(stride).rev() {
                    self.free(index);
                }
            }
            Step::Resize { block, size } => {
                if let Some(index) = self.index(block) {
                    self.resize(index, size.bytes());
                }
            }
            Step::Reserve { size } => {
                self.in_heap(|heap| heap.reserve(size.bytes()));
            }
            Step::GrowBySomebodyElse { pages } => {
                if let Some(start) = self.memory.add(usize::from(pages % 4)) {
                    self.memory.forbid(start..self.memory.end());
                }
            }
            Step::Limit { pages } => {
                let pages = self.memory.pages() + usize::from(pages % 12);
                self.memory.limit.set(pages.min(crate::guarded::PAGES_MAX));
            }
            Step::UseAfterFree { block } if with_faults => {
                if let Some(index) = self.index(block) {
                    let pointer = self.blocks[index].pointer;
                    self.free(index);
                    // SAFETY: none. This is the planted fault.
                    core::hint::black_box(unsafe { pointer.read_volatile() });
                }
            }
            Step::UseAfterFree { .. } => {}
        }
        self.check();
    }

    fn allocate(&mut self, size: usize, align: usize, zeroed: bool) {
        let Ok(layout) = Layout::from_size_align(size, align) else {
            return;
        };
        let block = self.in_heap(|heap| {
            if zeroed {
                heap.allocate_zeroed(layout)
            } else {
                heap.allocate(layout)
            }
        });
        if let Some(pointer) = block {
            self.take_in(pointer, layout, zeroed);
        }
    }

    /// A new block, filled with a new seed. It must lie in the memory, and on no other.
    fn take_in(&mut self, pointer: NonNull<u8>, layout: Layout, zeroed: bool) {
        self.seed = self.seed % 250 + 1;
        let block = Block {
            pointer,
            layout,
            seed: self.seed,
        };
        let (range, all) = (block.range(), self.memory.all());
        assert!(all.start <= range.start && range.end <= all.end, "outside");
        assert_eq!(range.start % layout.align(), 0, "not aligned");
        for other in self.blocks.iter().map(Block::range) {
            assert!(
                other.end <= range.start || range.end <= other.start,
                "overlap"
            );
        }
        self.memory.allow(range);
        if zeroed {
            block.assert_is(0, layout.size());
        }
        // SAFETY: the heap gave so many bytes.
        unsafe { pointer.write_bytes(block.seed, layout.size()) };
        self.blocks.push(block);
    }

    fn free(&mut self, index: usize) {
        let block = self.blocks.swap_remove(index);
        block.assert_is(block.seed, block.layout.size());
        // SAFETY: the heap gave it with this layout, and it is in use no more.
        self.in_heap(|heap| unsafe { heap.deallocate(block.pointer, block.layout) });
    }

    fn resize(&mut self, index: usize, size: usize) {
        let block = self.blocks.swap_remove(index);
        let Ok(layout) = Layout::from_size_align(size, block.layout.align()) else {
            self.blocks.push(block);
            return;
        };
        // SAFETY: the heap gave it with this layout; it is not among the blocks that the heap must leave alone.
        let new =
            self.in_heap(|heap| unsafe { heap.reallocate(block.pointer, block.layout, size) });
        let Some(pointer) = new else {
            self.memory.allow(block.range());
            block.assert_is(block.seed, block.layout.size());
            self.blocks.push(block);
            return;
        };
        let kept = Block {
            pointer,
            layout,
            seed: block.seed,
        };
        self.memory.allow(kept.range());
        kept.assert_is(block.seed, size.min(block.layout.size()));
        self.take_in(pointer, layout, false);
    }
}

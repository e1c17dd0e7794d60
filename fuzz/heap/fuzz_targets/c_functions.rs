//! Any calls of the C library's functions: what they promise of alignment, sizes, contents and errors.
#![no_main]

use core::ffi::c_void;
use core::ptr::{self, null_mut};

use arbitrary::Arbitrary;
use boundary as c;

/// What every block is aligned to.
const ALIGN: usize = 16;
/// Bytes of a block that are filled and compared, from its start.
const FILLED_MAX: usize = 1 << 16;
/// Calls in a program at most.
const CALLS_MAX: usize = 300;
/// Bytes of a block whose size the caller must keep within limits.
const LAYOUT_BYTES_MAX: usize = 64 << 20;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Small(u16),
    Large(u32),
    Any(usize),
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Self::Small(bytes) => usize::from(bytes % 2_200),
            Self::Large(bytes) => bytes as usize % 400_000,
            Self::Any(bytes) => bytes,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Call {
    Malloc(Size),
    Calloc(Size, Size),
    AlignedAlloc(u8, Size),
    AlignedAllocAny(usize, Size),
    Memalign(usize, Size),
    PosixMemalign(u8, Size),
    Valloc(Size),
    Realloc(u16, Size),
    Reallocarray(u16, Size, Size),
    Free(u16),
    FreeSized(u16),
    FreeNull,
    Layout(u8, Size),
    Reserve(u16),
    GrowOnDemand(bool),
    Limit(u32),
}

struct Block {
    pointer: *mut c_void,
    /// Bytes asked for. The first of them are filled with the seed.
    bytes: usize,
    seed: u8,
}

#[derive(Default)]
struct World {
    blocks: Vec<Block>,
    seed: u8,
}

libfuzzer_sys::fuzz_target!(|calls: Vec<Call>| {
    let mut world = World::default();
    for &call in calls.iter().take(CALLS_MAX) {
        world.call(call);
        assert!(c::alligator_check(), "the heap is broken after {call:?}");
    }
    // The heap goes on to the next program, as it was at first.
    c::alligator_grow_on_demand(true);
    c::alligator_limit(0);
    while !world.blocks.is_empty() {
        world.free(0);
    }
    assert!(c::alligator_check());
});

impl World {
    fn call(&mut self, call: Call) {
        match call {
            Call::Malloc(size) => self.take_in(c::malloc(size.bytes()), ALIGN, size.bytes()),
            Call::Calloc(count, size) => {
                let block = c::calloc(count.bytes(), size.bytes());
                let Some(bytes) = count.bytes().checked_mul(size.bytes()) else {
                    return assert!(block.is_null(), "a product that overflows");
                };
                self.take_in(block, ALIGN, bytes);
            }
            Call::AlignedAlloc(shift, size) => {
                let align = 1 << (shift % 20);
                self.take_in(
                    c::aligned_alloc(align, size.bytes()),
                    align.max(ALIGN),
                    size.bytes(),
                );
            }
            Call::AlignedAllocAny(align, size) => {
                let block = c::aligned_alloc(align, size.bytes());
                assert!(align.is_power_of_two() || block.is_null(), "no alignment");
                self.take_in(block, align, size.bytes());
            }
            Call::Memalign(align, size) => {
                let block = c::memalign(align, size.bytes());
                let align = align.checked_next_power_of_two().unwrap_or(1);
                self.take_in(block, align, size.bytes());
            }
            Call::PosixMemalign(shift, size) => {
                self.posix_memalign(1 << (shift % 20), size.bytes())
            }
            Call::Valloc(size) => self.take_in(c::valloc(size.bytes()), 1 << 16, size.bytes()),
            Call::Realloc(block, size) => self.realloc(block, size.bytes(), 1),
            Call::Reallocarray(block, count, size) => {
                self.realloc(block, count.bytes(), size.bytes())
            }
            Call::Free(block) => {
                if let Some(index) = self.index(block) {
                    self.free(index);
                }
            }
            Call::FreeSized(block) => {
                if let Some(index) = self.index(block) {
                    let block = self.take_out(index);
                    // SAFETY: the block is in use.
                    unsafe { c::free_sized(block.pointer, block.bytes) };
                }
            }
            // SAFETY: null is no block.
            Call::FreeNull => unsafe { c::free(null_mut()) },
            Call::Layout(shift, size) => self.layout(1 << (shift % 20), size.bytes()),
            Call::Reserve(pages) => {
                c::alligator_reserve(usize::from(pages % 64) << 16);
            }
            Call::GrowOnDemand(is_so) => c::alligator_grow_on_demand(is_so),
            Call::Limit(bytes) => c::alligator_limit(bytes as usize),
        }
    }

    fn index(&self, block: u16) -> Option<usize> {
        usize::from(block).checked_rem(self.blocks.len())
    }

    /// A new block of `bytes` at a multiple of `align`, or null.
    fn take_in(&mut self, pointer: *mut c_void, align: usize, bytes: usize) {
        if pointer.is_null() {
            return;
        }
        assert_eq!(pointer.addr() % align, 0, "not aligned");
        // SAFETY: the block is in use.
        let usable = unsafe { c::malloc_usable_size(pointer) };
        assert!(usable >= bytes, "{usable} bytes instead of {bytes}");
        let range = pointer.addr()..pointer.addr() + usable;
        for other in &self.blocks {
            let start = other.pointer.addr();
            assert!(!range.contains(&start), "a block on another");
            assert!(
                !(start..start + other.bytes.max(1)).contains(&range.start),
                "a block on another"
            );
        }
        self.seed = self.seed % 250 + 1;
        // SAFETY: usable bytes may be written.
        unsafe { ptr::write_bytes(pointer.cast::<u8>(), self.seed, usable.min(FILLED_MAX)) };
        self.blocks.push(Block {
            pointer,
            bytes,
            seed: self.seed,
        });
    }

    /// A block that is in use no more, whose contents are right.
    fn take_out(&mut self, index: usize) -> Block {
        let block = self.blocks.swap_remove(index);
        block.assert_is(block.pointer, block.bytes);
        block
    }

    fn free(&mut self, index: usize) {
        let block = self.take_out(index);
        // SAFETY: the block was in use.
        unsafe { c::free(block.pointer) };
    }

    fn posix_memalign(&mut self, align: usize, bytes: usize) {
        let mut block = null_mut();
        // SAFETY: `block` can be written.
        let error = unsafe { c::posix_memalign(&raw mut block, align, bytes) };
        assert_eq!(error == 0, !block.is_null(), "{error}");
        assert!(align >= size_of::<usize>() || error == 22, "{error}");
        self.take_in(block, align, bytes);
    }

    fn realloc(&mut self, block: u16, count: usize, size: usize) {
        let Some(index) = self.index(block) else {
            return;
        };
        let old = self.take_out(index);
        // SAFETY: the block was in use.
        let new = unsafe { c::reallocarray(old.pointer, count, size) };
        let Some(bytes) = count.checked_mul(size).filter(|_| !new.is_null()) else {
            assert!(new.is_null(), "a product that overflows");
            old.assert_is(old.pointer, old.bytes);
            return self.blocks.push(old);
        };
        old.assert_is(new, bytes.min(old.bytes));
        self.take_in(new, ALIGN, bytes);
    }

    /// A block through the functions that know sizes, made larger, and given back through them.
    fn layout(&mut self, align: usize, bytes: usize) {
        if bytes > LAYOUT_BYTES_MAX {
            return;
        }
        // SAFETY: the layout is small enough.
        let block = unsafe { c::alligator_allocate_zeroed(bytes, align) };
        if block.is_null() {
            return;
        }
        assert_eq!(block.addr() % align, 0, "not aligned");
        Block {
            pointer: block,
            bytes,
            seed: 0,
        }
        .assert_is(block, bytes);
        // SAFETY: the block is in use.
        let new = unsafe { c::alligator_reallocate(block, bytes, align, bytes + 100) };
        let (block, bytes) = if new.is_null() {
            (block, bytes)
        } else {
            (new, bytes + 100)
        };
        // SAFETY: the block is in use, with this layout.
        unsafe { c::alligator_deallocate(block, bytes, align) };
    }
}

impl Block {
    /// The first `bytes` at `pointer` are this block's seed.
    fn assert_is(&self, pointer: *mut c_void, bytes: usize) {
        // SAFETY: a block in use has so many bytes.
        let contents =
            unsafe { core::slice::from_raw_parts(pointer.cast::<u8>(), bytes.min(FILLED_MAX)) };
        assert!(
            contents.iter().all(|&byte| byte == self.seed),
            "contents are lost"
        );
    }
}

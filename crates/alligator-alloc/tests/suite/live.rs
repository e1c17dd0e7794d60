//! Every block in use, what it must contain, and the operations that check what an allocator owes: right
//! alignment, no two blocks over one another, contents kept, zero where zero was asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fmt;

use alligator_alloc::{AlligatorAlloc, Lock, Source};

/// An allocator that may be able to check itself.
pub(crate) trait Subject: GlobalAlloc {
    /// Panics, after saying `context`, if something is wrong inside.
    fn assert_sound(&self, context: &dyn fmt::Display);
}

impl<S: Source, L: Lock> Subject for AlligatorAlloc<S, L> {
    fn assert_sound(&self, context: &dyn fmt::Display) {
        #[cfg(feature = "check")]
        if let Err(violation) = self.check() {
            panic!("{context}: {violation}");
        }
        let _ = context;
    }
}

/// The host's allocator: it shows that the tests themselves ask for nothing unreasonable.
impl Subject for System {
    fn assert_sound(&self, _context: &dyn fmt::Display) {}
}

struct Block {
    pointer: *mut u8,
    layout: Layout,
    seed: u8,
}

impl Block {
    fn end(&self) -> usize {
        self.pointer.addr() + self.layout.size()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `Live` only makes blocks that the allocator gave for this layout, that it has filled, and
        // that are in use.
        unsafe { std::slice::from_raw_parts(self.pointer, self.layout.size()) }
    }

    fn fill(&mut self) {
        let seed = self.seed;
        // SAFETY: the allocator gave so many bytes for writing, and nobody else refers to them.
        unsafe { self.pointer.write_bytes(seed, self.layout.size()) };
        for at in sample(self.layout.size()) {
            // SAFETY: as above; `at` is below the size.
            let byte = unsafe { self.pointer.add(at) };
            // SAFETY: as above.
            unsafe { byte.write(content(seed, at)) };
        }
    }
}

/// The byte at `at` of a block filled from `seed`: also a shifted copy is found.
fn content(seed: u8, at: usize) -> u8 {
    seed ^ (at % 251).to_le_bytes()[0]
}

/// The offsets at which contents are written and compared: all in small blocks, some in large ones, the
/// first and the last bytes always.
fn sample(bytes: usize) -> impl Iterator<Item = usize> {
    let step = match bytes {
        0..=2048 if !cfg!(miri) => 1,
        0..=65_536 => 31,
        _ => 1021,
    };
    (0..bytes)
        .step_by(step)
        .chain(bytes.saturating_sub(8)..bytes)
}

/// All blocks in use of one allocator. What is still in use at the end is given back.
pub(crate) struct Live<'a, A: Subject> {
    pub(crate) allocator: &'a A,
    blocks: BTreeMap<usize, Block>,
    context: String,
    steps: usize,
    bytes: usize,
}

impl<'a, A: Subject> Live<'a, A> {
    pub(crate) fn new(allocator: &'a A) -> Self {
        Self::named(allocator, String::from("test"))
    }

    /// As `new`; every failure is reported with `context`.
    pub(crate) fn named(allocator: &'a A, context: String) -> Self {
        Self {
            allocator,
            blocks: BTreeMap::new(),
            context,
            steps: 0,
            bytes: 0,
        }
    }

    /// Blocks in use.
    pub(crate) fn count(&self) -> usize {
        self.blocks.len()
    }

    /// The address of the block in use that is number `index` by address.
    pub(crate) fn nth(&self, index: usize) -> usize {
        *self.blocks.keys().nth(index).expect("so many blocks")
    }

    /// The addresses of all blocks, lowest first.
    pub(crate) fn addresses(&self) -> Vec<usize> {
        self.blocks.keys().copied().collect()
    }

    /// Bytes asked for and in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A new block, filled, or `None` if the allocator has no room.
    pub(crate) fn allocate(&mut self, size: usize, align: usize) -> Option<usize> {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        // SAFETY: no test asks for zero bytes here.
        let pointer = unsafe { self.allocator.alloc(layout) };
        self.take_in(pointer, layout)
    }

    /// As `allocate`; all bytes must be zero.
    pub(crate) fn allocate_zeroed(&mut self, size: usize, align: usize) -> Option<usize> {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        // SAFETY: as in `allocate`.
        let pointer = unsafe { self.allocator.alloc_zeroed(layout) };
        if !pointer.is_null() {
            // SAFETY: the allocator gave so many bytes, and zero is initialised.
            let bytes = unsafe { std::slice::from_raw_parts(pointer, size) };
            let is_zero = bytes.iter().all(|&byte| byte == 0);
            assert!(
                is_zero,
                "{self}: a zeroed block of {layout:?} has other bytes"
            );
        }
        self.take_in(pointer, layout)
    }

    /// Gives back the block at `address`, whose contents must be right.
    pub(crate) fn free(&mut self, address: usize) {
        let block = self.take_out(address);
        // SAFETY: the allocator gave it for this layout, and it has just left the blocks in use.
        unsafe { self.allocator.dealloc(block.pointer, block.layout) };
        self.after_step();
    }

    /// Gives back all blocks, by address.
    pub(crate) fn free_all(&mut self) {
        while let Some((&address, _)) = self.blocks.first_key_value() {
            self.free(address);
        }
    }

    /// Changes the size of the block at `address`; returns where it is then, or `None` if there was no
    /// room, and then it is as it was.
    pub(crate) fn reallocate(&mut self, address: usize, new_size: usize) -> Option<usize> {
        let mut block = self.take_out(address);
        let old = block.layout;
        // SAFETY: as in `free`; the size is not zero.
        let pointer = unsafe { self.allocator.realloc(block.pointer, old, new_size) };
        if pointer.is_null() {
            self.bytes += old.size();
            self.blocks.insert(address, block);
            self.after_step();
            return None;
        }
        let kept = old.size().min(new_size);
        for at in sample(old.size()).filter(|&at| at < kept) {
            // SAFETY: the allocator gave at least so many bytes and copied the old contents.
            let byte = unsafe { pointer.add(at) };
            // SAFETY: as above.
            let found = unsafe { byte.read() };
            let expected = content(block.seed, at);
            assert_eq!(
                found, expected,
                "{self}: realloc {old:?} to {new_size} lost byte {at}"
            );
        }
        block.layout = Layout::from_size_align(new_size, old.align()).expect("a layout");
        self.take_in(pointer, block.layout)
    }

    /// Looks at the contents of all blocks.
    pub(crate) fn assert_all_intact(&self) {
        for block in self.blocks.values() {
            self.assert_intact(block);
        }
    }

    fn take_in(&mut self, pointer: *mut u8, layout: Layout) -> Option<usize> {
        if pointer.is_null() {
            self.after_step();
            return None;
        }
        let seed = (self.steps % 253).to_le_bytes()[0];
        let mut block = Block {
            pointer,
            layout,
            seed,
        };
        let address = pointer.addr();
        assert!(
            address % layout.align() == 0,
            "{self}: {address:#x} is not aligned for {layout:?}"
        );
        self.assert_apart(&block);
        block.fill();
        self.blocks.insert(address, block);
        self.bytes += layout.size();
        self.after_step();
        Some(address)
    }

    fn take_out(&mut self, address: usize) -> Block {
        let block = self.blocks.remove(&address).expect("a block in use");
        self.assert_intact(&block);
        self.bytes -= block.layout.size();
        block
    }

    fn assert_apart(&self, new: &Block) {
        let layout = new.layout;
        let address = new.pointer.addr();
        if let Some((_, lower)) = self.blocks.range(..=address).next_back() {
            assert!(
                lower.end() <= address,
                "{self}: {layout:?} lies on a lower block"
            );
        }
        if let Some((&higher, _)) = self.blocks.range(address..).next() {
            assert!(
                new.end() <= higher,
                "{self}: {layout:?} lies on a higher block"
            );
        }
    }

    fn assert_intact(&self, block: &Block) {
        let (bytes, seed) = (block.bytes(), block.seed);
        let damage = sample(bytes.len()).find(|&at| bytes[at] != content(seed, at));
        let (address, layout) = (block.pointer.addr(), block.layout);
        assert_eq!(
            damage, None,
            "{self}: block {address:#x} of {layout:?} is damaged"
        );
    }

    fn after_step(&mut self) {
        self.steps += 1;
        // A check takes time in proportion to the pieces of the heap: with many blocks not after every step.
        if self.steps % (1 + (self.count() / 100).pow(2)) == 0 {
            self.allocator.assert_sound(self);
        }
    }
}

impl<A: Subject> fmt::Display for Live<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, step {}", self.context, self.steps)
    }
}

impl<A: Subject> Drop for Live<'_, A> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.free_all();
        }
    }
}

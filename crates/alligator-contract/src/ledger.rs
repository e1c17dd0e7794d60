//! Every block in use, what it must contain, and the requests that check what an allocator owes: right
//! alignment, no two blocks over one another, contents kept, zero where zero was asked.

mod order;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;

use crate::contents;
use crate::failure::{Failure, Fault, Request};
use crate::world::{Unsound, World};
use order::{Link, Order};

pub use order::Storage;

/// A block in use, and its place among the others: what a ledger's storage consists of.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pointer: *mut u8,
    layout: Layout,
    lower: Link,
    higher: Link,
    count: u32,
    seed: u8,
}

impl Block {
    /// A place without a block, to make storage of.
    pub const NONE: Self = Self {
        pointer: core::ptr::null_mut(),
        layout: Layout::new::<u8>(),
        lower: 0,
        higher: 0,
        count: 0,
        seed: 0,
    };

    /// The address of its first byte.
    pub fn address(&self) -> usize {
        self.pointer.addr()
    }

    /// What was asked for.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The address of its last byte: the one after it may be 0.
    fn last(&self) -> usize {
        self.address().wrapping_add(self.layout.size() - 1)
    }

    /// The first offset below `kept` at which the block at `pointer` is not what this one is.
    ///
    /// # Safety
    ///
    /// `pointer` is readable for `kept` bytes, and they are meant to be those of this block.
    unsafe fn damage(&self, pointer: *const u8, kept: usize) -> Option<usize> {
        // SAFETY: the caller's duty.
        unsafe { contents::damage(pointer, self.layout.size(), kept, self.seed) }
    }
}

/// A ledger in storage of a fixed length, as clauses take it.
pub type Ledger<'a> = LedgerOver<'a, &'a mut [Block]>;

/// All blocks in use of one allocator.
///
/// Requests go through it: each answer is checked, blocks are filled, and looked at when they are given back.
/// Blocks are named by their addresses; sizes are in bytes and not zero.
pub struct LedgerOver<'a, S> {
    allocator: &'a dyn GlobalAlloc,
    world: &'a dyn World,
    blocks: Order<S>,
    clause: &'static str,
    steps: usize,
    bytes: usize,
}

impl<S> fmt::Debug for LedgerOver<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LedgerOver")
            .field("clause", &self.clause)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl<'a, S: Storage> LedgerOver<'a, S> {
    /// A ledger without blocks.
    pub fn new(allocator: &'a dyn GlobalAlloc, world: &'a dyn World, storage: S) -> Self {
        Self {
            allocator,
            world,
            blocks: Order::new(storage),
            clause: "",
            steps: 0,
            bytes: 0,
        }
    }

    /// Starts a clause: failures name it, and steps are counted from here.
    pub fn start(&mut self, clause: &'static str) {
        (self.clause, self.steps) = (clause, 0);
    }

    /// What is known of the allocator's surroundings.
    pub fn world(&self) -> &'a dyn World {
        self.world
    }

    /// Blocks in use.
    pub fn count(&self) -> usize {
        self.blocks.count()
    }

    /// Bytes asked for and in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Requests since the clause started.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The address of the block in use that is number `index` by address, if there are more than `index`.
    pub fn nth(&self, index: usize) -> Option<usize> {
        self.blocks.nth(index).map(Block::address)
    }

    /// A new block, filled: its address, or `None` if the allocator gave null.
    ///
    /// # Errors
    ///
    /// The block is not what was asked for.
    pub fn try_allocate(&mut self, size: usize, align: usize) -> Result<Option<usize>, Failure> {
        let layout = layout(size, align);
        // SAFETY: no size here is zero.
        let pointer = unsafe { self.allocator.alloc(layout) };
        self.take_in(Request::Allocate(layout), pointer, layout)
    }

    /// [`try_allocate`](Self::try_allocate) where there must be room.
    ///
    /// # Errors
    ///
    /// As there, or [`Fault::Null`].
    pub fn allocate(&mut self, size: usize, align: usize) -> Result<usize, Failure> {
        let block = self.try_allocate(size, align)?;
        block.ok_or_else(|| self.failure(Request::Allocate(layout(size, align)), 0, Fault::Null))
    }

    /// A new block of zeros, looked at and then filled: its address, or `None` if the allocator gave null.
    ///
    /// # Errors
    ///
    /// The block is not what was asked for.
    pub fn try_allocate_zeroed(
        &mut self,
        size: usize,
        align: usize,
    ) -> Result<Option<usize>, Failure> {
        let layout = layout(size, align);
        let request = Request::AllocateZeroed(layout);
        // SAFETY: no size here is zero.
        let pointer = unsafe { self.allocator.alloc_zeroed(layout) };
        if pointer.is_null() {
            return self.take_in(request, pointer, layout);
        }
        self.require_place(request, pointer, layout)?;
        // SAFETY: the allocator gave so many bytes, which are initialised.
        if let Some(at) = unsafe { contents::first_not_zero(pointer, size) } {
            return Err(self.failure(request, pointer.addr(), Fault::NotZero(at)));
        }
        self.take_in(request, pointer, layout)
    }

    /// [`try_allocate_zeroed`](Self::try_allocate_zeroed) where there must be room.
    ///
    /// # Errors
    ///
    /// As there, or [`Fault::Null`].
    pub fn allocate_zeroed(&mut self, size: usize, align: usize) -> Result<usize, Failure> {
        let block = self.try_allocate_zeroed(size, align)?;
        let request = Request::AllocateZeroed(layout(size, align));
        block.ok_or_else(|| self.failure(request, 0, Fault::Null))
    }

    /// Gives back the block at `address`, whose contents must be right.
    ///
    /// # Errors
    ///
    /// The block was damaged while it was in use.
    ///
    /// # Panics
    ///
    /// If no block in use is at `address`.
    pub fn free(&mut self, address: usize) -> Result<(), Failure> {
        let block = self.take_out(address, Request::Deallocate)?;
        // SAFETY: the allocator gave it for this layout, and it has just left the blocks in use.
        unsafe { self.allocator.dealloc(block.pointer, block.layout) };
        self.after_step(Request::Deallocate(block.layout))
    }

    /// Gives back all blocks, by address.
    ///
    /// # Errors
    ///
    /// A block was damaged while it was in use.
    pub fn free_all(&mut self) -> Result<(), Failure> {
        self.free_every(1)
    }

    /// Gives back every `stride`th block by address, the first one first.
    ///
    /// # Errors
    ///
    /// A block was damaged while it was in use.
    pub fn free_every(&mut self, stride: usize) -> Result<(), Failure> {
        let mut index = 0;
        while let Some(address) = self.nth(index) {
            self.free(address)?;
            index += stride - 1;
        }
        Ok(())
    }

    /// Changes the size of the block at `address`: where it is then, or `None` if the allocator gave null,
    /// and then it is as it was.
    ///
    /// # Errors
    ///
    /// The block was damaged while it was in use, or the new one is not what was asked for.
    ///
    /// # Panics
    ///
    /// If no block in use is at `address`.
    pub fn try_reallocate(
        &mut self,
        address: usize,
        new_size: usize,
    ) -> Result<Option<usize>, Failure> {
        let block = self.take_out(address, |layout| Request::Reallocate(layout, new_size))?;
        let old = block.layout;
        let request = Request::Reallocate(old, new_size);
        // SAFETY: the allocator gave it for this layout, and it has just left the blocks in use; the size
        // is not zero.
        let pointer = unsafe { self.allocator.realloc(block.pointer, old, new_size) };
        if pointer.is_null() {
            self.bytes += old.size();
            self.put(request, block)?;
            self.require_intact(request, &block)?;
            self.after_step(request)?;
            return Ok(None);
        }
        let new = layout(new_size, old.align());
        self.require_place(request, pointer, new)?;
        // SAFETY: the allocator gave at least so many bytes, and was to copy the old contents.
        if let Some(at) = unsafe { block.damage(pointer, old.size().min(new_size)) } {
            return Err(self.failure(request, pointer.addr(), Fault::NotKept(at)));
        }
        self.take_in(request, pointer, new)
    }

    /// [`try_reallocate`](Self::try_reallocate) where there must be room.
    ///
    /// # Errors
    ///
    /// As there, or [`Fault::Null`].
    ///
    /// # Panics
    ///
    /// If no block in use is at `address`.
    pub fn reallocate(&mut self, address: usize, new_size: usize) -> Result<usize, Failure> {
        let block = self.try_reallocate(address, new_size)?;
        let request = Request::Reallocate(Layout::new::<u8>(), new_size);
        block.ok_or_else(|| self.failure(request, address, Fault::Null))
    }

    /// Looks at the contents of all blocks.
    ///
    /// # Errors
    ///
    /// A block is damaged.
    pub fn require_all_intact(&self) -> Result<(), Failure> {
        (0..self.count())
            .filter_map(|index| self.blocks.nth(index))
            .try_for_each(|block| self.require_intact(Request::Look, block))
    }

    /// Nothing if `holds`, else `fault`, seen at `address`, as the failure of the clause.
    ///
    /// # Errors
    ///
    /// It does not hold.
    pub fn require(&self, holds: bool, address: usize, fault: Fault) -> Result<(), Failure> {
        if holds {
            return Ok(());
        }
        Err(self.failure(Request::Look, address, fault))
    }

    pub(crate) fn failure(&self, request: Request, address: usize, fault: Fault) -> Failure {
        Failure {
            clause: self.clause,
            step: self.steps,
            request,
            address,
            fault,
        }
    }

    /// Fills the block at `pointer` and notes it; `None` if there is none.
    fn take_in(
        &mut self,
        request: Request,
        pointer: *mut u8,
        layout: Layout,
    ) -> Result<Option<usize>, Failure> {
        if pointer.is_null() {
            self.after_step(request)?;
            return Ok(None);
        }
        self.require_place(request, pointer, layout)?;
        let block = Block {
            pointer,
            layout,
            seed: (self.steps % 253).to_le_bytes()[0],
            ..Block::NONE
        };
        // SAFETY: the allocator gave so many bytes for writing, and nobody else refers to them.
        unsafe { contents::write(pointer, layout.size(), block.seed) };
        self.put(request, block)?;
        self.bytes += layout.size();
        self.after_step(request)?;
        Ok(Some(pointer.addr()))
    }

    fn put(&mut self, request: Request, block: Block) -> Result<(), Failure> {
        if self.blocks.insert(block) {
            return Ok(());
        }
        Err(self.failure(request, block.address(), Fault::StorageFull))
    }

    /// The block at `address`, which must be as it was filled, and is in use no more.
    fn take_out(
        &mut self,
        address: usize,
        request: impl Fn(Layout) -> Request,
    ) -> Result<Block, Failure> {
        let block = self.blocks.remove(address).expect("a block in use");
        self.require_intact(request(block.layout), &block)?;
        self.bytes -= block.layout.size();
        Ok(block)
    }

    /// A block of `layout` can be at `pointer`: aligned, inside the memory, and apart from all others.
    fn require_place(
        &self,
        request: Request,
        pointer: *mut u8,
        layout: Layout,
    ) -> Result<(), Failure> {
        let address = pointer.addr();
        let fail = |fault| Err(self.failure(request, address, fault));
        if address % layout.align() != 0 {
            return fail(Fault::NotAligned);
        }
        let Some(last) = address.checked_add(layout.size() - 1) else {
            return fail(Fault::Outside);
        };
        if self.world.last_byte().is_some_and(|end| last > end) {
            return fail(Fault::Outside);
        }
        let (below, above) = self.blocks.around(address);
        let below = below.filter(|block| block.last() >= address);
        let above = above.filter(|block| block.address() <= last);
        match below.or(above) {
            Some(other) => fail(Fault::Overlap(other.address())),
            None => Ok(()),
        }
    }

    fn require_intact(&self, request: Request, block: &Block) -> Result<(), Failure> {
        // SAFETY: only blocks that the allocator gave, that were filled, and that are in use are noted.
        match unsafe { block.damage(block.pointer, block.layout.size()) } {
            Some(at) => Err(self.failure(request, block.address(), Fault::Changed(at))),
            None => Ok(()),
        }
    }

    fn after_step(&mut self, request: Request) -> Result<(), Failure> {
        self.steps += 1;
        // A check takes time in proportion to the pieces of the heap: with many blocks not after every step.
        if self.steps % (1 + (self.count() / 100).pow(2)) != 0 {
            return Ok(());
        }
        self.check(request)
    }

    /// Lets the allocator check itself.
    pub(crate) fn check(&self, request: Request) -> Result<(), Failure> {
        let fail = |unsound| {
            let Unsound { address, .. } = unsound;
            self.failure(request, address, Fault::Unsound(unsound))
        };
        self.world.check().map_err(fail)
    }

    /// What the allocator answers, not looked at.
    pub(crate) fn raw_allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no size here is zero.
        unsafe { self.allocator.alloc(layout) }
    }

    /// As [`raw_allocate`](Self::raw_allocate), of zeros.
    pub(crate) fn raw_allocate_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no size here is zero.
        unsafe { self.allocator.alloc_zeroed(layout) }
    }

    /// What the allocator answers when the block in use at `address` is to have a size that it cannot have.
    /// If that is not null, the block is gone.
    pub(crate) fn raw_reallocate(&self, address: usize, new_size: usize) -> *mut u8 {
        let block = self.blocks.around(address).0.expect("a block in use");
        // SAFETY: the allocator gave it for this layout, and it is in use; the size is not zero.
        unsafe {
            self.allocator
                .realloc(block.pointer, block.layout, new_size)
        }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

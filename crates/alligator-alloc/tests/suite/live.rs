//! The contract kit's ledger for tests that unwind: every block in use, what it must contain, and requests
//! whose answers are checked. A failure panics, and the heap is checked after steps.

use std::alloc::{GlobalAlloc, System};
use std::fmt;

use alligator_alloc::{AlligatorAlloc, Lock, Source};
use alligator_contract::{Block, Failure, LedgerOver, Storage, Unknown};

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

/// As many places for blocks as are needed.
struct Places(Vec<Block>);

impl Storage for Places {
    fn places(&self) -> &[Block] {
        &self.0
    }

    fn places_mut(&mut self) -> &mut [Block] {
        &mut self.0
    }

    fn extend(&mut self) -> bool {
        self.0.push(Block::NONE);
        true
    }
}

/// All blocks in use of one allocator. What is still in use at the end is given back.
pub(crate) struct Live<'a, A: Subject> {
    allocator: &'a A,
    ledger: LedgerOver<'a, Places>,
    context: String,
}

impl<'a, A: Subject> Live<'a, A> {
    pub(crate) fn new(allocator: &'a A) -> Self {
        Self::named(allocator, String::from("test"))
    }

    /// As `new`; every failure is reported with `context`.
    pub(crate) fn named(allocator: &'a A, context: String) -> Self {
        Self {
            allocator,
            ledger: LedgerOver::new(allocator, &Unknown, Places(Vec::new())),
            context,
        }
    }

    /// Blocks in use.
    pub(crate) fn count(&self) -> usize {
        self.ledger.count()
    }

    /// The address of the block in use that is number `index` by address.
    pub(crate) fn nth(&self, index: usize) -> usize {
        self.ledger.nth(index).expect("so many blocks")
    }

    /// The addresses of all blocks, lowest first.
    pub(crate) fn addresses(&self) -> Vec<usize> {
        (0..self.count()).map(|index| self.nth(index)).collect()
    }

    /// Bytes asked for and in use.
    pub(crate) fn bytes(&self) -> usize {
        self.ledger.bytes()
    }

    /// A new block, filled, or `None` if the allocator has no room.
    pub(crate) fn allocate(&mut self, size: usize, align: usize) -> Option<usize> {
        let block = self.ledger.try_allocate(size, align);
        self.after_step(block)
    }

    /// As `allocate`; all bytes must be zero.
    pub(crate) fn allocate_zeroed(&mut self, size: usize, align: usize) -> Option<usize> {
        let block = self.ledger.try_allocate_zeroed(size, align);
        self.after_step(block)
    }

    /// Gives back the block at `address`, whose contents must be right.
    pub(crate) fn free(&mut self, address: usize) {
        let freed = self.ledger.free(address);
        self.after_step(freed);
    }

    /// Gives back all blocks, by address.
    pub(crate) fn free_all(&mut self) {
        while self.count() > 0 {
            self.free(self.nth(0));
        }
    }

    /// Changes the size of the block at `address`; returns where it is then, or `None` if there was no
    /// room, and then it is as it was.
    pub(crate) fn reallocate(&mut self, address: usize, new_size: usize) -> Option<usize> {
        let block = self.ledger.try_reallocate(address, new_size);
        self.after_step(block)
    }

    /// Looks at the contents of all blocks.
    pub(crate) fn assert_all_intact(&self) {
        self.unless_failed(self.ledger.require_all_intact());
    }

    fn after_step<T>(&self, outcome: Result<T, Failure>) -> T {
        let result = self.unless_failed(outcome);
        // A check takes time in proportion to the pieces of the heap: with many blocks not after every step.
        if self.ledger.steps() % (1 + (self.count() / 100).pow(2)) == 0 {
            self.allocator.assert_sound(self);
        }
        result
    }

    fn unless_failed<T>(&self, outcome: Result<T, Failure>) -> T {
        outcome.unwrap_or_else(|failure| panic!("{}{failure}", self.context))
    }
}

impl<A: Subject> fmt::Display for Live<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, step {}", self.context, self.ledger.steps())
    }
}

impl<A: Subject> Drop for Live<'_, A> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.free_all();
        }
    }
}

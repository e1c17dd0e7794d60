//! Blocks that were given back and are not home yet: a list that goes through the blocks themselves, which nobody uses.
//!
//! ```text
//! word 0   the next block, 0 for none
//! word 1   the class of a slot; or LONG, and then
//! word 2   the size, and word 3 the alignment, of a longer block, which has room for them
//! ```

use core::alloc::Layout;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Release, Ordering::SeqCst};

use crate::heap::{Heap, class_of};
use crate::policy::Policy;
use crate::size_class::{Class, SLOT_BYTES};
use crate::source::Source;

/// Instead of a class.
const LONG: usize = usize::MAX;

/// Instead of the next block: whoever has put this one into an inbox has not yet said. No block has this address.
const PENDING: usize = 1;

/// A block that is on its way home.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed(NonZeroUsize);

/// What an owed block is.
pub(super) enum Kind {
    Slot(Class),
    Long(Layout),
}

impl Owed {
    /// The block that starts at `start`, of which nothing is written yet.
    #[inline(always)]
    pub(super) fn from(start: NonZeroUsize) -> Self {
        Self(start)
    }

    /// Makes the block of `layout` at `pointer` one that is owed, before `next`.
    ///
    /// # Safety
    ///
    /// The block is the caller's, who is giving it back.
    #[inline(always)]
    pub(super) unsafe fn new(pointer: NonNull<u8>, layout: Layout) -> Self {
        let words = pointer.cast::<usize>();
        words.as_ptr().expose_provenance();
        let block = Self(words.addr());
        if let Some(class) = class_of(layout) {
            block.set(1, class.index());
        } else {
            block.set(1, LONG);
            block.set(2, layout.size());
            block.set(3, layout.align());
        }
        block
    }

    /// The block at `address`, which [`address`](Self::address) gave; none for zero.
    #[inline(always)]
    pub(super) fn at(address: usize) -> Option<Self> {
        NonZeroUsize::new(address).map(Self)
    }

    /// Its address.
    #[inline(always)]
    pub(super) fn address(self) -> usize {
        self.0.get()
    }

    /// The address of the next one, or zero.
    #[inline(always)]
    pub(super) fn next(self) -> usize {
        self.get(0)
    }

    /// Makes the block at `address` the next one.
    #[inline(always)]
    pub(super) fn set_next(self, address: usize) {
        self.set(0, address);
    }

    /// What it is.
    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        let kind = self.get(1);
        if kind == LONG {
            // SAFETY: they are those of the block's layout.
            Kind::Long(unsafe { Layout::from_size_align_unchecked(self.get(2), self.get(3)) })
        } else {
            Kind::Slot(Class::from_index(kind))
        }
    }

    /// Its address.
    #[inline(always)]
    pub(super) fn start(self) -> NonZeroUsize {
        self.0
    }

    /// Gives the block back to `heap`, whose it is. *Time:* constant.
    #[inline(always)]
    pub(super) fn go_home<S: Source, P: Policy>(self, heap: &Heap<S, P>) {
        match self.kind() {
            Kind::Slot(class) => heap.state(class).give_back(self.address(), &heap.runs),
            Kind::Long(layout) => heap.deallocate_long(self.0, layout),
        }
    }

    /// Puts the block into `inbox`, before what is there. *Time:* constant, two exchanges.
    #[inline(always)]
    pub(super) fn post(self, inbox: &AtomicUsize) {
        self.set_next(PENDING);
        let next = inbox.swap(self.address(), SeqCst);
        self.posted().swap(next, Release);
    }

    /// The address of the next one of a block that was put into an inbox, zero if it is the last; none if that is not yet
    /// known.
    #[inline(always)]
    pub(super) fn posted_next(self) -> Option<usize> {
        let next = self.posted().load(Acquire);
        (next != PENDING).then_some(next)
    }

    /// The word that says what the next one is, while two threads know the block.
    #[inline(always)]
    fn posted(&self) -> &AtomicUsize {
        // SAFETY: as in `get`, and nobody reads or writes that word otherwise until the owner has got the block.
        unsafe { AtomicUsize::from_ptr(self.word(0)) }
    }

    #[inline(always)]
    fn word(self, index: usize) -> *mut usize {
        ptr::with_exposed_provenance_mut::<usize>(self.address()).wrapping_add(index)
    }

    #[inline(always)]
    pub(super) fn get(self, index: usize) -> usize {
        // SAFETY: the block is as long as `new` found it, and it is only in one list.
        unsafe { *self.word(index) }
    }

    #[inline(always)]
    pub(super) fn set(self, index: usize, value: usize) {
        // SAFETY: as above.
        unsafe { *self.word(index) = value };
    }
}

const _: () = assert!(SLOT_BYTES[0] as usize >= 2 * size_of::<usize>());

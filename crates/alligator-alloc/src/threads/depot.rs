//! Free slots on their way from threads that have too many to threads that have none: one visit to the lock moves a whole
//! chain, which goes through the slots themselves.
//!
//! ```text
//! word 0   the next slot of the chain, 0 for none
//! word 1   of the first slot: the next chain of the depot, 0 for none
//! ```
//!
//! *Source:* the depot of full magazines (Bonwick, Adams: Magazines and Vmem, USENIX 2001).

use core::cell::Cell;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::Threads;
use super::owed::Owed;
use crate::mini_page::ClassState;
use crate::mini_page::cached::{CACHED_SLOTS_MIN, Cached};
use crate::size_class::Class;

/// Slots in a chain, at most.
const CHAIN_SLOTS: usize = 16;

/// Chains of a class in the depot, at most, but for those whose threads look at the same time.
const CHAINS_MAX: usize = 2;

/// A slot in a chain: it is free, and whoever has the chain reads and writes its first words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link(Owed);

impl Link {
    /// The slot at `address`, if that is not zero.
    #[inline(always)]
    pub(super) fn at(address: usize) -> Option<Self> {
        Owed::at(address).map(Self)
    }

    /// Makes the free slot at `slot` the one before `next`, of which the address is given, zero for none.
    ///
    /// # Safety
    ///
    /// It is the caller's.
    #[inline(always)]
    unsafe fn new(slot: NonZeroUsize, next: usize) -> Self {
        let slot = Owed::from(slot);
        slot.set_next(next);
        Self(slot)
    }

    /// Makes a chain of the latest slots of `own`'s magazine, which stay there: the first of it, and how many they are.
    /// None if there are fewer than a chain has. *Time:* constant.
    #[inline(always)]
    pub(super) fn latest(own: &ClassState<Cached>) -> Option<(Self, usize)> {
        let mut next = 0;
        let mut first = None;
        for entry in own.latest().get(..CHAIN_SLOTS)? {
            // SAFETY: what is in the magazine is free, and the thread's.
            first = Some(unsafe { Self::new(entry.get()?, next) });
            next = entry.get()?.get();
        }
        first.map(|first| (first, CHAIN_SLOTS))
    }

    /// Its address.
    #[inline(always)]
    pub(super) fn slot(self) -> NonZeroUsize {
        self.0.start()
    }

    /// The address of the next one, or zero.
    #[inline(always)]
    pub(super) fn next(self) -> usize {
        self.0.next()
    }
}

/// The chains of one class that lie between threads. Read and written by who holds the lock.
#[derive(Debug)]
pub(super) struct Depot {
    /// The first slot of the chain that came last, or zero.
    first: Cell<usize>,
    /// How many there are.
    chains: AtomicUsize,
}

impl Depot {
    /// Without chains.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each class gets one of its own"
    )]
    pub(super) const NEW: Self = Self {
        first: Cell::new(0),
        chains: AtomicUsize::new(0),
    };

    /// Whether there seems to be room for another chain: to be asked without the lock.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        self.chains() < CHAINS_MAX
    }

    /// How many chains there seem to be: to be asked without the lock.
    #[inline(always)]
    pub(super) fn chains(&self) -> usize {
        self.chains.load(Relaxed)
    }

    /// Takes in the chain that begins with `first`. *Time:* constant.
    #[inline(always)]
    pub(super) fn push(&self, first: Link) {
        first.0.set(1, self.first.replace(first.0.address()));
        self.count(1);
    }

    /// The first slot of the chain that came last, if there is one, with all that follow it. *Time:* constant.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<Link> {
        let first = Link::at(self.first.get())?;
        self.first.set(first.0.get(1));
        self.count(usize::MAX);
        Some(first)
    }

    /// Adds `more` chains.
    #[inline(always)]
    fn count(&self, more: usize) {
        let chains = self.chains().wrapping_add(more);
        self.chains.swap(chains, Relaxed);
    }
}

impl Threads {
    /// Slots of `class` on their way from thread to thread.
    #[inline(always)]
    pub(super) fn depot(&self, class: Class) -> &Depot {
        // SAFETY: a class's index is below CLASS_COUNT.
        unsafe { self.depots.get_unchecked(class.index()) }
    }
}

/// The magazine with the fewest slots can give a chain.
const _: () = assert!(CACHED_SLOTS_MIN >= CHAIN_SLOTS);

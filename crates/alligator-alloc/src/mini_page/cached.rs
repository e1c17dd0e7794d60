//! What one thread keeps of a class, in front of the heap that all threads share: a longer magazine, and the free slots of
//! one MiniPage, whose word it has taken over. Only its thread uses it; the heap it takes from and gives to is locked
//! meanwhile.

use core::num::NonZeroUsize;

use super::{ClassState, magazine};
use crate::policy::{Entry, Policy, sealed};
use crate::size_class::Class;

/// Slots in a thread's magazine of a class, at most ..
pub(crate) const CACHED_SLOTS: usize = 64;
/// .. and how many bytes they have together, at most.
const CACHED_BYTES: usize = 24 << 10;

/// The policy of what a thread keeps.
#[derive(Debug)]
pub(crate) struct Cached;

impl sealed::Policy for Cached {
    const HARDENED: bool = false;
    type Magazine = [Entry; CACHED_SLOTS + 1];
}

/// The slots that a thread's magazine of `class` has room for.
pub(crate) fn cached_slots(class: Class) -> usize {
    (CACHED_BYTES / usize::from(class.info().slot_bytes)).min(CACHED_SLOTS)
}

impl ClassState<Cached> {
    /// Makes this, all zero so far, what a thread keeps of `class`.
    pub(crate) fn open(&self, class: Class) {
        self.info.set(*class.info());
        self.room.set(magazine::bytes_of(cached_slots(class)));
    }

    /// The lowest slot of the word that this has taken over, if there is one. *Time:* constant.
    #[inline(always)]
    pub(crate) fn take_own(&self) -> Option<NonZeroUsize> {
        let free = self.free.get();
        if free == 0 {
            return None;
        }
        self.free.set(free & (free - 1));
        let offset = free.trailing_zeros() as usize * usize::from(self.info.get().slot_bytes);
        NonZeroUsize::new(self.current.get() + offset)
    }

    /// Takes over the free slots of the current MiniPage of `shared`, from which a slot has just been taken. This had
    /// none. *Time:* constant.
    #[inline(always)]
    pub(crate) fn take_over<P: Policy>(&self, shared: &ClassState<P>) {
        self.free.set(shared.free.replace(0));
        self.current.set(shared.current.get());
    }

    /// The slot that [`pop`](Self::pop) would give.
    #[inline(always)]
    pub(crate) fn latest(&self) -> Option<NonZeroUsize> {
        let slot = self.pop()?;
        self.push_slot(slot);
        Some(slot)
    }
}

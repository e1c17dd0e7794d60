//! What one thread keeps of a class, in front of the heap that all threads share: a longer magazine, and the free slots of
//! one MiniPage, whose word it has taken over. Only its thread uses it; the heap it takes from and gives to is locked
//! meanwhile.

use core::num::NonZeroUsize;

use super::{ClassState, magazine};
use crate::policy::{Entry, Policy, sealed};
use crate::records::offset_in_mini_page;
use crate::runs::Runs;
use crate::size_class::{CLASS_COUNT, Class, SLOT_BYTES, SLOT_BYTES_MAX, reciprocal, slot_index};
use crate::source::Source;
use crate::units::GRANULE_BYTES;

/// Slots in a thread's magazine of a class, at most ..
pub(crate) const CACHED_SLOTS: usize = 40;
/// .. and how many bytes they have together, at most.
const CACHED_BYTES: usize = 16 << 10;
/// Slots in the magazine that has the fewest.
pub(crate) const CACHED_SLOTS_MIN: usize = CACHED_BYTES / SLOT_BYTES_MAX;

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

    /// Takes the word that this has taken over away from it, if there is a slot left in it.
    pub(crate) fn take_word(&self) -> Option<Neighbours> {
        let slots = self.free.replace(0);
        (slots != 0).then(|| Neighbours {
            address: self.current.get(),
            slots,
        })
    }

    /// Brings those slots of the magazine that lie in one granule with the latest to its end, and gives them and how many
    /// entries they take there. None if the magazine is empty. *Time:* constant, the length of a magazine.
    #[inline(always)]
    pub(crate) fn neighbours(&self) -> Option<(Neighbours, usize)> {
        let entries = self.latest();
        let first = entries.first()?.get()?.get();
        let (mut slots, mut count) = (0, 0);
        for entry in entries {
            let Some(slot) = entry.get() else { break };
            if (slot.get() ^ first) >= GRANULE_BYTES {
                continue;
            }
            slots |= Neighbours::one(slot.get(), self.info.get().reciprocal).slots;
            if let Some(last) = entries.get(count) {
                last.swap(entry);
            }
            count += 1;
        }
        let address = first;
        Some((Neighbours { address, slots }, count))
    }

    /// Takes so many of the latest slots out of the magazine, which has them.
    #[inline(always)]
    pub(crate) fn drop_latest(&self, count: usize) {
        self.room.set(self.room.get() + magazine::bytes_of(count));
    }
}

/// Slots of one MiniPage, which start in one granule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbours {
    /// Where one of them starts, or the MiniPage.
    address: usize,
    /// One bit each, the lowest for the first slot that starts in that granule.
    slots: u64,
}

impl Neighbours {
    /// The slot at `address` of a class with this reciprocal.
    #[inline(always)]
    pub(crate) fn one(address: usize, reciprocal: u16) -> Self {
        Self {
            address,
            slots: 1 << place_in_granule(address, reciprocal),
        }
    }
}

/// How many slots start before the one at `address` in the same granule.
#[inline(always)]
const fn place_in_granule(address: usize, reciprocal: u16) -> usize {
    slot_index(address % GRANULE_BYTES, reciprocal)
}

impl<P: Policy> ClassState<P> {
    /// Gives `neighbours` back to their MiniPage, and the MiniPage to the free runs if they were the last in use.
    /// *Time:* constant.
    #[inline(always)]
    pub(crate) fn give_back_some<S: Source>(&self, neighbours: Neighbours, runs: &Runs<S, P>) {
        let Neighbours { address, slots } = neighbours;
        let id = runs.records.id_at(address);
        let back = runs.records.record(id).back();
        let reciprocal = self.info.get().reciprocal;
        let index = slot_index(offset_in_mini_page(address, back), reciprocal);
        let before = index - place_in_granule(address, reciprocal);
        self.add(id.below(back), slots << before, runs);
    }
}

/// In each granule of a MiniPage, slots that start there have places one after the other.
const _: () = {
    let mut class = 0;
    while class < CLASS_COUNT {
        let bytes = SLOT_BYTES[class];
        let mut start = 0;
        while start < GRANULE_BYTES {
            assert!(place_in_granule(start, reciprocal(bytes)) == start / bytes as usize);
            start += 8; // All sizes are multiples of it.
        }
        assert!(bytes % 8 == 0);
        class += 1;
    }
};

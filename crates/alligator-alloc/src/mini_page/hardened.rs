//! What a hardened heap does besides with slots: it knows which are in use, and poisons the others.
//!
//! Without magazines, most slots are given back to the word of bits that the class works from: then no record is
//! asked. All bits of that word are the class's, none the MiniPage's, which is not given up.
//!
//! A new MiniPage is not poisoned at once, which would take long: only one slot ahead of those that have been given
//! out. So who writes past the last of them is found, and no operation poisons more than two.

use super::ClassState;
use crate::fault::Fault;
use crate::poison;
use crate::policy::Policy;
use crate::records::{Id, offset_in_mini_page};
use crate::runs::Runs;
use crate::size_class::{Class, ClassInfo, slot_index};
use crate::source::Source;
use crate::units::bytes_of;

/// The index of the slot that starts `offset` bytes into a MiniPage, if one does. *Time:* constant.
#[inline(always)]
fn exact_index(offset: usize, info: &ClassInfo) -> Option<u32> {
    let index = slot_index(offset, info.reciprocal);
    let is_start = index * usize::from(info.slot_bytes) == offset;
    #[expect(clippy::cast_possible_truncation, reason = "64 at most is returned")]
    let index = (is_start && index < u64::BITS as usize).then_some(index as u32);
    index.filter(|&index| info.all >> index & 1 != 0)
}

impl<P: Policy> ClassState<P> {
    /// Counts one slot more of the current MiniPage as given out once, and poisons the next, if there is one.
    #[inline(always)]
    pub(super) fn open_next<S: Source>(&self, runs: &Runs<S, P>) {
        let opened = self.room.get() + 1;
        self.room.set(opened);
        let info = self.info.get();
        if opened < info.all.count_ones() as usize {
            poison_slot(
                self.current.get() + opened * usize::from(info.slot_bytes),
                runs,
            );
        }
    }

    /// Poisons those of the free slots of the current MiniPage that are not yet.
    pub(super) fn poison_all<S: Source>(&self, free: u64, runs: &Runs<S, P>) {
        let slot_bytes = usize::from(self.info.get().slot_bytes);
        for index in 0..u64::BITS as usize {
            if index > self.room.get() && free >> index & 1 != 0 {
                poison_slot(self.current.get() + index * slot_bytes, runs);
            }
        }
    }

    /// How far `address` is into the current MiniPage, if there is one and it lies in it.
    #[inline(always)]
    fn offset_in_current(&self, address: usize) -> Option<usize> {
        let offset = address.wrapping_sub(self.current.get());
        let bytes = bytes_of(self.info.get().granules.into());
        (self.room.get() != 0 && offset < bytes).then_some(offset)
    }

    /// The slot of the current MiniPage that starts `offset` bytes into it, as a bit, if there is one and it is in use.
    #[inline(always)]
    fn in_use_of_current(&self, offset: usize) -> Option<u64> {
        let index = exact_index(offset, &self.info.get())?;
        let was_out = (index as usize) < self.room.get();
        let is_free = self.free.get() >> index & 1 != 0;
        (was_out && !is_free).then_some(1 << index)
    }

    /// The slot of `class` that starts at `address`, any, in another MiniPage than the current one: that, and the slot
    /// as a bit, if there is one and it is in use. *Time:* constant.
    #[inline(always)]
    fn in_use_elsewhere<S: Source>(
        class: Class,
        address: usize,
        runs: &Runs<S, P>,
    ) -> Option<(Id, u64)> {
        let id = runs.guarded_id_at(address);
        if !id.is_some() {
            return None;
        }
        let at = runs.records.view();
        let record = at.record(id);
        if record.class() != Some(class.index()) {
            return None;
        }
        let index = exact_index(offset_in_mini_page(address, record.back()), class.info())?;
        let first = id.below(record.back());
        let is_free = at.word(first).get() >> index & 1 != 0;
        (!is_free).then_some((first, 1 << index))
    }

    /// Whether a slot of `class`, which is this one, starts at `address` and is in use. Any address will do.
    /// *Time:* constant.
    #[inline(never)]
    pub(crate) fn has_in_use<S: Source>(
        &self,
        class: Class,
        address: usize,
        runs: &Runs<S, P>,
    ) -> bool {
        match self.offset_in_current(address) {
            Some(offset) => self.in_use_of_current(offset).is_some(),
            None => Self::in_use_elsewhere(class, address, runs).is_some(),
        }
    }

    /// Whether a slot of `class` starts at `address`, in a granule with the record `id` that is a MiniPage's of it.
    pub(crate) fn has_slot_at<S: Source>(
        class: Class,
        address: usize,
        id: Id,
        runs: &Runs<S, P>,
    ) -> bool {
        let back = runs.records.record(id).back();
        exact_index(offset_in_mini_page(address, back), class.info()).is_some()
    }

    /// As [`give_back`](Self::give_back); false, and nothing is changed, if `address` is not that of a slot of
    /// `class` in use.
    #[inline(always)]
    pub(crate) fn give_back_if_in_use<S: Source>(
        &self,
        class: Class,
        address: usize,
        runs: &Runs<S, P>,
    ) -> bool {
        if let Some(offset) = self.offset_in_current(address) {
            let Some(slot) = self.in_use_of_current(offset) else {
                return false;
            };
            self.free.set(self.free.get() | slot);
            poison_slot(address, runs);
            return true;
        }
        let Some((id, slot)) = Self::in_use_elsewhere(class, address, runs) else {
            return false;
        };
        poison_slot(address, runs);
        self.add(id, slot, runs);
        true
    }
}

/// Poisons the slot at `slot`, which nobody uses.
#[inline(always)]
pub(super) fn poison_slot<S: Source, P: Policy>(slot: usize, runs: &Runs<S, P>) {
    // SAFETY: the slot is the caller's to give away, as long as the shortest, and aligned to eight.
    unsafe { poison::put(runs.records.source().pointer(slot)) };
}

/// Stops if somebody has written to the free slot at `slot`.
#[inline(always)]
pub(super) fn require_poison<S: Source, P: Policy>(slot: usize, runs: &Runs<S, P>) {
    let place = runs.records.source().pointer(slot);
    // SAFETY: the slot is as long as the shortest and aligned to eight, and it was poisoned when it was given back or
    // when the slot before it was given out for the first time.
    if !unsafe { poison::is_intact(place, poison::POISON) } {
        runs.raise(Fault::WriteAfterFree, slot);
    }
}

/// Stops unless `id` is the record of a MiniPage's first granule.
#[inline(always)]
pub(super) fn require_own<S: Source, P: Policy>(id: Id, runs: &Runs<S, P>) {
    let record = || runs.records.record(id);
    if !runs.has(id) || record().class().is_none() || record().back() != 0 {
        runs.raise_at(id);
    }
}

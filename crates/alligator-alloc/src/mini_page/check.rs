//! The invariants of MiniPages and of what a class knows about its own. See [`crate::check`].

#[cfg(test)]
pub(crate) mod planted;

use super::ClassState;
use crate::check::parts::{Kind, Part};
use crate::check::{Invariant, Violation};
use crate::poison;
use crate::policy::Policy;
use crate::records::{Id, offset_in_mini_page};
use crate::runs::Runs;
use crate::size_class::Class;
use crate::source::Source;

impl<P: Policy> ClassState<P> {
    /// Checks the MiniPage of `class`, which is this one and which is `part`.
    pub(crate) fn check_mini_page<S: Source>(
        &self,
        class: Class,
        part: &Part,
        runs: &Runs<S, P>,
    ) -> Result<(), Violation> {
        let address = runs.records.place(part.id);
        let (word, all) = (runs.records.view().word(part.id).get(), class.info().all);
        Invariant::FreeSlots.require(word & !all == 0 && word != all, address)?;
        if P::HARDENED {
            self.is_poisoned(class, part.id, runs)?;
        }
        let times = runs.entries(self.partial.get()).filter(|&e| e == part.id);
        Invariant::Listed.require(times.count() == usize::from(word != 0), address)
    }

    /// Checks what the class keeps besides: its list, its current MiniPage and its magazine.
    pub(crate) fn check<S: Source>(
        &self,
        class: Class,
        runs: &Runs<S, P>,
    ) -> Result<(), Violation> {
        let mut previous = Id::NONE;
        for id in runs.entries(self.partial.get()) {
            let is_one = is_mini_page_of(id, class, runs);
            let leads_back = runs.records.record(id).previous.get() == previous;
            let is_right = is_one && (!previous.is_some() || leads_back);
            Invariant::ListLinks.require(is_right, runs.records.place(id))?;
            previous = id;
        }
        self.current_is_right(class, runs)?;
        for (index, slot) in self.magazine_slots().enumerate() {
            let is_right = self.is_in_use(slot, class, runs)
                && self.magazine_slots().take(index).all(|other| other != slot);
            Invariant::Magazine.require(is_right, slot)?;
        }
        Ok(())
    }

    /// The slots that are free of the MiniPage whose record is `id`: in its word, or the class's.
    pub(crate) fn free_slots<S: Source>(&self, id: Id, runs: &Runs<S, P>) -> u64 {
        let is_current = self.current.get() == runs.records.place(id);
        let taken_out = if is_current { self.free.get() } else { 0 };
        runs.records.view().word(id).get() | taken_out
    }

    /// The slots that no block is in of the MiniPage of `class` whose record is `id`.
    pub(crate) fn unused_slots<S: Source>(&self, class: Class, id: Id, runs: &Runs<S, P>) -> usize {
        let is_here = |&slot: &usize| {
            let at = runs.records.id_at(slot);
            at.below(runs.records.record(at).back()) == id
        };
        let kept = self.magazine_slots().filter(is_here).count();
        let free = self.free_slots(id, runs) & class.info().all;
        free.count_ones() as usize + kept
    }

    /// [`Invariant::Poison`] for the free slots of a MiniPage, but for those never given out.
    fn is_poisoned<S: Source>(
        &self,
        class: Class,
        id: Id,
        runs: &Runs<S, P>,
    ) -> Result<(), Violation> {
        let slot_bytes = usize::from(class.info().slot_bytes);
        let address = runs.records.place(id);
        let is_current = self.current.get() == address && self.room.get() != 0;
        let opened = if is_current { self.room.get() } else { 64 };
        let free = self.free_slots(id, runs);
        for index in (0..64).filter(|&index| free >> index & 1 != 0 && index <= opened) {
            let slot = address + index * slot_bytes;
            let place = runs.records.source().pointer(slot);
            // SAFETY: the slot is the heap's, and its start was written when it was given back or opened.
            let is_poisoned = unsafe { poison::is_intact(place, poison::POISON) };
            Invariant::Poison.require(is_poisoned, slot)?;
        }
        Ok(())
    }

    /// [`Invariant::Current`].
    fn current_is_right<S: Source>(
        &self,
        class: Class,
        runs: &Runs<S, P>,
    ) -> Result<(), Violation> {
        if self.free.get() == 0 {
            return Ok(());
        }
        let address = self.current.get();
        let id = runs.records.id_at(address);
        let is_start = runs.records.place(id) == address && is_mini_page_of(id, class, runs);
        Invariant::Current.require(is_start, address)?;
        let word = runs.records.view().word(id).get();
        let others = class.info().all & !word;
        Invariant::Current.require(self.free.get() & !others == 0, address)
    }

    /// Whether `address` is a slot of a MiniPage of `class` that is free nowhere.
    fn is_in_use<S: Source>(&self, address: usize, class: Class, runs: &Runs<S, P>) -> bool {
        let at = runs.records.id_at(address);
        let back = runs.records.record(at).back();
        let id = at.below(back);
        if !is_mini_page_of(id, class, runs) {
            return false;
        }
        let slot_bytes = usize::from(class.info().slot_bytes);
        let offset = offset_in_mini_page(address, back);
        let (index, is_start) = (offset / slot_bytes, offset % slot_bytes == 0);
        let is_slot = is_start && index < class.info().all.count_ones() as usize;
        is_slot && self.free_slots(id, runs) >> index & 1 == 0
    }
}

/// Whether `id` is the record of the first granule of a MiniPage of `class`.
fn is_mini_page_of<S: Source, P: Policy>(id: Id, class: Class, runs: &Runs<S, P>) -> bool {
    let part = runs.part_of(id);
    part.is_some_and(|part| matches!(part.kind, Kind::MiniPage(of) if of == class))
}

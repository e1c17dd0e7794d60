//! The invariants of medium MiniPages. See [`crate::check`].

#[cfg(all(test, feature = "medium", not(feature = "hardened")))]
pub(crate) mod planted;

use super::{COUNT, Medium, MediumClass};
use crate::check::parts::{Kind, Part};
use crate::check::{Invariant, Violation};
use crate::meta_page::HeaderId;
use crate::mini_page::list::List;
use crate::runs::Runs;
use crate::source::Source;

impl MediumClass {
    /// Whether there is such a class: in a broken header, the number may be too large.
    pub(crate) fn exists(self) -> bool {
        self.0 < COUNT
    }

    /// Slots in a MiniPage.
    pub(crate) fn slot_count(self) -> usize {
        self.info().all.count_ones() as usize
    }
}

impl Medium {
    /// Checks the MiniPage `id` of `class`.
    pub(crate) fn check_mini_page<S: Source>(
        &self,
        id: HeaderId,
        class: MediumClass,
        part: &Part,
        runs: &Runs<S>,
    ) -> Result<(), Violation> {
        let (free, all) = (free_bits(id, runs), u64::from(class.info().all));
        let first = self.partial[class.0].first;
        let unused = runs.entries(first).filter(|&it| free_bits(it, runs) == all);
        let may_be_unused = free != all || unused.count() == 1; // One is kept.
        Invariant::FreeSlots.require(free & !all == 0 && may_be_unused, part.address)?;
        let entries = runs.entries(first);
        let times = entries.filter(|&entry| entry == id).count();
        Invariant::Listed.require(times == usize::from(free != 0), part.address)?;
        slots_have_its_place(id, class, part, runs)
    }

    /// Checks the lists.
    pub(crate) fn check<S: Source>(&self, runs: &Runs<S>) -> Result<(), Violation> {
        let mut lists = self.partial.iter().enumerate();
        lists.try_for_each(|(class, list)| links_are_right(list, MediumClass(class), runs))
    }
}

/// How many slots of the MiniPage `id` no block is in.
pub(crate) fn free_slots<S: Source>(id: HeaderId, runs: &Runs<S>) -> usize {
    free_bits(id, runs).count_ones() as usize
}

fn free_bits<S: Source>(id: HeaderId, runs: &Runs<S>) -> u64 {
    let [free, _] = &runs.meta.header(id).slots;
    free.get()
}

/// [`Invariant::SlotPlace`].
fn slots_have_its_place<S: Source>(
    id: HeaderId,
    class: MediumClass,
    part: &Part,
    runs: &Runs<S>,
) -> Result<(), Violation> {
    let (place, free) = (runs.meta.header(id).place.get(), free_bits(id, runs));
    for index in (0..class.slot_count()).filter(|index| free >> index & 1 == 0) {
        let slot = part.address + index * class.slot_bytes();
        let own = runs.meta.header(runs.meta.id_at(slot));
        Invariant::SlotPlace.require(own.place.get() == place, slot)?;
    }
    Ok(())
}

/// [`Invariant::ListLinks`].
fn links_are_right<S: Source>(
    list: &List,
    class: MediumClass,
    runs: &Runs<S>,
) -> Result<(), Violation> {
    let mut previous = HeaderId::NONE;
    for id in runs.entries(list.first) {
        let address = runs.meta.granule_of(id);
        let part = address.and_then(|address| runs.part_at(address).ok());
        let is_of_class = part.is_some_and(
            |part| matches!(part.kind, Kind::Medium(found, of) if found == id && of == class),
        );
        let is_right = is_of_class && runs.meta.header(id).previous.get() == previous;
        Invariant::ListLinks.require(is_right, address.unwrap_or(0))?;
        previous = id;
    }
    Ok(())
}

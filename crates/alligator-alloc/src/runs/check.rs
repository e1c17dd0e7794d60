//! The invariants of runs and bins. See [`crate::check`].

#[cfg(test)]
pub(crate) mod planted;

use super::{NO_BIN, Runs};
use crate::check::parts::{Kind, Part, Parts};
use crate::check::{Invariant, Violation};
use crate::policy::Policy;
use crate::records::{BIN_LAST, GRANULE, Id, bin_of};
use crate::runs::hardened::RETIRED;
use crate::source::Source;
use crate::units::bytes_of;

impl<S: Source, P: Policy> Runs<S, P> {
    /// All parts of the heap by address.
    pub(crate) fn parts(&self) -> Parts<'_, S, P> {
        if self.records.is_there() {
            Parts::starting_at(self, self.records.first())
        } else {
            Parts::starting_at(self, self.end())
        }
    }

    /// The record after the last part's.
    pub(crate) fn end(&self) -> Id {
        self.end.get()
    }

    /// The part that starts with the granule of `id`, if one does.
    pub(crate) fn part_of(&self, id: Id) -> Option<Part> {
        self.is_granule(id)
            .then(|| Parts::starting_at(self, id).part().ok())?
    }

    /// Whether `id` is the record of a granule of the heap.
    fn is_granule(&self, id: Id) -> bool {
        let first = self.records.first();
        (first..self.end()).contains(&id) && id.distance_from(first) % GRANULE == 0
    }

    /// Checks every run, its tags and the bins.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        if !self.records.is_there() {
            return Invariant::BinBitmap.require(self.nonempty.get() == 0, 0);
        }
        Invariant::Table.require(self.has_right_table(), self.records.table())?;
        let mut below = Id::NONE;
        for part in self.parts() {
            let part = part?;
            let address = self.records.place(part.id);
            self.below_is_right(part.id, part.is_free(), below)?;
            Invariant::Merged.require(!part.is_free() || !below.is_some(), address)?;
            self.is_touched(&part)?;
            self.is_in_bin_once(&part)?;
            if P::HARDENED {
                self.interior_is_right(&part)?;
                let is_intact = !part.is_free() || self.has_poison(part.id);
                Invariant::Poison.require(is_intact, address)?;
            }
            below = if part.is_free() { part.id } else { Id::NONE };
        }
        self.below_is_right(self.end(), false, below)?;
        let has_no_bin = self.nonempty.get() & NO_BIN != 0;
        Invariant::BinBitmap.require(has_no_bin, 0)?;
        let none = self.records.record(Id::NONE);
        let leads_nowhere = none.length.get() == 0 && !none.next.get().is_some() && !none.is_free();
        Invariant::BinLinks.require(leads_nowhere, 0)?;
        (0..=BIN_LAST).try_for_each(|bin| self.bin_is_right(bin))
    }

    /// [`Invariant::Table`].
    fn has_right_table(&self) -> bool {
        let table = self.table.get();
        let covered = (self.length() / GRANULE) as usize + 1;
        let start = self.records.place(table) + bytes_of(Self::GUARD);
        self.records.table() == start
            && self.end().distance_from(table) == Self::table_length(covered)
    }

    /// [`Invariant::Below`]: `below` is the free run that ends where `id`'s part starts, or none.
    fn below_is_right(&self, id: Id, is_free: bool, below: Id) -> Result<(), Violation> {
        let is_right = is_free || self.records.record(id).below.get() == below;
        Invariant::Below.require(is_right, self.records.place(id))
    }

    /// [`Invariant::Untouched`].
    fn is_touched(&self, part: &Part) -> Result<(), Violation> {
        let in_use = matches!(part.kind, Kind::Used | Kind::MiniPage(_));
        let is_right = !in_use || part.end() <= self.untouched.get();
        Invariant::Untouched.require(is_right, self.records.place(part.id))
    }

    /// [`Invariant::Interior`].
    fn interior_is_right(&self, part: &Part) -> Result<(), Violation> {
        let record = self.records.record(part.id);
        let block = record.next.get();
        for granule in 1..part.length / GRANULE {
            let id = part.id.above(granule * GRANULE);
            let inside = self.records.record(id);
            let is_right = match part.kind {
                Kind::MiniPage(class) => {
                    let back = granule * GRANULE;
                    inside.class() == Some(class.index()) && inside.back() == back
                }
                Kind::Used if id == block => inside.next.get() == part.id,
                _ => matches!(inside.length.get(), 0 | RETIRED),
            };
            Invariant::Interior.require(is_right, self.records.place(id))?;
        }
        Ok(())
    }

    /// [`Invariant::InBin`].
    fn is_in_bin_once(&self, part: &Part) -> Result<(), Violation> {
        if !part.is_free() {
            return Ok(());
        }
        let entries = self.entries(self.first(bin_of(part.length)));
        let times = entries.filter(|&entry| entry == part.id).count();
        Invariant::InBin.require(times == 1, self.records.place(part.id))
    }

    /// [`Invariant::BinLinks`] and [`Invariant::BinBitmap`] for one bin.
    fn bin_is_right(&self, bin: u32) -> Result<(), Violation> {
        let is_set = self.nonempty.get() >> bin & 1 == 1;
        let has_some = self.first(bin).is_some();
        Invariant::BinBitmap.require(is_set == has_some, 0)?;
        let mut previous = Id::start_of(bin);
        for id in self.entries(self.first(bin)) {
            if self.part_of(id).is_none() {
                return Invariant::BinLinks.require(false, 0);
            }
            let record = self.records.record(id);
            let is_right = record.is_free()
                && record.previous.get() == previous
                && bin_of(record.length.get()) == bin;
            Invariant::BinLinks.require(is_right, self.records.place(id))?;
            previous = id;
        }
        Ok(())
    }

    /// `first` and what follows it, up to one that is no granule's, which is the last entry, and no more entries than
    /// fit in the heap.
    pub(crate) fn entries(&self, first: Id) -> impl Iterator<Item = Id> {
        let some = |id: Id| id.is_some().then_some(id);
        let next = move |&id: &Id| {
            self.is_granule(id)
                .then(|| some(self.records.record(id).next.get()))?
        };
        let most = (self.length() / GRANULE) as usize + 1;
        core::iter::successors(some(first), next).take(most)
    }
}

/// Damage for the tests of the checker.
#[cfg(test)]
impl<S: Source, P: Policy> Runs<S, P> {
    /// Puts the free run `id`, which is in another bin, into that of its length.
    fn plant_in_bin(&self, id: Id) {
        let nonempty = self.unlink(self.records.view(), id, self.nonempty.get());
        self.link(
            self.records.view(),
            id,
            self.records.record(id).length.get(),
            nonempty,
        );
        // Its upper neighbour is still free.
        let above = id.above(self.records.record(id).length.get());
        self.records.record(above).below.set(Id::FREE);
    }

    /// Takes the free run `id` out of its bin.
    fn plant_unlinked(&self, id: Id) {
        let nonempty = self.unlink(self.records.view(), id, self.nonempty.get());
        self.nonempty.set(nonempty);
    }

    /// Sets the bit of a bin without a run.
    fn plant_bit(&self) {
        let nonempty = self.nonempty.get();
        self.nonempty.set(nonempty | (nonempty + 1));
    }

    /// Puts the heap's end a granule too high.
    fn plant_end(&self) {
        self.end.set(self.end.get().above(GRANULE));
    }

    /// Takes all memory for untouched, of so many `parts` of which some are used.
    fn plant_untouched(&self, parts: usize) {
        assert!(parts > 1);
        self.untouched.set(self.records.first());
    }
}

//! The invariants of runs and bins. See [`crate::check`].

#[cfg(test)]
pub(crate) mod planted;

use super::{BIN_COUNT, Runs, bin_of};
use crate::check::parts::{Kind, Part, Parts};
use crate::check::{Invariant, Violation};
use crate::meta_page::{HeaderId, MERGED};
use crate::source::Source;
use crate::units::{GRANULE_SHIFT, HARDENED, bytes_of};

impl<S: Source> Runs<S> {
    /// All parts of the heap by address.
    pub(crate) fn parts(&self) -> Parts<'_, S> {
        Parts::new(self, self.end)
    }

    /// The address after the last part.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// The part that starts at `address`, if one does.
    pub(crate) fn part_at(&self, address: usize) -> Result<Part, Violation> {
        Parts::starting_at(self, address, self.end).part()
    }

    /// Whether no block is in the used run `id`, but it is kept for reuse.
    pub(crate) fn is_recent(&self, id: HeaderId) -> bool {
        self.entries(self.recent.first).any(|entry| entry == id)
    }

    /// Checks every run, its tags and the bins.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        let mut below = HeaderId::NONE;
        for part in self.parts() {
            let part = part?;
            self.above_is_right(&part)?;
            self.below_is_right(&part, below)?;
            is_merged(&part, below)?;
            self.is_touched(&part)?;
            self.meta_page_is_used(&part)?;
            self.is_in_bin_once(&part)?;
            if HARDENED {
                self.interior_is_right(&part)?;
                self.is_poisoned(&part)?;
            }
            below = match part.kind {
                Kind::Free(id) => id,
                _ => HeaderId::NONE,
            };
        }
        if self.meta.start().is_some() {
            self.end_is_right(below)?;
        }
        (0..BIN_COUNT).try_for_each(|bin| self.bin_is_right(bin))?;
        self.recent_is_right()
    }

    /// [`Invariant::Recent`].
    fn recent_is_right(&self) -> Result<(), Violation> {
        let recent = &self.recent;
        let entries = || self.entries(recent.first);
        let is_short = recent.count <= recent.max && entries().count() == recent.count;
        Invariant::Recent.require(is_short, 0)?;
        for id in entries() {
            let address = self.meta.granule_of(id).unwrap_or(self.end);
            let part = self.part_at(address)?;
            let is_right = matches!(part.kind, Kind::Recent(_)) && part.granules == 1;
            let times = entries().filter(|&entry| entry == id).count();
            Invariant::Recent.require(is_right && times == 1, address)?;
        }
        Ok(())
    }

    /// [`Invariant::Above`].
    fn above_is_right(&self, part: &Part) -> Result<(), Violation> {
        let (Kind::Used(id) | Kind::Free(id) | Kind::Recent(id) | Kind::Medium(id, _)) = part.kind
        else {
            return Ok(());
        };
        let above = self.meta.header(id).above.get();
        Invariant::Above.require(above == self.meta.id_at(part.end()), part.address)
    }

    /// [`Invariant::Below`]: `below` is the free run that ends where `part` starts, or none.
    fn below_is_right(&self, part: &Part, below: HeaderId) -> Result<(), Violation> {
        if matches!(part.kind, Kind::Free(_)) || self.has_no_header(part.address) {
            return Ok(());
        }
        let header = self.meta.header(self.meta.id_at(part.address));
        Invariant::Below.require(header.below.get() == below, part.address)
    }

    /// [`Invariant::Below`] for the header after the heap's last granule, which every heap has.
    fn end_is_right(&self, below: HeaderId) -> Result<(), Violation> {
        let exists = !self.has_no_header(self.end);
        Invariant::Below.require(exists, self.end)?;
        let id = self.meta.id_at(self.end);
        let is_right = id == self.end_id && self.meta.header(id).below.get() == below;
        Invariant::Below.require(is_right, self.end)
    }

    fn has_no_header(&self, address: usize) -> bool {
        self.meta.next_with_header(address) != Some(address)
    }

    /// [`Invariant::Untouched`].
    fn is_touched(&self, part: &Part) -> Result<(), Violation> {
        let in_use = matches!(
            part.kind,
            Kind::Used(_) | Kind::Recent(_) | Kind::MiniPage(..) | Kind::Medium(..)
        );
        Invariant::Untouched.require(!in_use || part.end() <= self.untouched, part.address)
    }

    /// [`Invariant::MetaPageRun`]: at the start of new memory, MetaPages have no header of their own.
    fn meta_page_is_used(&self, part: &Part) -> Result<(), Violation> {
        if !matches!(part.kind, Kind::Meta) || self.has_no_header(part.address) {
            return Ok(());
        }
        let header = self.meta.header(self.meta.id_at(part.address));
        let is_run = header.granules.get() == part.granules
            && header.above.get() == self.meta.id_at(part.end());
        let place = header.place.get();
        Invariant::MetaPageRun.require(
            !header.is_free() && (place & !MERGED == 0 || place == part.address && is_run),
            part.address,
        )
    }

    /// [`Invariant::Interior`].
    fn interior_is_right(&self, part: &Part) -> Result<(), Violation> {
        let block = match part.kind {
            Kind::Used(id) => self.meta.header(id).next.get(),
            _ => HeaderId::NONE,
        };
        for granule in 1..part.granules {
            let address = part.address + bytes_of(granule);
            let id = self.meta.id_at(address);
            let expected = if id == block { part.address } else { 0 };
            let place = self.meta.header(id).place.get();
            Invariant::Interior.require(place & !MERGED == expected, address)?;
        }
        Ok(())
    }

    /// [`Invariant::Poison`] for a free run.
    fn is_poisoned(&self, part: &Part) -> Result<(), Violation> {
        let Kind::Free(id) = part.kind else {
            return Ok(());
        };
        Invariant::Poison.require(self.has_poison(id), part.address)
    }

    /// [`Invariant::InBin`].
    fn is_in_bin_once(&self, part: &Part) -> Result<(), Violation> {
        let Kind::Free(id) = part.kind else {
            return Ok(());
        };
        let entries = self.bin_entries(bin_of(part.granules));
        let times = entries.filter(|&entry| entry == id).count();
        Invariant::InBin.require(times == 1, part.address)
    }

    /// [`Invariant::BinLinks`] and [`Invariant::BinBitmap`] for one bin.
    fn bin_is_right(&self, bin: usize) -> Result<(), Violation> {
        let is_set = self.nonempty >> bin & 1 == 1;
        Invariant::BinBitmap.require(is_set == self.bins[bin].is_some(), 0)?;
        let mut previous = HeaderId::from_raw(bin);
        for id in self.bin_entries(bin) {
            let Some(address) = self.meta.granule_of(id) else {
                return Invariant::BinLinks.require(false, 0);
            };
            let header = self.meta.header(id);
            let is_right = header.is_free()
                && header.previous.get() == previous
                && header.place.get() == address
                && bin_of(header.granules.get()) == bin;
            Invariant::BinLinks.require(is_right, address)?;
            previous = id;
        }
        Ok(())
    }

    /// The entries of `bin` from the first on, up to one that is no header, and no more than fit in the heap.
    fn bin_entries(&self, bin: usize) -> impl Iterator<Item = HeaderId> {
        self.entries(self.bins[bin])
    }

    /// `first` and what follows it in its list, up to one that is no header, which is the last entry, and no
    /// more entries than fit in the heap.
    pub(crate) fn entries(&self, first: HeaderId) -> impl Iterator<Item = HeaderId> {
        let some = |id: HeaderId| id.is_some().then_some(id);
        let next = move |&id: &HeaderId| {
            self.meta.granule_of(id)?;
            some(self.meta.header(id).next.get())
        };
        core::iter::successors(some(first), next).take((self.end >> GRANULE_SHIFT) + 1)
    }
}

/// [`Invariant::Merged`].
fn is_merged(part: &Part, below: HeaderId) -> Result<(), Violation> {
    let both_free = matches!(part.kind, Kind::Free(_)) && below.is_some();
    Invariant::Merged.require(!both_free, part.address)
}

//! The invariants of MiniPages and of what a class knows about its own. See [`crate::check`].

use core::num::NonZeroUsize;

use super::{ClassState, lowest, slots};
use crate::check::parts::{Kind, Part};
use crate::check::{Invariant, Violation};
use crate::meta_page::{CLASS_MASK, DOUBLINGS_SHIFT, Header, HeaderId, INTERIOR, MINI_PAGE};
use crate::runs::Runs;
use crate::size_class::Class;
use crate::source::Source;
use crate::units::{GRANULE_BYTES, bytes_of, granule_floor};

impl ClassState {
    /// Checks the class's MiniPages, its list, its current and fresh MiniPages and its magazine.
    pub(crate) fn check<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        let mut granules = 0;
        for part in runs.parts() {
            let part = part?;
            match part.kind {
                Kind::MiniPage(id, of) if of == class => {
                    granules += part.granules;
                    free_slots_are_right(runs.meta.header(id), part.address)?;
                    self.all_slots_are_right(id, &part, runs)?;
                    self.is_listed_when_partial(id, &part, runs)?;
                    interior_is_right(id, &part, runs)?;
                }
                _ => {}
            }
        }
        Invariant::ClassGranules.require(granules == self.granules, 0)?;
        self.links_are_right(class, runs)?;
        self.current_is_right(class, runs)?;
        self.fresh_is_right(class, runs)?;
        self.magazine_is_right(class, runs)
    }

    /// [`Invariant::AllSlots`].
    fn all_slots_are_right<S: Source>(
        &self,
        id: HeaderId,
        part: &Part,
        runs: &Runs<S>,
    ) -> Result<(), Violation> {
        let started = slot_count(id, runs).min(self.started(id, runs));
        let all = runs.meta.header(id).slots().all.get();
        Invariant::AllSlots.require(all == lowest(started), part.address)
    }

    /// The slots of the MiniPage `id` that start below the first granule without a header.
    fn started<S: Source>(&self, id: HeaderId, runs: &Runs<S>) -> u32 {
        if self.fresh != id {
            return u32::MAX;
        }
        let header = runs.meta.header(id);
        let bytes = self.fresh_at.saturating_sub(header.first_byte());
        let slot_bytes = usize::from(class_of(header).info().slot_bytes);
        u32::try_from(bytes.div_ceil(slot_bytes)).unwrap_or(u32::MAX)
    }

    /// [`Invariant::Listed`].
    fn is_listed_when_partial<S: Source>(
        &self,
        id: HeaderId,
        part: &Part,
        runs: &Runs<S>,
    ) -> Result<(), Violation> {
        let times = runs.entries(self.partial).filter(|&e| e == id).count();
        let is_partial = runs.meta.header(id).slots().free.get() != 0;
        Invariant::Listed.require(times == usize::from(is_partial), part.address)
    }

    /// [`Invariant::ListLinks`].
    fn links_are_right<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        let mut previous = HeaderId::NONE;
        for id in runs.entries(self.partial) {
            let address = mini_page_of(id, class, runs);
            let is_right = address.is_some() && runs.meta.header(id).previous.get() == previous;
            Invariant::ListLinks.require(is_right, address.unwrap_or(0))?;
            previous = id;
        }
        Ok(())
    }

    /// [`Invariant::Current`].
    fn current_is_right<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        if self.free == 0 {
            return Ok(()); // What `current` says means nothing then.
        }
        let Some((id, 0)) = slot_at(self.current, class, runs) else {
            return Invariant::Current.require(false, self.current);
        };
        let slots = runs.meta.header(id).slots();
        let is_right = self.free & !slots.all.get() == 0 && self.free & slots.free.get() == 0;
        Invariant::Current.require(is_right, self.current)
    }

    /// [`Invariant::Fresh`].
    fn fresh_is_right<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        if !self.fresh.is_some() {
            return Ok(());
        }
        let Some(address) = mini_page_of(self.fresh, class, runs) else {
            return Invariant::Fresh.require(false, 0);
        };
        let step = GRANULE_BYTES.max(class.info().slot_bytes.into());
        let offset = self.fresh_at.wrapping_sub(address);
        let is_right = offset != 0
            && offset % step == 0
            && self.started(self.fresh, runs) < slot_count(self.fresh, runs);
        Invariant::Fresh.require(is_right, address)
    }

    /// [`Invariant::Magazine`].
    fn magazine_is_right<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        let count = self.magazine_count;
        Invariant::Magazine.require(count <= class.info().magazine_max.into(), 0)?;
        for (index, slot) in self.magazine_slots().enumerate() {
            let is_right = self.is_in_use(slot, class, runs)
                && self.magazine_slots().take(index).all(|other| other != slot);
            Invariant::Magazine.require(is_right, slot)?;
        }
        Ok(())
    }

    /// The addresses in the magazine.
    fn magazine_slots(&self) -> impl Iterator<Item = usize> {
        let entries = self.magazine.iter().take(self.magazine_count);
        entries.map(|slot| slot.map_or(0, NonZeroUsize::get))
    }

    /// Whether `address` is a slot of a MiniPage of `class` that was handed out and is free nowhere.
    fn is_in_use<S: Source>(&self, address: usize, class: Class, runs: &Runs<S>) -> bool {
        let Some((id, index)) = slot_at(address, class, runs) else {
            return false;
        };
        let header = runs.meta.header(id);
        let taken_out = if self.current == header.first_byte() {
            self.free
        } else {
            0
        };
        let in_use = header.slots().all.get() & !header.slots().free.get() & !taken_out;
        in_use >> index & 1 == 1
    }

    /// The slots of the MiniPage `id` that no block is in, wherever they are noted: in its header, taken out
    /// as the current ones, in the magazine, or never handed out.
    pub(crate) fn free_slots<S: Source>(&self, id: HeaderId, runs: &Runs<S>) -> u32 {
        let header = runs.meta.header(id);
        let (free, all) = (header.slots().free.get(), header.slots().all.get());
        let info = class_of(header).info();
        let address = header.first_byte();
        let granules =
            usize::from(info.granules_min) << (header.place.get() >> DOUBLINGS_SHIFT & 7);
        let mini_page = address..address + bytes_of(granules);
        let taken_out = if self.current == address {
            self.free
        } else {
            0
        };
        let in_magazine = self.magazine_slots().filter(|s| mini_page.contains(s));
        #[expect(clippy::cast_possible_truncation, reason = "a magazine is short")]
        let in_magazine = in_magazine.count() as u32;
        let never = slot_count(id, runs) - all.count_ones();
        free.count_ones() + taken_out.count_ones() + in_magazine + never
    }
}

/// [`Invariant::FreeSlots`].
fn free_slots_are_right(header: &Header, address: usize) -> Result<(), Violation> {
    let (free, all) = (header.slots().free.get(), header.slots().all.get());
    let is_right = free & !all == 0 && free != all;
    Invariant::FreeSlots.require(is_right, address)
}

/// [`Invariant::Interior`].
fn interior_is_right<S: Source>(
    id: HeaderId,
    part: &Part,
    runs: &Runs<S>,
) -> Result<(), Violation> {
    let header = runs.meta.header(id);
    let slot_bytes = usize::from(class_of(header).info().slot_bytes);
    let handed_out = header.slots().all.get().count_ones() as usize;
    for slot in 0..handed_out {
        let at = granule_floor(part.address + slot * slot_bytes);
        let interior = runs.meta.header(runs.meta.id_at(at));
        let leads_back =
            interior.place.get() == header.place.get() | INTERIOR && interior.next.get() == id;
        Invariant::Interior.require(at == part.address || leads_back, at)?;
    }
    Ok(())
}

/// The slots of the MiniPage `id`.
pub(crate) fn slot_count<S: Source>(id: HeaderId, runs: &Runs<S>) -> u32 {
    let header = runs.meta.header(id);
    let doublings = header.place.get() >> DOUBLINGS_SHIFT & 7;
    slots(class_of(header).info(), doublings)
}

/// The MiniPage of `class` in which a slot starts at `address`, and the slot's index.
fn slot_at<S: Source>(address: usize, class: Class, runs: &Runs<S>) -> Option<(HeaderId, usize)> {
    let granule = granule_floor(address);
    let id = runs.meta.id_at(granule);
    if runs.meta.granule_of(id) != Some(granule) {
        return None;
    }
    let header = runs.meta.header(id);
    let first = if header.place.get() & INTERIOR != 0 {
        header.next.get()
    } else {
        id
    };
    let offset = address.checked_sub(mini_page_of(first, class, runs)?)?;
    let slot_bytes = usize::from(class.info().slot_bytes);
    let index = offset / slot_bytes;
    let is_slot = offset % slot_bytes == 0 && index < slot_count(first, runs) as usize;
    is_slot.then_some((first, index))
}

/// The class of the MiniPage whose first granule has `header`.
fn class_of(header: &Header) -> Class {
    Class::from_index(header.place.get() & CLASS_MASK)
}

/// The address of the MiniPage whose first granule's header is called `id`, if it is one of `class`.
fn mini_page_of<S: Source>(id: HeaderId, class: Class, runs: &Runs<S>) -> Option<usize> {
    let address = runs.meta.granule_of(id)?;
    let header = runs.meta.header(id);
    let is_right = header.first_byte() == address
        && header.place.get() & (MINI_PAGE | INTERIOR) == MINI_PAGE
        && class_of(header) == class
        && !header.is_free();
    is_right.then_some(address)
}

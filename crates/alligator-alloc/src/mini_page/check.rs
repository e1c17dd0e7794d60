//! The invariants of MiniPages and of what a class knows about its own. See [`crate::check`].

#[cfg(test)]
pub(crate) mod planted;

use super::ClassState;
use crate::check::parts::{Kind, Part};
use crate::check::{Invariant, Violation};
use crate::meta_page::HeaderId;
use crate::poison;
use crate::runs::Runs;
use crate::size_class::{Class, WORD_SLOTS};
use crate::source::Source;
use crate::units::{HARDENED, granule_floor};

impl ClassState {
    /// Checks the MiniPage `id` of `class`, which is this one and which is `part`.
    pub(crate) fn check_mini_page<S: Source>(
        &self,
        id: HeaderId,
        class: Class,
        part: &Part,
        runs: &Runs<S>,
    ) -> Result<(), Violation> {
        free_slots_are_right(id, class, part, runs)?;
        if HARDENED {
            self.is_poisoned(id, class, part, runs)?;
        }
        self.is_listed_when_partial(id, class, part, runs)
    }

    /// Checks what the class keeps besides: its list, its current MiniPage and its magazine.
    pub(crate) fn check<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        self.links_are_right(class, runs)?;
        self.current_is_right(class, runs)?;
        self.magazine_is_right(class, runs)
    }

    /// [`Invariant::Listed`].
    fn is_listed_when_partial<S: Source>(
        &self,
        id: HeaderId,
        class: Class,
        part: &Part,
        runs: &Runs<S>,
    ) -> Result<(), Violation> {
        let times = runs
            .entries(self.partial.first)
            .filter(|&e| e == id)
            .count();
        let is_partial = given_back(id, class, runs) != 0;
        Invariant::Listed.require(times == usize::from(is_partial), part.address)
    }

    /// [`Invariant::Poison`] for the free slots of a MiniPage.
    fn is_poisoned<S: Source>(
        &self,
        id: HeaderId,
        class: Class,
        part: &Part,
        runs: &Runs<S>,
    ) -> Result<(), Violation> {
        let slot_bytes = usize::from(class.info().slot_bytes);
        let free = given_back(id, class, runs) | self.taken_out(part.address);
        for index in 0..class.info().slots() {
            let slot = part.address + index * slot_bytes;
            let is_poisoned = !has(free, index) || {
                let place = runs.meta.source.pointer(slot);
                // SAFETY: the MiniPage is the heap's, and all of it was written when it was made.
                unsafe { poison::is_intact(place, poison::POISON) }
            };
            Invariant::Poison.require(is_poisoned, slot)?;
        }
        Ok(())
    }

    /// [`Invariant::ListLinks`].
    fn links_are_right<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        let mut previous = HeaderId::NONE;
        for id in runs.entries(self.partial.first) {
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
            return Ok(());
        }
        let Some((id, 0 | WORD_SLOTS)) = slot_at(self.current, class, runs) else {
            return Invariant::Current.require(false, self.current);
        };
        let others = class.info().all_slots() & !given_back(id, class, runs);
        let taken_out = self.taken_out(granule_floor(self.current));
        Invariant::Current.require(taken_out & !others == 0, self.current)
    }

    /// [`Invariant::Magazine`].
    fn magazine_is_right<S: Source>(&self, class: Class, runs: &Runs<S>) -> Result<(), Violation> {
        let is_short = self.magazine_ends();
        Invariant::Magazine.require(is_short, 0)?;
        for (index, slot) in self.magazine_slots().enumerate() {
            let is_right = self.is_in_use(slot, class, runs)
                && self.magazine_slots().take(index).all(|other| other != slot);
            Invariant::Magazine.require(is_right, slot)?;
        }
        Ok(())
    }

    /// Whether `address` is a slot of a MiniPage of `class` that is free nowhere.
    fn is_in_use<S: Source>(&self, address: usize, class: Class, runs: &Runs<S>) -> bool {
        let Some((id, index)) = slot_at(address, class, runs) else {
            return false;
        };
        let free = given_back(id, class, runs) | self.taken_out(granule_floor(address));
        !has(free, index)
    }

    /// The free slots of the MiniPage at `address` that were taken out of its header.
    fn taken_out(&self, address: usize) -> u128 {
        let free = u128::from(self.free);
        match self.current {
            current if current == address => free,
            current if granule_floor(current) == address => free << WORD_SLOTS,
            _ => 0,
        }
    }

    /// The slots of the MiniPage `id` at `address` that no block is in, wherever they are noted: in its
    /// header, here as the current ones, or in the magazine.
    pub(crate) fn free_slots<S: Source>(
        &self,
        id: HeaderId,
        class: Class,
        address: usize,
        runs: &Runs<S>,
    ) -> usize {
        let free = given_back(id, class, runs) | self.taken_out(address);
        let in_magazine = self.magazine_slots();
        let in_magazine = in_magazine.filter(|&slot| granule_floor(slot) == address);
        free.count_ones() as usize + in_magazine.count()
    }
}

/// Whether the slot `index` is among `slots`.
fn has(slots: u128, index: usize) -> bool {
    // Word by word: to shift 128 bits by a variable is a call of a library.
    #[expect(clippy::cast_possible_truncation, reason = "the lower word is meant")]
    let words = [slots as u64, (slots >> WORD_SLOTS) as u64];
    words[index / WORD_SLOTS] >> (index % WORD_SLOTS) & 1 == 1
}

/// The slots that the header of the MiniPage `id` of `class` has as given back.
fn given_back<S: Source>(id: HeaderId, class: Class, runs: &Runs<S>) -> u128 {
    let [first, second] = &runs.meta.header(id).slots;
    let first = u128::from(first.get());
    if class.info().has_two_words() {
        u128::from(second.get()) << WORD_SLOTS | first
    } else {
        first // The second word has no meaning.
    }
}

/// [`Invariant::FreeSlots`].
fn free_slots_are_right<S: Source>(
    id: HeaderId,
    class: Class,
    part: &Part,
    runs: &Runs<S>,
) -> Result<(), Violation> {
    let (free, all) = (given_back(id, class, runs), class.info().all_slots());
    Invariant::FreeSlots.require(free & !all == 0 && free != all, part.address)
}

/// The MiniPage of `class` in which a slot starts at `address`, and the slot's index.
fn slot_at<S: Source>(address: usize, class: Class, runs: &Runs<S>) -> Option<(HeaderId, usize)> {
    let granule = granule_floor(address);
    let id = runs.meta.id_at(granule);
    if mini_page_of(id, class, runs) != Some(granule) {
        return None;
    }
    let slot_bytes = usize::from(class.info().slot_bytes);
    let (offset, slot_count) = (address - granule, class.info().all_slots().count_ones());
    let index = offset / slot_bytes;
    let is_slot = offset % slot_bytes == 0 && index < slot_count as usize;
    is_slot.then_some((id, index))
}

/// The address of the MiniPage whose header is called `id`, if it is one of `class`.
fn mini_page_of<S: Source>(id: HeaderId, class: Class, runs: &Runs<S>) -> Option<usize> {
    let address = runs.meta.granule_of(id)?;
    match runs.part_at(address).ok()?.kind {
        Kind::MiniPage(_, of) if of == class => Some(address),
        _ => None,
    }
}

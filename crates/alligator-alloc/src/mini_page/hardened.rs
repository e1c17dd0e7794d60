//! What a hardened heap does besides with slots: it knows which are in use, and poisons the others.
//!
//! Without magazines, most slots are given back to the word of bits that the class works from: then its header
//! is not asked. All bits of that word are the class's, none the header's, and its MiniPage is not given up.

use super::ClassState;
use crate::fault::Fault;
use crate::meta_page::{CLASS_MASK, HeaderId, MINI_PAGE};
use crate::poison;
use crate::runs::Runs;
use crate::size_class::{Class, SLOT_WORDS, WORD_SLOTS, slot_index};
use crate::source::Source;
use crate::units::{HARDENED, granule_floor};

/// Bytes from a class's `current` on that hold the slots of its word of bits; zero before there is one.
#[derive(Debug)]
pub(super) struct Window([usize; if HARDENED { 1 } else { 0 }]);

impl Window {
    pub(super) const NONE: Self = Self([0; if HARDENED { 1 } else { 0 }]);

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.0.first().copied().unwrap_or(0)
    }
}

/// The index of the slot of `slot_bytes` that starts `offset` bytes after another, if one does. *Time:* constant.
#[inline(always)]
fn exact_index(offset: usize, slot_bytes: u16, reciprocal: u16) -> Option<usize> {
    let index = slot_index(offset, reciprocal);
    (index * usize::from(slot_bytes) == offset).then_some(index)
}

impl ClassState {
    /// Notes where the slots of `current`'s word end.
    #[inline(always)]
    pub(super) fn open_window(&mut self) {
        let is_first = self.current == granule_floor(self.current);
        let slots = self.info.slots();
        let of_word = if is_first {
            slots.min(WORD_SLOTS)
        } else {
            slots - WORD_SLOTS
        };
        if let Some(bytes) = self.window.0.first_mut() {
            *bytes = of_word * usize::from(self.info.slot_bytes);
        }
    }

    /// [`take`](Self::take), out of line only if the word of bits is used up.
    #[inline(always)]
    pub(crate) fn take_fast<S: Source>(&mut self, classes: *mut Self, runs: &mut Runs<S>) -> usize {
        match self.free {
            0 => self.take(classes, runs),
            free => self.take_lowest(free, runs),
        }
    }

    /// The index of the slot that starts at `address` if its granule is a MiniPage of this class, and one does.
    #[inline(always)]
    pub(crate) fn slot_at(&self, address: usize) -> Option<usize> {
        let offset = address - granule_floor(address);
        let index = exact_index(offset, self.info.slot_bytes, self.info.reciprocal)?;
        (index < self.info.slots()).then_some(index)
    }

    /// The index of the slot of `class`, which is this one, that starts at `address` in the granule of the
    /// header `id`; if there is such a slot and it is in use. *Time:* constant.
    #[inline(always)]
    fn slot_in_use<S: Source>(
        &self,
        class: Class,
        address: usize,
        id: HeaderId,
        runs: &Runs<S>,
    ) -> Option<usize> {
        let kind = runs.meta.header(id).place.get() & (MINI_PAGE | CLASS_MASK);
        if kind != MINI_PAGE | class.index() {
            return None;
        }
        let index = self.slot_at(address)?;
        let free = runs.meta.header(id).slots[index / WORD_SLOTS % SLOT_WORDS].get();
        (free >> (index % WORD_SLOTS) & 1 == 0).then_some(index)
    }

    /// Whether a slot of `class`, which is this one, starts at `address` and is in use. Any address will do.
    /// *Time:* constant.
    #[inline(never)]
    pub(crate) fn has_in_use<S: Source>(
        &self,
        class: Class,
        address: usize,
        runs: &Runs<S>,
    ) -> bool {
        let offset = address.wrapping_sub(self.current);
        if offset < self.window.bytes() {
            let index = exact_index(offset, self.info.slot_bytes, self.info.reciprocal);
            return index.is_some_and(|index| self.free >> index & 1 == 0);
        }
        let id = runs.meta.guarded_id_at(address);
        id.is_some() && self.slot_in_use(class, address, id, runs).is_some()
    }

    /// As [`give_back`](Self::give_back); false, and nothing is changed, if `address` is not that of a slot of
    /// `class` in use.
    #[inline(always)]
    pub(crate) fn give_back_if_in_use<S: Source>(
        &mut self,
        class: Class,
        address: usize,
        runs: &mut Runs<S>,
    ) -> bool {
        let offset = address.wrapping_sub(self.current);
        if offset < self.window.bytes() {
            let index = exact_index(offset, self.info.slot_bytes, self.info.reciprocal);
            let Some(index) = index else {
                return false;
            };
            let bit = 1 << index;
            if self.free & bit != 0 {
                return false;
            }
            self.free |= bit;
            put_poison(address, runs);
            return true;
        }
        if !runs.meta.has_header(address) {
            return false;
        }
        let id = runs.meta.id_at(address);
        let Some(index) = self.slot_in_use(class, address, id, runs) else {
            return false;
        };
        put_poison(address, runs);
        self.mark_free(id, address, index, runs);
        true
    }
}

/// Poisons the slot at `slot`, which was in use.
#[inline(always)]
fn put_poison<S: Source>(slot: usize, runs: &Runs<S>) {
    // SAFETY: the slot is the caller's to give away, as long as the shortest, and aligned to eight.
    unsafe { poison::put(runs.meta.source.pointer(slot)) };
}

/// Stops if somebody has written to the free slot at `slot`.
#[inline(always)]
pub(super) fn require_poison<S: Source>(slot: usize, runs: &Runs<S>) {
    let place = runs.meta.source.pointer(slot);
    // SAFETY: the slot is as long as the shortest and aligned to eight, and it was poisoned when its MiniPage
    // was made or it was given back.
    if !unsafe { poison::is_intact(place, poison::POISON) } {
        runs.raise(Fault::WriteAfterFree, slot);
    }
}

/// Stops unless `id` is that of a MiniPage, in a table that nobody has written over.
#[inline(never)]
pub(super) fn require_own<S: Source>(id: HeaderId, runs: &Runs<S>) {
    let place = runs.meta.header(id).place.get();
    if place & MINI_PAGE == 0 || runs.meta.guarded_id_at(place) != id {
        runs.raise(Fault::Corrupted, place);
    }
}

//! A class's magazine: the addresses of the slots that it got back last, a short stack.
//!
//! ```text
//! magazine   ..  ..  ..  slot  slot  slot  0       filled from the upper end down; the last entry is always zero
//!                        ^ room: bytes from here down are free
//! ```
//!
//! So an empty magazine is known by the entry it would give, and a full one by having no room: neither asks how
//! many entries the class may use. All zero is an empty magazine without room; the first MiniPage gives it room.

#[cfg(any(thread_caches, feature = "check"))]
use core::cell::Cell;
use core::mem::offset_of;
use core::num::NonZeroUsize;
use core::ptr;

use super::ClassState;
use crate::policy::{Entries, Entry, Policy};

/// Bytes in an entry of a magazine.
const ENTRY_BYTES: usize = size_of::<Entry>();

/// The bytes of so many `slots` of a magazine.
#[cfg(thread_caches)]
pub(super) const fn bytes_of(slots: usize) -> usize {
    slots * ENTRY_BYTES
}

/// The room of an empty magazine.
pub(super) const fn room_max<P: Policy>() -> usize {
    P::Magazine::SLOTS_MAX * ENTRY_BYTES
}

impl<P: Policy> ClassState<P> {
    /// The slot freed last, if the magazine has one. *Time:* constant.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonZeroUsize> {
        if P::Magazine::SLOTS_MAX == 0 {
            return None;
        }
        let room = self.room.get();
        // SAFETY: `room` is at most what all slots take, and there is one entry more.
        let latest = unsafe { self.magazine.get().cast::<Entry>().byte_add(room) };
        // SAFETY: as above; nobody has a reference to an entry.
        let slot = unsafe { *latest }?;
        self.room.set(room + ENTRY_BYTES);
        Some(slot)
    }

    /// Remembers a freed slot; false if the magazine is full. *Time:* constant.
    #[inline(always)]
    pub(crate) fn push_slot(&self, slot: NonZeroUsize) -> bool {
        let room = self.room.get();
        if P::Magazine::SLOTS_MAX == 0 || room == 0 {
            return false;
        }
        self.room.set(room - ENTRY_BYTES);
        // Up from an entry's length before the magazine, not down and up again: the compiler then makes both steps
        // a part of the access.
        let below = offset_of!(Self, magazine) - ENTRY_BYTES;
        let state = ptr::from_ref(self).cast_mut().cast::<Entry>();
        // SAFETY: other fields, longer than an entry, stand before the magazine.
        let before = unsafe { state.byte_add(below) };
        // SAFETY: `room` was neither zero nor more than what all slots take.
        let latest = unsafe { before.byte_add(room) };
        // SAFETY: as above; the whole state is cells, and nobody has a reference to an entry.
        unsafe { *latest = Some(slot) };
        true
    }

    /// The entries in use, latest first, and after them at least one that is zero; none if there is no magazine.
    #[cfg(any(thread_caches, feature = "check"))]
    #[inline(always)]
    pub(crate) fn latest(&self) -> &[Cell<Entry>] {
        if P::Magazine::SLOTS_MAX == 0 {
            return &[]; // `room` is something else there.
        }
        let room = self.room.get();
        let entries = self.magazine.get().cast::<Cell<Entry>>();
        // SAFETY: `room` is at most what all slots take.
        let latest = unsafe { entries.byte_add(room) };
        let count = (size_of::<P::Magazine>() - room) / ENTRY_BYTES;
        // SAFETY: from there to the end there are so many entries, which are only read and written as cells.
        unsafe { core::slice::from_raw_parts(latest, count) }
    }

    /// The addresses in the magazine, latest first.
    #[cfg(feature = "check")]
    pub(super) fn magazine_slots(&self) -> impl Iterator<Item = usize> {
        let slot = |entry: &Cell<Entry>| entry.get().map(NonZeroUsize::get);
        self.latest().iter().map_while(slot)
    }
}

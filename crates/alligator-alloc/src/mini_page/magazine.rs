//! A magazine: the addresses of the slots that a class got back last, a short stack.
//!
//! ```text
//! entries   ..  ..  ..  slot  slot  slot  0        filled from the upper end down; the last entry is always zero
//!                       ^ room: bytes from here down are free
//! ```
//!
//! So an empty magazine is known by the entry it would give, and a full one by having no room: neither asks how
//! many entries the class may use. All zero is an empty magazine without room.

use core::mem::offset_of;
use core::num::NonZeroUsize;
use core::ptr;

use crate::units::KEEPS_FREED;

/// The most slots a magazine can hold.
pub(crate) const MAGAZINE_MAX: usize = if KEEPS_FREED { 23 } else { 0 };

/// Bytes in an entry of a magazine.
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

type Entry = Option<NonZeroUsize>;

#[derive(Debug)]
#[repr(C)]
pub(super) struct Magazine {
    /// Bytes of `entries` that are not in use; at most [`MAGAZINE_MAX`] entries.
    room: usize,
    /// Never used. Without it, the entry that `push` writes would be addressed from `room` itself, and the
    /// compiler would compute that address apart instead of making it a part of both accesses.
    gap: usize,
    /// The addresses, latest first, from `room` bytes on, and none after them.
    entries: [Entry; MAGAZINE_MAX + 1],
}

impl Magazine {
    pub(super) const NEW: Self = Self {
        room: 0,
        gap: 0,
        entries: [None; MAGAZINE_MAX + 1],
    };

    /// Lets the magazine, which is empty, hold `bytes` of entries.
    #[inline(always)]
    pub(super) fn open(&mut self, bytes: u16) {
        self.room = usize::from(bytes);
    }

    /// The slot pushed last, if there is one. *Time:* constant.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<NonZeroUsize> {
        let entries = self.entries.as_mut_ptr();
        // SAFETY: `room` is at most MAGAZINE_MAX entries, and there is one more.
        let latest = unsafe { entries.byte_add(self.room) };
        // SAFETY: as above.
        let slot = unsafe { *latest }?;
        self.room += ENTRY_BYTES;
        Some(slot)
    }

    /// Remembers a slot; false if the magazine is full. *Time:* constant.
    #[inline(always)]
    pub(super) fn push(&mut self, slot: NonZeroUsize) -> bool {
        let room = self.room;
        if room == 0 {
            return false;
        }
        self.room = room - ENTRY_BYTES;
        let magazine = ptr::from_mut(self).cast::<Entry>();
        // SAFETY: `gap` is a field.
        let gap = unsafe { magazine.byte_add(offset_of!(Self, gap)) };
        // SAFETY: `gap` is as long as an entry and stands before them; `room` is neither zero nor more than
        // MAGAZINE_MAX entries.
        let latest = unsafe { gap.byte_add(room) };
        // SAFETY: as above.
        unsafe { *latest = Some(slot) };
        true
    }

    /// The addresses in the magazine, latest first.
    #[cfg(feature = "check")]
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        let entries = self.entries.iter().skip(self.room / ENTRY_BYTES);
        entries.map_while(|entry| entry.map(NonZeroUsize::get))
    }

    /// Whether it has no more entries than `bytes` of them, and none where it ends.
    #[cfg(feature = "check")]
    pub(super) fn is_within(&self, bytes: u16) -> bool {
        let entries = usize::from(bytes) / ENTRY_BYTES;
        self.room <= usize::from(bytes) && self.entries[entries..].iter().all(Option::is_none)
    }

    /// Makes the entry below the latest the same slot, if there are two.
    #[cfg(all(test, not(any(feature = "small", feature = "hardened"))))]
    pub(super) fn plant_twice(&mut self) -> bool {
        let latest = self.room / ENTRY_BYTES;
        let has_two = self.slots().count() > 1;
        if has_two {
            self.entries[latest + 1] = self.entries[latest];
        }
        has_two
    }
}

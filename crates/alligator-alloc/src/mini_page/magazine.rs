//! A class's magazine: the addresses of the slots that it got back last, a short stack.
//!
//! ```text
//! magazine   ..  ..  ..  slot  slot  slot  0       filled from the upper end down; the last entry is always zero
//!                        ^ info.room: bytes from here down are free
//! ```
//!
//! So an empty magazine is known by the entry it would give, and a full one by having no room: neither asks how
//! many entries the class may use. All zero is an empty magazine without room; the first MiniPage gives it room,
//! with all else that the class's constants say.

use core::mem::offset_of;
use core::num::NonZeroUsize;
use core::ptr;

use super::ClassState;
use crate::units::KEEPS_FREED;

/// The most slots a magazine can hold.
pub(crate) const MAGAZINE_MAX: usize = if KEEPS_FREED { 24 } else { 0 };

/// Bytes in an entry of a magazine.
#[expect(clippy::cast_possible_truncation, reason = "a pointer's size")]
pub(crate) const ENTRY_BYTES: u16 = size_of::<Entry>() as u16;

/// The address of a freed slot.
type Entry = Option<NonZeroUsize>;

/// The entries, latest first, from `info.room` bytes on, and none after them.
pub(super) type Magazine = [Entry; MAGAZINE_MAX + 1];

impl ClassState {
    /// The slot freed last, if the magazine has one. *Time:* constant.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<NonZeroUsize> {
        if !KEEPS_FREED {
            return None;
        }
        let entries = self.magazine.as_mut_ptr();
        // SAFETY: `room` is at most MAGAZINE_MAX entries, and there is one more.
        let latest = unsafe { entries.byte_add(self.info.room.into()) };
        // SAFETY: as above.
        let slot = unsafe { *latest }?;
        self.info.room += ENTRY_BYTES;
        Some(slot)
    }

    /// Remembers a freed slot; false if the magazine is full. *Time:* constant.
    #[inline(always)]
    pub(crate) fn push(&mut self, slot: NonZeroUsize) -> bool {
        let room = self.info.room;
        if !KEEPS_FREED || room == 0 {
            return false;
        }
        self.info.room = room - ENTRY_BYTES;
        // Up from an entry's length before the magazine, not down and up again: the compiler then makes both steps
        // a part of the access.
        let below = offset_of!(Self, magazine) - usize::from(ENTRY_BYTES);
        let state = ptr::from_mut(self).cast::<Entry>();
        // SAFETY: other fields, longer than an entry, stand before the magazine.
        let before = unsafe { state.byte_add(below) };
        // SAFETY: `room` was neither zero nor more than MAGAZINE_MAX entries.
        let latest = unsafe { before.byte_add(room.into()) };
        // SAFETY: as above.
        unsafe { *latest = Some(slot) };
        true
    }

    /// The addresses in the magazine, latest first.
    #[cfg(feature = "check")]
    pub(super) fn magazine_slots(&self) -> impl Iterator<Item = usize> {
        let entries = self.magazine.iter();
        let in_use = entries.skip((self.info.room / ENTRY_BYTES).into());
        in_use.map_while(|entry| entry.map(NonZeroUsize::get))
    }

    /// Whether the magazine holds no more than `bytes` of entries, and ends with none.
    #[cfg(feature = "check")]
    pub(super) fn magazine_ends_at(&self, bytes: u16) -> bool {
        let entries = usize::from(bytes / ENTRY_BYTES);
        self.info.room <= bytes && self.magazine[entries..].iter().all(Option::is_none)
    }

    /// Makes the last but one entry the same slot as the last, if there are two.
    #[cfg(all(test, feature = "check", not(feature = "hardened")))]
    pub(super) fn plant_twice(&mut self) -> bool {
        let latest = usize::from(self.info.room / ENTRY_BYTES);
        let has_two = self.magazine_slots().count() > 1;
        if has_two {
            self.magazine[latest + 1] = self.magazine[latest];
        }
        has_two
    }
}

//! A class's magazine: the addresses of the slots that it got back last, a short stack.
//!
//! ```text
//! magazine   ..  ..  ..  slot  slot  slot  0       filled from the upper end down; the last entry is always zero
//!                        ^ room: bytes from here down are free
//! ```
//!
//! So an empty magazine is known by the entry it would give, and a full one by having no room: neither asks how
//! many entries the class may use. All zero is an empty magazine without room; the first MiniPage gives it room.

use core::mem::offset_of;
use core::num::NonZeroUsize;
use core::ptr;

use super::ClassState;
use crate::runs::Runs;
use crate::size_class::CLASS_COUNT;
use crate::source::Source;
use crate::units::KEEPS_FREED;

/// The most slots a magazine can hold.
pub(crate) const MAGAZINE_MAX: usize = if KEEPS_FREED { 96 } else { 0 };
/// The most it may where the memory there is must do: nothing flushes it there.
const FIXED_MAGAZINE_MAX: usize = MAGAZINE_MAX / 4;

/// The classes whose magazines are flushed in turn as the memory grows: those of the largest slots, 128 bytes and
/// more, which hold most memory back.
const FLUSHED_CLASSES: usize = 13;
/// Slots given back each time, about half of a magazine.
const FLUSHED_SLOTS: usize = 47;

/// Bytes in an entry of a magazine.
const ENTRY_BYTES: usize = size_of::<Entry>();
/// The room of an empty magazine.
pub(super) const fn room_max<S: Source>() -> usize {
    let slots = if S::ON_DEMAND {
        MAGAZINE_MAX
    } else {
        FIXED_MAGAZINE_MAX
    };
    slots * ENTRY_BYTES
}

/// The address of a freed slot.
type Entry = Option<NonZeroUsize>;

/// The entries, latest first, from `room` bytes on, and none after them.
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
        let latest = unsafe { entries.byte_add(self.room) };
        // SAFETY: as above.
        let slot = unsafe { *latest }?;
        self.room += ENTRY_BYTES;
        Some(slot)
    }

    /// Remembers a freed slot; false if the magazine is full. *Time:* constant.
    #[inline(always)]
    pub(crate) fn push(&mut self, slot: NonZeroUsize) -> bool {
        let room = self.room;
        if !KEEPS_FREED || room == 0 {
            return false;
        }
        self.room = room - ENTRY_BYTES;
        // Up from an entry's length before the magazine, not down and up again: the compiler then makes both steps
        // a part of the access.
        let below = offset_of!(Self, magazine) - ENTRY_BYTES;
        let state = ptr::from_mut(self).cast::<Entry>();
        // SAFETY: other fields, longer than an entry, stand before the magazine.
        let before = unsafe { state.byte_add(below) };
        // SAFETY: `room` was neither zero nor more than MAGAZINE_MAX entries.
        let latest = unsafe { before.byte_add(room) };
        // SAFETY: as above.
        unsafe { *latest = Some(slot) };
        true
    }

    /// Gives back slots of another class that its magazine keeps, one class at a time as the memory grows: a class
    /// that is idle would keep them, and their MiniPages, for good. `classes` is where the first class's state is.
    /// *Time:* constant.
    #[inline(always)]
    pub(super) fn flush_another<S: Source>(&self, classes: *mut Self, runs: &mut Runs<S>) {
        let turn = runs.end_page() / S::STEP_PAGES.max(1);
        let index = CLASS_COUNT - FLUSHED_CLASSES + turn % FLUSHED_CLASSES;
        // SAFETY: the index is below CLASS_COUNT.
        let other = unsafe { classes.add(index) };
        // Nothing is in the magazine of the class that needs memory.
        if !ptr::eq(other, self) {
            // SAFETY: all classes' states are the caller's, and only this one is borrowed.
            let other = unsafe { &mut *other };
            for _ in 0..FLUSHED_SLOTS {
                other.flush_one(runs);
            }
        }
    }

    /// Gives back the slot freed last, if the magazine has one. *Time:* constant.
    #[inline(never)]
    fn flush_one<S: Source>(&mut self, runs: &mut Runs<S>) {
        if let Some(slot) = self.pop() {
            self.give_back(slot.get(), runs);
        }
    }

    /// The addresses in the magazine, latest first.
    #[cfg(feature = "check")]
    pub(super) fn magazine_slots(&self) -> impl Iterator<Item = usize> {
        let entries = self.magazine.iter();
        let in_use = entries.skip(self.room / ENTRY_BYTES);
        in_use.map_while(|entry| entry.map(NonZeroUsize::get))
    }

    /// Whether the magazine has no more room than there is, and ends with no slot.
    #[cfg(feature = "check")]
    pub(super) fn magazine_ends(&self) -> bool {
        self.room / ENTRY_BYTES < self.magazine.len() && self.magazine[MAGAZINE_MAX].is_none()
    }

    /// Makes the last but one entry the same slot as the last, if there are two.
    #[cfg(all(test, feature = "check", not(feature = "hardened")))]
    pub(super) fn plant_twice(&mut self) -> bool {
        let latest = self.room / ENTRY_BYTES;
        let has_two = self.magazine_slots().count() > 1;
        if has_two {
            self.magazine[latest + 1] = self.magazine[latest];
        }
        has_two
    }
}

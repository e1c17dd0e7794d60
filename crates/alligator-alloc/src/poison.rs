//! Poison: what a hardened heap writes into memory that nobody uses, so that it can tell when somebody writes
//! there all the same.
//!
//! Two words, at the start of every free slot and run: whatever the length, no loop and no branch. Any byte of
//! them that is changed while the memory is free is found when it is given out again.

use crate::size_class::SLOT_BYTES;

/// Bytes that are poisoned at the start of a free slot or run: no slot has fewer.
pub(crate) const POISON_BYTES: usize = 2 * WORD;

/// Each byte of it makes no `bool`, no character and no small number; as a 32-bit pointer or an index of a
/// function it lies beyond 3.8 GiB, where few modules have anything, so that following it traps.
const POISON_BYTE: u8 = 0xF5;

/// Bytes in a word.
const WORD: usize = size_of::<u64>();
/// A poisoned word.
pub(crate) const POISON: u64 = u64::from_ne_bytes([POISON_BYTE; WORD]);

const _: () = assert!(POISON_BYTES <= SLOT_BYTES[0] as usize);

/// Poisons the start of the slot or run at `place`. *Time:* constant.
///
/// # Safety
///
/// Two words can be written there, nobody refers to them, and `place` is aligned to eight.
#[inline(always)]
#[expect(clippy::cast_ptr_alignment, reason = "the caller's duty")]
pub(crate) unsafe fn put(place: *mut u8) {
    // SAFETY: the caller's duty; an array of words is as long and aligned as its words are.
    unsafe { place.cast::<[u64; 2]>().write([POISON; 2]) };
}

/// Whether the slot or run at `place` starts with two words that are `word`: [`POISON`], or what else stood
/// there when it became free. *Time:* constant.
///
/// # Safety
///
/// Two words can be read there and have been written, and `place` is aligned to eight.
#[inline(always)]
#[expect(clippy::cast_ptr_alignment, reason = "the caller's duty")]
pub(crate) unsafe fn is_intact(place: *const u8, word: u64) -> bool {
    // SAFETY: the caller's duty; as in `put`.
    let [first, second] = unsafe { place.cast::<[u64; 2]>().read() };
    (first ^ word) | (second ^ word) == 0
}

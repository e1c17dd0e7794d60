//! Sizes: from a request to the bytes its block takes, and from those bytes to a list. Pure arithmetic, without
//! a table.
//!
//! Both slots and lists have two sizes to a doubling:
//!
//! ```text
//! slots   16 24 32 48 64 96 128 192 256 384 512     a request is rounded up to one of them
//! runs    1024 2048 3072 ..                         whole granules
//! lists   .. 1024- 1536- 2048- 3072- 4096- 6144- .. a run is in the list of its length, rounded down
//! ```
//!
//! A block's bytes say what it is: less than a granule is a slot.

use crate::units::{GRANULE_BYTES, round_up};

/// Bytes in the smallest slot: a MiniPage's 64 bits are one for each.
pub(super) const SLOT_BYTES_MIN: usize = GRANULE_BYTES / 64;
/// Bytes in the largest slot. One of three quarters of a granule would be alone in its MiniPage.
pub(super) const SLOT_BYTES_MAX: usize = GRANULE_BYTES / 2;
/// Lists of headers: those of the slot sizes, then those of runs.
pub(super) const LIST_COUNT: usize = 64;
/// What is taken from a list's number where addresses are wide, so that the last list begins at 48 GiB. The
/// first list has number 1 at least: 0 in a header says that it is in none.
const LIST_OFFSET: usize = if usize::BITS > 32 { 7 } else { 0 };

/// The bytes of a block for `size` bytes at a multiple of `align`: a slot's, which is as aligned as it is long,
/// or those of whole granules. The smallest slot will do for no bytes.
///
/// A layout's size can be rounded up to its alignment, so nothing overflows.
pub(super) const fn block_bytes(size: usize, align: usize) -> usize {
    let size = if size > SLOT_BYTES_MIN {
        size
    } else {
        SLOT_BYTES_MIN
    };
    let bytes = round_up(size, align);
    if bytes > SLOT_BYTES_MAX {
        return round_up(size, GRANULE_BYTES);
    }
    let last = bytes - 1;
    // The highest bit and the one below it say which of the two in its doubling; all others are set.
    (last | usize::MAX >> (last.leading_zeros() + 2)) + 1
}

/// The list of the MiniPages with slots of `bytes`, or of the free runs of `bytes` and more, up to the next
/// list's.
#[inline(never)]
pub(super) fn list_of(bytes: usize) -> usize {
    let shift = usize::BITS - 2 - bytes.leading_zeros();
    let list = (bytes >> shift) + 2 * shift as usize - LIST_OFFSET;
    if usize::BITS > 32 {
        list.min(LIST_COUNT - 1)
    } else {
        list
    }
}

//! The kinds of blocks that the metrics count: one for each size of slot, and runs.

use core::alloc::Layout;

use super::sizes::{SLOT_BYTES_MAX, SLOT_BYTES_MIN, block_bytes, list_of};

/// Sizes of slots: two to a doubling, and the largest.
pub(crate) const CLASS_COUNT: usize = 2 * (SLOT_BYTES_MAX / SLOT_BYTES_MIN).ilog2() as usize + 1;

/// The index of the size that serves requests of `layout`; [`CLASS_COUNT`] for runs.
pub(crate) fn class_index(layout: Layout) -> usize {
    let bytes = block_bytes(layout.size(), layout.align());
    (list_of(bytes) - list_of(SLOT_BYTES_MIN)).min(CLASS_COUNT)
}

/// Bytes in a slot of the size with the index `class`.
pub(crate) fn slot_bytes(class: usize) -> usize {
    let power = SLOT_BYTES_MIN << (class / 2);
    power + power / 2 * (class % 2)
}

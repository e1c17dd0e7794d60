//! The kinds of blocks that are counted: one for each size class, and runs.

use core::alloc::Layout;

use crate::heap::class_of;
pub(super) use crate::size_class::CLASS_COUNT;
use crate::size_class::{Class, SLOT_BYTES};

/// The index of the class that serves requests of `layout`; [`CLASS_COUNT`] for runs.
pub(super) fn class_index(layout: Layout) -> usize {
    class_of(layout).map_or(CLASS_COUNT, Class::index)
}

/// Bytes in a slot of `class`.
pub(super) fn slot_bytes(class: usize) -> usize {
    SLOT_BYTES[class].into()
}

//! How a module's memory grows: by `memory.grow`, in pages.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::{memory_grow, memory_size};
#[cfg(target_arch = "wasm64")]
use core::arch::wasm64::{memory_grow, memory_size};

use crate::units::{PAGE_SHIFT, PAGES_ALL};

/// The address after the memory's last byte, 0 for all of the address space.
#[inline(always)]
pub(super) fn end() -> usize {
    memory_size::<0>() << PAGE_SHIFT
}

/// The pages that the memory has.
#[inline(always)]
pub(super) fn pages() -> usize {
    memory_size::<0>()
}

/// Adds `pages`, of which there is at least one: the address of the first, or `None` if the host refuses.
#[inline(always)]
pub(super) fn grow(pages: usize) -> Option<usize> {
    let old_pages = memory_grow::<0>(pages);
    // As many as there can be, or more, is -1 for a refusal; or this memory does not count in pages of 64 KiB, but in
    // bytes (the linker's `--page-size=1`, of the proposal "custom page sizes").
    (old_pages < PAGES_ALL).then_some(old_pages << PAGE_SHIFT)
}

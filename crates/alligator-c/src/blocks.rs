//! What a block of C's is: its layout, and NULL where there is none.

use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::errno::{self, Error};

/// What every block is aligned to: C's `max_align_t`.
pub(crate) const ALIGN: usize = 16;

/// A layout of `size` bytes, at least one, if there can be such a block.
#[inline(always)]
pub(crate) fn layout(size: usize, align: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), align).ok()
}

/// The block, or null and `errno`.
#[inline(always)]
pub(crate) fn or_no_memory(block: Option<NonNull<u8>>) -> *mut c_void {
    if let Some(block) = block {
        return block.as_ptr().cast();
    }
    errno::set(Error::NoMemory);
    ptr::null_mut()
}

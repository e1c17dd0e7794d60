//! How an Emscripten program's memory grows: by the C library's `sbrk`, which both heaps of a program with parts in C
//! and in Rust must ask. It gives out the initial memory first, then grows (`-sALLOW_MEMORY_GROWTH`), renews
//! JavaScript's views, and may be called by all threads.

use core::ffi::c_void;

use crate::units::{PAGE_BYTES, PAGE_SHIFT, round_up};

unsafe extern "C" {
    /// Moves the end of the data by `increment` bytes: the old end, or -1.
    fn sbrk(increment: isize) -> *mut c_void;
}

/// What `sbrk` returns, or `None` for -1.
fn moved(increment: usize) -> Option<usize> {
    let increment = isize::try_from(increment).ok()?;
    // SAFETY: it takes nothing from anybody: the end moves up or stays.
    let old = unsafe { sbrk(increment) }.addr();
    (old != usize::MAX).then_some(old)
}

/// The first page that nobody has.
pub(super) fn end() -> usize {
    round_up(moved(0).unwrap_or(0), PAGE_BYTES)
}

/// The pages below [`end`].
pub(super) fn pages() -> usize {
    end() >> PAGE_SHIFT
}

/// Adds `pages`: the address of the first, or `None` if the host refuses.
pub(super) fn grow(pages: usize) -> Option<usize> {
    let bytes = pages.checked_mul(PAGE_BYTES)?;
    let old = moved(0)?;
    let before_first_page = round_up(old, PAGE_BYTES) - old;
    let first = moved(before_first_page.checked_add(bytes)?)?;
    if first % PAGE_BYTES == old % PAGE_BYTES {
        return Some(first + before_first_page);
    }
    // Another thread has moved the end in between: what is missing to a page lies after this, if nobody comes again.
    let missing = round_up(first, PAGE_BYTES) - first;
    let after = first + before_first_page + bytes;
    let more = missing.saturating_sub(before_first_page);
    (moved(more)? == after).then_some(first + missing)
}

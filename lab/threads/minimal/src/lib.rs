//! What a program has of the heap, and nothing else.

use std::alloc::{self, Layout};

use alligator_alloc::AlligatorAlloc;

#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

/// # Safety
/// `align` is a power of two, and `size` rounded up to it is at most `isize::MAX`.
#[inline(always)]
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: the caller's duty is the callee's.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// `size` bytes at a multiple of `align`, or null.
///
/// # Safety
/// `size` is not 0; `size` and `align` make a `Layout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty is the callees'.
    unsafe { alloc::alloc(layout(size, align)) }
}

/// Gives a block back.
///
/// # Safety
/// `block` is a live block of `size` bytes at `align`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_dealloc(block: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's duty is the callees'.
    unsafe { alloc::dealloc(block, layout(size, align)) }
}

/// Resizes a block.
///
/// # Safety
/// As for `op_dealloc`; `new_size` is not 0 and makes a `Layout` with `align`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_realloc(
    block: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: the caller's duty is the callees'.
    unsafe { alloc::realloc(block, layout(size, align), new_size) }
}

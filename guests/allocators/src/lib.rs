//! One global allocator, called from outside: the guest that `cargo xtask measure` runs.
//!
//! Requests go through `alloc::alloc`, as a program's do, so that the linker inlines the
//! allocator exactly as it would there.
#![no_std]

extern crate alloc;

mod chosen;
#[cfg(feature = "probe")]
mod probe;
#[cfg(feature = "replay")]
mod replay;

use alloc::alloc as global;
use core::alloc::Layout;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

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
    unsafe { global::alloc(layout(size, align)) }
}

/// Gives a block back.
///
/// # Safety
/// `ptr` is a live block of `size` bytes at `align`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_dealloc(ptr: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's duty is the callees'.
    unsafe { global::dealloc(ptr, layout(size, align)) }
}

/// Resizes a block.
///
/// # Safety
/// `ptr` is a live block of `size` bytes at `align`; `new` is not 0 and makes a `Layout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_realloc(
    ptr: *mut u8,
    size: usize,
    align: usize,
    new: usize,
) -> *mut u8 {
    // SAFETY: the caller's duty is the callees'.
    unsafe { global::realloc(ptr, layout(size, align), new) }
}

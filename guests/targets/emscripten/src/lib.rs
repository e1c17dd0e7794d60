//! The operations of a Rust heap, for a C program.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use alligator_alloc::AlligatorAlloc;

static HEAP: AlligatorAlloc = AlligatorAlloc::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// # Safety
/// It makes a `Layout`.
unsafe fn layout(size: usize) -> Layout {
    // SAFETY: the caller's duty.
    unsafe { Layout::from_size_align_unchecked(size, 8) }
}

/// # Safety
/// As of `GlobalAlloc::alloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_alloc(size: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.alloc(layout(size)) }
}

/// # Safety
/// As of `GlobalAlloc::dealloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_dealloc(block: *mut u8, size: usize) {
    // SAFETY: the caller's duty.
    unsafe { HEAP.dealloc(block, layout(size)) }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_realloc(block: *mut u8, size: usize, new_size: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.realloc(block, layout(size), new_size) }
}

//! A heap's operations as exports.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use alligator_alloc::{AlligatorAlloc, Growth, WasmMemory};

/// When the memory grows: a feature may forbid it.
struct Policy;

impl Growth for Policy {
    const ON_DEMAND: bool = !cfg!(feature = "reserve-only");
    #[cfg(feature = "limited")]
    const PAGES_MAX: usize = 24;
}

static HEAP: AlligatorAlloc<WasmMemory<Policy>> = AlligatorAlloc::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// # Safety
/// Both make a `Layout`.
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: the caller's duty.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// # Safety
/// As of `GlobalAlloc::alloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.alloc(layout(size, align)) }
}

/// # Safety
/// As of `GlobalAlloc::alloc_zeroed`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.alloc_zeroed(layout(size, align)) }
}

/// # Safety
/// As of `GlobalAlloc::dealloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dealloc(block: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's duty.
    unsafe { HEAP.dealloc(block, layout(size, align)) }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(
    block: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.realloc(block, layout(size, align), new_size) }
}

/// Takes in memory ahead of time.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> bool {
    HEAP.reserve(bytes)
}

/// Whether the heap's records agree with each other.
#[cfg(feature = "check")]
#[unsafe(no_mangle)]
pub extern "C" fn sound() -> bool {
    HEAP.check().is_ok()
}

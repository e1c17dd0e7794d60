//! The calls that only the fuel measurements make.

use super::alloc::alloc as global;
use super::alloc::boxed::Box;

/// `size` zero bytes at a multiple of `align`, or null.
///
/// # Safety
/// `size` is not 0; `size` and `align` make a `Layout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty is the callees'.
    unsafe { global::alloc_zeroed(super::layout(size, align)) }
}

/// Where a box's address goes, so that the optimiser cannot remove the box.
static mut SEEN: *mut [u64; 3] = core::ptr::null_mut();

/// `Box::new` of 24 bytes and its drop: what a program pays for a constant layout, inlined.
#[unsafe(no_mangle)]
pub extern "C" fn box24() {
    let ptr = Box::into_raw(Box::new([1_u64, 2, 3]));
    // SAFETY: a static of the only thread.
    unsafe { (&raw mut SEEN).write_volatile(ptr) };
    // SAFETY: `ptr` came from `into_raw` above.
    drop(unsafe { Box::from_raw(ptr) });
}

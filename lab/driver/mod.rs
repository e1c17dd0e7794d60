//! One global allocator, called from outside: what all guests of the lab have in common.
//!
//! Every guest takes this in as a module of its own, names its allocator with `global_allocator!`,
//! and is built with one of the features below. Requests go through `alloc::alloc`, as a program's
//! do, so that the linker inlines the allocator exactly as it would there.

extern crate alloc;

#[cfg(feature = "replay")]
mod check;
#[cfg(feature = "probe")]
mod probe;
#[cfg(feature = "programs")]
mod program;
#[cfg(feature = "replay")]
mod replay;

/// Makes `$init` of type `$type` the program's global allocator, and writes `$name` into the
/// module's custom section `lab.allocator`. One macro does both, and a program has one global
/// allocator, so the section says what is inside, whatever the module's file is called.
///
/// After `inert`, one that hands out no memory: the driver does not touch blocks.
macro_rules! global_allocator {
    ($name:literal, $type:ty, $init:expr) => {
        global_allocator!(@ false, $name, $type, $init);
    };
    (inert $name:literal, $type:ty, $init:expr) => {
        global_allocator!(@ true, $name, $type, $init);
    };
    (@ $inert:literal, $name:literal, $type:ty, $init:expr) => {
        #[global_allocator]
        static ALLOCATOR: $type = $init;

        #[used]
        #[unsafe(link_section = "lab.allocator")]
        static NAME: [u8; $name.len()] = *$name;

        #[cfg(feature = "replay")]
        const IS_INERT: bool = $inert;
    };
}

use alloc::alloc as global;
use core::alloc::Layout;

#[cfg(not(feature = "programs"))]
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

//! Every operation of the heap, exported, and nothing else. Whatever may panic keeps the panic handler in the
//! module, and with it an import.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use alligator_alloc::AlligatorAlloc;
#[cfg(feature = "beside-rt")]
use alligator_rt as _;

static HEAP: AlligatorAlloc = AlligatorAlloc::new();

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    fn panicked();
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: the host has such a function.
    unsafe { panicked() };
    core::arch::wasm32::unreachable()
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
    planted(size);
    // SAFETY: the caller's duty.
    unsafe { HEAP.alloc(layout(size, align)) }
}

/// # Safety
/// As of `GlobalAlloc::dealloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dealloc(pointer: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's duty.
    unsafe { HEAP.dealloc(pointer, layout(size, align)) }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(
    pointer: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.realloc(pointer, layout(size, align), new_size) }
}

/// # Safety
/// As of `GlobalAlloc::alloc_zeroed`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { HEAP.alloc_zeroed(layout(size, align)) }
}

/// Takes in memory ahead of time.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> bool {
    HEAP.reserve(bytes)
}

/// What the features plant on the way of each allocation.
#[inline(always)]
fn planted(size: usize) {
    let _ = size;
    #[cfg(feature = "planted-panic")]
    assert!(size != 12_345);
    #[cfg(feature = "planted-text")]
    {
        use core::fmt::Write;
        struct Nowhere;
        impl Write for Nowhere {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                core::hint::black_box(text);
                Ok(())
            }
        }
        let _ = write!(Nowhere, "{size}");
    }
    #[cfg(feature = "planted-loop")]
    for turn in 0..size {
        core::hint::black_box(turn);
    }
    #[cfg(feature = "planted-recursion")]
    {
        #[inline(never)]
        fn depth(left: usize) -> usize {
            if left == 0 {
                return 0;
            }
            core::hint::black_box(1) + depth(core::hint::black_box(left - 1)) * 3
        }
        core::hint::black_box(depth(size));
    }
    #[cfg(feature = "planted-indirect-call")]
    {
        fn same(size: usize) -> usize {
            size
        }
        let function: fn(usize) -> usize = core::hint::black_box(same);
        core::hint::black_box(function(size));
    }
}

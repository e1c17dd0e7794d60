//! The heap of C's malloc as a Rust program's global allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;

#[cfg(feature = "malloc")]
use crate::layouts::{
    alligator_allocate, alligator_allocate_zeroed, alligator_deallocate, alligator_reallocate,
};

#[cfg(not(feature = "malloc"))]
unsafe extern "C" {
    fn alligator_allocate(size: usize, alignment: usize) -> *mut c_void;
    fn alligator_allocate_zeroed(size: usize, alignment: usize) -> *mut c_void;
    fn alligator_deallocate(pointer: *mut c_void, size: usize, alignment: usize);
    fn alligator_reallocate(
        pointer: *mut c_void,
        size: usize,
        alignment: usize,
        new_size: usize,
    ) -> *mut c_void;
}

/// The heap that C's malloc uses, for `#[global_allocator]`: one heap for both languages, and C's `free` takes
/// what Rust has allocated.
///
/// Without the feature `malloc` the heap is in liballigator.a, which must be linked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alligator;

// SAFETY: `Heap` gives each block once until it is given back, of the size and alignment asked; the functions
// neither unwind nor allocate elsewhere.
unsafe impl GlobalAlloc for Alligator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what is true of a layout is all that is asked.
        unsafe { alligator_allocate(layout.size(), layout.align()).cast() }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { alligator_deallocate(pointer.cast(), layout.size(), layout.align()) };
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let block: *mut c_void = pointer.cast();
        // SAFETY: the caller's duty.
        unsafe { alligator_reallocate(block, layout.size(), layout.align(), new_size).cast() }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { alligator_allocate_zeroed(layout.size(), layout.align()).cast() }
    }
}

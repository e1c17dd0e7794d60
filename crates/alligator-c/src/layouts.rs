//! The same heap for languages that know a block's size and alignment when they give it back: Rust, Zig, C++.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;

use crate::heap::HEAP;

/// The layout of a block that the caller knows, of at least one byte.
///
/// # Safety
///
/// `alignment` is a power of two, and `size`, rounded up to it, at most `isize::MAX`.
#[inline(always)]
unsafe fn layout(size: usize, alignment: usize) -> Layout {
    debug_assert!(Layout::from_size_align(size, alignment).is_ok());
    // SAFETY: the caller's duty; one byte, rounded up to any alignment, does not overflow.
    unsafe { Layout::from_size_align_unchecked(size.max(1), alignment) }
}

/// A new block of `size` bytes at a multiple of `alignment`, a power of two: exactly that, not of 16. errno
/// stays as it is.
///
/// Returns NULL if there is no memory.
///
/// Time: as malloc.
///
/// # Safety
///
/// `alignment` is a power of two, and `size`, rounded up to it, at most `PTRDIFF_MAX`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_allocate(size: usize, alignment: usize) -> *mut c_void {
    // SAFETY: the caller's duty.
    let layout = unsafe { layout(size, alignment) };
    // SAFETY: the layout is not empty.
    unsafe { HEAP.alloc(layout).cast() }
}

/// alligator_allocate with all bytes zero.
///
/// Time: as calloc.
///
/// # Safety
///
/// As for [`alligator_allocate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_allocate_zeroed(size: usize, alignment: usize) -> *mut c_void {
    // SAFETY: the caller's duty.
    let layout = unsafe { layout(size, alignment) };
    // SAFETY: the layout is not empty.
    unsafe { HEAP.alloc_zeroed(layout).cast() }
}

/// Gives back the block at `pointer` that alligator_allocate has given for the same `size` and `alignment`. It
/// is a little faster than free, which takes such a block, too.
///
/// Time: constant.
///
/// # Safety
///
/// As told above, and the block has not been given back since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_deallocate(pointer: *mut c_void, size: usize, alignment: usize) {
    // SAFETY: the caller's duty.
    let layout = unsafe { layout(size, alignment) };
    if !pointer.is_null() {
        // SAFETY: the caller's duty.
        unsafe { HEAP.dealloc(pointer.cast(), layout) };
    }
}

/// Makes the block at `pointer`, which alligator_allocate has given for the same `size` and `alignment`, hold
/// `new_size` bytes at the same alignment. errno stays as it is.
///
/// Returns NULL if there is no memory; the block is as it was then.
///
/// Time: as realloc.
///
/// # Safety
///
/// As for [`alligator_deallocate`]; `new_size`, rounded up to `alignment`, is at most `PTRDIFF_MAX`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_reallocate(
    pointer: *mut c_void,
    size: usize,
    alignment: usize,
    new_size: usize,
) -> *mut c_void {
    // SAFETY: the caller's duty.
    let layout = unsafe { layout(size, alignment) };
    if pointer.is_null() {
        // SAFETY: the caller's duty.
        return unsafe { alligator_allocate(new_size, alignment) };
    }
    // SAFETY: the caller's duty.
    let block = unsafe { HEAP.realloc(pointer.cast(), layout, new_size.max(1)) };
    block.cast()
}

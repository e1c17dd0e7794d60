//! The same heap for languages that know a block's size and alignment when they give it back: Rust, Zig, C++.

use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::heap::HEAP;

/// The layout of a block that the caller knows.
///
/// # Safety
///
/// `alignment` is a power of two, and `size`, rounded up to it, at most `isize::MAX`.
#[inline(always)]
unsafe fn layout(size: usize, alignment: usize) -> Layout {
    debug_assert!(Layout::from_size_align(size, alignment).is_ok());
    // SAFETY: the caller's duty.
    unsafe { Layout::from_size_align_unchecked(size, alignment) }
}

fn or_null(block: Option<NonNull<u8>>) -> *mut c_void {
    block.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
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
    or_null(HEAP.with(|heap| heap.allocate(layout)))
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
    or_null(HEAP.with(|heap| heap.allocate_zeroed(layout)))
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
    if let Some(block) = NonNull::new(pointer.cast()) {
        // SAFETY: the caller's duty.
        HEAP.with(|heap| unsafe { heap.deallocate(block, layout) });
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
    let Some(block) = NonNull::new(pointer.cast()) else {
        // SAFETY: the caller's duty.
        return unsafe { alligator_allocate(new_size, alignment) };
    };
    // SAFETY: the caller's duty.
    or_null(HEAP.with(|heap| unsafe { heap.reallocate(block, layout, new_size) }))
}

//! The functions of C's and POSIX's heap.

#[cfg(not(feature = "metrics"))]
use core::alloc::GlobalAlloc;
use core::alloc::Layout;
use core::ffi::{c_int, c_void};
use core::hint;
use core::ptr::{self, NonNull};

use crate::blocks::{ALIGN, layout, or_no_memory};
use crate::errno::{self, Error};
use crate::heap::HEAP;

/// The largest size that [`malloc`] handles without a call. All larger ones are runs to the heap.
const ORDINARY_MAX: usize = 1024;

/// Null, and `errno` says that an argument is wrong.
#[inline(always)]
fn invalid() -> *mut c_void {
    errno::set(Error::Invalid);
    ptr::null_mut()
}

#[inline(always)]
fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    HEAP.allocate_by_address(layout)
}

#[inline(never)]
fn allocate_aligned(align: usize, size: usize) -> Option<NonNull<u8>> {
    allocate(layout(size, align.max(ALIGN))?)
}

/// A new block of `size` bytes, at a multiple of 16. A block of zero bytes is a block, too: different from
/// all others.
///
/// Returns NULL, and sets errno to ENOMEM, if there is no memory.
///
/// Time: constant; if the memory must grow, what the host needs for that, too.
///
/// Source: C23 7.24.3.6.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    if size > ORDINARY_MAX {
        return malloc_large(size);
    }
    // SAFETY: the largest such size is a multiple of the alignment itself.
    unsafe { hint::assert_unchecked((size + (ALIGN - 1)) & !(ALIGN - 1) <= ORDINARY_MAX) };
    // SAFETY: the alignment is a power of two, and such a size does not overflow.
    or_no_memory(allocate(unsafe {
        Layout::from_size_align_unchecked(size, ALIGN)
    }))
}

/// malloc of any size.
#[inline(never)]
fn malloc_large(size: usize) -> *mut c_void {
    or_no_memory(layout(size, ALIGN).and_then(allocate))
}

/// Gives back the block at `pointer`, which any function here has given. NULL is no block, and is left alone.
/// errno stays as it is.
///
/// Time: constant.
///
/// Source: C23 7.24.3.3.
///
/// # Safety
///
/// A function here gave `pointer`, or it is null; the block has not been given back since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(pointer: *mut c_void) {
    if let Some(block) = NonNull::new(pointer.cast()) {
        // SAFETY: the caller's duty.
        unsafe { HEAP.deallocate_by_address(block) };
    }
}

/// A new block of `count` times `size` bytes, all zero, at a multiple of 16.
///
/// Returns NULL, and sets errno to ENOMEM, if there is no memory or the product overflows.
///
/// Time: constant, and the bytes that must be filled; memory as the host gave it is zero already.
///
/// Source: C23 7.24.3.2.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let layout = count
        .checked_mul(size)
        .and_then(|bytes| layout(bytes, ALIGN));
    or_no_memory(layout.and_then(allocate_zeroed))
}

#[cfg(not(feature = "metrics"))]
#[inline(always)]
fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { HEAP.alloc_zeroed(layout) })
}

/// The bytes that the block takes are counted, not those asked for.
#[cfg(feature = "metrics")]
fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    let block = allocate(layout)?;
    // SAFETY: the block has that many bytes.
    unsafe { block.write_bytes(0, layout.size()) };
    Some(block)
}

/// Makes the block at `pointer` hold `size` bytes: where it is if that can be, else elsewhere, at a multiple of
/// 16, with as many of its first bytes as both sizes have. NULL for `pointer` asks for a new block. A size of
/// zero leaves a block of zero bytes, which still has to be given back.
///
/// Returns NULL, and sets errno to ENOMEM, if there is no memory; the block is as it was then. To shrink never
/// fails.
///
/// Time: constant; if the block moves, its bytes are copied.
///
/// Source: C23 7.24.3.7.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    let Some(block) = NonNull::new(pointer.cast()) else {
        return malloc(size);
    };
    let resized = layout(size, ALIGN).and_then(|layout| {
        // SAFETY: the caller's duty; every block here is aligned to 16, and the layout is not empty.
        unsafe { HEAP.reallocate_by_address(block, layout) }
    });
    or_no_memory(resized)
}

/// realloc to `count` times `size` bytes.
///
/// Returns NULL, and sets errno to ENOMEM, if there is no memory or the product overflows; the block is as it
/// was then.
///
/// Time: as realloc.
///
/// Source: POSIX.1-2024.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    pointer: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's duty.
        Some(bytes) => unsafe { realloc(pointer, bytes) },
        None => or_no_memory(None),
    }
}

/// A new block of `size` bytes at a multiple of `alignment`, a power of two. The size need not be a multiple of
/// it. A block aligned to more than 1024 takes at most `alignment` bytes more.
///
/// Returns NULL, and sets errno, to EINVAL if `alignment` is no power of two, to ENOMEM if there is no memory.
///
/// Time: as malloc.
///
/// Source: C23 7.24.3.1.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    if !alignment.is_power_of_two() {
        return invalid();
    }
    or_no_memory(allocate_aligned(alignment, size))
}

/// As aligned_alloc, but an alignment that is no power of two counts as the next one.
///
/// Time: as malloc.
///
/// Source: SunOS; glibc's manual, "Allocating Aligned Memory Blocks".
#[unsafe(no_mangle)]
pub extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    match alignment.checked_next_power_of_two() {
        Some(alignment) => or_no_memory(allocate_aligned(alignment, size)),
        None => invalid(),
    }
}

/// A new block of `size` bytes at a multiple of `alignment`, a power of two and a multiple of the size of a
/// pointer. Its address goes to `*result`.
///
/// Returns 0, EINVAL if `alignment` is another number, or ENOMEM if there is no memory; `*result` is as it was
/// then. errno stays as it is.
///
/// Time: as malloc.
///
/// Source: POSIX.1-2024.
///
/// # Safety
///
/// A pointer can be written to `result`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    result: *mut *mut c_void,
    alignment: usize,
    size: usize,
) -> c_int {
    if !alignment.is_power_of_two() || alignment < size_of::<*mut c_void>() {
        return Error::Invalid.number();
    }
    let Some(block) = allocate_aligned(alignment, size) else {
        return Error::NoMemory.number();
    };
    // SAFETY: the caller's duty.
    unsafe { result.write(block.as_ptr().cast()) };
    0
}

/// How many bytes the block at `pointer` has: those asked for, or more, and all may be used. Zero for NULL.
///
/// Time: constant.
///
/// Source: glibc's manual, malloc_usable_size(3).
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(pointer: *mut c_void) -> usize {
    let Some(block) = NonNull::new(pointer.cast()) else {
        return 0;
    };
    // SAFETY: the caller's duty.
    unsafe { HEAP.usable_size(block) }
}

/// free for a block whose size is known. The heap knows it, too: a wrong `size` does no harm.
///
/// Time: constant.
///
/// Source: C23 7.24.3.4.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(pointer: *mut c_void, size: usize) {
    let _ = size;
    // SAFETY: the caller's duty.
    unsafe { free(pointer) };
}

/// free for a block of aligned_alloc whose alignment and size are known. The heap knows them, too: wrong ones
/// do no harm.
///
/// Time: constant.
///
/// Source: C23 7.24.3.5.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(pointer: *mut c_void, alignment: usize, size: usize) {
    let _ = (alignment, size);
    // SAFETY: the caller's duty.
    unsafe { free(pointer) };
}

/// A new block of `size` bytes at a multiple of 64 KiB, the size of a page of WebAssembly's memory.
///
/// Time: as malloc.
///
/// Source: SunOS; glibc's manual, valloc(3).
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    memalign(alligator_alloc::PAGE_BYTES, size)
}

/// The C library's own name of malloc. Its object has this and malloc: who defines malloc must define it, too.
///
/// Time: as malloc.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc(size)
}

/// The C library's own name of calloc.
///
/// Time: as calloc.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    calloc(count, size)
}

/// The C library's own name of realloc.
///
/// Time: as realloc.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's duty.
    unsafe { realloc(pointer, size) }
}

/// The C library's own name of free.
///
/// Time: as free.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_free(pointer: *mut c_void) {
    // SAFETY: the caller's duty.
    unsafe { free(pointer) };
}

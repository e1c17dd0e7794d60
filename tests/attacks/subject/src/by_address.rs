//! C's functions as an allocator: a block is given back by its address alone.

use core::alloc::{GlobalAlloc, Layout};

/// What every block of malloc is aligned to.
const MALLOC_ALIGN: usize = 16;

/// `malloc`, `free` and the others of `alligator-c`.
pub struct ByAddress;

// SAFETY: C's functions promise what is asked here, and never unwind.
unsafe impl GlobalAlloc for ByAddress {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            alligator_c::malloc(layout.size()).cast()
        } else {
            alligator_c::aligned_alloc(layout.align(), layout.size()).cast()
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: the caller's duty.
        unsafe { alligator_c::free(pointer.cast()) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            return alligator_c::calloc(1, layout.size()).cast();
        }
        // SAFETY: the caller's duty.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has that many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: the caller's duty.
            return unsafe { alligator_c::realloc(pointer.cast(), new_size) }.cast();
        }
        let block: *mut u8 = alligator_c::aligned_alloc(layout.align(), new_size).cast();
        if !block.is_null() {
            // SAFETY: both blocks have that many bytes; the new one is nobody else's.
            unsafe { block.copy_from_nonoverlapping(pointer, layout.size().min(new_size)) };
            // SAFETY: the caller's duty.
            unsafe { self.dealloc(pointer, layout) };
        }
        block
    }
}

/// C's `calloc`, whose product may overflow.
#[unsafe(no_mangle)]
pub extern "C" fn op_calloc(count: usize, size: usize) -> *mut u8 {
    alligator_c::calloc(count, size).cast()
}

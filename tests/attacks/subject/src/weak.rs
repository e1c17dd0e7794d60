//! An allocator as they were in 1990, with no check anywhere: attacks on it must succeed, or the attacker and
//! the judge are no good.
//!
//! Free blocks are in one list, first fit, linked through their own first bytes; each block has its size before
//! it, and a block given back swallows a free one above it.
//!
//! ```text
//! size | 1 if used    0             contents, or: next    previous
//! 4 bytes             4 bytes       ^ the block's address
//! ```

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::Cell;
use core::ptr;

/// Bytes before each block; also what every address is aligned to, and half of what a free block needs.
const HEADER_BYTES: usize = 8;
const USED: usize = 1;
const PAGE_BYTES: usize = 65_536;

/// A free block's links, where its contents were.
#[repr(C)]
struct Links {
    next: Cell<*const Links>,
    previous: Cell<*const Links>,
}

/// The weak allocator. Blocks aligned to more than 8 bytes it does not have.
pub struct Weak {
    first: Cell<*const Links>,
}

// SAFETY: the module has one thread.
unsafe impl Sync for Weak {}

impl Weak {
    pub const fn new() -> Self {
        Self {
            first: Cell::new(ptr::null()),
        }
    }

    /// The size, and whether it is used, of the block at `block`.
    ///
    /// # Safety
    /// There is a block, or at least memory.
    unsafe fn size(block: *const Links) -> usize {
        // SAFETY: the caller's duty.
        unsafe { *block.cast::<usize>().sub(2) }
    }

    unsafe fn set_size(block: *const Links, size: usize) {
        // SAFETY: the caller's duty.
        unsafe { *block.cast::<usize>().cast_mut().sub(2) = size };
    }

    unsafe fn push(&self, block: *const Links) {
        let next = self.first.replace(block);
        // SAFETY: the caller's duty: a free block.
        let links = unsafe { &*block };
        links.next.set(next);
        links.previous.set(ptr::null());
        // SAFETY: what is in the list is a free block.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.set(block);
        }
    }

    /// The unlinking that is called unsafe: nobody asks whether the neighbours link back.
    unsafe fn unlink(&self, block: *const Links) {
        // SAFETY: the caller's duty: a free block.
        let (next, previous) = unsafe { ((*block).next.get(), (*block).previous.get()) };
        // SAFETY: what is in the list is a free block.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.first.set(next),
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.set(previous);
        }
    }

    /// The first free block of at least `size`.
    unsafe fn find(&self, size: usize) -> *const Links {
        let mut block = self.first.get();
        // SAFETY: what is in the list is a free block.
        while !block.is_null() && unsafe { Self::size(block) } < size {
            // SAFETY: as above.
            block = unsafe { (*block).next.get() };
        }
        block
    }

    /// New memory with one free block. It ends with a header that reads as "used".
    unsafe fn grow(&self, size: usize) -> bool {
        let pages = (size + 2 * HEADER_BYTES).div_ceil(PAGE_BYTES);
        let old_pages = memory_grow::<0>(pages);
        if old_pages == usize::MAX {
            return false;
        }
        let start = old_pages * PAGE_BYTES;
        let block: *const Links = ptr::with_exposed_provenance(start + HEADER_BYTES);
        let last = ptr::with_exposed_provenance(start + pages * PAGE_BYTES);
        // SAFETY: both headers are in the new memory.
        unsafe {
            Self::set_size(block, pages * PAGE_BYTES - 2 * HEADER_BYTES);
            Self::set_size(last, USED);
            self.push(block);
        }
        true
    }
}

// SAFETY: a program without errors gets what it is promised.
unsafe impl GlobalAlloc for Weak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > HEADER_BYTES || layout.size() > isize::MAX as usize - PAGE_BYTES {
            return ptr::null_mut();
        }
        let size = layout.size().next_multiple_of(HEADER_BYTES);
        // SAFETY: for the whole block: the list has free blocks, and each has its size before it.
        unsafe {
            let mut block = self.find(size);
            if block.is_null() {
                if !self.grow(size) {
                    return ptr::null_mut();
                }
                block = self.find(size);
            }
            self.unlink(block);
            let rest = Self::size(block) - size;
            if rest >= 2 * HEADER_BYTES {
                let upper = block.byte_add(size + HEADER_BYTES);
                Self::set_size(upper, rest - HEADER_BYTES);
                self.push(upper);
                Self::set_size(block, size);
            }
            Self::set_size(block, Self::size(block) | USED);
            block.cast_mut().cast()
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        let block: *const Links = pointer.cast();
        // SAFETY: for the whole block: a block has its size before it and a header after it.
        unsafe {
            let mut size = Self::size(block) & !USED;
            let above = block.byte_add(size + HEADER_BYTES);
            if Self::size(above) & USED == 0 {
                self.unlink(above);
                size += Self::size(above) + HEADER_BYTES;
            }
            Self::set_size(block, size);
            self.push(block);
        }
    }
}

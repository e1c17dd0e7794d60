//! Memory for a heap under test, in which AddressSanitizer knows what may be touched:
//!
//! ```text
//!                          headers, free memory   live blocks   the rest of the reserved memory
//! the allocator runs       may be touched         poisoned      poisoned
//! the program runs         poisoned               may be        poisoned
//! ```
//!
//! So a stray write of the allocator into a block is seen, and so is a use of a block that was given back.

use core::cell::Cell;
use core::ops::Range;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::rc::Rc;

use alligator_alloc::{PAGE_BYTES, Source};

/// Pages the memory can grow to.
pub(crate) const PAGES_MAX: usize = 48;

unsafe extern "C" {
    fn __asan_poison_memory_region(address: *const u8, bytes: usize);
    fn __asan_unpoison_memory_region(address: *const u8, bytes: usize);
}

/// The memory as the host sees it.
pub(crate) struct Memory {
    reserved: *mut u8,
    pages: Cell<usize>,
    /// No growth goes beyond so many pages.
    pub(crate) limit: Cell<usize>,
}

impl Memory {
    pub(crate) fn new() -> Rc<Self> {
        // SAFETY: the layout is not empty.
        let reserved = unsafe { alloc_zeroed(Self::layout()) };
        assert!(!reserved.is_null());
        Rc::new(Self {
            reserved,
            pages: Cell::new(0),
            limit: Cell::new(PAGES_MAX),
        })
    }

    fn layout() -> Layout {
        Layout::from_size_align(PAGES_MAX * PAGE_BYTES, PAGE_BYTES).expect("a layout")
    }

    /// Pages there are now.
    pub(crate) fn pages(&self) -> usize {
        self.pages.get()
    }

    /// The address after the last page.
    pub(crate) fn end(&self) -> usize {
        self.reserved.addr() + self.pages() * PAGE_BYTES
    }

    /// Adds `pages`, for the heap or for somebody else: the address of the first.
    pub(crate) fn add(&self, pages: usize) -> Option<usize> {
        let total = self.pages().checked_add(pages)?;
        if total > self.limit.get() {
            return None;
        }
        let new = self.end();
        self.pages.set(total);
        self.allow(new..self.end());
        Some(new)
    }

    /// Nobody may touch `range` from here on.
    pub(crate) fn forbid(&self, range: Range<usize>) {
        // SAFETY: the range is in the reserved memory.
        unsafe { __asan_poison_memory_region(self.pointer(range.start), range.len()) };
    }

    /// Whoever runs may touch `range`.
    pub(crate) fn allow(&self, range: Range<usize>) {
        // SAFETY: as in `forbid`.
        unsafe { __asan_unpoison_memory_region(self.pointer(range.start), range.len()) };
    }

    /// All memory there is now.
    pub(crate) fn all(&self) -> Range<usize> {
        self.reserved.addr()..self.end()
    }

    pub(crate) fn pointer(&self, address: usize) -> *mut u8 {
        self.reserved.with_addr(address)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let start = self.reserved.addr();
        self.allow(start..start + PAGES_MAX * PAGE_BYTES);
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(self.reserved, Self::layout()) };
    }
}

/// [`Memory`] as the heap sees it.
pub(crate) struct Guarded(pub(crate) Rc<Memory>);

// SAFETY: `add` never gives a page twice, each above all earlier ones; the memory is zero, nobody else's and lives
// as long as the `Rc`.
unsafe impl Source for Guarded {
    fn spare(&mut self) -> Range<usize> {
        0..0
    }

    fn end(&self) -> usize {
        self.0.end()
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        self.0.add(pages)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

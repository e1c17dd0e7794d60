//! A linear memory of our own for programs that are debugged on a PC: it grows by pages, as on Wasm, inside a
//! static array that the system fills with memory only where it is touched.

use core::cell::UnsafeCell;
use core::ops::Range;

use alligator_alloc::PAGE_BYTES;

/// Pages the memory can grow to: 1 GiB.
const PAGES_MAX: usize = 1 << 14;

#[repr(align(65536))]
struct Array(UnsafeCell<[u8; PAGES_MAX * PAGE_BYTES]>);

// SAFETY: nobody reads or writes it but the heap, which has a lock.
unsafe impl Sync for Array {}

static ARRAY: Array = Array(UnsafeCell::new([0; PAGES_MAX * PAGE_BYTES]));

/// The pages handed out so far.
#[derive(Debug)]
pub(crate) struct Memory {
    pages: usize,
}

impl Memory {
    pub(crate) const NEW: Self = Self { pages: 0 };

    /// None: all is grown.
    pub(crate) fn spare(&mut self) -> Range<usize> {
        self.end()..self.end()
    }

    pub(crate) fn end(&self) -> usize {
        ARRAY.0.get().addr() + self.pages * PAGE_BYTES
    }

    pub(crate) fn grow(&mut self, pages: usize) -> Option<usize> {
        if pages > PAGES_MAX - self.pages {
            return None;
        }
        let new = self.end();
        self.pages += pages;
        Some(new)
    }

    #[inline(always)]
    #[expect(clippy::unused_self, reason = "as on Wasm")]
    pub(crate) fn pointer(&self, address: usize) -> *mut u8 {
        ARRAY.0.get().cast::<u8>().with_addr(address)
    }
}

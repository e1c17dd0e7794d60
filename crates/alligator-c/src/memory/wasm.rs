//! The module's linear memory.
//!
//! The end of the initial memory, from the linker's `__heap_base` on, is the heap's: whatever calls malloc gets
//! ours, so the C library's, which would use it, is not in the program, and its `sbrk` only grows the memory.
//! Where the initial memory ends is asked before `main`, when nobody can have grown it yet: linkers before LLVM
//! 16 have no `__heap_end`.

use core::arch::wasm32::{memory_grow, memory_size};
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use alligator_alloc::PAGE_BYTES;

unsafe extern "C" {
    /// The first byte after the module's data and stack; the linker defines it.
    static __heap_base: u8;
}

/// Pages of the initial memory; zero if the program does not run its constructors.
static INITIAL_PAGES: AtomicUsize = AtomicUsize::new(0);

/// One of the program's constructors, the first.
#[used]
#[unsafe(link_section = ".init_array.0")]
static REMEMBER_INITIAL_PAGES: extern "C" fn() = remember_initial_pages;

extern "C" fn remember_initial_pages() {
    INITIAL_PAGES.store(memory_size::<0>(), Relaxed);
}

/// The linear memory. Others may grow it, too.
#[derive(Debug)]
pub(crate) struct Memory;

#[expect(clippy::unused_self, reason = "as in the arena")]
impl Memory {
    pub(crate) const NEW: Self = Self;

    pub(crate) fn pages(&self) -> usize {
        memory_size::<0>()
    }

    /// What is left of the initial memory.
    pub(crate) fn spare(&self) -> Range<usize> {
        let pages = match INITIAL_PAGES.load(Relaxed) {
            0 => memory_size::<0>(),
            pages => pages,
        };
        (&raw const __heap_base).addr()..pages.wrapping_mul(PAGE_BYTES)
    }

    pub(crate) fn end(&self) -> usize {
        memory_size::<0>().wrapping_mul(PAGE_BYTES)
    }

    pub(crate) fn grow(&self, pages: usize) -> Option<usize> {
        let old_pages = memory_grow::<0>(pages);
        (old_pages != usize::MAX).then(|| old_pages * PAGE_BYTES)
    }

    #[inline(always)]
    pub(crate) fn pointer(&self, address: usize) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address)
    }
}

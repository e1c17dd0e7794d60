//! A program that uses all four operations, and the recipe that keeps them out of line.

use alligator_alloc::AlligatorAlloc;

#[cfg(not(feature = "out-of-line"))]
#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

#[cfg(feature = "out-of-line")]
#[global_allocator]
static ALLOCATOR: out_of_line::OutOfLine = out_of_line::OutOfLine(AlligatorAlloc::new());

/// An allocator whose operations are never inlined, so that each is one function of the module.
#[cfg(feature = "out-of-line")]
mod out_of_line {
    use core::alloc::{GlobalAlloc, Layout};

    use alligator_alloc::AlligatorAlloc;

    pub(super) struct OutOfLine(pub(super) AlligatorAlloc);

    // SAFETY: every operation is `AlligatorAlloc`'s.
    unsafe impl GlobalAlloc for OutOfLine {
        #[inline(never)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's duty is the callee's.
            unsafe { self.0.alloc(layout) }
        }

        #[inline(never)]
        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            // SAFETY: the caller's duty is the callee's.
            unsafe { self.0.dealloc(ptr, layout) }
        }

        #[inline(never)]
        unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            // SAFETY: the caller's duty is the callee's.
            unsafe { self.0.realloc(ptr, layout, new_size) }
        }

        #[inline(never)]
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's duty is the callee's.
            unsafe { self.0.alloc_zeroed(layout) }
        }
    }
}

/// Counts words with a map, and the letters of all words with a table of zeros.
#[unsafe(no_mangle)]
extern "C" fn count(turns: usize) -> usize {
    let text = "the alligator ate the heap and the heap ate nothing ".repeat(turns);
    let mut words = std::collections::BTreeMap::<String, usize>::new();
    for word in text.split_whitespace() {
        *words.entry(word.to_owned()).or_default() += 1;
    }
    let mut letters = vec![0_usize; 256.max(turns)];
    for byte in words.keys().flat_map(|word| word.bytes()) {
        letters[usize::from(byte)] += 1;
    }
    words.values().copied().max().unwrap_or(0) + letters.iter().max().unwrap_or(&0)
}

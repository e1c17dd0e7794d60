//! A fixed piece of memory as a source: for a heap inside a program, on any host, and for tests.

mod memory;

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Source;
pub use memory::ArenaMemory;

/// A source that has one fixed piece of memory and never grows.
///
/// It borrows that memory as long as it exists, so a heap over it cannot outlive it:
///
/// ```
/// use alligator_alloc::{Arena, Heap};
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
///
/// let mut memory = [MaybeUninit::uninit(); 16 << 10];
/// {
///     let mut heap = Heap::new(Arena::new(&mut memory));
///     assert!(heap.allocate(Layout::new::<[u64; 100]>()).is_some());
/// }
/// memory[0].write(7); // The memory is the program's again, and all blocks are gone.
/// ```
///
/// ```compile_fail,E0597
/// # use alligator_alloc::{Arena, Heap};
/// # use core::{alloc::Layout, mem::MaybeUninit};
/// let mut heap = {
///     let mut memory = [MaybeUninit::uninit(); 16 << 10];
///     Heap::new(Arena::new(&mut memory))
/// }; // The memory is gone.
/// heap.allocate(Layout::new::<u64>());
/// ```
///
/// For a `static` there are [`ArenaMemory`], without a word of unsafe code, and [`from_raw`](Self::from_raw).
///
/// 1 KiB and 24 bytes for each KiB, 2.4 % of a long arena, hold the heap's records. Up to 1 KiB at either end is not
/// used where the memory does not start or end at a multiple of that.
#[derive(Debug)]
pub struct Arena<'a> {
    memory: *mut u8,
    bytes: usize,
    /// What to ask, once, whether the memory is this arena's.
    claim: Option<&'a AtomicBool>,
    borrowed: PhantomData<&'a mut [MaybeUninit<u8>]>,
}

// SAFETY: the memory is borrowed exclusively; the arena is its only owner, wherever it is.
unsafe impl Send for Arena<'_> {}

// SAFETY: a reference to an arena gives numbers and pointers, and reaches no memory.
unsafe impl Sync for Arena<'_> {}

impl<'a> Arena<'a> {
    /// An arena of `memory`, which is the caller's again when the arena and the heap over it are gone. *Time:* constant.
    #[must_use]
    pub const fn new(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        let (start, bytes) = (memory.as_mut_ptr().cast(), memory.len());
        // SAFETY: that is what was borrowed.
        unsafe { Self::from_raw(start, bytes) }
    }

    /// An arena of the `bytes` bytes from `start` on, for memory that is no Rust value: what a linker script or another
    /// allocator set apart. It need not be initialised, nor aligned. *Time:* constant.
    ///
    /// ```
    /// use alligator_alloc::{AlligatorAlloc, Arena};
    ///
    /// static mut MEMORY: [u8; 16 << 10] = [0; 16 << 10];
    /// // SAFETY: nobody else names MEMORY.
    /// static HEAP: AlligatorAlloc<Arena> =
    ///     AlligatorAlloc::with_source(unsafe { Arena::from_raw((&raw mut MEMORY).cast(), 16 << 10) });
    /// assert!(HEAP.reserve(8 << 10));
    /// ```
    ///
    /// # Safety
    ///
    /// As long as `'a` lasts, these bytes can be read and written through `start`, nobody else does so, and none of them is
    /// in the first 1024 bytes of the address space. They do not reach its end, and are `isize::MAX` at most.
    #[must_use]
    pub const unsafe fn from_raw(start: *mut u8, bytes: usize) -> Self {
        Self {
            memory: start,
            bytes,
            claim: None,
            borrowed: PhantomData,
        }
    }
}

/// An arena without memory: all requests get null.
impl Default for Arena<'_> {
    fn default() -> Self {
        Self::new(&mut [])
    }
}

impl<'a> From<&'a mut [MaybeUninit<u8>]> for Arena<'a> {
    fn from(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::new(memory)
    }
}

// SAFETY: `spare` is the borrowed memory, valid and exclusive as long as the arena exists; where others may have it, too,
// it is whose exchange was the first. `grow` gives nothing. Rust places no object in the first 1024 bytes of the address
// space on the hosts it supports.
unsafe impl Source for Arena<'_> {
    const ON_DEMAND: bool = false;
    const IS_TOLD: bool = false;

    fn spare(&mut self) -> Range<usize> {
        if self.claim.take().is_some_and(|it| it.swap(true, Relaxed)) {
            // Another has it: nothing is left but the end, which stays.
            self.memory = self.memory.wrapping_add(self.bytes);
            self.bytes = 0;
        }
        let start = self.memory.addr();
        start..start + self.bytes
    }

    fn end(&self) -> usize {
        self.memory.addr() + self.bytes
    }

    fn grow(&mut self, _pages: usize) -> Option<usize> {
        None
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        self.memory.with_addr(address)
    }
}

//! Scopes: memory that is taken block by block and given back at once, in a bounded number of steps.

mod frame;
#[cfg(feature = "allocator-api2")]
mod in_collections;
mod level;
mod owned;
mod region;
mod request;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::{self, NonNull};

pub use frame::{Frame, Frames};
#[cfg(feature = "allocator-api2")]
pub use in_collections::InCollections;
pub use level::Level;
pub use owned::Owned;
pub use region::Mark;
pub use request::{Request, ScopedHeap};

use region::Region;

/// A part of a heap that is filled block by block and given back at once: by [`reset`](Self::reset), by
/// [`rewind`](Self::rewind) to a mark, or when it is dropped.
///
/// It takes chunks of the heap, each longer than all before it together; so there are few, whatever is
/// allocated: at most 24 on wasm32. A block that does not fit into what is left has a chunk opened for it, which is
/// its own if it fills it. All chunks go back to the heap, where the memory serves every size again.
///
/// Values in a scope are not dropped: what they own elsewhere stays allocated, as with `mem::forget`. An [`Owned`] is.
///
/// ```
/// use alligator_rt::Scope;
/// use std::alloc::System;
///
/// let mut scope = Scope::new(&System);
/// let numbers = scope.collect(1..=3_u32).expect("memory");
/// let name = scope.alloc_str("frame").expect("memory");
/// assert_eq!((numbers.len(), &*name), (3, "frame"));
/// scope.reset();
/// assert_eq!(scope.held_bytes(), 0);
/// ```
///
/// No block outlives the memory it is in:
///
/// ```compile_fail,E0502
/// # use alligator_rt::Scope;
/// # use std::alloc::System;
/// let mut scope = Scope::new(&System);
/// let number = scope.alloc(1_u32).expect("memory");
/// scope.reset();
/// *number += 1;
/// ```
///
/// *Time:* an allocation, a reset and a drop are constant, apart from the times of the heap, which an allocation calls
/// twice at most and a reset once for each chunk.
pub struct Scope<'h, A: GlobalAlloc + ?Sized> {
    region: Region,
    heap: &'h A,
}

impl<'h, A: GlobalAlloc + ?Sized> Scope<'h, A> {
    /// The most chunks that a scope has.
    pub const CHUNKS_MAX: usize = region::CHUNKS_MAX;

    /// A scope of `heap` that has taken nothing yet. *Time:* constant.
    pub const fn new(heap: &'h A) -> Self {
        Self::with_limit(heap, usize::MAX)
    }

    /// A scope that never holds more than `bytes` of `heap`, its unused memory included: then a request gets `None`.
    /// *Time:* constant.
    pub const fn with_limit(heap: &'h A, bytes: usize) -> Self {
        Self {
            region: Region::new(bytes),
            heap,
        }
    }

    /// Makes sure that blocks of so many bytes together, with what their alignment costs, need nothing more of the
    /// heap, as long as none is aligned to more than 16. False if the heap or the limit does not allow it. *Time:*
    /// constant, the heap's apart.
    pub fn reserve(&self, bytes: usize) -> bool {
        self.region.reserve(self.heap, bytes)
    }

    /// Bytes that the scope has of its heap now.
    pub fn held_bytes(&self) -> usize {
        self.region.held()
    }

    /// Chunks of the heap that these are in: at most [`CHUNKS_MAX`](Self::CHUNKS_MAX).
    pub fn chunk_count(&self) -> usize {
        self.region.count()
    }

    /// Gives all memory back to the heap. *Time:* constant, the heap's for each chunk apart.
    #[inline]
    pub fn reset(&mut self) {
        // SAFETY: `self` is borrowed for us alone, so no block is.
        unsafe { self.region.reset(self.heap) };
    }

    /// Gives all memory back but the first chunk, which holds what was [reserved](Self::reserve) first, and begins anew.
    /// *Time:* as [`reset`](Self::reset); a few instructions if there is no other chunk.
    #[inline]
    pub fn restart(&mut self) {
        // SAFETY: `self` is borrowed for us alone, so no block is.
        unsafe { self.region.restart(self.heap) };
    }

    /// Where the scope is now, to [`rewind`](Self::rewind) to.
    pub fn mark(&self) -> Mark {
        self.region.mark()
    }

    /// Gives back the chunks that have come since `mark`, and fills on from there. What was reserved before the mark
    /// stays. A mark older than the last reset, or another scope's, gives all back, or leads to some other place of this
    /// scope: nothing is in use, whatever the mark. To go back while older blocks are in use, see [`Level::nested`].
    /// *Time:* as [`reset`](Self::reset).
    #[inline]
    pub fn rewind(&mut self, mark: Mark) {
        // SAFETY: `self` is borrowed for us alone, so no block is.
        unsafe { self.region.rewind(self.heap, mark) };
    }

    /// The scope as a level, in which others can be [nested](Level::nested).
    pub fn enter(&mut self) -> Level<'_, A> {
        Level::new(&self.region, self.heap)
    }

    /// A block of `layout`, uninitialised; `None` if there is no memory. It is the scope's. *Time:* constant, the heap's
    /// apart.
    #[inline]
    pub fn alloc_layout(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.region.allocate(self.heap, layout)
    }

    level::typed_methods!(['s] 's);
}

impl<A: GlobalAlloc + ?Sized> Drop for Scope<'_, A> {
    #[inline]
    fn drop(&mut self) {
        self.reset();
    }
}

impl<A: GlobalAlloc + ?Sized> fmt::Debug for Scope<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scope")
            .field("held_bytes", &self.held_bytes())
            .field("chunk_count", &self.chunk_count())
            .finish_non_exhaustive()
    }
}

// SAFETY: a scope owns its chunks, which any thread may give back where any thread may use the heap.
unsafe impl<A: GlobalAlloc + Sync + ?Sized> Send for Scope<'_, A> {}

// SAFETY: each block is apart from all others until the scope takes all back, of the size and alignment asked for; no
// method unwinds.
unsafe impl<A: GlobalAlloc + ?Sized> GlobalAlloc for Scope<'_, A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        or_null(self.region.allocate(self.heap, layout))
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(pointer) {
            self.region.deallocate(block, layout.size());
        }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's duty is that this is a layout.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller's duty; blocks are not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        // SAFETY: the caller's duty.
        or_null(unsafe { self.region.resize(self.heap, block, layout, new) })
    }
}

fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// The programs of the chapter on scopes, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/real-time-scopes.md")]
struct Chapter;

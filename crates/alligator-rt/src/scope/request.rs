//! A global allocator that puts all that a request allocates into a scope: for functions at the edge, which keep nothing
//! from one request to the next.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use super::or_null;
use super::region::Region;

/// No request: all goes to the heap.
const NONE: u8 = 0;
/// All new blocks go into the request's scope.
const OPEN: u8 = 1;
/// There is a request, but new blocks go to the heap.
const OUTSIDE: u8 = 2;

/// A global allocator over another one. While a [`Request`] is there, new blocks come from its scope, and giving them
/// back does nothing; when it ends, all of them go at once, in a number of steps that does not depend on how many there
/// were. Blocks from before stay the heap's: they are resized and given back there.
///
/// ```
/// use alligator_rt::ScopedHeap;
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: ScopedHeap<System> = ScopedHeap::new(System);
///
/// let kept = String::from("from before");
/// // SAFETY: one thread, and `answer` returns a number.
/// let length = unsafe { ALLOCATOR.in_request(1 << 20, || kept.repeat(1000).len()) };
/// assert_eq!(length, Some(11_000));
/// ```
pub struct ScopedHeap<A> {
    state: AtomicU8,
    region: Region,
    heap: A,
}

// SAFETY: without a request the region is empty, and only looked at. While there is one, one thread uses this: that is
// what `begin` asks for.
unsafe impl<A: Sync> Sync for ScopedHeap<A> {}

impl<A: GlobalAlloc> ScopedHeap<A> {
    /// Over `heap`, without a request.
    pub const fn new(heap: A) -> Self {
        Self {
            state: AtomicU8::new(NONE),
            region: Region::new(usize::MAX),
            heap,
        }
    }

    /// The heap below, for `reserve` and the like.
    pub const fn heap(&self) -> &A {
        &self.heap
    }

    /// Begins a request, which gets at most `limit` bytes of the heap, its unused memory included; `None` if there is one
    /// already. *Time:* constant.
    ///
    /// # Safety
    ///
    /// Until the [`Request`] has ended, no other thread uses this allocator in any way; and no block that was allocated meanwhile,
    /// but for those of [`outside`](Self::outside), is used or given back after its end. What a program sets up when it is
    /// first used must so be set up before, or outside: standard output's buffer, a `OnceLock`, a cache that a request
    /// fills, a collection from before that a request makes longer by allocating anew, as a `HashMap` does.
    pub unsafe fn begin(&self, limit: usize) -> Option<Request<'_, A>> {
        if self.state.load(Ordering::Relaxed) != NONE {
            return None;
        }
        self.region.set_limit(limit);
        self.state.store(OPEN, Ordering::Relaxed);
        Some(Request(self))
    }

    /// Does `action` in a request, and returns what it does; `None` if there is a request already.
    ///
    /// # Safety
    ///
    /// As for [`begin`](Self::begin). What is returned has no block of the request, either; nor does the action panic where
    /// that unwinds, since the message is such a block.
    pub unsafe fn in_request<R>(&self, limit: usize, action: impl FnOnce() -> R) -> Option<R> {
        // SAFETY: the caller's duty.
        let _request = unsafe { self.begin(limit) }?;
        Some(action())
    }

    /// Does `action`, whose new blocks come from the heap and stay, within a request or without one. *Time:* constant,
    /// the action's apart.
    pub fn outside<R>(&self, action: impl FnOnce() -> R) -> R {
        /// Sets the state when it is dropped, also if the action panics.
        struct Back<'a>(&'a AtomicU8, u8);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Relaxed);
            }
        }
        let state = self.state.load(Ordering::Relaxed);
        let _back = Back(&self.state, state);
        if state == OPEN {
            self.state.store(OUTSIDE, Ordering::Relaxed);
        }
        action()
    }

    /// Ends a request that was left open, by a trap after which the host goes on with the instance, and gives all of its
    /// blocks back. *Time:* constant, the heap's for each chunk apart.
    ///
    /// # Safety
    ///
    /// As for [`begin`](Self::begin): nobody uses the request's blocks any more.
    pub unsafe fn reset_all(&self) {
        self.state.store(NONE, Ordering::Relaxed);
        // SAFETY: the caller's duty.
        unsafe { self.region.reset(&self.heap) };
    }

    /// Bytes of the heap that the request's scope has now.
    pub fn request_bytes(&self) -> usize {
        self.region.held()
    }

    #[inline(always)]
    fn is_open(&self) -> bool {
        self.state.load(Ordering::Relaxed) == OPEN
    }

    /// Whether a block is the request's.
    #[inline(always)]
    fn is_requests(&self, pointer: NonNull<u8>) -> bool {
        self.state.load(Ordering::Relaxed) != NONE && self.region.contains(pointer)
    }
}

impl<A> fmt::Debug for ScopedHeap<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ScopedHeap")
            .field("request_bytes", &self.region.held())
            .finish_non_exhaustive()
    }
}

// SAFETY: a block is the heap's, or the region's, and each keeps blocks apart; which of them has it is known by its
// address, as long as the request is there: `begin` asks that it is no longer used then.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ScopedHeap<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.is_open() {
            return or_null(self.region.allocate(&self.heap, layout));
        }
        // SAFETY: the caller's duty.
        unsafe { self.heap.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        if self.is_requests(block) {
            return self.region.deallocate(block, layout.size());
        }
        // SAFETY: the caller's duty.
        unsafe { self.heap.dealloc(pointer, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        if self.is_requests(block) {
            // SAFETY: the caller's duty is that this is a layout.
            let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
            // SAFETY: the caller's duty.
            return or_null(unsafe { self.region.resize(&self.heap, block, layout, new) });
        }
        // SAFETY: the caller's duty.
        unsafe { self.heap.realloc(pointer, layout, new_size) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.is_open() {
            let block = self.region.allocate(&self.heap, layout);
            if let Some(first) = block {
                // SAFETY: a new block of so many bytes.
                unsafe { first.write_bytes(0, layout.size()) };
            }
            return or_null(block);
        }
        // SAFETY: the caller's duty.
        unsafe { self.heap.alloc_zeroed(layout) }
    }
}

/// A request, from [`ScopedHeap::begin`] on. When it is dropped, all that was allocated in it goes back to the heap.
/// *Time:* constant, the heap's for each chunk apart.
#[derive(Debug)]
pub struct Request<'a, A: GlobalAlloc>(&'a ScopedHeap<A>);

impl<A: GlobalAlloc> Drop for Request<'_, A> {
    fn drop(&mut self) {
        // SAFETY: whoever began the request has promised that nobody uses its blocks any more.
        unsafe { self.0.reset_all() };
    }
}

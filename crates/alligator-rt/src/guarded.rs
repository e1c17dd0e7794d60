//! An allocator that looks at the thread's guard before each call.

#[cfg(feature = "alligator-alloc")]
mod by_address;

use core::alloc::{GlobalAlloc, Layout};
use core::{fmt, ptr};

use crate::deferred::Deferred;
use crate::event::{Answer, Kind, deliver_growth, happened, of_block, word_for};
use crate::failure::{self, Cause, Failure};
use crate::word;

/// An allocator under the guards [`ALLOC`](crate::Guard::ALLOC), [`FREE`](crate::Guard::FREE),
/// [`REALLOC`](crate::Guard::REALLOC) and [`MOVE`](crate::Guard::MOVE). Where none of them holds, a call is some five
/// instructions longer.
///
/// With `DEFERRED` above 0, a free that a guard refuses is put off: up to that many blocks wait, each in its own first
/// bytes, until [`collect`](Self::collect) gives them back to the heap, or until an allocation finds no room
/// otherwise. A block that is too short for that (12 bytes on 32 bits), or that finds the list full or in use by
/// another thread, is freed at once.
///
/// ```
/// use std::alloc::System;
/// use alligator_rt::{Guard, Guarded, Kind, event_count};
///
/// #[global_allocator]
/// static ALLOCATOR: Guarded<System, 1024> = Guarded::new(System);
///
/// fn process(samples: &mut [f32]) {
///     let _guard = (Guard::CALLS | Guard::FREE.null()).enter();
///     samples.fill(0.0);
/// }
///
/// process(&mut [1.0; 128]);
/// assert_eq!(event_count(Kind::Alloc), 0);
/// ALLOCATOR.collect(16); // Between two callbacks: at most 16 blocks go back.
/// ```
pub struct Guarded<A, const DEFERRED: usize = 0> {
    inner: A,
    move_bytes: usize,
    deferred: Deferred,
}

impl<A, const DEFERRED: usize> fmt::Debug for Guarded<A, DEFERRED> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guarded").finish_non_exhaustive()
    }
}

/// What a request for a block looks at: a guard that forbids it, or a hook that is to hear of a growth.
const AT_ALLOC: u64 = Kind::Alloc.looked_at() | Kind::Grow.called();
/// The same for resizing.
const AT_REALLOC: u64 = Kind::Realloc.looked_at() | Kind::Move.looked_at() | Kind::Grow.called();

impl<A, const DEFERRED: usize> Guarded<A, DEFERRED> {
    /// The allocator under guards.
    pub const fn new(inner: A) -> Self {
        Self {
            inner,
            move_bytes: 0,
            deferred: Deferred::new(),
        }
    }

    /// The same, where moving a block counts as [`MOVE`](crate::Guard::MOVE) only if more than `bytes` are copied.
    #[must_use]
    pub const fn moves_above(mut self, bytes: usize) -> Self {
        self.move_bytes = bytes;
        self
    }

    /// The allocator itself. What is asked of it is not looked at.
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    /// How many blocks wait for [`collect`](Self::collect). *Time:* constant.
    pub fn deferred(&self) -> usize {
        self.deferred.length()
    }

    /// Says that a block has moved to one of `size` bytes, if as many as were copied count.
    #[inline(always)]
    fn note_move(&self, copied: usize, size: usize, align: usize) {
        if copied > self.move_bytes {
            if let Some(word) = word_for(Kind::Move) {
                happened(word, of_block(Kind::Move, size, align));
            }
        }
    }
}

impl<A: GlobalAlloc, const DEFERRED: usize> Guarded<A, DEFERRED> {
    /// Gives back at most `most` of the blocks whose free was put off, those first that came last. No guard looks at
    /// that. Returns how many they were. *Time:* `most` frees of the allocator.
    pub fn collect(&self, most: usize) -> usize {
        // At most `most` turns.
        for count in 0..most {
            let Some((pointer, layout)) = self.deferred.take() else {
                return count;
            };
            // SAFETY: whoever put it there gave it back, with this layout.
            unsafe { self.inner.dealloc(pointer, layout) };
        }
        most
    }

    /// Does `request`, and once more if it gets nothing and blocks have waited.
    #[inline(always)]
    fn or_after_collection(&self, request: impl Fn() -> *mut u8) -> *mut u8 {
        let block = request();
        if DEFERRED > 0 && block.is_null() && self.collect(DEFERRED) > 0 {
            return request();
        }
        block
    }

    /// A request for a block that a guard looks at.
    #[cold]
    #[inline(never)]
    unsafe fn alloc_looked_at(&self, layout: Layout, is_zeroed: bool) -> *mut u8 {
        if is_refused(Kind::Alloc, layout.size(), layout.align()) {
            return ptr::null_mut();
        }
        let block = self.or_after_collection(|| {
            if is_zeroed {
                // SAFETY: the caller's duty.
                unsafe { self.inner.alloc_zeroed(layout) }
            } else {
                // SAFETY: the caller's duty.
                unsafe { self.inner.alloc(layout) }
            }
        });
        deliver_growth();
        block
    }

    #[cold]
    #[inline(never)]
    unsafe fn dealloc_looked_at(&self, pointer: *mut u8, layout: Layout) {
        let word = word::get();
        let answer = happened(word, of_block(Kind::Free, layout.size(), layout.align()));
        // SAFETY: the caller gives the block back.
        let is_put_off = answer == Answer::Refuse
            && DEFERRED > 0
            && unsafe { self.deferred.put(pointer, layout, DEFERRED) };
        if !is_put_off {
            // SAFETY: the caller's duty.
            unsafe { self.inner.dealloc(pointer, layout) };
        }
    }

    #[cold]
    #[inline(never)]
    unsafe fn realloc_looked_at(
        &self,
        pointer: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> *mut u8 {
        if is_refused(Kind::Realloc, new_size, layout.align()) {
            return ptr::null_mut();
        }
        let address = pointer.addr();
        let block = self.or_after_collection(|| {
            // SAFETY: the caller's duty; the first try has changed nothing if there is a second.
            unsafe { self.inner.realloc(pointer, layout, new_size) }
        });
        if !block.is_null() && block.addr() != address {
            self.note_move(layout.size().min(new_size), new_size, layout.align());
        }
        deliver_growth();
        block
    }
}

/// Whether a guard refuses this; then it is a failure whose cause is known.
fn is_refused(kind: Kind, size: usize, align: usize) -> bool {
    let Some(word) = word_for(kind) else {
        return false;
    };
    let is_refused = happened(word, of_block(kind, size, align)) == Answer::Refuse;
    if is_refused {
        failure::note(Failure::new(Cause::Guard, size, align));
    }
    is_refused
}

// SAFETY: a block is the allocator's own, or null; one that waits is nobody's until it is given back to the allocator.
unsafe impl<A: GlobalAlloc, const DEFERRED: usize> GlobalAlloc for Guarded<A, DEFERRED> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if word::get() & AT_ALLOC != 0 {
            // SAFETY: the caller's duty.
            return unsafe { self.alloc_looked_at(layout, false) };
        }
        // SAFETY: the caller's duty.
        self.or_after_collection(|| unsafe { self.inner.alloc(layout) })
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if word::get() & Kind::Free.looked_at() != 0 {
            // SAFETY: the caller's duty.
            return unsafe { self.dealloc_looked_at(pointer, layout) };
        }
        // SAFETY: the caller's duty.
        unsafe { self.inner.dealloc(pointer, layout) };
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if word::get() & AT_ALLOC != 0 {
            // SAFETY: the caller's duty.
            return unsafe { self.alloc_looked_at(layout, true) };
        }
        // SAFETY: the caller's duty.
        self.or_after_collection(|| unsafe { self.inner.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if word::get() & AT_REALLOC != 0 {
            // SAFETY: the caller's duty.
            return unsafe { self.realloc_looked_at(pointer, layout, new_size) };
        }
        // SAFETY: the caller's duty; the first try has changed nothing if there is a second.
        self.or_after_collection(|| unsafe { self.inner.realloc(pointer, layout, new_size) })
    }
}

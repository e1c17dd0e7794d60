//! An allocator that counts the bytes in use, and keeps to a limit.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use crate::account::Account;
use crate::failure::{self, Cause, Failure};

/// An allocator with a limit in bytes, the most that was in use, and a name. Several may stand over one heap:
/// see [`Shared`].
///
/// Sizes are those asked for. A request above the limit gets null, and [`last_failure`](crate::last_failure) has the
/// budget's name. Threads that come close to the limit at the same moment may be refused although one of them would
/// fit.
///
/// ```
/// use std::alloc::{GlobalAlloc, Layout, System};
/// use alligator_rt::{Budget, Shared, last_failure};
///
/// static HEAP: System = System;
/// static TEXTURES: Budget<Shared<System>> = Budget::new("textures", 1 << 20, Shared(&HEAP));
///
/// let layout = Layout::new::<[u8; 2 << 20]>();
/// assert!(unsafe { TEXTURES.alloc(layout) }.is_null());
/// assert_eq!(last_failure().unwrap().name, "textures");
/// ```
#[derive(Debug)]
pub struct Budget<A> {
    inner: A,
    name: &'static str,
    account: Account,
    limit: AtomicUsize,
    refused: AtomicU32,
}

impl<A> Budget<A> {
    /// `inner` with a limit in bytes; `usize::MAX` for none.
    pub const fn new(name: &'static str, limit: usize, inner: A) -> Self {
        Self {
            inner,
            name,
            account: Account::new(),
            limit: AtomicUsize::new(limit),
            refused: AtomicU32::new(0),
        }
    }

    /// What the budget is for.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The allocator itself. What is asked of it is not counted.
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    /// Bytes in use. *Time:* constant.
    pub fn used(&self) -> usize {
        self.account.used()
    }

    /// The most bytes that were in use. *Time:* constant.
    pub fn peak(&self) -> usize {
        self.account.peak()
    }

    /// The peak is what is in use now. *Time:* constant.
    pub fn reset_peak(&self) {
        self.account.reset_peak();
    }

    /// The limit in bytes. *Time:* constant.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Another limit, from the next request on. It may be below what is in use. *Time:* constant.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Relaxed);
    }

    /// Bytes that can be asked for before the limit is reached. *Time:* constant.
    pub fn remaining(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// How many requests the limit has refused, modulo 2³². *Time:* constant.
    pub fn refused(&self) -> u32 {
        self.refused.load(Relaxed)
    }

    /// Does `request`, which gets `added` bytes more for a block of `size`.
    #[inline(always)]
    fn spend(
        &self,
        added: usize,
        size: usize,
        align: usize,
        request: impl FnOnce() -> *mut u8,
    ) -> *mut u8 {
        let used = self.account.add(added);
        if used > self.limit() {
            return self.fail(Cause::Limit, added, size, align);
        }
        let block = request();
        if block.is_null() {
            return self.fail(Cause::Heap, added, size, align);
        }
        self.account.reach(used);
        block
    }

    #[cold]
    #[inline(never)]
    fn fail(&self, cause: Cause, added: usize, size: usize, align: usize) -> *mut u8 {
        let in_use = self.account.remove(added);
        let limit = (cause == Cause::Limit).then(|| self.limit());
        if limit.is_some() {
            self.refused.fetch_add(1, Relaxed);
        }
        failure::note(Failure {
            in_use,
            limit,
            name: self.name,
            ..Failure::new(cause, size, align)
        });
        ptr::null_mut()
    }
}

// SAFETY: a block is the allocator's own, or null.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Budget<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        self.spend(size, size, layout.align(), || {
            // SAFETY: the caller's duty.
            unsafe { self.inner.alloc(layout) }
        })
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.inner.dealloc(pointer, layout) };
        self.account.remove(layout.size());
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        self.spend(size, size, layout.align(), || {
            // SAFETY: the caller's duty.
            unsafe { self.inner.alloc_zeroed(layout) }
        })
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = self.spend(new_size.saturating_sub(size), new_size, align, || {
            // SAFETY: the caller's duty.
            unsafe { self.inner.realloc(pointer, layout, new_size) }
        });
        if !block.is_null() && new_size < size {
            self.account.remove(size - new_size);
        }
        block
    }
}

/// One allocator for several owners: a reference as an allocator, for instance below [`Budget`]s.
#[derive(Debug)]
pub struct Shared<A: 'static>(pub &'static A);

impl<A> Clone for Shared<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Shared<A> {}

// SAFETY: it is the allocator.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Shared<A> {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { self.0.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.0.dealloc(pointer, layout) };
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { self.0.realloc(pointer, layout, new_size) }
    }
}

//! An allocator that counts the bytes in use, and keeps to a limit.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

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
    book: Book,
}

/// What is known of a budget, whatever its allocator is.
#[derive(Debug)]
struct Book {
    name: &'static str,
    account: Account,
    limit: AtomicUsize,
    refused: AtomicU32,
    is_listed: AtomicBool,
    /// The next one of those that are listed: a `&'static Book`, or null.
    next: AtomicPtr<Book>,
}

/// The budget that was listed last: a `&'static Book`, or null.
static LISTED: AtomicPtr<Book> = AtomicPtr::new(ptr::null_mut());

/// What a budget holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holding {
    /// The budget's name.
    pub name: &'static str,
    /// Bytes in use.
    pub used: usize,
    /// The most bytes that were in use.
    pub peak: usize,
    /// The limit in bytes.
    pub limit: usize,
    /// How many requests the limit has refused, modulo 2³².
    pub refused: u32,
}

/// Shows each budget that was [listed](Budget::list), the last one first: who holds the memory. It takes no block, so a
/// hook may ask. *Time:* linear in their number.
pub fn each_budget(mut visit: impl FnMut(&Holding)) {
    let mut next = LISTED.load(Acquire);
    // SAFETY: `list` alone writes these, from references that are good for ever.
    while let Some(book) = unsafe { next.as_ref() } {
        visit(&Holding {
            name: book.name,
            used: book.account.used(),
            peak: book.account.peak(),
            limit: book.limit.load(Relaxed),
            refused: book.refused.load(Relaxed),
        });
        next = book.next.load(Acquire);
    }
}

impl<A> Budget<A> {
    /// `inner` with a limit in bytes; `usize::MAX` for none.
    pub const fn new(name: &'static str, limit: usize, inner: A) -> Self {
        Self {
            inner,
            book: Book {
                name,
                account: Account::new(),
                limit: AtomicUsize::new(limit),
                refused: AtomicU32::new(0),
                is_listed: AtomicBool::new(false),
                next: AtomicPtr::new(ptr::null_mut()),
            },
        }
    }

    /// Puts the budget on the list that [`each_budget`] shows, once. *Time:* constant, other threads that do the same
    /// apart.
    pub fn list(&'static self) {
        let book = &self.book;
        if book.is_listed.swap(true, Relaxed) {
            return;
        }
        let mut next = LISTED.load(Relaxed);
        // A turn more for each other thread that comes between.
        loop {
            book.next.store(next, Relaxed);
            let new = ptr::from_ref(book).cast_mut();
            match LISTED.compare_exchange_weak(next, new, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(other) => next = other,
            }
        }
    }

    /// What the budget is for.
    pub const fn name(&self) -> &'static str {
        self.book.name
    }

    /// The allocator itself. What is asked of it is not counted.
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    /// Bytes in use. *Time:* constant.
    pub fn used(&self) -> usize {
        self.book.account.used()
    }

    /// The most bytes that were in use. *Time:* constant.
    pub fn peak(&self) -> usize {
        self.book.account.peak()
    }

    /// The peak is what is in use now. *Time:* constant.
    pub fn reset_peak(&self) {
        self.book.account.reset_peak();
    }

    /// The limit in bytes. *Time:* constant.
    pub fn limit(&self) -> usize {
        self.book.limit.load(Relaxed)
    }

    /// Another limit, from the next request on. It may be below what is in use. *Time:* constant.
    pub fn set_limit(&self, bytes: usize) {
        self.book.limit.store(bytes, Relaxed);
    }

    /// Bytes that can be asked for before the limit is reached. *Time:* constant.
    pub fn remaining(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// How many requests the limit has refused, modulo 2³². *Time:* constant.
    pub fn refused(&self) -> u32 {
        self.book.refused.load(Relaxed)
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
        let used = self.book.account.add(added);
        if used > self.limit() {
            return self.fail(Cause::Limit, added, size, align);
        }
        let block = request();
        if block.is_null() {
            return self.fail(Cause::Heap, added, size, align);
        }
        self.book.account.reach(used);
        block
    }

    #[cold]
    #[inline(never)]
    fn fail(&self, cause: Cause, added: usize, size: usize, align: usize) -> *mut u8 {
        let in_use = self.book.account.remove(added);
        let limit = (cause == Cause::Limit).then(|| self.limit());
        if limit.is_some() {
            self.book.refused.fetch_add(1, Relaxed);
        }
        failure::note(Failure {
            in_use,
            limit,
            name: self.book.name,
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
        self.book.account.remove(layout.size());
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
            self.book.account.remove(size - new_size);
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

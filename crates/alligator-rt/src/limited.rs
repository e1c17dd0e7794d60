//! Limits that can be moved while the program runs: a hard one, a soft one, and a reserve.
//!
//! ```text
//!  0 .............. rearm ........ soft ............ hard - reserve ..... hard
//!                   |              |                 |                    |
//!                   the soft limit | its hook, once  | null, or the       | null for all
//!                   is armed again                   | reserve for permit |
//! ```

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::account::Account;
use crate::failure::{self, Cause, Failure};
use crate::guard::{in_hook, is_permitted};
use crate::hook::{Hook, without_unwinding};

/// How often a request is tried again when the hook says that something was given back.
const RETRIES_MAX: usize = 4;

/// That a soft limit was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crossing {
    /// Bytes in use.
    pub used: usize,
    /// The soft limit in bytes.
    pub soft: usize,
    /// What this thread may still ask for, in bytes.
    pub remaining: usize,
}

/// What is asked of the allocator below.
#[derive(Clone, Copy)]
enum Ask {
    Block,
    Zeroed,
    Resized,
}

/// A request to the allocator below.
#[derive(Clone, Copy)]
struct Request {
    ask: Ask,
    /// The block that is resized, else null.
    pointer: *mut u8,
    /// The layout of that block, or of the new one.
    layout: Layout,
    /// The bytes that the block is to have.
    size: usize,
}

impl Request {
    const fn block(layout: Layout) -> Self {
        Self {
            ask: Ask::Block,
            pointer: ptr::null_mut(),
            layout,
            size: layout.size(),
        }
    }

    const fn zeroed(layout: Layout) -> Self {
        Self {
            ask: Ask::Zeroed,
            ..Self::block(layout)
        }
    }

    const fn resized(pointer: *mut u8, layout: Layout, size: usize) -> Self {
        Self {
            ask: Ask::Resized,
            pointer,
            layout,
            size,
        }
    }

    /// The bytes that it adds to those in use.
    #[inline(always)]
    fn added(self) -> usize {
        match self.ask {
            Ask::Block | Ask::Zeroed => self.size,
            Ask::Resized => self.size.saturating_sub(self.layout.size()),
        }
    }

    /// Does it.
    ///
    /// # Safety
    ///
    /// What `GlobalAlloc` demands of it.
    #[inline(always)]
    unsafe fn ask(self, allocator: &impl GlobalAlloc) -> *mut u8 {
        match self.ask {
            // SAFETY: the caller's duty.
            Ask::Block => unsafe { allocator.alloc(self.layout) },
            // SAFETY: the caller's duty.
            Ask::Zeroed => unsafe { allocator.alloc_zeroed(self.layout) },
            // SAFETY: the caller's duty.
            Ask::Resized => unsafe { allocator.realloc(self.pointer, self.layout, self.size) },
        }
    }

    /// That it got nothing.
    fn failure(self, cause: Cause) -> Failure {
        Failure::new(cause, self.size, self.layout.align())
    }
}

/// An allocator with limits in bytes that can be moved while the program runs; none at first.
///
/// Sizes are those asked for. Hooks are called when the request is done, outside the allocator: they may allocate, drop
/// caches, give blocks back, with the reserve open to them. None is called within another, and none may unwind: that
/// ends the program.
///
/// ```
/// use std::alloc::System;
/// use alligator_rt::{Limited, permit};
///
/// #[global_allocator]
/// static ALLOCATOR: Limited<System> = Limited::new(System);
///
/// ALLOCATOR.set_hard(16 << 20, 64 << 10); // 16 MiB, the last 64 KiB for `permit`.
/// ALLOCATOR.set_soft(12 << 20, 8 << 20); // Again when it was below 8 MiB.
/// ALLOCATOR.on_soft(|_| { /* Drop caches. */ });
/// ALLOCATOR.on_failure(|_| false); // True: something was given back, try again.
///
/// let mut rows = Vec::<u8>::new();
/// if rows.try_reserve(32 << 20).is_err() {
///     permit(|| eprintln!("{}", alligator_rt::last_failure().unwrap()));
/// }
/// ```
#[derive(Debug)]
pub struct Limited<A> {
    inner: A,
    account: Account,
    hard: AtomicUsize,
    reserve: AtomicUsize,
    soft: AtomicUsize,
    rearm: AtomicUsize,
    is_armed: AtomicBool,
    /// Above it there is something to do: `min(hard - reserve, soft if armed)`.
    ceiling: AtomicUsize,
    /// Below it the soft limit is armed again; 0 while it is.
    floor: AtomicUsize,
    soft_hook: Hook<fn(&Crossing)>,
    failure_hook: Hook<fn(&Failure) -> bool>,
    largest_free: Hook<fn() -> usize>,
}

impl<A> Limited<A> {
    /// `inner` without limits yet.
    pub const fn new(inner: A) -> Self {
        Self {
            inner,
            account: Account::new(),
            hard: AtomicUsize::new(usize::MAX),
            reserve: AtomicUsize::new(0),
            soft: AtomicUsize::new(usize::MAX),
            rearm: AtomicUsize::new(usize::MAX),
            is_armed: AtomicBool::new(true),
            ceiling: AtomicUsize::new(usize::MAX),
            floor: AtomicUsize::new(0),
            soft_hook: Hook::new(),
            failure_hook: Hook::new(),
            largest_free: Hook::new(),
        }
    }

    /// No more than `hard` bytes, the last `reserve` of them for [`permit`](crate::permit)-ted code. `usize::MAX` for no
    /// limit. It may be below what is in use. *Time:* constant.
    pub fn set_hard(&self, hard: usize, reserve: usize) {
        self.hard.store(hard, Relaxed);
        self.reserve.store(reserve, Relaxed);
        self.settle();
    }

    /// More than `soft` bytes call the hook, once; and once again each time after there were less than `rearm`.
    /// `usize::MAX` for none. A `rearm` above `soft` counts as `soft`. *Time:* constant.
    pub fn set_soft(&self, soft: usize, rearm: usize) {
        self.soft.store(soft, Relaxed);
        self.rearm.store(rearm.min(soft), Relaxed);
        self.is_armed.store(true, Relaxed);
        self.settle();
    }

    /// What is called when the soft limit is crossed. The request that crosses it has been met by then.
    pub fn on_soft(&self, hook: fn(&Crossing)) {
        // SAFETY: a function pointer's type.
        unsafe { self.soft_hook.set(hook) };
    }

    /// What is called before a request gets null. If it returns true, it has given something back, and the request is
    /// tried again, four times at most. It says what the program does when there is no memory: let an error path
    /// write its message, which may use the reserve; or stop.
    pub fn on_failure(&self, hook: fn(&Failure) -> bool) {
        // SAFETY: a function pointer's type.
        unsafe { self.failure_hook.set(hook) };
    }

    /// Who knows the longest block that the heap below can give, in bytes: it is asked when a request has failed there,
    /// and the failure has it. [`largest_block`](crate::largest_block) finds it in any heap, by trying.
    pub fn set_largest_free(&self, largest: fn() -> usize) {
        // SAFETY: a function pointer's type.
        unsafe { self.largest_free.set(largest) };
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

    /// Bytes that this thread can ask for before the hard limit is reached; the reserve among them if it is open to it.
    /// The heap below may have less. *Time:* constant.
    pub fn remaining(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// What this thread may use in all.
    fn limit(&self) -> usize {
        let hard = self.hard.load(Relaxed);
        if is_permitted() || hard == usize::MAX {
            hard
        } else {
            hard.saturating_sub(self.reserve.load(Relaxed))
        }
    }

    /// Makes the ceiling and the floor what follows from the limits.
    fn settle(&self) {
        let hard = self.hard.load(Relaxed);
        let open = if hard == usize::MAX {
            hard
        } else {
            hard.saturating_sub(self.reserve.load(Relaxed))
        };
        let is_armed = self.is_armed.load(Relaxed);
        let soft = if is_armed {
            self.soft.load(Relaxed)
        } else {
            usize::MAX
        };
        let floor = if is_armed {
            0
        } else {
            self.rearm.load(Relaxed)
        };
        self.ceiling.store(open.min(soft), Relaxed);
        self.floor.store(floor, Relaxed);
    }

    /// Takes bytes away, and arms the soft limit again if there are few enough.
    #[inline(always)]
    fn give_back(&self, bytes: usize) {
        let used = self.account.remove(bytes);
        if used < self.floor.load(Relaxed) {
            self.arm();
        }
    }

    #[cold]
    #[inline(never)]
    fn arm(&self) {
        self.is_armed.store(true, Relaxed);
        self.settle();
    }

    /// Calls the hook if the soft limit is armed and crossed.
    fn tell_if_crossed(&self) {
        let (used, soft) = (self.account.used(), self.soft.load(Relaxed));
        if used <= soft || !self.is_armed.swap(false, Relaxed) {
            return;
        }
        self.settle();
        if let Some(hook) = self.soft_hook.get() {
            let remaining = self.limit().saturating_sub(used);
            let crossing = Crossing {
                used,
                soft,
                remaining,
            };
            in_hook(|| without_unwinding(|| hook(&crossing)));
        }
    }

    /// Asks the hook whether something was given back; false if there is none, or this is within a hook.
    fn is_worth_another(&self, failure: &Failure) -> bool {
        let Some(hook) = self.failure_hook.get() else {
            return false;
        };
        in_hook(|| without_unwinding(|| hook(failure))).unwrap_or(false)
    }

    fn ask_largest_free(&self) -> Option<usize> {
        let largest = self.largest_free.get()?;
        in_hook(|| without_unwinding(largest))
    }
}

impl<A: GlobalAlloc> Limited<A> {
    /// Does `request`. Where there is nothing to do, this is all.
    ///
    /// # Safety
    ///
    /// What `GlobalAlloc` demands of it.
    #[inline(always)]
    unsafe fn spend(&self, request: Request) -> *mut u8 {
        let used = self.account.add(request.added());
        let is_open = used <= self.ceiling.load(Relaxed);
        if is_open {
            // SAFETY: the caller's duty.
            let block = unsafe { request.ask(&self.inner) };
            if !block.is_null() {
                self.account.reach(used);
                return block;
            }
        }
        self.account.remove(request.added());
        let Request {
            ask,
            pointer,
            layout,
            size,
        } = request;
        // In parts, so that none of it stands in memory where there is nothing to do.
        // SAFETY: the caller's duty.
        unsafe { self.spend_above(ask, pointer, layout, size, is_open) }
    }

    /// A request above the ceiling, or one that the heap `has_refused`.
    ///
    /// # Safety
    ///
    /// What `GlobalAlloc` demands of it.
    #[cold]
    #[inline(never)]
    unsafe fn spend_above(
        &self,
        ask: Ask,
        pointer: *mut u8,
        layout: Layout,
        size: usize,
        mut has_refused: bool,
    ) -> *mut u8 {
        let request = Request {
            ask,
            pointer,
            layout,
            size,
        };
        let mut turn = 0;
        // At most RETRIES_MAX + 1 turns.
        loop {
            let result = if has_refused {
                Err(self.heap_failure(request, self.used()))
            } else {
                // SAFETY: the caller's duty; a try that got nothing has changed nothing.
                unsafe { self.try_once(request) }
            };
            match result {
                Ok(block) => {
                    self.tell_if_crossed();
                    return block.as_ptr();
                }
                Err(failure) => {
                    failure::note(failure);
                    if turn == RETRIES_MAX || !self.is_worth_another(&failure) {
                        return ptr::null_mut();
                    }
                }
            }
            has_refused = false;
            turn += 1;
        }
    }

    /// The heap has refused this.
    fn heap_failure(&self, request: Request, in_use: usize) -> Failure {
        Failure {
            in_use,
            largest_free: self.ask_largest_free(),
            ..request.failure(Cause::Heap)
        }
    }

    /// One try, by all limits. Nothing is called but the heap, and who knows its longest free block.
    ///
    /// # Safety
    ///
    /// What `GlobalAlloc` demands of it.
    unsafe fn try_once(&self, request: Request) -> Result<NonNull<u8>, Failure> {
        let limit = self.limit();
        let used = self.account.add(request.added());
        if used > limit {
            let in_use = self.account.remove(request.added());
            let cause = if used > self.hard.load(Relaxed) {
                Cause::Limit
            } else {
                Cause::Reserve
            };
            return Err(Failure {
                in_use,
                limit: Some(limit),
                ..request.failure(cause)
            });
        }
        // SAFETY: the caller's duty.
        NonNull::new(unsafe { request.ask(&self.inner) })
            .inspect(|_| self.account.reach(used))
            .ok_or_else(|| self.heap_failure(request, self.account.remove(request.added())))
    }

    /// A block, or why there is none. No hook is called, and the failure is not noted as the last one. For a size of
    /// zero it is a block of one byte, and has to be given back as one.
    ///
    /// # Errors
    ///
    /// A limit is reached, or the heap has no room.
    pub fn try_alloc(&self, layout: Layout) -> Result<NonNull<u8>, Failure> {
        let layout = at_least_one_byte(layout);
        // SAFETY: the size is not zero.
        unsafe { self.try_once(Request::block(layout)) }
    }

    /// [`try_alloc`](Self::try_alloc), with all bytes zero.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_alloc_zeroed(&self, layout: Layout) -> Result<NonNull<u8>, Failure> {
        let layout = at_least_one_byte(layout);
        // SAFETY: the size is not zero.
        unsafe { self.try_once(Request::zeroed(layout)) }
    }

    /// The block at `pointer` with `new_size` bytes, or why that cannot be. No hook is called.
    ///
    /// # Errors
    ///
    /// A limit is reached, or the heap has no room. Then the block is as it was.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::realloc`].
    pub unsafe fn try_realloc(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Result<NonNull<u8>, Failure> {
        // SAFETY: the caller's duty.
        let block = unsafe { self.try_once(Request::resized(pointer.as_ptr(), layout, new_size)) }?;
        self.give_back(layout.size().saturating_sub(new_size));
        Ok(block)
    }
}

fn at_least_one_byte(layout: Layout) -> Layout {
    // One byte, rounded up to any alignment, does not overflow.
    Layout::from_size_align(layout.size().max(1), layout.align()).unwrap_or(layout)
}

// SAFETY: a block is the allocator's own, or null.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Limited<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { self.spend(Request::block(layout)) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.inner.dealloc(pointer, layout) };
        self.give_back(layout.size());
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { self.spend(Request::zeroed(layout)) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
        let block = unsafe { self.spend(Request::resized(pointer, layout, new_size)) };
        if !block.is_null() && new_size < layout.size() {
            self.give_back(layout.size() - new_size);
        }
        block
    }
}

//! The allocator that the feature chooses. Whoever is not made for threads is put behind the same lock as std's.

#![allow(dead_code, reason = "not every allocator needs all of it")]

use core::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::alloc::{GlobalAlloc, Layout};

use alligator_alloc::Lock;

use crate::VISITS;

/// The lock that std has around dlmalloc on WebAssembly: one exchange to get it, one to give it back.
pub(crate) struct StdLock(AtomicBool);

// SAFETY: an exchange gives it to one thread at a time.
unsafe impl Lock for StdLock {
    const NEW: Self = Self(AtomicBool::new(false));

    #[inline(always)]
    fn lock(&self) {
        while self.0.swap(true, Acquire) {
            core::hint::spin_loop();
        }
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        self.0.swap(false, Release);
    }
}

/// Any allocator, behind a lock.
pub(crate) struct Locked<A>(StdLock, A);

// SAFETY: who holds the lock uses it.
unsafe impl<A> Sync for Locked<A> {}

impl<A> Locked<A> {
    pub(crate) const fn new(allocator: A) -> Self {
        Self(StdLock::NEW, allocator)
    }

    #[inline(always)]
    fn with<R>(&self, action: impl FnOnce(&A) -> R) -> R {
        self.0.lock();
        let result = action(&self.1);
        // SAFETY: it is held.
        unsafe { self.0.unlock() };
        result
    }
}

// SAFETY: it is `A`.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Locked<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        self.with(|inner| unsafe { inner.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        self.with(|inner| unsafe { inner.dealloc(block, layout) });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
        self.with(|inner| unsafe { inner.realloc(block, layout, size) })
    }
}

/// Alligator's lock, and how often it was taken.
pub(crate) struct Counted(alligator_alloc::SpinLock);

// SAFETY: it is the lock.
unsafe impl Lock for Counted {
    const NEW: Self = Self(alligator_alloc::SpinLock::NEW);

    fn lock(&self) {
        VISITS.fetch_add(1, Relaxed);
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        VISITS.fetch_add(1, Relaxed);
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
    }
}

#[cfg(all(feature = "alligator-threads", shared))]
type Cached = alligator_alloc::ThreadCached<Counted>;
#[cfg(all(feature = "alligator-threads", shared))]
#[global_allocator]
pub(crate) static ALLOCATOR: alligator_alloc::AlligatorAlloc<alligator_alloc::WasmMemory, Cached> =
    alligator_alloc::AlligatorAlloc::new();

// Where no threads are, it has no lock.
#[cfg(not(any(
    all(feature = "alligator-threads", shared),
    feature = "dlmalloc",
    feature = "rlsf",
    feature = "talc"
)))]
#[global_allocator]
pub(crate) static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

#[cfg(feature = "dlmalloc")]
#[global_allocator]
pub(crate) static ALLOCATOR: Locked<dlmalloc::GlobalDlmalloc> = Locked::new(dlmalloc::GlobalDlmalloc);

#[cfg(feature = "rlsf")]
#[global_allocator]
pub(crate) static ALLOCATOR: Locked<rlsf::GlobalTlsf> = Locked::new(rlsf::GlobalTlsf::new());

#[cfg(feature = "talc")]
#[global_allocator]
pub(crate) static ALLOCATOR: Locked<talc::wasm::WasmDynamicTalc> =
    Locked::new(talc::wasm::new_wasm_dynamic_allocator());

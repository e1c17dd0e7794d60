//! A lock that finds out, in debug builds on hosts, that a thread calls a heap in which it is already: what the heap calls
//! while it is locked, its source or its lock, has called it, or a signal's handler has. Without the check that would wait
//! for itself, or use a heap that is not whole. In release builds and on WebAssembly it is the lock, and nothing else.

#[cfg_attr(all(debug_assertions, names_threads), path = "inside/on.rs")]
#[cfg_attr(not(all(debug_assertions, names_threads)), path = "inside/off.rs")]
mod inside;

use self::inside::Inside;
use super::Lock;

/// `L`, and who is between `lock` and `unlock`.
#[derive(Debug)]
pub(crate) struct Checked<L> {
    lock: L,
    inside: Inside,
}

// SAFETY: it is `L`.
unsafe impl<L: Lock> Lock for Checked<L> {
    const NEW: Self = Self {
        lock: L::NEW,
        inside: Inside::NEW,
    };
    const HAS_THREAD_CACHES: bool = L::HAS_THREAD_CACHES;

    #[inline(always)]
    fn lock(&self) {
        self.inside.enter();
        self.lock.lock();
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.inside.enter();
        let has_lock = self.lock.try_lock();
        if !has_lock {
            self.inside.leave();
        }
        has_lock
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.lock.unlock() };
        self.inside.leave();
    }
}

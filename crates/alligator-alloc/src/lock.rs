//! Who may use a heap at the same time. [`DefaultLock`] is chosen when the module is compiled: nothing in a
//! single-threaded module, a spin lock in one with shared memory.

use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};

/// A lock around a heap.
///
/// # Safety
///
/// Between the return of [`lock`](Lock::lock) and the call of [`unlock`](Lock::unlock), no other call of
/// `lock` on the same value returns, and what happens before `unlock` happens before the next `lock`
/// returns.
pub unsafe trait Lock {
    /// An open lock.
    const NEW: Self;

    /// Waits until nobody holds the lock, and holds it.
    fn lock(&self);

    /// Gives the lock back. Only its holder calls this.
    fn unlock(&self);
}

/// The lock that [`AlligatorAlloc`](crate::AlligatorAlloc) uses unless told otherwise.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
pub type DefaultLock = SingleThread;
/// The lock that [`AlligatorAlloc`](crate::AlligatorAlloc) uses unless told otherwise.
#[cfg(not(all(target_family = "wasm", not(target_feature = "atomics"))))]
pub type DefaultLock = SpinLock;

/// No lock, for a module that cannot have a second thread: it exists only where the target's memory cannot
/// be shared, so it cannot be misused. *Time:* none.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
#[derive(Debug)]
pub struct SingleThread(());

// SAFETY: without the target's atomics the linear memory cannot be shared, so one thread at most executes
// code with this value, and a heap does not call itself.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Lock for SingleThread {
    const NEW: Self = Self(());

    #[inline(always)]
    fn lock(&self) {}

    #[inline(always)]
    fn unlock(&self) {}
}

/// A lock that spins, and never calls `memory.atomic.wait`, which a browser's main thread must not. It is
/// held for a constant time, growth apart; how long a thread waits for others is not bounded.
#[derive(Debug)]
pub struct SpinLock(AtomicBool);

// SAFETY: only one compare-exchange takes `false` away before a store puts it back; acquire and release
// order the holders.
unsafe impl Lock for SpinLock {
    const NEW: Self = Self(AtomicBool::new(false));

    #[inline]
    fn lock(&self) {
        while self
            .0
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            while self.0.load(Ordering::Relaxed) {
                #[cfg(feature = "hardened")]
                crate::fault::follow();
                hint::spin_loop();
            }
        }
    }

    #[inline]
    fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

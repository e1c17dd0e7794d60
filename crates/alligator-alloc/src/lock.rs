//! Who may use a heap at the same time. [`DefaultLock`] is chosen when the module is compiled: nothing where no
//! second thread can reach the memory, else a spin lock.

mod checked;

use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::fault::{self, Fault};
pub(crate) use checked::Checked;

/// A lock around a heap: one of this crate's, or one of your own.
///
/// A lock of another crate takes a few lines. These do for each that implements [`lock_api::RawMutex`], as `spin`'s and
/// `parking_lot`'s do:
///
/// ```
/// use alligator_alloc::{AlligatorAlloc, Arena, ArenaMemory, Lock};
/// use lock_api::RawMutex;
///
/// pub struct RawLock<R>(R);
///
/// // SAFETY: a `RawMutex` has the same contract.
/// unsafe impl<R: RawMutex> Lock for RawLock<R> {
///     const NEW: Self = Self(R::INIT);
///
///     fn lock(&self) {
///         self.0.lock();
///     }
///
///     fn try_lock(&self) -> bool {
///         self.0.try_lock()
///     }
///
///     unsafe fn unlock(&self) {
///         // SAFETY: the caller's duty.
///         unsafe { self.0.unlock() };
///     }
/// }
///
/// static MEMORY: ArenaMemory<{ 64 << 10 }> = ArenaMemory::new();
/// static HEAP: AlligatorAlloc<Arena, RawLock<spin::Mutex<()>>> =
///     AlligatorAlloc::with_source(MEMORY.arena());
/// assert!(HEAP.reserve(32 << 10));
/// ```
///
/// A global allocator's lock must not ask for memory, which rules `parking_lot`'s out: it does so for each thread that waits.
/// A heap that is no global allocator can have it. In a browser, a lock must not call `memory.atomic.wait`.
///
/// Neither a lock nor a [`Source`](crate::Source) may use the heap that calls it. In debug builds, on Linux, Android, Apple's
/// systems, the BSDs and Windows, one that does ends the process with a message. (The thread is known by its `errno`; a
/// program without a C library turns that off by `debug-assertions = false` for this package.)
///
/// [`lock_api::RawMutex`]: https://docs.rs/lock_api/0.4/lock_api/trait.RawMutex.html
///
/// # Safety
///
/// Between the return of [`lock`](Lock::lock) and the call of [`unlock`](Lock::unlock), no other call of
/// `lock` on the same value returns, and what happens before `unlock` happens before the next `lock`
/// returns. A [`try_lock`](Lock::try_lock) that returns true counts as a `lock`. None of them unwinds.
pub unsafe trait Lock {
    /// An open lock.
    const NEW: Self;

    /// Whether each thread keeps free blocks of its own in front of the lock, so that it seldom takes it: see
    /// `docs/threads.md`. Without the feature `threads` that makes no difference.
    const HAS_THREAD_CACHES: bool = false;

    /// Waits until nobody holds the lock, and holds it.
    fn lock(&self);

    /// Holds the lock if that can be without waiting, and says whether it does. By default it waits.
    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.lock();
        true
    }

    /// Gives the lock back.
    ///
    /// # Safety
    ///
    /// The caller holds it: [`lock`](Lock::lock) has returned, and this has not been called since.
    unsafe fn unlock(&self);
}

/// The lock that [`AlligatorAlloc`](crate::AlligatorAlloc) uses unless told otherwise.
#[cfg(all(single_thread, not(target_feature = "atomics")))]
pub type DefaultLock = SingleThread;
/// The lock that [`AlligatorAlloc`](crate::AlligatorAlloc) uses unless told otherwise.
#[cfg(all(
    not(thread_caches),
    not(all(single_thread, not(target_feature = "atomics")))
))]
pub type DefaultLock = SpinLock;
/// The lock that [`AlligatorAlloc`](crate::AlligatorAlloc) uses unless told otherwise.
#[cfg(thread_caches)]
pub type DefaultLock = ThreadCached;

/// No lock, for a module that cannot have a second thread. It exists only where the build knows that: WebAssembly,
/// a target without threads, and no flag that turns the target feature `atomics` on. *Time:* none.
#[cfg(all(single_thread, not(target_feature = "atomics")))]
#[derive(Debug)]
pub struct SingleThread(());

// SAFETY: without atomics the linker refuses a memory that is shared, so one thread at most executes code with this
// value, and a heap does not call itself.
#[cfg(all(single_thread, not(target_feature = "atomics")))]
unsafe impl Lock for SingleThread {
    const NEW: Self = Self(());

    #[inline(always)]
    fn lock(&self) {}

    #[inline(always)]
    unsafe fn unlock(&self) {}
}

/// How often a thread looks at a [`SpinLock`] before it takes the lock's holder for dead: it takes seconds to look so
/// often, while a lock is held for microseconds, the host's growth apart, and by a thread that is not running for
/// less than a second.
const TURNS_MAX: u64 = 1 << 32;

/// A lock that spins, and never calls `memory.atomic.wait`, which a browser's main thread must not. It is
/// held for a constant time, growth apart; how long a thread waits for others is not bounded.
///
/// A thread that ends while it holds the lock, by a trap or because its worker is terminated, never gives it back. Who
/// waits for it looks `TURNS` times, by default 2³², which takes some seconds, and then stops, too, with
/// [`Fault::Stalled`].
#[derive(Debug)]
pub struct SpinLock<const TURNS: u64 = TURNS_MAX>(AtomicBool);

// SAFETY: only one exchange takes `false` away before another puts it back; acquire and release order the holders.
unsafe impl<const TURNS: u64> Lock for SpinLock<TURNS> {
    const NEW: Self = Self(AtomicBool::new(false));

    #[inline]
    fn lock(&self) {
        if self.0.swap(true, Ordering::Acquire) {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    /// An exchange, since that is one instruction of the processor's on every engine. Of a store, some make two, of
    /// which one waits until all writes are done.
    #[inline]
    unsafe fn unlock(&self) {
        self.0.swap(false, Ordering::Release);
    }
}

impl<const TURNS: u64> SpinLock<TURNS> {
    /// Waits for the lock, and holds it.
    #[cold]
    #[inline(never)]
    fn wait(&self) {
        for _ in 0..TURNS {
            if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Acquire) {
                return;
            }
            fault::follow();
            hint::spin_loop();
        }
        fault::abort(Fault::Stalled, core::ptr::from_ref(self).addr());
    }
}

/// A lock in front of which each thread keeps free blocks of its own: most allocations take no lock, and whoever gives a
/// block back never waits for one. See `docs/threads.md`; without the feature `threads`, it is `L` and nothing else.
#[derive(Debug)]
pub struct ThreadCached<L = SpinLock>(L);

// SAFETY: it is `L`.
unsafe impl<L: Lock> Lock for ThreadCached<L> {
    const NEW: Self = Self(L::NEW);
    const HAS_THREAD_CACHES: bool = true;

    #[inline(always)]
    fn lock(&self) {
        self.0.lock();
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
    }
}

impl<const TURNS: u64> Default for SpinLock<TURNS> {
    fn default() -> Self {
        Self::NEW
    }
}

impl<L: Lock> Default for ThreadCached<L> {
    fn default() -> Self {
        Self::NEW
    }
}

#[cfg(all(single_thread, not(target_feature = "atomics")))]
impl Default for SingleThread {
    fn default() -> Self {
        Self::NEW
    }
}

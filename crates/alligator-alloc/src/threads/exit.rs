//! How a thread ends: what it keeps goes home, and its heap to the next thread.
//!
//! On WASI, the C library calls this for its threads, and so for std's. Elsewhere there is no destructor that one could
//! rely on: a page's thread says that it ends; if it was stopped from outside, another does it for it.

use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use super::growth::GROWTHS;
use super::local;
use super::thread_heap::ThreadHeap;
use crate::global::AlligatorAlloc;
use crate::lock::Lock;
use crate::policy::Policy;
use crate::source::Source;

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Gives back all that the calling thread keeps of the heap: its last word before it ends. If it does something with
    /// the heap after that, it is as a new thread. *Time:* constant but for what it owes; waits for the lock.
    pub fn thread_exit(&self) {
        if !Self::HAS_THREAD_HEAPS {
            return;
        }
        if let Some(thread) = self.mine() {
            local::set(0);
            // SAFETY: it is this allocator's, and nobody uses it any more.
            unsafe { Self::end(thread, thread.id()) };
        }
    }

    /// Gives back all that `thread` keeps, if it has the id `id`: false if not.
    ///
    /// # Safety
    ///
    /// It is of an allocator of this type, which is a static, and no thread uses it any more.
    pub(super) unsafe fn end(thread: &'static ThreadHeap, id: usize) -> bool {
        if !thread.resign(id) {
            return false;
        }
        // SAFETY: the caller's duty.
        let owner = unsafe { &*ptr::with_exposed_provenance::<Self>(thread.owner()) };
        if let Some(region) = thread.region() {
            thread.set_region(None);
            region.abandon();
        }
        owner.give_back_all(Some(thread));
        owner.sweep();
        owner.with(|_| {
            thread
                .next_idle
                .set(owner.threads.idle.replace(thread.address()));
        });
        true
    }
}

/// The calling thread's heap, if it has one.
fn current() -> Option<&'static ThreadHeap> {
    let address = local::get();
    // SAFETY: only a thread heap's address is ever put there.
    (address != 0).then(|| unsafe { ThreadHeap::at(address) })
}

/// What the C library calls when a thread ends that has the thread heap `thread`.
#[cfg(any(target_os = "wasi", target_os = "linux"))]
pub(super) extern "C" fn at_end(thread: *mut core::ffi::c_void) {
    if thread.addr() == local::get() {
        alligator_thread_exit();
    }
}

/// The number by which another thread can say that this one has ended: see [`alligator_thread_gone`]. Zero if the thread
/// keeps nothing. *Time:* constant.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn alligator_thread_id() -> usize {
    current().map_or(0, ThreadHeap::id)
}

/// [`AlligatorAlloc::thread_exit`], for JavaScript: the thread's last call before it ends.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn alligator_thread_exit() {
    if let Some(thread) = current() {
        local::set(0);
        // SAFETY: `end` is its allocator's own, and the thread that used it does no more.
        unsafe { thread.end(thread.id()) };
    }
}

/// Gives back all that a thread keeps which was stopped from outside, and whose [`alligator_thread_id`] was `id`: call it
/// when that thread surely runs no more. False if no thread has that number. *Time:* that of
/// [`AlligatorAlloc::thread_exit`].
///
/// # Safety
///
/// The thread executes no more code of this module.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
#[allow(
    clippy::must_use_candidate,
    reason = "a thread that has ended itself may be told of in vain"
)]
pub unsafe extern "C" fn alligator_thread_gone(id: usize) -> bool {
    // SAFETY: the caller's duty.
    ThreadHeap::of_id(id).is_some_and(|thread| unsafe { thread.end(id) })
}

/// How often heaps that threads share have made the memory grow: another number than last time says that views of the
/// memory are too short. *Time:* constant.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn alligator_growths() -> usize {
    GROWTHS.load(Relaxed)
}

//! Which threads are between `lock` and `unlock`, also those that wait.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many threads can be remembered. Of more at once, the others are not checked.
const THREADS_MAX: usize = 16;

/// The threads, zero for none. A thread finds here what it has written itself, so no order with others is needed.
#[derive(Debug)]
pub(crate) struct Inside([AtomicUsize; THREADS_MAX]);

impl Inside {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each lock gets one of its own"
    )]
    pub(crate) const NEW: Self = Self([const { AtomicUsize::new(0) }; THREADS_MAX]);

    /// The calling thread comes in. Ends the process if it is in already.
    pub(crate) fn enter(&self) {
        let me = this_thread();
        if self.0.iter().any(|place| place.load(Relaxed) == me) {
            stop();
        }
        let take = |place: &AtomicUsize| place.compare_exchange(0, me, Relaxed, Relaxed);
        let _is_remembered = self.0.iter().any(|place| take(place).is_ok());
    }

    /// The calling thread goes out.
    pub(crate) fn leave(&self) {
        let me = this_thread();
        if let Some(place) = self.0.iter().find(|place| place.load(Relaxed) == me) {
            place.store(0, Relaxed);
        }
    }
}

/// No panic leaves this: it ends the process. The message is a constant, so that printing it asks for no memory, which
/// may be this heap's.
#[cold]
#[inline(never)]
extern "C" fn stop() -> ! {
    panic!(
        "alligator-alloc: a heap was called by a thread that is in it already: \
         its Source or its Lock uses the heap that calls it, or a signal's handler does"
    );
}

/// A number that no other living thread has: where its `errno` is, or what the system calls it. Not zero.
#[cfg(not(windows))]
fn this_thread() -> usize {
    unsafe extern "C" {
        #[cfg_attr(target_os = "linux", link_name = "__errno_location")]
        #[cfg_attr(
            any(target_vendor = "apple", target_os = "freebsd"),
            link_name = "__error"
        )]
        #[cfg_attr(
            any(target_os = "android", target_os = "netbsd", target_os = "openbsd"),
            link_name = "__errno"
        )]
        safe fn errno() -> *const core::ffi::c_int;
    }
    errno().addr()
}

/// A number that no other living thread has. Not zero.
#[cfg(windows)]
fn this_thread() -> usize {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        safe fn GetCurrentThreadId() -> u32;
    }
    GetCurrentThreadId() as usize
}

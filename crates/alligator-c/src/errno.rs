//! C's `errno`, where there is a C library.

use core::ffi::c_int;

/// An error that a function here can report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    /// An argument that the function does not take.
    #[cfg_attr(
        not(feature = "malloc"),
        expect(dead_code, reason = "no function of scopes refuses an argument")
    )]
    Invalid,
    /// No memory.
    NoMemory,
}

impl Error {
    /// Its number in the target's C library: `EINVAL` or `ENOMEM`.
    pub(crate) const fn number(self) -> c_int {
        let wasm = cfg!(target_family = "wasm");
        match self {
            Self::Invalid if wasm => 28,
            Self::NoMemory if wasm => 48,
            Self::Invalid => 22,
            Self::NoMemory => 12,
        }
    }
}

/// Sets `errno`, if there is one.
#[cold]
#[inline(never)]
pub(crate) fn set(error: Error) {
    let number = error.number();
    #[cfg(all(target_os = "wasi", any(single_thread, target_feature = "atomics")))]
    {
        unsafe extern "C" {
            /// The C library's. Without threads it is a plain variable. With threads, only a nightly compiler can say
            /// that each has its own.
            #[cfg_attr(target_feature = "atomics", thread_local)]
            static mut errno: c_int;
        }
        // SAFETY: nobody else writes to this thread's `errno` now.
        unsafe { errno = number };
    }
    #[cfg(any(
        target_os = "linux",
        target_os = "emscripten",
        all(
            target_os = "wasi",
            not(any(single_thread, target_feature = "atomics"))
        )
    ))]
    {
        unsafe extern "C" {
            fn __errno_location() -> *mut c_int;
        }
        // SAFETY: the C library's function has no conditions.
        let location = unsafe { __errno_location() };
        // SAFETY: it is this thread's `errno`.
        unsafe { *location = number };
    }
    #[cfg(not(any(target_os = "wasi", target_os = "linux", target_os = "emscripten")))]
    let _ = number;
}

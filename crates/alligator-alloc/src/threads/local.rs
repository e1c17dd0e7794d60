//! The port: one word for each thread. It is zero until the thread sets it.

use core::cell::Cell;

#[cfg(nightly)]
mod word {
    use core::cell::Cell;

    #[thread_local]
    static WORD: Cell<usize> = Cell::new(0);

    #[inline(always)]
    pub(super) fn with<R>(action: impl FnOnce(&Cell<usize>) -> R, _otherwise: R) -> R {
        action(&WORD)
    }
}

#[cfg(not(nightly))]
mod word {
    extern crate std;

    use core::cell::Cell;

    // Constant and without a destructor, so this is the word and nothing else: no memory is asked for.
    std::thread_local! {
        static WORD: Cell<usize> = const { Cell::new(0) };
    }

    #[inline(always)]
    pub(super) fn with<R>(action: impl FnOnce(&Cell<usize>) -> R, otherwise: R) -> R {
        WORD.try_with(action).unwrap_or(otherwise) // It is always there; so no panic gets into the module.
    }
}

/// No thread's memory for its own words lies below this address.
const ADDRESS_MIN: usize = 1024;

/// The thread's word.
#[inline(always)]
pub(super) fn get() -> usize {
    word::with(Cell::get, 0)
}

/// Sets the thread's word.
#[inline(always)]
pub(super) fn set(value: usize) {
    word::with(|word| word.set(value), ());
}

/// Whether the thread has a word of its own: not if it was started without `__wasm_init_tls`. Then its words are where
/// others' are, too, near address zero; it reads zero there, as long as nobody writes.
pub(super) fn is_there() -> bool {
    word::with(
        |word| core::ptr::from_ref(word).addr() >= ADDRESS_MIN,
        false,
    )
}

/// Makes the C library call `end` with `thread` when the calling thread ends, if it is one of the C library's.
#[cfg(any(target_os = "wasi", target_os = "linux"))]
pub(super) fn at_end(thread: usize, end: extern "C" fn(*mut core::ffi::c_void)) {
    use core::ffi::{c_int, c_uint, c_void};
    use core::ptr;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    unsafe extern "C" {
        fn pthread_key_create(key: *mut c_uint, end: extern "C" fn(*mut c_void)) -> c_int;
        fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int;
    }

    /// The key, and one more; zero before there is one.
    static KEY: AtomicU32 = AtomicU32::new(0);

    if !is_of_c_library() {
        return;
    }
    let mut key = KEY.load(Relaxed);
    if key == 0 {
        let mut new = 0;
        // SAFETY: it writes the key there.
        if unsafe { pthread_key_create(&raw mut new, end) } != 0 {
            return;
        }
        // Where two threads make one, both are good: each calls `end`.
        key = KEY
            .compare_exchange(0, new + 1, Relaxed, Relaxed)
            .map_or_else(|first| first, |_| new + 1);
    }
    // SAFETY: there is such a key. If the C library has no room, the thread says itself that it ends.
    unsafe { pthread_setspecific(key - 1, ptr::with_exposed_provenance(thread)) };
}

/// Whether the C library has started the calling thread, or knows it as the first. Another host's threads have a record
/// there that nobody has filled in, and no room for what threads keep.
#[cfg(target_os = "wasi")]
fn is_of_c_library() -> bool {
    unsafe extern "C" {
        safe fn pthread_self() -> *const usize;
    }
    let record = pthread_self();
    // SAFETY: the record is a static of the thread, whose first word is its own address once it is filled in.
    !record.is_null() && unsafe { *record } == record.addr()
}

#[cfg(target_os = "linux")]
fn is_of_c_library() -> bool {
    true
}

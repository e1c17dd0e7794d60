//! Functions that a program gives to be called, and how they are called inside an allocator.

use core::marker::PhantomData;
use core::mem;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// A function pointer of type `F`, or none yet.
pub(crate) struct Hook<F> {
    /// Null or an `F`: `set` alone writes it.
    function: AtomicPtr<()>,
    kind: PhantomData<F>,
}

impl<F: Copy> Hook<F> {
    pub(crate) const fn new() -> Self {
        const { assert!(size_of::<F>() == size_of::<*mut ()>()) }
        Self {
            function: AtomicPtr::new(core::ptr::null_mut()),
            kind: PhantomData,
        }
    }

    /// # Safety
    ///
    /// `F` is the type of a function pointer.
    pub(crate) unsafe fn set(&self, function: F) {
        // SAFETY: both have the same size, and a function's address is never null.
        let pointer = unsafe { mem::transmute_copy::<F, *mut ()>(&function) };
        self.function.store(pointer, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> Option<F> {
        let pointer = self.function.load(Relaxed);
        // SAFETY: it is not null, so `set` wrote it, from an `F`.
        (!pointer.is_null()).then(|| unsafe { mem::transmute_copy::<*mut (), F>(&pointer) })
    }
}

impl<F> core::fmt::Debug for Hook<F> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Hook")
    }
}

/// Does `action`. If it unwinds, the process ends: an allocator's caller does not expect it.
pub(crate) fn without_unwinding<R>(action: impl FnOnce() -> R) -> R {
    /// Dropped by who unwinds only, where a second panic ends the process.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            panic!("what an allocator calls must not panic");
        }
    }
    let end = End;
    let result = action();
    mem::forget(end);
    result
}

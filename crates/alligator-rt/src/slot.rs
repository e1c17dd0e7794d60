//! A value that several threads may write and read, without waiting for each other.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// The last value that was put here. Where two threads meet, one of them goes on without having written or read.
pub(crate) struct Slot<T> {
    is_busy: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is only reached by who has set the flag.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T: Copy> Slot<T> {
    pub(crate) const fn new() -> Self {
        Self {
            is_busy: AtomicBool::new(false),
            value: UnsafeCell::new(None),
        }
    }

    /// Puts a value here; not if another thread is at it. *Time:* constant.
    pub(crate) fn put(&self, value: Option<T>) {
        self.with(|place| *place = value);
    }

    /// The last value; none if another thread is at it. *Time:* constant.
    pub(crate) fn get(&self) -> Option<T> {
        self.with(|place| *place).flatten()
    }

    /// Takes the last value away. *Time:* constant.
    pub(crate) fn take(&self) -> Option<T> {
        self.with(Option::take).flatten()
    }

    #[inline(always)]
    fn with<R>(&self, action: impl FnOnce(&mut Option<T>) -> R) -> Option<R> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was open, and is ours until the store below; `action` does not come back here.
        let result = action(unsafe { &mut *self.value.get() });
        self.is_busy.store(false, Ordering::Release);
        Some(result)
    }
}

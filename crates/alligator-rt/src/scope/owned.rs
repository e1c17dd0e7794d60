//! A value in a scope that is dropped.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr;

/// A value in a scope, dropped when this is; its memory stays the scope's.
pub struct Owned<'s, T>(&'s mut T);

impl<'s, T> Owned<'s, T> {
    /// # Safety
    ///
    /// Nobody looks at `value` afterwards, and nobody else drops it.
    pub(super) unsafe fn new(value: &'s mut T) -> Self {
        Self(value)
    }

    /// The value itself, which leaves the scope.
    pub fn into_inner(self) -> T {
        let place = core::mem::ManuallyDrop::new(self);
        // SAFETY: it is not dropped here any more, and nobody else reads it.
        unsafe { ptr::read(&raw const *place.0) }
    }
}

impl<T> Deref for Owned<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T> DerefMut for Owned<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0
    }
}

impl<T> Drop for Owned<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the value is ours alone, and this is the only time.
        unsafe { ptr::drop_in_place(self.0) };
    }
}

impl<T: fmt::Debug> fmt::Debug for Owned<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

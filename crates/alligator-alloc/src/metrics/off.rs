//! The recorder of a heap that counts nothing. It has no size, and its calls compile to nothing.

use core::alloc::Layout;
use core::ptr::NonNull;

/// Remembers nothing.
#[derive(Debug)]
pub(crate) struct Recorder;

#[expect(clippy::unused_self, reason = "the other recorder remembers")]
impl Recorder {
    pub(crate) const NEW: Self = Self;

    #[inline(always)]
    pub(crate) fn allocated(&self, _layout: Layout, _address: usize) {}

    #[inline(always)]
    pub(crate) fn freed(&self, _layout: Layout) {}

    #[inline(always)]
    pub(crate) fn reallocated(
        &self,
        _old_layout: Layout,
        _new_layout: Layout,
        _old: NonNull<u8>,
        _new: Option<NonNull<u8>>,
    ) {
    }

    #[inline(always)]
    pub(crate) fn reserved(&self, _bytes: usize, _done: bool) {}

    #[inline(always)]
    pub(crate) fn grown(&self, _pages: usize) {}

    #[inline(always)]
    pub(crate) fn refused(&self, _pages: usize, _end: usize) {}

    #[inline(always)]
    pub(crate) fn taken_in(&self, _bytes: usize) {}
}

//! Guards before the calls of who knows a block by its address alone: C. A free is never put off here, since the list of
//! those that wait has their layouts.

use core::alloc::Layout;
use core::ptr::NonNull;

use alligator_alloc::{AlligatorAlloc, Lock, Policy, Source};

use super::{AT_ALLOC, AT_REALLOC, Guarded, is_refused};
use crate::event::{Kind, deliver_growth, happened, of_block};
use crate::word;

/// Blocks by address, and what C asks besides: see the methods of the same names of [`AlligatorAlloc`].
impl<S: Source, L: Lock, P: Policy> Guarded<AlligatorAlloc<S, L, P>> {
    /// A new block that is given back by its address. *Time:* constant, growth apart.
    #[inline]
    pub fn allocate_by_address(&self, layout: Layout) -> Option<NonNull<u8>> {
        if word::get() & AT_ALLOC != 0 {
            return self.allocate_looked_at(layout);
        }
        self.inner.allocate_by_address(layout)
    }

    /// How many bytes the block at `pointer` has. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since.
    #[inline]
    pub unsafe fn usable_size(&self, pointer: NonNull<u8>) -> usize {
        // SAFETY: the caller's duty.
        unsafe { self.inner.usable_size(pointer) }
    }

    /// Gives back the block at `pointer`, whatever the guard says of [`FREE`](crate::Guard::FREE). *Time:* constant.
    ///
    /// # Safety
    ///
    /// As for [`usable_size`](Self::usable_size).
    #[inline]
    pub unsafe fn deallocate_by_address(&self, pointer: NonNull<u8>) {
        if word::get() & Kind::Free.looked_at() != 0 {
            // SAFETY: the caller's duty.
            unsafe { self.free_looked_at(pointer) };
        }
        // SAFETY: the caller's duty.
        unsafe { self.inner.deallocate_by_address(pointer) };
    }

    /// Resizes the block at `pointer`. *Time:* constant, growth and the copy of a block that moves apart.
    ///
    /// # Safety
    ///
    /// As for [`usable_size`](Self::usable_size); the layout is not empty.
    #[inline]
    pub unsafe fn reallocate_by_address(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if word::get() & AT_REALLOC != 0 {
            // SAFETY: the caller's duty.
            return unsafe { self.reallocate_looked_at(pointer, layout) };
        }
        // SAFETY: the caller's duty.
        unsafe { self.inner.reallocate_by_address(pointer, layout) }
    }

    /// Takes in memory ahead of time; a hook is told of growth afterwards. *Time:* the host's.
    pub fn reserve(&self, bytes: usize) -> bool {
        let is_there = self.inner.reserve(bytes);
        deliver_growth();
        is_there
    }

    #[cold]
    #[inline(never)]
    fn allocate_looked_at(&self, layout: Layout) -> Option<NonNull<u8>> {
        if is_refused(Kind::Alloc, layout.size(), layout.align()) {
            return None;
        }
        let block = self.inner.allocate_by_address(layout);
        deliver_growth();
        block
    }

    /// Says that the block at `pointer` is given back, with all bytes that it has.
    #[cold]
    #[inline(never)]
    unsafe fn free_looked_at(&self, pointer: NonNull<u8>) {
        // SAFETY: the caller's duty.
        let size = unsafe { self.inner.usable_size(pointer) };
        happened(word::get(), of_block(Kind::Free, size, 1));
    }

    #[cold]
    #[inline(never)]
    unsafe fn reallocate_looked_at(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if is_refused(Kind::Realloc, layout.size(), layout.align()) {
            return None;
        }
        // SAFETY: the caller's duty.
        let old_size = unsafe { self.inner.usable_size(pointer) };
        // SAFETY: the caller's duty.
        let block = unsafe { self.inner.reallocate_by_address(pointer, layout) };
        if block.is_some_and(|block| block != pointer) {
            self.note_move(old_size.min(layout.size()), layout.size(), layout.align());
        }
        deliver_growth();
        block
    }
}

//! The heap as a value: what users call on a [`Heap`], the default one, a hardened or a small one. No logic of its
//! own: each calls what the heap that is compiled does for it.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::heap::Heap;
use crate::policy::Policy;
use crate::source::{Source, pages_until};

impl<S: Source, P: Policy> Heap<S, P> {
    /// Does `action`, in which the memory may grow, and says so to the source.
    #[inline(always)]
    fn telling<R>(&mut self, action: impl FnOnce(&mut Self) -> R) -> R {
        self.used_as_value();
        let end = self.source().end();
        let result = action(self);
        let new_end = self.source().end();
        if S::IS_TOLD && new_end != end {
            S::after_growth(pages_until(new_end));
        }
        result
    }

    /// The first of `layout.size()` bytes at a multiple of `layout.align()`, or `None` when no free run is
    /// long enough and the source refuses to grow. A size of zero gets the smallest slot.
    ///
    /// *Time:* constant, the source's growth apart.
    #[must_use = "only this pointer can give the block back"]
    #[inline(always)]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = at_least_one_byte(layout);
        NonNull::new(self.telling(|heap| heap.allocate_nonzero(layout)))
    }

    /// Gives back the block at `pointer`. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` for the same `layout` and it has not been given back since.
    #[inline(always)]
    pub unsafe fn deallocate(&mut self, pointer: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.deallocate_nonzero(pointer, at_least_one_byte(layout)) };
    }

    /// Makes the block at `pointer` hold `new_size` bytes at the same alignment, where it is if that can be,
    /// elsewhere if not, and keeps as many of its first bytes as both sizes have. `None` if there is no
    /// room, and then the block is as it was. With the feature `small` a block stays where it is only if it takes as
    /// many bytes then as now.
    ///
    /// *Time:* constant, the copy of a block that moves and the source's growth apart.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` for the same `layout` and it has not been given back since; `new_size`
    /// rounded up to `layout.align()` does not exceed `isize::MAX`.
    #[must_use = "the block may have moved"]
    #[inline]
    pub unsafe fn reallocate(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let layout = at_least_one_byte(layout);
        let new_size = new_size.max(1);
        // SAFETY: the caller's duty.
        self.telling(|heap| unsafe { heap.reallocate_nonzero(pointer, layout, new_size) })
    }

    /// As [`allocate`](Self::allocate), with all bytes zero. Memory that is still as the host gave it is not
    /// touched, but by a small heap. *Time:* linear in the bytes that are filled.
    #[must_use = "only this pointer can give the block back"]
    #[inline]
    pub fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = at_least_one_byte(layout);
        self.telling(|heap| heap.allocate_zeroed_nonzero(layout))
    }

    /// Takes in memory until one block of `bytes`, or smaller ones that fill it, can be allocated without
    /// growing; also if the source does not grow on demand. False if the source gives too little.
    /// *Time:* the source's.
    #[must_use = "false says that the memory is not there"]
    pub fn reserve(&mut self, bytes: usize) -> bool {
        self.telling(|heap| heap.reserve_bytes(bytes))
    }

    /// Gives back what size classes keep for their next requests, so that it can become part of longer free blocks: of as
    /// many as `classes` says, of 24 in all, the next ones with each call. A request that finds no room does so for all;
    /// this does some of it ahead of time, where there is time. True if all have had their turn, and the first is the
    /// next. A small heap keeps nothing.
    ///
    /// *Time:* constant for each class; for all of them less than what `alligator bound` says of calls that gather.
    pub fn trim(&mut self, classes: usize) -> bool {
        self.used_as_value();
        self.trim_classes(classes)
    }

    /// The bytes from the start of the heap to its end: blocks, free memory, the heap's records, and whatever others have
    /// between. *Time:* constant.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes_in_all()
    }

    /// The bytes of a block, aligned to 1,024 at most, that the next request is sure to get without growth. There may be
    /// room for one that is up to a quarter longer; and for more after [`trim`](Self::trim). *Time:* constant.
    ///
    /// How many bytes are free altogether no heap knows: to count them would lengthen each operation.
    #[must_use]
    pub fn largest_free(&self) -> usize {
        self.bytes_of_largest_free()
    }
}

/// Blocks by address. Any block of this heap will do, whoever allocated it and with what layout.
impl<S: Source, P: Policy> Heap<S, P> {
    /// [`allocate`](Self::allocate) for a block that is given back by its address, where its layout is not
    /// known: the metrics count the bytes that the block takes, not those asked for. A size of zero gets the
    /// smallest slot.
    ///
    /// *Time:* constant, the source's growth apart.
    #[must_use = "only this pointer can give the block back"]
    #[inline(always)]
    pub fn allocate_by_address(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match self.allocate_unsized_at_hand(layout) {
            Ok(block) => Some(block),
            Err(wanted) => self.telling(|heap| heap.allocate_unsized_wanted(wanted, layout)),
        }
    }

    /// How many bytes the block at `pointer` has: those asked for, or more. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since.
    #[must_use]
    #[inline(always)]
    pub unsafe fn usable_size(&self, pointer: NonNull<u8>) -> usize {
        // SAFETY: the caller's duty.
        unsafe { self.bytes_of_block(pointer) }
    }

    /// Gives back the block at `pointer`. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since.
    #[inline(always)]
    pub unsafe fn deallocate_by_address(&mut self, pointer: NonNull<u8>) {
        // SAFETY: the caller's duty.
        unsafe { self.deallocate_unsized(pointer) };
    }

    /// Makes the block at `pointer` hold `layout.size()` bytes, where it is if that can be, elsewhere if not,
    /// and keeps as many of its first bytes as both sizes have. A block that moves has `layout.align()`; one
    /// that stays has the alignment it had. `None` if there is no room, and then the block is as it was.
    ///
    /// *Time:* constant, the copy of a block that moves and the source's growth apart.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` with at least `layout.align()`, and it has not been given back since; the
    /// size is not zero, nor the alignment above a granule.
    #[must_use = "the block may have moved"]
    #[inline]
    pub unsafe fn reallocate_by_address(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        self.telling(|heap| unsafe { heap.reallocate_unsized(pointer, layout) })
    }
}

/// `layout` with a size of zero made one: a heap's blocks are all different.
#[inline(always)]
pub(crate) fn at_least_one_byte(layout: Layout) -> Layout {
    // SAFETY: one byte, rounded up to any alignment, does not overflow.
    unsafe { Layout::from_size_align_unchecked(layout.size().max(1), layout.align()) }
}

impl<S: Source + Default, P: Policy> Default for Heap<S, P> {
    fn default() -> Self {
        Self::with_policy(S::default())
    }
}

//! `Allocator` of the crate allocator-api2 (feature `allocator-api2`): collections whose memory is one heap's.
//! No logic of its own.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};

use crate::global::{AlligatorAlloc, Held};
use crate::lock::Lock;
use crate::policy::Policy;
use crate::source::Source;
use crate::value::at_least_one_byte;

/// The bytes of `layout` at `block`.
fn block_of(block: Option<NonNull<u8>>, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    block
        .map(|first| NonNull::slice_from_raw_parts(first, layout.size()))
        .ok_or(AllocError)
}

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Does `action`, in which the memory may grow. By these methods the heap need not be the global allocator.
    fn with_value<R>(&self, action: impl FnOnce(Held<'_, S, P>) -> R) -> R {
        self.with_growth(|heap| {
            heap.used_as_value();
            action(heap)
        })
    }

    /// Makes the block at `pointer` one of `new`, whose alignment may be another.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` for `old`, and it has not been given back.
    unsafe fn change(
        &self,
        pointer: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() == new.align() {
            // SAFETY: the caller's duty; a layout's size, rounded up to its alignment, does not overflow.
            let block = self.with_value(|heap| unsafe {
                heap.reallocate_nonzero(pointer, at_least_one_byte(old), new.size().max(1))
            });
            return block_of(block, new);
        }
        let block = self.allocate(new).map(NonNull::cast).ok();
        if let Some(first) = block {
            let bytes = old.size().min(new.size());
            // SAFETY: both blocks have that many bytes and are apart, since both are in use.
            unsafe { first.copy_from_nonoverlapping(pointer, bytes) };
            // SAFETY: the caller's duty; nobody needs the old block any more.
            self.with(|heap| unsafe {
                heap.deallocate_nonzero(pointer, at_least_one_byte(old));
            });
        }
        block_of(block, new)
    }
}

// SAFETY: a block stays where it is and its own until it is given back, wherever the allocator is and whoever
// refers to it: the memory is the source's, which is there as long as any such reference. All of them lead to one heap.
unsafe impl<S: Source, L: Lock, P: Policy> Allocator for &AlligatorAlloc<S, L, P> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let nonzero = at_least_one_byte(layout);
        let block = self.with_value(|heap| heap.allocate_nonzero(nonzero));
        block_of(NonNull::new(block), layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let nonzero = at_least_one_byte(layout);
        let block = self.with_value(|heap| heap.allocate_zeroed_nonzero(nonzero));
        block_of(block, layout)
    }

    unsafe fn deallocate(&self, pointer: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duty. Blocks have exactly the size asked, so `layout` is the one they had.
        self.with(|heap| unsafe {
            heap.deallocate_nonzero(pointer, at_least_one_byte(layout));
        });
    }

    unsafe fn grow(
        &self,
        pointer: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.change(pointer, old, new) }
    }

    unsafe fn grow_zeroed(
        &self,
        pointer: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        let block = unsafe { self.change(pointer, old, new) }?;
        // SAFETY: the block has `new.size()` bytes, at least `old.size()`: the caller's duty.
        let added = unsafe { block.cast::<u8>().add(old.size()) };
        // SAFETY: so many bytes follow, and nobody has seen them yet.
        unsafe { added.write_bytes(0, new.size() - old.size()) };
        Ok(block)
    }

    unsafe fn shrink(
        &self,
        pointer: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.change(pointer, old, new) }
    }
}

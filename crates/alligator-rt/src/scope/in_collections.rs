//! Scopes as allocators of collections (feature `allocator-api2`), and heaps that only collections know as heaps of
//! scopes. No logic of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};

use super::region::Region;
use super::{Level, Scope, or_null};

/// An [`Allocator`] as a heap for scopes: `Scope::new(&InCollections(&heap))`.
#[derive(Clone, Copy, Debug, Default)]
pub struct InCollections<A>(pub A);

// SAFETY: what the trait promises of its blocks is as much as is asked here, as long as nothing unwinds: nothing does
// where memory is allocated.
unsafe impl<A: Allocator> GlobalAlloc for InCollections<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        or_null(self.0.allocate(layout).ok().map(NonNull::cast))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        // SAFETY: the caller's duty.
        unsafe { self.0.deallocate(block, layout) };
    }
}

fn allocate<A: GlobalAlloc + ?Sized>(
    region: &Region,
    heap: &A,
    layout: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    block_of(region.allocate(heap, layout), layout)
}

/// # Safety
///
/// As for [`Region::resize`].
unsafe fn resize<A: GlobalAlloc + ?Sized>(
    region: &Region,
    heap: &A,
    pointer: NonNull<u8>,
    layouts: [Layout; 2],
) -> Result<NonNull<[u8]>, AllocError> {
    let [old, new] = layouts;
    // SAFETY: the caller's duty.
    block_of(unsafe { region.resize(heap, pointer, old, new) }, new)
}

fn block_of(block: Option<NonNull<u8>>, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    let block = block.ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size()))
}

macro_rules! allocator {
    () => {
        #[inline]
        fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            allocate(&self.region, self.heap, layout)
        }

        #[inline]
        unsafe fn deallocate(&self, pointer: NonNull<u8>, layout: Layout) {
            self.region.deallocate(pointer, layout.size());
        }

        #[inline]
        unsafe fn grow(
            &self,
            pointer: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's duty.
            unsafe { resize(&self.region, self.heap, pointer, [old, new]) }
        }

        #[inline]
        unsafe fn grow_zeroed(
            &self,
            pointer: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's duty.
            let block = unsafe { resize(&self.region, self.heap, pointer, [old, new]) }?;
            // SAFETY: the block has `new.size()` bytes, at least as many as before: the caller's duty.
            let added = unsafe { block.cast::<u8>().add(old.size()) };
            // SAFETY: so many bytes follow, and nobody has seen them yet.
            unsafe { added.write_bytes(0, new.size() - old.size()) };
            Ok(block)
        }

        #[inline]
        unsafe fn shrink(
            &self,
            pointer: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's duty.
            unsafe { resize(&self.region, self.heap, pointer, [old, new]) }
        }
    };
}

// SAFETY: a block stays where it is until the scope takes all back, for which it must not be borrowed. References to a
// scope lead to the same one.
unsafe impl<A: GlobalAlloc + ?Sized> Allocator for &Scope<'_, A> {
    allocator!();
}

// SAFETY: as above; while a level is borrowed, it is not rewound.
unsafe impl<A: GlobalAlloc + ?Sized> Allocator for &Level<'_, A> {
    allocator!();
}

//! What programs run on.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

/// A heap and the memory below it.
///
/// Addresses and sizes are in bytes, pages are of 64 KiB.
pub trait Subject {
    /// A block, or `None` if there is no room.
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// A block of zeros, or `None` if there is no room.
    fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// Gives a block back.
    ///
    /// # Safety
    ///
    /// The subject gave it for this layout, and it has not been given back since.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// Changes a block's size, and perhaps its place; `None` if there is no room, and then it is as it was.
    ///
    /// # Safety
    ///
    /// As for `deallocate`; the new size is not 0 and makes a layout.
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>>;

    /// Takes in memory ahead of time.
    fn reserve(&mut self, bytes: usize);

    /// Somebody else grows the memory.
    fn grow_by_somebody_else(&mut self, pages: usize);

    /// The memory may have so many pages more than it has, or what it could ever have if that is less.
    fn limit(&mut self, pages: usize);

    /// All the memory there can ever be.
    fn range(&self) -> Range<usize>;

    /// Looks at the whole heap.
    ///
    /// # Errors
    ///
    /// What is wrong inside.
    fn check(&self) -> Result<(), String>;

    /// Requires that nothing is in use when all blocks were given back, and that the heap has written to nobody
    /// else's memory.
    ///
    /// # Errors
    ///
    /// What is in use.
    fn require_empty(&self) -> Result<(), String>;
}

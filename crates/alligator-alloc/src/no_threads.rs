//! The feature `threads` where threads have nothing of their own: in a module with one thread, in a small heap, and where
//! a program cannot say which thread runs. So a program compiles with and without threads.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::global::AlligatorAlloc;
use crate::lock::Lock;
use crate::policy::Policy;
use crate::source::Source;

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Gives back all that the calling thread keeps of the heap: nothing here.
    pub fn thread_exit(&self) {}

    /// Takes `bytes` of the heap for the calling thread alone. Always false here.
    #[must_use = "false says that the memory is not there"]
    pub fn reserve_for_thread(&'static self, bytes: usize) -> bool {
        let _ = bytes;
        false
    }

    /// A heap of `bytes` as a value. Always `None` here.
    #[must_use]
    pub fn reserved_heap(&'static self, bytes: usize) -> Option<ReservedHeap> {
        let _ = bytes;
        None
    }
}

/// A heap of fixed size for one thread at a time. Here there is none.
#[derive(Debug)]
pub enum ReservedHeap {}

impl ReservedHeap {
    /// A block for `layout`.
    #[must_use = "only this pointer can give the block back"]
    pub fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let _ = layout;
        match *self {}
    }

    /// Gives a block back.
    ///
    /// # Safety
    ///
    /// A reserved heap gave `block` for `layout`, and it has not been given back since.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let _ = (block, layout);
        match *self {}
    }

    /// Makes a block hold `new_size` bytes.
    ///
    /// # Safety
    ///
    /// This heap gave `block` for `layout`, and it has not been given back since.
    #[must_use = "the block may have moved"]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let _ = (block, layout, new_size);
        match *self {}
    }

    /// The bytes of a block that the next request is sure to get.
    #[must_use]
    pub fn largest_free(&self) -> usize {
        match *self {}
    }
}

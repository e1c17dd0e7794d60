//! The one heap of the program, behind its lock.

use core::cell::UnsafeCell;

use alligator_alloc::{DefaultLock, Heap, Lock};

use crate::memory::Memory;

/// All that malloc and the others give out comes from here.
pub(crate) static HEAP: Shared = Shared {
    lock: DefaultLock::NEW,
    heap: UnsafeCell::new(Heap::new(Memory::NEW)),
};

/// A heap and its lock. All zero.
#[derive(Debug)]
pub(crate) struct Shared {
    lock: DefaultLock,
    heap: UnsafeCell<Heap<Memory>>,
}

// SAFETY: the heap is only reached through `with`, which holds the lock meanwhile.
unsafe impl Sync for Shared {}

impl Shared {
    /// Does `action` while nobody else uses the heap.
    #[inline(always)]
    pub(crate) fn with<R>(&self, action: impl FnOnce(&mut Heap<Memory>) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here: the
        // hook of `Memory` must not.
        let result = action(unsafe { &mut *self.heap.get() });
        self.lock.unlock();
        result
    }
}

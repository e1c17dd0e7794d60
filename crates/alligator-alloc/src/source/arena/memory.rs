//! The memory of an arena as a static that needs no unsafe code.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicBool;

use super::Arena;

/// `BYTES` bytes for one heap: a `static` for an [`Arena`], without `static mut`. It takes no bytes in the executable.
///
/// ```
/// use alligator_alloc::{AlligatorAlloc, Arena, ArenaMemory};
///
/// static MEMORY: ArenaMemory<{ 64 << 10 }> = ArenaMemory::new();
/// static HEAP: AlligatorAlloc<Arena> = AlligatorAlloc::with_source(MEMORY.arena());
/// assert!(HEAP.reserve(32 << 10));
/// ```
///
/// Of several arenas over one memory, the one whose heap asks first has it, for good; the others' requests get null. So
/// safe code cannot make two heaps share it.
pub struct ArenaMemory<const BYTES: usize> {
    bytes: UnsafeCell<[MaybeUninit<u8>; BYTES]>,
    is_taken: AtomicBool,
}

// SAFETY: the bytes are reached only by the one arena that has taken them.
unsafe impl<const BYTES: usize> Sync for ArenaMemory<BYTES> {}

impl<const BYTES: usize> ArenaMemory<BYTES> {
    /// Memory that nobody has taken.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: UnsafeCell::new([MaybeUninit::uninit(); BYTES]),
            is_taken: AtomicBool::new(false),
        }
    }

    /// An arena of this memory, if no other has taken it by the time its heap asks for it, which is at the heap's first
    /// request. *Time:* constant.
    #[must_use]
    pub const fn arena(&self) -> Arena<'_> {
        Arena {
            memory: self.bytes.get().cast(),
            bytes: BYTES,
            claim: Some(&self.is_taken),
            borrowed: PhantomData,
        }
    }
}

impl<const BYTES: usize> Default for ArenaMemory<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> fmt::Debug for ArenaMemory<BYTES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ArenaMemory")
            .field("bytes", &BYTES)
            .field("is_taken", &self.is_taken)
            .finish()
    }
}

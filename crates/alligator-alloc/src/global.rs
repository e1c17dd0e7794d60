//! The heap as a program's global allocator. No logic of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::heap::Heap;
use crate::lock::{DefaultLock, Lock};
use crate::source::Source;
#[cfg(target_family = "wasm")]
use crate::source::{Growth, OnDemand, WasmMemory};

/// A [`Heap`] behind a [`Lock`], for `#[global_allocator]`.
///
/// `S` says where memory comes from and when it may grow, `L` how threads take turns.
#[cfg(target_family = "wasm")]
pub struct AlligatorAlloc<S: Source = WasmMemory<OnDemand>, L: Lock = DefaultLock> {
    lock: L,
    heap: UnsafeCell<Heap<S>>,
}

/// A [`Heap`] behind a [`Lock`], for `#[global_allocator]`.
///
/// `S` says where memory comes from, `L` how threads take turns.
#[cfg(not(target_family = "wasm"))]
pub struct AlligatorAlloc<S: Source, L: Lock = DefaultLock> {
    lock: L,
    heap: UnsafeCell<Heap<S>>,
}

// SAFETY: the heap is only reached through `with`, which holds the lock meanwhile.
unsafe impl<S: Source + Send, L: Lock + Sync> Sync for AlligatorAlloc<S, L> {}

impl<S: Source, L: Lock> fmt::Debug for AlligatorAlloc<S, L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AlligatorAlloc")
            .finish_non_exhaustive()
    }
}

#[cfg(target_family = "wasm")]
impl<G: Growth, L: Lock> AlligatorAlloc<WasmMemory<G>, L> {
    /// The same as [`new`](Self::new).
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "it initialises a static"
    )]
    pub const INIT: Self = Self::new();

    /// A heap over the module's memory, with nothing yet. Meant for a `static`: all of it is zero.
    pub const fn new() -> Self {
        // SAFETY: see `Growth::USE_INITIAL_MEMORY`, whose user answers for it.
        Self::with_source(unsafe { WasmMemory::new() })
    }
}

#[cfg(target_family = "wasm")]
impl<G: Growth, L: Lock> Default for AlligatorAlloc<WasmMemory<G>, L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Source, L: Lock> AlligatorAlloc<S, L> {
    /// A heap over `source`, with nothing yet.
    pub const fn with_source(source: S) -> Self {
        Self {
            lock: L::NEW,
            heap: UnsafeCell::new(Heap::new(source)),
        }
    }

    /// Takes in memory ahead of time: see [`Heap::reserve`]. *Time:* the host's.
    pub fn reserve(&self, bytes: usize) -> bool {
        self.with(|heap| heap.reserve(bytes))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, action: impl FnOnce(&mut Heap<S>) -> R) -> R {
        self.lock.lock();
        let _unlock = Unlock(&self.lock);
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here.
        action(unsafe { &mut *self.heap.get() })
    }
}

/// Gives a lock back when it goes, also if a hardened heap has found a fault and panics.
struct Unlock<'a, L: Lock>(&'a L);

impl<L: Lock> Drop for Unlock<'_, L> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.unlock();
    }
}

fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

// SAFETY: `Heap` gives each block once until it is given back, of the size and alignment asked; it neither
// unwinds nor allocates elsewhere.
unsafe impl<S: Source, L: Lock> GlobalAlloc for AlligatorAlloc<S, L> {
    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.allocate_nonzero(layout))
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        // SAFETY: the caller's duty.
        self.with(|heap| unsafe { heap.deallocate_nonzero(block, layout) });
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        // SAFETY: the caller's duty.
        or_null(self.with(|heap| unsafe { heap.reallocate_nonzero(block, layout, new_size) }))
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        or_null(self.with(|heap| heap.allocate_zeroed(layout)))
    }
}

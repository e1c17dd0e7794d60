//! The heap as a program's global allocator. No logic of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::ptr::{self, NonNull};

use crate::heap::Heap;
use crate::lock::{Checked, DefaultLock, Lock};
use crate::policy::{DefaultPolicy, Policy};
use crate::source::{GlobalSource, Source, pages_until};
#[cfg(target_family = "wasm")]
use crate::source::{Growth, OnDemand, WasmMemory};
#[cfg(thread_caches)]
use crate::threads::Threads;

/// A [`Heap`] behind a [`Lock`], for `#[global_allocator]`.
///
/// `S` says where memory comes from and when it may grow, `L` how threads take turns.
#[cfg(target_family = "wasm")]
pub struct AlligatorAlloc<
    S: Source = WasmMemory<OnDemand>,
    L: Lock = DefaultLock,
    P: Policy = DefaultPolicy,
> {
    pub(crate) lock: Checked<L>,
    /// Whether the source is being told that the memory has grown. Read and written by who holds the lock.
    is_telling: Cell<bool>,
    #[cfg(thread_caches)]
    pub(crate) threads: Threads,
    heap: UnsafeCell<Heap<S, P>>,
}

/// A [`Heap`] behind a [`Lock`], for `#[global_allocator]`.
///
/// `S` says where memory comes from, `L` how threads take turns.
#[cfg(not(target_family = "wasm"))]
pub struct AlligatorAlloc<S: Source, L: Lock = DefaultLock, P: Policy = DefaultPolicy> {
    pub(crate) lock: Checked<L>,
    /// Whether the source is being told that the memory has grown. Read and written by who holds the lock.
    is_telling: Cell<bool>,
    #[cfg(thread_caches)]
    pub(crate) threads: Threads,
    heap: UnsafeCell<Heap<S, P>>,
}

/// The heap as who holds the lock has it. Others do nothing with it meanwhile ..
#[cfg(not(thread_caches))]
pub(crate) type Held<'a, S, P> = &'a mut Heap<S, P>;
/// .. but that a thread which asks the host for pages has a reference to the source.
#[cfg(thread_caches)]
pub(crate) type Held<'a, S, P> = &'a Heap<S, P>;

/// How often the source is told, at most, that the memory has grown, for one request.
const TELLS_MAX: usize = 8;

// SAFETY: the heap and the cell are only reached by who holds the lock.
unsafe impl<S: Source + Send, L: Lock + Sync, P: Policy> Sync for AlligatorAlloc<S, L, P> {}

impl<S: Source, L: Lock, P: Policy> fmt::Debug for AlligatorAlloc<S, L, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AlligatorAlloc")
            .finish_non_exhaustive()
    }
}

#[cfg(target_family = "wasm")]
impl<G: Growth, L: Lock, P: Policy> AlligatorAlloc<WasmMemory<G>, L, P> {
    /// A heap over the module's memory, with nothing yet. Meant for a `static`: all of it is zero.
    ///
    /// It may use the free part of the initial memory, unless somebody else does: see [`WasmMemory::new`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_source(WasmMemory::new())
    }

    /// [`new`](Self::new), with the free part of the initial memory in any case.
    ///
    /// # Safety
    ///
    /// As for [`WasmMemory::with_initial_memory`].
    #[must_use]
    pub const unsafe fn with_initial_memory() -> Self {
        // SAFETY: the caller's duty.
        Self::with_source(unsafe { WasmMemory::with_initial_memory() })
    }
}

impl<S: Source + Default, L: Lock, P: Policy> Default for AlligatorAlloc<S, L, P> {
    fn default() -> Self {
        Self::with_source(S::default())
    }
}

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// A heap over `source`, with nothing yet.
    #[must_use]
    pub const fn with_source(source: S) -> Self {
        Self {
            lock: Checked::NEW,
            is_telling: Cell::new(false),
            #[cfg(thread_caches)]
            threads: Threads::NEW,
            heap: UnsafeCell::new(Heap::with_policy(source)),
        }
    }

    /// Takes in memory ahead of time: see [`Heap::reserve`]. *Time:* the host's.
    #[must_use = "false says that the memory is not there"]
    pub fn reserve(&self, bytes: usize) -> bool {
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            self.with(|heap| heap.used_as_value());
            return self.reserve_apart(bytes);
        }
        self.with_growth(|heap| {
            heap.used_as_value();
            heap.reserve_bytes(bytes)
        })
    }

    /// Gives back what size classes keep for their next requests: see [`Heap::trim`]. *Time:* constant for each class.
    pub fn trim(&self, classes: usize) -> bool {
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            return self.trim_apart(classes);
        }
        self.with(|heap| {
            heap.used_as_value();
            heap.trim_classes(classes)
        })
    }

    /// The bytes from the start of the heap to its end: see [`Heap::heap_bytes`]. *Time:* constant.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.with(|heap| heap.heap_bytes())
    }

    /// The bytes of a block that the next request is sure to get without growth: see [`Heap::largest_free`].
    /// *Time:* constant.
    #[must_use]
    pub fn largest_free(&self) -> usize {
        self.with(|heap| heap.largest_free())
    }

    /// The heap.
    ///
    /// # Safety
    ///
    /// The lock is held until the reference is gone, and no heap operation comes back here.
    #[inline(always)]
    #[cfg_attr(
        not(thread_caches),
        allow(clippy::mut_from_ref, reason = "the lock is held")
    )]
    pub(crate) unsafe fn held(&self) -> Held<'_, S, P> {
        #[cfg(not(thread_caches))]
        // SAFETY: the caller's duty.
        return unsafe { &mut *self.heap.get() };
        #[cfg(thread_caches)]
        // SAFETY: the caller's duty.
        unsafe {
            &*self.heap.get()
        }
    }

    /// Does `action` while nobody else uses the heap. The memory does not grow.
    #[inline(always)]
    pub(crate) fn with<R>(&self, action: impl FnOnce(Held<'_, S, P>) -> R) -> R {
        let _turn = self.wait_for_turn(Entry::Value);
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here.
        action(unsafe { self.held() })
    }

    /// Does `action`, in which the memory may grow, while nobody else uses the heap; then tells the source if it has.
    #[inline(always)]
    pub(crate) fn with_growth<R>(&self, action: impl FnOnce(Held<'_, S, P>) -> R) -> R {
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            while !self.begin_growth() {} // It ends in `growing`.
        }
        let _turn = self.wait_for_turn(Entry::Value);
        self.growing(action)
    }

    /// [`with_growth`](Self::with_growth), where the lock is held.
    #[inline(always)]
    fn growing<R>(&self, action: impl FnOnce(Held<'_, S, P>) -> R) -> R {
        let end = self.memory_end();
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here.
        let result = action(unsafe { self.held() });
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            self.end_growth();
        }
        if S::IS_TOLD && self.memory_end() != end {
            self.tell();
        }
        result
    }

    /// Where the memory ends: elsewhere if it has grown. The lock is held.
    #[inline(always)]
    fn memory_end(&self) -> usize {
        // SAFETY: the lock is held, and nobody has a reference to the heap now.
        let heap = unsafe { self.held() };
        heap.source().end()
    }

    /// Tells the source that the memory has grown, with the lock given back meanwhile: what it does then may use the
    /// heap. Not if that is what has made the memory grow: then the source is told again when it has returned.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell(&self) {
        if self.is_telling.replace(true) {
            return;
        }
        for _ in 0..TELLS_MAX {
            let end = self.memory_end();
            // SAFETY: the lock is held, and no reference to the heap is left.
            unsafe { self.lock.unlock() };
            tell_without_unwinding::<S>(pages_until(end));
            self.lock.lock();
            if self.memory_end() == end {
                break;
            }
        }
        self.is_telling.set(false);
    }

    #[inline(always)]
    fn wait_for_turn(&self, entry: Entry) -> Turn<'_, Checked<L>> {
        self.lock.lock();
        // SAFETY: the lock is held, and nobody has a reference to the heap now.
        let heap = unsafe { self.held() };
        heap.never_unwinding(entry == Entry::Global);
        Turn(&self.lock)
    }
}

/// How a heap was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// By a method of `GlobalAlloc`, out of which nothing may unwind.
    Global,
    /// By another.
    Value,
}

/// Whoever is told must not unwind: a global allocator's caller does not expect it. This ends the program then.
#[inline]
extern "C" fn tell_without_unwinding<S: Source>(pages: usize) {
    S::after_growth(pages);
}

/// Gives a lock back when it goes, also if what is done meanwhile panics.
struct Turn<'a, L: Lock>(&'a L);

impl<L: Lock> Drop for Turn<'_, L> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: whoever made this had got the lock, which was given back meanwhile only to be got again.
        unsafe { self.0.unlock() };
    }
}

/// Blocks by address, for C: see the methods of the same names of [`Heap`].
impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// A new block that is given back by its address: see [`Heap::allocate_by_address`]. *Time:* constant, growth
    /// apart.
    #[must_use = "only this pointer can give the block back"]
    #[inline(always)]
    pub fn allocate_by_address(&self, layout: Layout) -> Option<NonNull<u8>> {
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            return match self.with(|heap| heap.allocate_unsized_at_hand(layout)) {
                Ok(block) => Some(block),
                Err(wanted) => {
                    self.with_growth(|heap| heap.allocate_unsized_wanted(wanted, layout))
                }
            };
        }
        let _turn = self.wait_for_turn(Entry::Value);
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here.
        let heap = unsafe { self.held() };
        match heap.allocate_unsized_at_hand(layout) {
            Ok(block) => Some(block),
            Err(wanted) => self.growing(|heap| {
                heap.used_as_value();
                heap.allocate_unsized_wanted(wanted, layout)
            }),
        }
    }

    /// How many bytes the block at `pointer` has: see [`Heap::usable_size`]. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since; not from what
    /// `reserve_for_thread` has taken for a thread, whose records are that thread's.
    #[must_use]
    #[inline(always)]
    pub unsafe fn usable_size(&self, pointer: NonNull<u8>) -> usize {
        // SAFETY: the caller's duty.
        self.with(|heap| unsafe { heap.bytes_of_block(pointer) })
    }

    /// Gives back the block at `pointer`: see [`Heap::deallocate_by_address`]. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since; not from what
    /// `reserve_for_thread` has taken for a thread, whose records are that thread's.
    #[inline(always)]
    pub unsafe fn deallocate_by_address(&self, pointer: NonNull<u8>) {
        // SAFETY: the caller's duty.
        self.with(|heap| unsafe { heap.deallocate_unsized(pointer) });
    }

    /// Resizes the block at `pointer`: see [`Heap::reallocate_by_address`]. *Time:* constant, growth and the copy of a
    /// block that moves apart.
    ///
    /// # Safety
    ///
    /// As there, and as for [`deallocate_by_address`](Self::deallocate_by_address).
    #[must_use = "the block may have moved"]
    #[inline(always)]
    pub unsafe fn reallocate_by_address(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        self.with_growth(|heap| unsafe { heap.reallocate_unsized(pointer, layout) })
    }
}

fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

// SAFETY: `Heap` gives each block once until it is given back, of the size and alignment asked; it neither
// unwinds nor allocates elsewhere.
unsafe impl<S: GlobalSource, L: Lock, P: Policy> GlobalAlloc for AlligatorAlloc<S, L, P> {
    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            return self.allocate_apart(layout);
        }
        let _turn = self.wait_for_turn(Entry::Global);
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here.
        let heap = unsafe { self.held() };
        match heap.allocate_at_hand(layout) {
            Ok(block) => block,
            Err(wanted) => self.growing(|heap| heap.allocate_wanted(wanted, layout)),
        }
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            // SAFETY: the caller's duty.
            return unsafe { self.deallocate_apart(block, layout) };
        }
        let _turn = self.wait_for_turn(Entry::Global);
        // SAFETY: the lock is held until the reference is gone, and no heap operation comes back here.
        let heap = unsafe { self.held() };
        // SAFETY: the caller's duty.
        unsafe { heap.deallocate_nonzero(block, layout) };
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller passes what `alloc` gave, which is not null.
        let block = unsafe { NonNull::new_unchecked(pointer) };
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            // SAFETY: the caller's duty.
            return unsafe { self.reallocate_apart(block, layout, new_size) };
        }
        let _turn = self.wait_for_turn(Entry::Global);
        // SAFETY: the caller's duty.
        or_null(self.growing(|heap| unsafe { heap.reallocate_nonzero(block, layout, new_size) }))
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        #[cfg(thread_caches)]
        if Self::HAS_THREAD_HEAPS {
            return self.allocate_zeroed_apart(layout);
        }
        let _turn = self.wait_for_turn(Entry::Global);
        or_null(self.growing(|heap| heap.allocate_zeroed_nonzero(layout)))
    }
}

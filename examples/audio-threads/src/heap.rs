//! The heap of all threads, and the audio thread's own.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::NonNull;

use alligator_alloc::{AlligatorAlloc, Lock, ReservedHeap, SpinLock, ThreadCached, WasmMemory};

/// Alligator's lock, which counts how often each thread comes to it. Only the test needs that: a program says
/// `static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();`.
pub struct Counted(SpinLock);

#[thread_local]
static VISITS: Cell<u32> = Cell::new(0);

/// How often the calling thread has come to the lock.
pub fn visits() -> u32 {
    VISITS.get()
}

// SAFETY: it is the lock inside.
unsafe impl Lock for Counted {
    const NEW: Self = Self(SpinLock::NEW);

    fn lock(&self) {
        VISITS.set(VISITS.get() + 1);
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        VISITS.set(VISITS.get() + 1);
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
    }
}

#[global_allocator]
pub static ALLOCATOR: AlligatorAlloc<WasmMemory, ThreadCached<Counted>> = AlligatorAlloc::new();

/// Samples in a block: of the audio thread's own heap, or in the build for comparison of the shared one.
pub struct Line {
    heap: &'static ReservedHeap,
    start: NonNull<f32>,
    length: usize,
}

impl Line {
    fn layout(length: usize) -> Option<Layout> {
        Layout::array::<f32>(length).ok()
    }

    /// Silence, or nothing if there is no room.
    pub fn new(heap: &'static ReservedHeap, length: usize) -> Option<Self> {
        let layout = Self::layout(length.max(1))?;
        let block = if cfg!(feature = "shared-heap") {
            // SAFETY: it is not zero bytes long.
            NonNull::new(unsafe { ALLOCATOR.alloc(layout) })?
        } else {
            heap.allocate(layout)?
        };
        let start = block.cast::<f32>();
        // SAFETY: the block is that long.
        unsafe { start.write_bytes(0, length) };
        Some(Self {
            heap,
            start,
            length,
        })
    }

    pub fn samples(&mut self) -> &mut [f32] {
        // SAFETY: `new` has written so many, and they are this one's.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    /// For another thread, which gives it back by [`free_elsewhere`].
    pub fn into_raw(self) -> *mut f32 {
        let start = self.start.as_ptr();
        core::mem::forget(self);
        start
    }

    /// One that no other thread has wanted.
    ///
    /// # Safety
    ///
    /// [`Line::into_raw`] gave `start`, of a line of this heap and length.
    pub unsafe fn from_raw(
        heap: &'static ReservedHeap,
        start: *mut f32,
        length: usize,
    ) -> Option<Self> {
        let start = NonNull::new(start)?;
        Some(Self {
            heap,
            start,
            length,
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(layout) = Self::layout(self.length.max(1)) else {
            return;
        };
        if cfg!(feature = "shared-heap") {
            // SAFETY: `new` got it there, with this layout.
            unsafe { ALLOCATOR.dealloc(self.start.as_ptr().cast(), layout) };
        } else {
            // SAFETY: as above.
            unsafe { self.heap.deallocate(self.start.cast(), layout) };
        }
    }
}

/// Gives a line of the audio thread's back in any thread, by the program's allocator: it comes home by itself.
///
/// # Safety
///
/// [`Line::into_raw`] gave `start`, of a line of this length, and it is given back once.
pub unsafe fn free_elsewhere(start: *mut f32, length: usize) {
    if let Some(layout) = Line::layout(length.max(1)) {
        // SAFETY: a line had it, with this layout.
        unsafe { ALLOCATOR.dealloc(start.cast(), layout) };
    }
}

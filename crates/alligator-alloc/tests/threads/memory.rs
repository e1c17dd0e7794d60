//! A memory that grows and that threads share, and threads that deal in blocks whose contents say who wrote them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::yield_now;

use alligator_alloc::{AlligatorAlloc, Lock, PAGE_BYTES, Source, SpinLock, ThreadCached};

/// A heap as a program has it in shared memory.
pub(crate) type Shared<const PAGES: usize> = AlligatorAlloc<SharedMemory<PAGES>, ThreadCached>;

/// At most `PAGES` of memory, for ever: it belongs to a static.
pub(crate) struct SharedMemory<const PAGES: usize> {
    start: OnceLock<usize>,
    pages: AtomicUsize,
    /// What a host does while it grows.
    pub(crate) while_growing: fn(),
}

impl<const PAGES: usize> SharedMemory<PAGES> {
    pub(crate) const fn new() -> Self {
        Self::doing(|| {})
    }

    /// As [`new`](Self::new), and the host does `action` whenever it grows.
    pub(crate) const fn doing(while_growing: fn()) -> Self {
        Self {
            start: OnceLock::new(),
            pages: AtomicUsize::new(0),
            while_growing,
        }
    }

    fn start(&self) -> usize {
        *self.start.get_or_init(|| {
            let layout = Layout::from_size_align(PAGES * PAGE_BYTES, PAGE_BYTES).expect("a layout");
            // SAFETY: it is not zero bytes long.
            let memory = unsafe { System.alloc_zeroed(layout) };
            assert!(!memory.is_null());
            memory.expose_provenance()
        })
    }
}

// SAFETY: it gives memory that nobody else has, in order, and keeps it; the allocators over it are statics.
unsafe impl<const PAGES: usize> Source for SharedMemory<PAGES> {
    const IS_SHARED: bool = true;

    fn spare(&mut self) -> Range<usize> {
        self.end()..self.end()
    }

    fn end(&self) -> usize {
        self.start() + self.pages.load(SeqCst) * PAGE_BYTES
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        self.grow_shared(pages)
    }

    fn grow_shared(&self, pages: usize) -> Option<usize> {
        (self.while_growing)();
        let more = |now| (now + pages <= PAGES).then_some(now + pages);
        let old = self.pages.fetch_update(SeqCst, SeqCst, more).ok()?;
        Some(self.start() + old * PAGE_BYTES)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(address)
    }
}

/// A lock after which a thread stops, once, if it has asked for that: then others go on before it does.
pub(crate) struct PausingLock(SpinLock);

std::thread_local! {
    /// How often a thread still gives a lock back before it stops, or zero.
    static PAUSES: Cell<usize> = const { Cell::new(0) };
}
static IS_PAUSED: AtomicBool = AtomicBool::new(false);

impl PausingLock {
    /// The calling thread stops when it has given a lock back that often.
    pub(crate) fn pause_after(times: usize) {
        PAUSES.set(times);
    }

    /// Waits until a thread has stopped.
    pub(crate) fn wait_for_pause() {
        while !IS_PAUSED.load(SeqCst) {
            yield_now();
        }
    }

    /// It goes on.
    pub(crate) fn go_on() {
        IS_PAUSED.store(false, SeqCst);
    }
}

// SAFETY: it is a lock, given back before anything else.
unsafe impl Lock for PausingLock {
    const NEW: Self = Self(SpinLock::NEW);

    fn lock(&self) {
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
        let times = PAUSES.get();
        PAUSES.set(times.saturating_sub(1));
        if times == 1 {
            IS_PAUSED.store(true, SeqCst);
            while IS_PAUSED.load(SeqCst) {
                yield_now();
            }
        }
    }
}

/// Numbers that are the same each time: xorshift.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: usize) -> Self {
        Self((seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// A block in use. Its first and last words say which it is.
pub(crate) struct Block {
    pub(crate) pointer: NonNull<u8>,
    layout: Layout,
    mark: u64,
}

// SAFETY: it is memory, and nobody else's.
unsafe impl Send for Block {}

impl Block {
    /// A new block of `heap`, whose contents are `mark`.
    pub(crate) fn new(
        heap: &impl GlobalAlloc,
        size: usize,
        align: usize,
        mark: u64,
    ) -> Option<Self> {
        let layout = Layout::from_size_align(size.max(16), align).expect("a layout");
        // SAFETY: it is not zero bytes long.
        let pointer = NonNull::new(unsafe { heap.alloc(layout) })?;
        assert_eq!(pointer.addr().get() % align, 0, "aligned");
        let block = Self {
            pointer,
            layout,
            mark,
        };
        block.mark();
        Some(block)
    }

    fn ends(&self) -> [*mut u64; 2] {
        let last = self.layout.size() - size_of::<u64>();
        let at = |offset| self.pointer.as_ptr().wrapping_add(offset).cast();
        [at(0), at(last)]
    }

    fn mark(&self) {
        for end in self.ends() {
            // SAFETY: it is in the block.
            unsafe { end.write_unaligned(self.mark) };
        }
    }

    /// Panics if somebody else has written into it.
    pub(crate) fn assert_intact(&self) {
        for end in self.ends() {
            // SAFETY: it is in the block, and `mark` has written it.
            assert_eq!(unsafe { end.read_unaligned() }, self.mark, "intact");
        }
    }

    /// Gives it back to `heap`, whose it is.
    pub(crate) fn free(self, heap: &impl GlobalAlloc) {
        self.assert_intact();
        // SAFETY: the heap gave it for this layout.
        unsafe { heap.dealloc(self.pointer.as_ptr(), self.layout) };
    }

    /// Makes it hold `size` bytes, if that can be.
    pub(crate) fn resize(&mut self, heap: &impl GlobalAlloc, size: usize) {
        self.assert_intact();
        let size = size.max(16);
        // SAFETY: the heap gave it for this layout, and the size is not zero.
        let new = unsafe { heap.realloc(self.pointer.as_ptr(), self.layout, size) };
        let Some(new) = NonNull::new(new) else { return };
        // SAFETY: the block has so many bytes, of which the first were written.
        let first = unsafe { new.cast::<u64>().read_unaligned() };
        assert_eq!(first, self.mark, "kept");
        self.layout = Layout::from_size_align(size, self.layout.align()).expect("a layout");
        self.pointer = new;
        self.mark();
    }
}

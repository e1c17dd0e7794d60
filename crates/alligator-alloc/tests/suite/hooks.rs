//! What is called while a heap is used: `after_growth`, once the heap is whole and unlocked, and a visitor of `walk`.
//! Both may use the heap.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use alligator_alloc::{AlligatorAlloc, Heap, PAGE_BYTES, Source, SpinLock};

use crate::live::Live;
use crate::memory::{Memory, SimulatedMemory};

/// A memory whose hook does what the test says.
struct Hooked(SimulatedMemory<1, true>);

/// A heap that tells the hook.
type Alloc = AlligatorAlloc<Hooked, SpinLock>;

/// What a hook does.
type Hook = fn();

thread_local! {
    /// The test's heap, and its memory.
    static HEAP: RefCell<Option<(Rc<Alloc>, Rc<Memory>)>> = const { RefCell::new(None) };
    /// The test's heap as a value.
    static VALUE: RefCell<Option<Heap<Hooked>>> = const { RefCell::new(None) };
    static HOOK: Cell<Hook> = const { Cell::new(|| {}) };
    /// The pages that each call was told of.
    static TOLD: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// Calls that have not returned.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The most there were.
    static DEPTH_MAX: Cell<usize> = const { Cell::new(0) };
    /// Blocks of 1,000 bytes that hooks have allocated, the first and the last of which are 7.
    static KEPT: RefCell<Vec<*mut u8>> = const { RefCell::new(Vec::new()) };
}

// SAFETY: what it is made of keeps the contract.
unsafe impl Source for Hooked {
    fn spare(&mut self) -> Range<usize> {
        self.0.spare()
    }

    fn end(&self) -> usize {
        self.0.end()
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        self.0.grow(pages)
    }

    fn after_growth(pages: usize) {
        TOLD.with_borrow_mut(|told| told.push(pages));
        DEPTH.set(DEPTH.get() + 1);
        DEPTH_MAX.set(DEPTH_MAX.get().max(DEPTH.get()));
        (HOOK.get())();
        DEPTH.set(DEPTH.get() - 1);
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

const KEPT_LAYOUT: Layout = Layout::new::<[u8; 1_000]>();

/// A heap whose growth `hook` is told of, in this thread. Without threads, other tests have been in it before.
fn hooked(memory: &Rc<Memory>, hook: Hook) -> Rc<Alloc> {
    HOOK.set(hook);
    TOLD.take();
    KEPT.take();
    DEPTH.set(0);
    DEPTH_MAX.set(0);
    let heap = Rc::new(Alloc::with_source(Hooked(memory.source())));
    HEAP.set(Some((Rc::clone(&heap), Rc::clone(memory))));
    heap
}

/// The test's heap, for its hook.
fn heap() -> Rc<Alloc> {
    let heap = HEAP.with_borrow(|both| both.as_ref().map(|(heap, _)| Rc::clone(heap)));
    heap.expect("a heap")
}

/// The pages that the test's memory has, for its hook.
fn pages() -> usize {
    let pages = HEAP.with_borrow(|both| both.as_ref().map(|(_, memory)| memory.pages()));
    pages.expect("a memory")
}

/// The pages of `memory` that the hook was told of since the last time. What is told are pages from address 0 on.
fn told(memory: &Memory) -> Vec<usize> {
    let first = memory.range().start / PAGE_BYTES;
    TOLD.take().iter().map(|pages| pages - first).collect()
}

/// Allocates and keeps a block.
fn keep(heap: &Alloc) {
    // SAFETY: the layout is not empty.
    let block = unsafe { heap.alloc(KEPT_LAYOUT) };
    if block.is_null() {
        return;
    }
    // SAFETY: the block has so many bytes.
    unsafe { block.write_bytes(7, KEPT_LAYOUT.size()) };
    KEPT.with_borrow_mut(|kept| kept.push(block));
}

/// Gives back what hooks have kept, which must be as it was.
fn free_kept(heap: &Alloc) {
    for block in KEPT.take() {
        // SAFETY: the block has so many bytes, and was filled.
        let bytes = unsafe { std::slice::from_raw_parts(block, KEPT_LAYOUT.size()) };
        assert!(bytes.iter().all(|&byte| byte == 7), "{block:?}");
        // SAFETY: the heap gave it for this layout.
        unsafe { heap.dealloc(block, KEPT_LAYOUT) };
    }
}

#[test]
fn short_a_hook_is_called_once_for_each_request_that_grows_the_memory() {
    let memory = Memory::empty(20);
    let heap = hooked(&memory, || {});
    let mut live = Live::new(&*heap);
    live.allocate(100, 8).expect("room");
    assert_eq!(told(&memory), [1]);
    live.allocate(100, 8).expect("room");
    assert_eq!(told(&memory), []);
    live.allocate(3 * PAGE_BYTES, 8).expect("room");
    assert_eq!(told(&memory), [memory.pages()]);
    live.allocate_zeroed(3 * PAGE_BYTES, 8).expect("room");
    assert_eq!(told(&memory), [memory.pages()]);
    assert!(heap.reserve(4 * PAGE_BYTES));
    assert_eq!(told(&memory), [memory.pages()]);
}

#[test]
fn short_a_hook_is_called_by_whatever_grows_the_memory() {
    let memory = Memory::empty(60);
    let heap = hooked(&memory, || {});
    let long = Layout::new::<[u8; 4 * PAGE_BYTES]>();
    let longer = Layout::new::<[u8; 9 * PAGE_BYTES]>();
    let block = heap.allocate_by_address(long).expect("room");
    assert_eq!(told(&memory), [memory.pages()]);
    // SAFETY: the block is in use.
    let block = unsafe { heap.reallocate_by_address(block, longer) }.expect("room");
    assert_eq!(told(&memory), [memory.pages()]);
    // SAFETY: the block is in use.
    unsafe { heap.deallocate_by_address(block) };
    assert_eq!(told(&memory), []);
    // SAFETY: the layout is not empty.
    let block = unsafe { heap.alloc(longer) };
    told(&memory);
    // SAFETY: the heap gave the block for this layout.
    let block = unsafe { heap.realloc(block, longer, 20 * PAGE_BYTES) };
    assert!(!block.is_null());
    assert_eq!(told(&memory), [memory.pages()]);
}

#[test]
fn a_hook_is_not_called_when_the_memory_does_not_grow() {
    let memory = Memory::new(2, 1_000, 2);
    let heap = hooked(&memory, || {});
    let mut live = Live::new(&*heap);
    live.allocate(PAGE_BYTES, 8).expect("room in what is spare");
    assert_eq!(live.allocate(10 * PAGE_BYTES, 8), None);
    assert!(!heap.reserve(10 * PAGE_BYTES));
    assert_eq!(told(&memory), []);
}

#[test]
fn short_a_hook_that_allocates_is_served() {
    let memory = Memory::empty(20);
    let heap = hooked(&memory, || keep(&heap()));
    let mut live = Live::new(&*heap);
    for size in [100, 3_000, 100_000, 200_000] {
        live.allocate(size, 8).expect("room");
    }
    live.assert_all_intact();
    assert!(KEPT.with_borrow(Vec::len) >= 3);
    free_kept(&heap);
    live.free_all();
}

#[test]
fn a_hook_that_gives_back_what_it_kept_is_served() {
    let memory = Memory::empty(100);
    let heap = hooked(&memory, || {
        free_kept(&heap());
        (0..10).for_each(|_| keep(&heap()));
    });
    let mut live = Live::new(&*heap);
    for round in 0..40 {
        live.allocate(70_000, 8).expect("room");
        if round % 3 == 0 {
            live.free(live.nth(0));
        }
    }
    live.assert_all_intact();
    free_kept(&heap);
}

/// Keeps blocks until the memory grows for one.
fn keep_until_growth() {
    let before = pages();
    while pages() == before {
        keep(&heap());
    }
}

#[test]
fn a_hook_that_makes_the_memory_grow_is_called_again_when_it_has_returned() {
    let memory = Memory::empty(100);
    let heap = hooked(&memory, || {
        if TOLD.with_borrow(Vec::len) < 3 {
            keep_until_growth();
        }
    });
    let mut live = Live::new(&*heap);
    live.allocate(100, 8).expect("room");
    let told = told(&memory);
    assert_eq!((told.len(), told.last()), (3, Some(&memory.pages())));
    assert_eq!(DEPTH_MAX.get(), 1);
    live.assert_all_intact();
    free_kept(&heap);
}

#[test]
fn a_hook_that_makes_the_memory_grow_each_time_is_called_eight_times_for_a_request() {
    let memory = Memory::empty(100);
    let heap = hooked(&memory, keep_until_growth);
    let mut live = Live::new(&*heap);
    for _ in 0..2 {
        live.allocate(20 * PAGE_BYTES, 8).expect("room");
        assert_eq!(told(&memory).len(), 8);
        assert_eq!(DEPTH_MAX.get(), 1);
    }
    live.assert_all_intact();
    free_kept(&heap);
}

#[test]
fn a_hook_may_reserve_until_the_source_refuses() {
    let memory = Memory::empty(12);
    let heap = hooked(&memory, || {
        let _ = heap().reserve(3 * PAGE_BYTES);
        (0..30).for_each(|_| keep(&heap()));
    });
    let mut live = Live::new(&*heap);
    while live.allocate(10_000, 8).is_some() {}
    assert!(memory.pages() >= 10, "{} pages", memory.pages());
    live.assert_all_intact();
    free_kept(&heap);
}

#[test]
fn short_a_hook_of_a_heap_that_is_a_value_finds_it_borrowed_and_may_use_another() {
    thread_local! {
        static BORROWED: Cell<usize> = const { Cell::new(0) };
    }
    let memory = Memory::empty(20);
    VALUE.set(Some(Heap::new(Hooked(memory.source()))));
    let _other = hooked(&Memory::new(4, 0, 4), || {
        let is_borrowed = VALUE.with(|value| value.try_borrow_mut().is_err());
        BORROWED.set(BORROWED.get() + usize::from(is_borrowed));
        keep(&heap());
    });
    let layout = Layout::new::<[u8; 2 * PAGE_BYTES]>();
    let allocate = |heap: &mut Option<Heap<Hooked>>| {
        let heap = heap.as_mut().expect("a heap");
        heap.allocate(layout).expect("room")
    };
    for growths in 1..4 {
        let block = VALUE.with_borrow_mut(allocate);
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(9, layout.size()) };
        assert_eq!(BORROWED.get(), growths);
        assert_eq!(told(&memory), [memory.pages()]);
    }
    free_kept(&heap());
}

/// Whoever walks the heap may change it: what follows is as it is then.
#[cfg(feature = "check")]
mod walk {
    use alligator_alloc::Piece;

    use super::*;

    /// A heap with pieces of all kinds.
    fn filled(live: &mut Live<'_, Alloc>) {
        for size in [40, 700, 3_000, 20_000, 90_000].repeat(4) {
            live.allocate(size, 8).expect("room");
        }
        for index in (0..10).rev() {
            live.free(live.nth(2 * index));
        }
    }

    #[test]
    fn short_a_visitor_that_allocates_and_frees_at_each_piece_is_served() {
        let memory = Memory::empty(40);
        let heap = hooked(&memory, || {});
        let mut live = Live::new(&*heap);
        filled(&mut live);
        let mut visited = 0;
        heap.walk(|_| {
            let layout = Layout::from_size_align(1 + 800 * (visited % 7), 8).expect("a layout");
            let block = heap.allocate_by_address(layout).expect("room");
            // SAFETY: the block is in use.
            unsafe { heap.deallocate_by_address(block) };
            visited += 1;
        });
        assert!(visited > 15, "{visited} pieces");
        live.assert_all_intact();
    }

    #[test]
    fn a_visitor_that_makes_the_memory_grow_at_each_piece_comes_to_an_end() {
        let memory = Memory::empty(400);
        let heap = hooked(&memory, || {});
        let mut live = Live::new(&*heap);
        filled(&mut live);
        let pages = memory.pages();
        let mut last = 0;
        heap.walk(|piece| {
            assert!(piece.address() >= last, "{piece:?}");
            last = piece.address() + piece.bytes();
            heap.allocate_by_address(Layout::new::<[u8; PAGE_BYTES]>())
                .expect("room");
        });
        assert!(memory.pages() > pages + 10);
        live.assert_all_intact();
    }

    #[test]
    fn a_visitor_that_frees_what_it_sees_sees_each_block_once() {
        let memory = Memory::empty(40);
        let heap = hooked(&memory, || {});
        let layout = Layout::new::<[u8; 5_000]>();
        let blocks = [(); 30].map(|()| heap.allocate_by_address(layout).expect("room"));
        let (mut seen, mut end) = (Vec::new(), 0);
        heap.walk(|piece| {
            assert!(piece.address() >= end, "{piece:?}");
            end = piece.address() + piece.bytes();
            let block = blocks
                .iter()
                .find(|block| block.addr().get() == piece.address());
            if let (Piece::Run { .. }, Some(&block)) = (piece, block) {
                seen.push(block);
                // SAFETY: the block is in use: it was seen for the first time.
                unsafe { heap.deallocate_by_address(block) };
            }
        });
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), blocks.len());
        assert_eq!(heap.check(), Ok(()));
    }

    #[test]
    fn a_visitor_that_merges_a_piece_with_the_next_sees_what_there_is_then() {
        let memory = Memory::empty(40);
        let heap = hooked(&memory, || {});
        let layout = Layout::new::<[u8; 5_000]>();
        let blocks = [(); 30].map(|()| heap.allocate_by_address(layout).expect("room"));
        for &block in blocks.iter().skip(1).step_by(2) {
            // SAFETY: the block is in use.
            unsafe { heap.deallocate_by_address(block) };
        }
        heap.walk(|piece| {
            let mut pieces = Vec::new();
            heap.walk(|piece| pieces.push(piece));
            assert!(pieces.contains(&piece), "{piece:?}");
            let mut in_use = blocks.iter().step_by(2);
            let block = in_use.find(|block| block.addr().get() == piece.address());
            if let Some(&block) = block {
                // SAFETY: the block is in use: each is seen once.
                unsafe { heap.deallocate_by_address(block) };
            }
        });
    }

    #[test]
    fn a_visitor_may_walk_and_check_the_heap() {
        let memory = Memory::empty(40);
        let heap = hooked(&memory, || {});
        let mut live = Live::new(&*heap);
        filled(&mut live);
        let (mut outer, mut inner) = (0, 0);
        heap.walk(|_| {
            outer += 1;
            heap.walk(|_| inner += 1);
            assert_eq!(heap.check(), Ok(()));
        });
        assert_eq!(inner, outer * outer);
    }
}

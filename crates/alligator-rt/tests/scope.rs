//! Scopes: what they give, what they take of their heap, and what goes back when.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, RefCell};
use std::alloc::System;
use std::collections::BTreeMap;

use alligator_contract::{Block, CLAUSES, Unknown};
use alligator_rt::{Frames, Scope, ScopedHeap};

/// Blocks enough for several chunks; fewer where each step takes long.
const MANY: u64 = if cfg!(miri) { 600 } else { 10_000 };

/// A heap that knows its blocks, and may refuse long ones.
struct Watched {
    blocks: RefCell<BTreeMap<usize, Layout>>,
    calls: Cell<usize>,
    longest: Cell<usize>,
}

impl Watched {
    const fn new() -> Self {
        Self {
            blocks: RefCell::new(BTreeMap::new()),
            calls: Cell::new(0),
            longest: Cell::new(usize::MAX),
        }
    }

    fn bytes(&self) -> usize {
        self.blocks.borrow().values().map(Layout::size).sum()
    }

    fn count(&self) -> usize {
        self.blocks.borrow().len()
    }
}

// SAFETY: all blocks are the system's.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.calls.set(self.calls.get() + 1);
        if layout.size() > self.longest.get() {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's duty.
        let block = unsafe { System.alloc(layout) };
        self.blocks.borrow_mut().insert(block.addr(), layout);
        block
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let known = self.blocks.borrow_mut().remove(&pointer.addr());
        assert_eq!(known, Some(layout), "a block that is none, or twice");
        // SAFETY: the caller's duty.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[test]
fn a_new_scope_takes_nothing() {
    let heap = Watched::new();
    drop(Scope::new(&heap));
    assert_eq!(heap.calls.get(), 0);
}

#[test]
fn values_are_where_they_were_put() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    let numbers: Vec<_> = (0..MANY)
        .map(|number| scope.alloc(number).expect("memory"))
        .collect();
    let text = scope.alloc_str("names").expect("memory");
    let slice = scope.alloc_slice(&[1_u16, 2, 3]).expect("memory");
    assert!((0..).zip(&numbers).all(|(at, number)| **number == at));
    assert_eq!((&*text, &*slice), ("names", &[1, 2, 3][..]));
}

#[test]
fn a_reset_gives_all_back() {
    let heap = Watched::new();
    let mut scope = Scope::new(&heap);
    for round in 0..3_u32 {
        for _ in 0..1000 {
            scope.alloc([round; 50]).expect("memory");
        }
        assert_eq!(heap.bytes(), scope.held_bytes());
        scope.reset();
        assert_eq!((heap.bytes(), scope.held_bytes()), (0, 0));
    }
}

#[test]
fn a_drop_gives_all_back() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    scope.alloc([0_u8; 5000]).expect("memory");
    drop(scope);
    assert_eq!(heap.bytes(), 0);
}

#[test]
fn there_are_few_chunks_and_at_most_half_is_unused() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    let mut used = 0;
    for index in 0..if cfg!(miri) { 2000 } else { 100_000_usize } {
        let bytes =
            [8, 24, 100, 3000, 20_000][index % 5 * usize::from(index % 50 == 4)] + index % 3;
        scope
            .alloc_layout(Layout::from_size_align(bytes, 1).expect("a layout"))
            .expect("memory");
        used += bytes;
    }
    assert!(scope.held_bytes() <= 2 * used + 4096, "{scope:?} of {used}");
    assert!(scope.chunk_count() <= 16, "{scope:?}");
}

#[test]
fn a_large_block_does_not_end_the_chunk_before_it() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    scope.alloc(1_u64).expect("memory");
    scope.alloc([0_u8; 16_000]).expect("memory");
    let held = scope.held_bytes();
    for number in 0..200_u64 {
        scope.alloc(number).expect("memory");
    }
    assert_eq!(scope.held_bytes(), held);
    assert!(held < 20_000, "{held}");
}

#[test]
fn a_heap_without_long_blocks_gives_what_is_needed() {
    let heap = Watched::new();
    heap.longest.set(8 << 10);
    let scope = Scope::new(&heap);
    while scope.alloc([0_u8; 1000]).is_some() {}
    assert_eq!(scope.chunk_count(), Scope::<Watched>::CHUNKS_MAX);
    heap.longest.set(usize::MAX);
    assert!(scope.alloc([0_u8; 5000]).is_none());
    assert!(scope.alloc(()).is_some());
    drop(scope);
    assert_eq!(heap.count(), 0);
}

#[test]
fn no_call_asks_its_heap_more_than_twice() {
    let heap = Watched::new();
    heap.longest.set(0);
    let scope = Scope::new(&heap);
    assert!(scope.alloc(1).is_none() && scope.alloc([0_u8; 5000]).is_none());
    assert!(heap.calls.get() <= 4, "{}", heap.calls.get());
    assert!(!scope.reserve(1));
}

#[test]
fn a_limit_holds_and_what_fits_is_given() {
    let heap = Watched::new();
    let mut scope = Scope::with_limit(&heap, 10_000);
    let mut count = 0;
    while scope.alloc([0_u8; 16]).is_some() {
        count += 1;
    }
    assert!(heap.bytes() <= 10_000 && count >= 9_900 / 16, "{count}");
    scope.reset();
    assert!(scope.alloc([0_u8; 9_984]).is_some());
    scope.reset();
    assert!(scope.alloc([0_u8; 10_001]).is_none());
    assert!(Scope::with_limit(&heap, 0).alloc(1).is_none());
}

#[test]
fn what_is_reserved_needs_no_heap() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    assert!(scope.reserve(10_000));
    let calls = heap.calls.get();
    for _ in 0..10_000 / 8 {
        scope.alloc(1_u64).expect("reserved");
    }
    assert!(scope.reserve(0));
    assert_eq!(heap.calls.get(), calls);
}

#[test]
fn every_alignment_is_kept() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    for shift in (0..=16).chain((0..=16).rev()) {
        for bytes in [0, 1, 7, 100] {
            let layout = Layout::from_size_align(bytes, 1 << shift).expect("a layout");
            let block = scope.alloc_layout(layout).expect("memory");
            assert_eq!(block.addr().get() % layout.align(), 0);
            // SAFETY: a new block of so many bytes.
            unsafe { block.write_bytes(1, bytes) };
        }
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    scope.alloc(1_u8).expect("memory");
    for align in [1, 8, 4096] {
        let bytes = isize::MAX.cast_unsigned() + 1 - align;
        let layout = Layout::from_size_align(bytes, align).expect("a layout");
        heap.longest.set(1 << 20);
        assert!(scope.alloc_layout(layout).is_none());
    }
    assert!(scope.alloc(1_u8).is_some());
}

#[test]
fn the_last_block_grows_where_it_is() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    assert!(scope.reserve(4096));
    let layout = |bytes| Layout::from_size_align(bytes, 8).expect("a layout");
    let block = scope.alloc_layout(layout(8)).expect("memory").as_ptr();
    // SAFETY: the block is the scope's, of this layout.
    let longer = unsafe { scope.realloc(block, layout(8), 2000) };
    assert_eq!(longer, block);
    let next = scope.alloc_layout(layout(8)).expect("memory").as_ptr();
    assert_eq!(next.addr(), block.addr() + 2000);
    // SAFETY: as above.
    let moved = unsafe { scope.realloc(block, layout(2000), 2008) };
    assert_ne!(moved, block);
    // SAFETY: as above; it is the last one.
    unsafe { scope.dealloc(moved, layout(2008)) };
    assert_eq!(
        scope.alloc_layout(layout(8)).expect("memory").as_ptr(),
        moved
    );
}

#[test]
fn collected_values_are_side_by_side_and_take_no_more_than_they_need() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    assert!(scope.reserve(4096));
    let odd = (0..100_u32).filter(|number| number % 2 == 1);
    let odd = scope.collect(odd).expect("memory");
    assert!(odd.iter().copied().eq((0..100).filter(|it| it % 2 == 1)));
    let next = scope.alloc(1_u32).expect("memory");
    assert_eq!((&raw const *next).addr(), odd.as_ptr_range().end.addr());
    assert!(
        scope
            .collect(core::iter::empty::<u64>())
            .expect("memory")
            .is_empty()
    );
    assert_eq!(scope.collect([(); 9]).expect("memory").len(), 9);
}

#[test]
fn an_iterator_may_use_the_scope_it_is_collected_into() {
    let heap = Watched::new();
    let scope = Scope::new(&heap);
    let words = (0..50).filter(|it| it % 2 == 0).map(|it| {
        let text = scope.alloc_str(if it < 10 { "few" } else { "many" });
        &*text.expect("memory")
    });
    let words = scope.collect(words).expect("memory");
    assert_eq!((words[0], words[24], words.len()), ("few", "many", 25));
}

/// Counts how often it is dropped.
struct Dropped<'a>(&'a Cell<u32>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn values_are_not_dropped_but_owned_ones_are_once() {
    let (heap, count) = (Watched::new(), Cell::new(0));
    let mut scope = Scope::new(&heap);
    scope.alloc(Dropped(&count)).expect("memory");
    scope.reset();
    assert_eq!(count.get(), 0);
    let owned = scope.alloc_owned(Dropped(&count)).expect("memory");
    assert_eq!(owned.0.get(), 0);
    drop(owned);
    assert_eq!(count.get(), 1);
    let owned = scope.alloc_owned(Dropped(&count)).expect("memory");
    let value = owned.into_inner();
    scope.reset();
    drop(value);
    assert_eq!(count.get(), 2);
}

#[test]
fn values_for_which_there_is_no_memory_are_dropped() {
    let (heap, count) = (Watched::new(), Cell::new(0));
    let scope = Scope::with_limit(&heap, 2048);
    assert!(scope.reserve(2048));
    scope.alloc([0_u8; 2048]).expect("memory");
    assert!(scope.alloc(Dropped(&count)).is_none());
    assert_eq!(count.get(), 1);
    assert!(scope.collect((0..3).map(|_| Dropped(&count))).is_none());
    let scope = Scope::with_limit(&heap, 2048);
    let many = (0..1000).filter(|_| true).map(|_| Dropped(&count));
    assert!(scope.collect(many).is_none());
    assert!(count.get() > 100, "{}", count.get());
}

#[test]
fn a_rewind_goes_back_to_its_mark_and_keeps_what_was_reserved() {
    let heap = Watched::new();
    let mut scope = Scope::new(&heap);
    assert!(scope.reserve(2048));
    scope.alloc(1_u64).expect("memory");
    let mark = scope.mark();
    let first = (&raw const *scope.alloc(2_u64).expect("memory")).addr();
    for _ in 0..1000 {
        scope.alloc([0_u8; 100]).expect("memory");
    }
    scope.rewind(mark);
    assert_eq!((scope.chunk_count(), heap.count()), (1, 1));
    let again = (&raw const *scope.alloc(3_u64).expect("memory")).addr();
    assert_eq!(first, again);
}

#[test]
fn a_restart_keeps_the_first_chunk_alone() {
    let heap = Watched::new();
    let mut scope = Scope::new(&heap);
    scope.restart();
    assert!(scope.alloc(()).is_some() && heap.count() == 0);
    assert!(scope.reserve(2048));
    let first = (&raw const *scope.alloc(1_u64).expect("memory")).addr();
    for blocks in [0, 10, 1000] {
        for _ in 0..blocks {
            scope.alloc([0_u8; 100]).expect("memory");
        }
        scope.restart();
        assert_eq!((heap.bytes(), scope.held_bytes()), (2048, 2048));
        let again = (&raw const *scope.alloc(2_u64).expect("memory")).addr();
        assert_eq!(first, again);
    }
}

#[test]
fn stale_and_foreign_marks_do_no_harm() {
    let heap = Watched::new();
    let mut scope = Scope::new(&heap);
    let mut other = Scope::new(&heap);
    for index in 0..2000_u32 {
        other.alloc([index; 10]).expect("memory");
    }
    let (foreign, early) = (other.mark(), scope.mark());
    scope.alloc([0_u8; 9000]).expect("memory");
    let stale = scope.mark();
    scope.rewind(early);
    assert_eq!(scope.held_bytes(), 0);
    for mark in [stale, foreign, early, stale] {
        scope.alloc([1_u8; 3000]).expect("memory");
        scope.rewind(mark);
        let all: Vec<_> = (0..500)
            .map(|it| scope.alloc([it; 9]).expect("memory"))
            .collect();
        assert!((0..).zip(&all).all(|(it, numbers)| numbers[8] == it));
    }
    other.reset();
    scope.reset();
    assert_eq!(heap.count(), 0);
}

#[test]
fn nested_levels_leave_older_blocks_alone() {
    let heap = Watched::new();
    let mut scope = Scope::new(&heap);
    let mut level = scope.enter();
    let kept = level.alloc([7_u8; 100]).expect("memory");
    for _ in 0..3 {
        level.nested(|inner| {
            let mine = inner.alloc([1_u8; 3000]).expect("memory");
            let total: usize = inner.nested(|third| {
                let blocks: Vec<_> = (0..100_u8)
                    .map(|it| third.alloc([it; 90]).expect("memory"))
                    .collect();
                blocks.iter().map(|block| usize::from(block[89])).sum()
            });
            assert_eq!((total, mine[2999]), (4950, 1));
        });
        assert_eq!(kept[99], 7);
    }
    assert_eq!(heap.count(), 1);
}

#[test]
fn a_level_that_panics_goes_back_too() {
    let heap = Watched::new();
    let mut scope = Scope::new(&heap);
    let mut level = scope.enter();
    level.alloc(1_u8).expect("memory");
    let action = core::panic::AssertUnwindSafe(|| {
        level.nested(|inner| {
            inner.alloc([0_u8; 10_000]).expect("memory");
            std::panic::resume_unwind(Box::new(()));
        });
    });
    assert!(std::panic::catch_unwind(action).is_err());
    assert_eq!(heap.count(), 1);
}

#[test]
fn a_frame_within_its_reserve_calls_no_heap() {
    let heap = Watched::new();
    let mut frames = Frames::new(&heap, 8 << 10).expect("memory");
    let calls = heap.calls.get();
    for _ in 0..10 {
        let frame = frames.begin();
        frame.alloc([0_u8; 8000]).expect("reserved");
    }
    assert_eq!(heap.calls.get(), calls);
    frames.begin().alloc([0_u8; 10_000]).expect("memory");
    assert_eq!(heap.count(), 1);
    assert!(Frames::with_limit(&heap, 8 << 10, 4096).is_none());
}

#[test]
fn a_scope_may_be_the_heap_of_another() {
    let heap = Watched::new();
    let outer = Scope::new(&heap);
    let mut inner = Scope::new(&outer);
    for _ in 0..100 {
        inner.alloc([0_u8; 1000]).expect("memory");
        inner.reset();
    }
    assert_eq!(heap.count(), 1);
}

/// A heap that allocates from the scope which asks it, as a hook after a growth may.
struct Reentrant<'a> {
    scope: Cell<Option<&'a ScopedHeap<Self>>>,
    inside: Cell<u32>,
    live: Cell<u32>,
}

// SAFETY: all blocks are the system's.
unsafe impl GlobalAlloc for Reentrant<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        let block = unsafe { System.alloc(layout) };
        self.live.set(self.live.get() + 1);
        if let Some(scope) = self.scope.take() {
            // SAFETY: not of zero bytes.
            let own = unsafe { scope.alloc(Layout::new::<[u8; 3000]>()) };
            // SAFETY: a new block of so many bytes.
            unsafe { own.write_bytes(1, 3000) };
            self.inside.set(self.inside.get() + 1);
        }
        block
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.live.set(self.live.get() - 1);
        // SAFETY: the caller's duty.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[test]
fn a_heap_may_come_back_to_its_scope() {
    let heap = ScopedHeap::new(Reentrant {
        scope: Cell::new(None),
        inside: Cell::new(0),
        live: Cell::new(0),
    });
    // SAFETY: no block is used after the request.
    let request = unsafe { heap.begin(usize::MAX) }.expect("no other");
    heap.heap().scope.set(Some(&heap));
    let layout = Layout::new::<[u8; 5000]>();
    // SAFETY: not of zero bytes.
    let block = unsafe { heap.alloc(layout) };
    // SAFETY: a new block of so many bytes.
    unsafe { block.write_bytes(2, 5000) };
    assert_eq!(heap.heap().inside.get(), 1);
    drop(request);
    assert_eq!(heap.heap().live.get(), 0);
}

/// A heap whose blocks lie each just below the one before.
struct Downwards {
    memory: core::ptr::NonNull<u8>,
    used: Cell<usize>,
}

impl Downwards {
    const LAYOUT: Layout = Layout::new::<[u128; 1 << 12]>();
}

// SAFETY: blocks are apart, as long as all are multiples of 16, and none is given out twice.
unsafe impl GlobalAlloc for Downwards {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        assert!(layout.align() <= 16 && layout.size() % 16 == 0);
        self.used.set(self.used.get() + layout.size());
        let offset = Self::LAYOUT.size() - self.used.get();
        // SAFETY: below the length, or the subtraction has panicked.
        unsafe { self.memory.add(offset) }.as_ptr()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[test]
fn a_block_that_ends_where_the_chunk_begins_is_not_its_last_one() {
    // SAFETY: not of zero bytes.
    let memory = core::ptr::NonNull::new(unsafe { System.alloc(Downwards::LAYOUT) });
    let heap = Downwards {
        memory: memory.expect("memory"),
        used: Cell::new(0),
    };
    let scope = Scope::new(&heap);
    assert!(scope.reserve(2048));
    let own = Layout::new::<[u8; 4096]>();
    let block = scope.alloc_layout(own).expect("memory").as_ptr();
    // SAFETY: the block is the scope's, of this layout.
    unsafe { scope.dealloc(block, own) };
    let next = scope.alloc(1_u8).expect("memory");
    assert_eq!((&raw const *next).addr(), block.addr() + 4096);
    drop(scope);
    // SAFETY: the system's block, of this layout.
    unsafe { System.dealloc(heap.memory.as_ptr(), Downwards::LAYOUT) };
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_scope_keeps_the_contract() {
    let mut storage = vec![Block::NONE; 16_384];
    for clause in CLAUSES {
        // The rest is about memory that serves again, of which a scope has none until it is reset.
        let scope = Scope::new(&System);
        if let Err(failure) = clause.run(&scope, &Unknown, &mut storage) {
            panic!("{failure}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_scoped_heap_keeps_the_contract_in_a_request_and_without_one() {
    let mut storage = vec![Block::NONE; 16_384];
    let heap = ScopedHeap::new(System);
    for clause in CLAUSES {
        for is_in_request in [false, true] {
            // SAFETY: the clause gives all of its blocks back.
            let request = unsafe { heap.begin(usize::MAX) }.filter(|_| is_in_request);
            if let Err(failure) = clause.run(&heap, &Unknown, &mut storage) {
                panic!("{failure}");
            }
            drop(request);
        }
    }
}

#[test]
fn blocks_from_before_a_request_stay_the_heaps() {
    let heap = ScopedHeap::new(Watched::new());
    let watched = heap.heap();
    let layout = Layout::new::<[u8; 64]>();
    // SAFETY: not of zero bytes.
    let old = unsafe { heap.alloc(layout) };
    // SAFETY: a new block of so many bytes.
    unsafe { old.write_bytes(5, 64) };
    // SAFETY: no block of the request is used after it.
    let request = unsafe { heap.begin(usize::MAX) }.expect("no other");
    // SAFETY: not of zero bytes.
    let inner = unsafe { heap.alloc_zeroed(layout) };
    // SAFETY: the heap's block, of this layout.
    let old = unsafe { heap.realloc(old, layout, 5000) };
    // SAFETY: the request's block, of this layout.
    let inner = unsafe { heap.realloc(inner, layout, 500) };
    // SAFETY: not of zero bytes.
    let kept = heap.outside(|| unsafe { heap.alloc(layout) });
    // SAFETY: it has that many bytes, and the first 64 are zero.
    let zeros = unsafe { core::slice::from_raw_parts(inner, 64) };
    assert_eq!(zeros, [0; 64]);
    // SAFETY: the request's block, of this layout.
    unsafe { heap.dealloc(inner, Layout::new::<[u8; 500]>()) };
    assert!(heap.request_bytes() > 0);
    // SAFETY: no block of the request is used while there is another.
    assert!(unsafe { heap.begin(0) }.is_none());
    drop(request);
    assert_eq!((heap.request_bytes(), watched.count()), (0, 2));
    // SAFETY: it has that many bytes, and the first 64 are written.
    let fives = unsafe { core::slice::from_raw_parts(old, 64) };
    assert_eq!(fives, [5; 64]);
    // SAFETY: the heap's block, of this layout.
    unsafe { heap.dealloc(old, Layout::new::<[u8; 5000]>()) };
    // SAFETY: the heap's block, of this layout.
    unsafe { heap.dealloc(kept, layout) };
    assert_eq!(watched.count(), 0);
}

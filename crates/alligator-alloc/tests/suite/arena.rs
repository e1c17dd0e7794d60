//! Arenas over memory of every origin: borrowed, raw, and static.

use std::alloc::Layout;
use std::mem::MaybeUninit;

use alligator_alloc::{AlligatorAlloc, Arena, ArenaMemory, Heap, SpinLock};

const BYTES: usize = 64 << 10;

/// Blocks of [`layout`] that so many bytes serve at least, wherever they lie, in every mode.
const LEAST: usize = 11;

fn layout() -> Layout {
    Layout::new::<[u64; 600]>()
}

/// The blocks that a heap serves until it is full; each is written to.
fn fill(heap: &mut Heap<Arena>) -> usize {
    let mut count = 0;
    while let Some(block) = heap.allocate(layout()) {
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(0xA5, layout().size()) };
        count += 1;
    }
    count
}

#[test]
fn borrowed_memory_serves_one_heap_after_the_other_and_the_program_between() {
    let mut memory = vec![MaybeUninit::new(1_u8); BYTES];
    let first = fill(&mut Heap::new(Arena::new(&mut memory)));
    assert!(first >= LEAST);
    memory.fill(MaybeUninit::new(0xFF));
    assert_eq!(fill(&mut Heap::new(Arena::from(&mut memory[..]))), first);
}

#[test]
fn a_block_lies_in_the_memory_that_was_borrowed() {
    let mut memory = vec![MaybeUninit::uninit(); BYTES];
    let range = memory.as_ptr_range();
    let (start, end) = (range.start.addr(), range.end.addr());
    let mut heap = Heap::new(Arena::new(&mut memory));
    while let Some(block) = heap.allocate(layout()) {
        let address = block.addr().get();
        assert!(start <= address && address + layout().size() <= end);
    }
}

#[test]
fn raw_memory_serves_as_much_as_the_same_borrowed() {
    let mut memory = vec![MaybeUninit::<u8>::uninit(); BYTES];
    let borrowed = fill(&mut Heap::new(Arena::new(&mut memory)));
    let start = memory.as_mut_ptr().cast();
    // SAFETY: these are the vector's bytes, which nobody names before the heap is gone.
    let mut heap = Heap::new(unsafe { Arena::from_raw(start, BYTES) });
    assert_eq!(fill(&mut heap), borrowed);
}

#[test]
fn an_arena_without_memory_serves_nothing() {
    let mut heap = Heap::<Arena>::default();
    assert!(heap.allocate(Layout::new::<u8>()).is_none());
    assert!(!heap.reserve(1));
    assert_eq!((heap.heap_bytes(), heap.largest_free()), (0, 0));
    assert!(!AlligatorAlloc::<Arena>::default().reserve(1));
}

#[test]
fn a_static_heap_over_static_memory_serves_all_threads() {
    static MEMORY: ArenaMemory<BYTES> = ArenaMemory::new();
    static HEAP: AlligatorAlloc<Arena, SpinLock> = AlligatorAlloc::with_source(MEMORY.arena());
    let ask = || HEAP.allocate_by_address(layout()).map(|it| it.addr().get());
    #[cfg(not(target_family = "wasm"))]
    let other = std::thread::spawn(ask).join().expect("it ends");
    #[cfg(target_family = "wasm")]
    let other = ask();
    let mine = ask();
    assert!(mine.is_some() && other.is_some() && mine != other);
}

/// Safe code can make any number of arenas of one memory. One of them has it.
#[test]
fn of_several_arenas_over_one_memory_the_first_that_is_asked_has_it() {
    let memory = ArenaMemory::<BYTES>::new();
    {
        let mut heaps = [memory.arena(), memory.arena(), memory.arena()].map(Heap::<Arena>::new);
        assert!(fill(&mut heaps[2]) >= LEAST);
        for heap in &mut heaps[..2] {
            assert_eq!(fill(heap), 0);
            assert!(!heap.reserve(1));
            assert_eq!(heap.heap_bytes(), 0);
        }
    }
    assert_eq!(fill(&mut Heap::new(memory.arena())), 0, "it is for good");
}

/// A heap that was asked for more than there is has the memory all the same when it is asked for less.
#[test]
fn an_arena_that_was_asked_for_too_much_keeps_its_memory() {
    let memory = ArenaMemory::<BYTES>::new();
    let mut heap = Heap::<Arena>::new(memory.arena());
    for _ in 0..3 {
        assert!(heap.allocate(Layout::new::<[u8; 2 * BYTES]>()).is_none());
    }
    assert!(fill(&mut heap) >= LEAST);
}

#[test]
fn memory_that_is_too_short_for_a_heap_serves_nothing() {
    let memory = ArenaMemory::<1_500>::new();
    let mut heap = Heap::<Arena>::new(memory.arena());
    for _ in 0..3 {
        assert!(heap.allocate(Layout::new::<u8>()).is_none());
    }
    assert_eq!(fill(&mut Heap::new(memory.arena())), 0);
}

#[cfg(not(target_family = "wasm"))]
#[test]
fn of_threads_that_ask_at_once_one_has_the_memory() {
    for _ in 0..if cfg!(miri) { 2 } else { 200 } {
        let memory = ArenaMemory::<BYTES>::new();
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let ask = || fill(&mut Heap::new(memory.arena()));
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|it| it.join().expect("it ends"))
                .collect()
        });
        let mut sorted = counts;
        sorted.sort_unstable();
        assert!(sorted[..3] == [0; 3] && sorted[3] >= LEAST, "{sorted:?}");
    }
}

//! The contract kit on heaps in simulated memories: each clause, each way to grow.

use std::alloc::{GlobalAlloc, Layout};
use std::ops::Range;

use alligator_alloc::PAGE_BYTES;
use alligator_contract::{Block, CLAUSES, Clause, Unsound, Verdict, World};

use crate::live::Live;
use crate::memory::{Memory, Simulated};

/// Pages enough for all clauses that do not fill the memory, and few enough for those that do. No power of
/// two: the last page before one is left unused when there is no room for the headers of the next.
const PAGES_MAX: usize = if cfg!(miri) { 40 } else { 120 };

/// Whether the heap is the small one.
const IS_SMALL: bool = cfg!(all(feature = "small", not(feature = "hardened")));

/// A clause that does not apply where the last page may hold headers.
const END: &str = "the_end_of_memory_is_used";

/// Clauses that need more than a gibibyte.
const LARGE: &str = "blocks_above_a_gibibyte_are_served";

/// A heap, and the memory below it.
struct Tested<'a, const STEP_PAGES: usize, const ON_DEMAND: bool> {
    heap: &'a Simulated<STEP_PAGES, ON_DEMAND>,
    memory: &'a Memory,
}

impl<const STEP_PAGES: usize, const ON_DEMAND: bool> World for Tested<'_, STEP_PAGES, ON_DEMAND> {
    fn check(&self) -> Result<(), Unsound> {
        #[cfg(feature = "check")]
        self.heap.check().map_err(|violation| Unsound {
            invariant: format!("{:?}", violation.invariant).leak(),
            address: violation.address,
        })?;
        let _ = self.heap;
        Ok(())
    }

    fn room_bytes(&self) -> usize {
        self.memory.pages_max.get() * PAGE_BYTES
    }

    fn last_byte(&self) -> Option<usize> {
        let start = self.memory.range().start;
        ON_DEMAND.then(|| start + (self.room_bytes() - 1))
    }

    fn initial_tail(&self) -> Range<usize> {
        // After a large reserve the tail is used last, when all else is full.
        if ON_DEMAND { self.memory.spare() } else { 0..0 }
    }

    fn grow_by_somebody_else(&self, pages: usize) -> Option<*mut u8> {
        let start = self.memory.range().end;
        let is_done = ON_DEMAND && self.memory.grow_by_somebody_else(pages);
        is_done.then(|| self.memory.pointer(start))
    }
}

/// Runs the clause on a heap of its own; a panic is a failure.
fn verdict_of<const STEP_PAGES: usize, const ON_DEMAND: bool>(
    clause: &Clause,
    memory: &std::rc::Rc<Memory>,
    heap: &Simulated<STEP_PAGES, ON_DEMAND>,
) -> Verdict {
    let mut storage = vec![Block::NONE; 1 << 15];
    let world = Tested { heap, memory };
    let outcome = clause.run(heap, &world, &mut storage);
    let verdict = outcome.unwrap_or_else(|failure| panic!("{failure}"));
    // What the clause filled as somebody else's is not what the memory filled it with.
    memory.forget_foreign();
    memory.assert_others_are_intact();
    verdict
}

/// Runs all clauses, each in a memory of its own. Those named do not apply, all others do.
fn assert_contract<const STEP_PAGES: usize>(new: impl Fn() -> std::rc::Rc<Memory>, not: &[&str]) {
    // With `small`, headers may be last: `what_the_memory_has_last_is_used_too` looks at that.
    let applies = |clause: &&Clause| !IS_SMALL || clause.name != END;
    for clause in CLAUSES.iter().filter(applies) {
        let memory = new();
        let verdict = verdict_of(clause, &memory, &memory.heap::<STEP_PAGES, true>());
        let expected = if not.contains(&clause.name) {
            Verdict::DoesNotApply
        } else {
            Verdict::Kept
        };
        assert_eq!(verdict, expected, "{}", clause.name);
    }
}

const NO_TAIL: &[&str] = &[LARGE, "the_tail_of_the_initial_memory_is_used"];

#[test]
fn a_heap_in_growing_memory_keeps_the_contract() {
    assert_contract::<1>(|| Memory::empty(PAGES_MAX), NO_TAIL);
}

#[test]
fn a_heap_that_grows_in_large_steps_keeps_the_contract() {
    assert_contract::<16>(|| Memory::empty(PAGES_MAX), NO_TAIL);
}

#[test]
fn a_heap_that_starts_in_a_dirty_spare_tail_keeps_the_contract() {
    assert_contract::<1>(|| Memory::new(3, 70_001, PAGES_MAX), &[LARGE]);
}

#[test]
fn a_heap_that_was_reserved_and_never_grows_keeps_the_contract() {
    for clause in CLAUSES {
        let memory = Memory::new(1, 5, PAGES_MAX);
        let heap = memory.heap::<1, false>();
        assert!(heap.reserve((PAGES_MAX - PAGES_MAX / 8) * PAGE_BYTES));
        let pages = memory.pages();
        verdict_of(clause, &memory, &heap);
        assert_eq!(memory.pages(), pages, "{}", clause.name);
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
#[cfg_attr(miri, ignore = "too much memory")]
fn blocks_above_a_gibibyte_are_served_and_resized() {
    let memory = Memory::empty((3 << 30) / PAGE_BYTES);
    let heap = memory.heap::<1, true>();
    let clauses = CLAUSES.iter().filter(|clause| {
        [
            LARGE,
            "realloc_keeps_large_contents",
            "zeroed_large_blocks_are_zero",
        ]
        .contains(&clause.name)
    });
    for clause in clauses {
        assert_eq!(verdict_of(clause, &memory, &heap), Verdict::Kept);
    }
}

#[cfg(all(feature = "check", feature = "small", not(feature = "hardened")))]
#[test]
fn what_the_memory_has_last_is_used_too() {
    use alligator_alloc::Piece;

    for pages in 1..PAGES_MAX {
        let memory = Memory::empty(pages);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        for size in [100_000, 10_000, 1_000, 100] {
            while live.allocate(size, 8).is_some() {}
        }
        let (mut end, mut free_bytes) = (0, 0);
        heap.walk(|piece| match piece {
            Piece::FreeRun { bytes, .. } => free_bytes += bytes,
            Piece::Meta { address, bytes }
            | Piece::Run { address, bytes }
            | Piece::MiniPage { address, bytes, .. } => end = address + bytes,
            _ => panic!("{piece:?}"),
        });
        assert_eq!((end, free_bytes), (memory.range().end, 0), "{pages} pages");
    }
}

#[cfg(target_family = "wasm")]
#[test]
fn the_global_allocator_of_this_program_keeps_the_contract() {
    let mut storage = vec![Block::NONE; 1 << 15];
    for clause in CLAUSES {
        let outcome = clause.run(&crate::ALLOC, &alligator_contract::Unknown, &mut storage);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[test]
fn a_heap_without_any_memory_gives_null() {
    let memory = Memory::empty(0);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for size in [1, 100, 2000, 70_000] {
        assert_eq!(live.allocate(size, 8), None);
        assert_eq!(live.allocate(size, 8192), None);
    }
    assert!(!heap.reserve(1));
    // SAFETY: the layout has eight bytes.
    assert!(unsafe { heap.alloc_zeroed(Layout::new::<u64>()) }.is_null());
    memory.pages_max.set(0);
}

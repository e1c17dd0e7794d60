//! When the heap asks its source for memory, how much, and what it does when somebody else does so too.

use alligator_alloc::PAGE_BYTES;

use crate::live::Live;
use crate::memory::Memory;

#[test]
fn the_spare_tail_is_used_as_well_as_what_grows() {
    let memory = Memory::new(3, PAGE_BYTES, 16);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let mut bytes = 0;
    while memory.pages() <= 4 {
        live.allocate(1_000, 8).expect("room");
        bytes += 1_000;
    }
    assert!(
        bytes > 2 * PAGE_BYTES,
        "more than one page more after {bytes} bytes"
    );
    drop(live);
    memory.assert_others_are_intact();
}

#[test]
fn nothing_is_asked_of_the_source_before_the_first_allocation() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    heap.reserve(0);
    assert!(memory.pages() <= 1);
    let memory = Memory::empty(4);
    let _heap = memory.heap::<1, true>();
    assert_eq!(memory.pages(), 0);
}

#[test]
fn without_growth_on_demand_only_reserve_grows() {
    let memory = Memory::new(1, 1_000, 64);
    let heap = memory.heap::<1, false>();
    let mut live = Live::new(&heap);
    assert!(heap.reserve(20_000));
    let (pages, growths) = (memory.pages(), memory.growths.get());
    while live.allocate(500, 8).is_some() {}
    assert_eq!(live.allocate(5_000, 8), None);
    assert_eq!(live.allocate(5_000, 4_096), None);
    let block = live.nth(0);
    assert_eq!(live.reallocate(block, 50_000), None);
    assert_eq!((memory.pages(), memory.growths.get()), (pages, growths));
    assert!(heap.reserve(300_000));
    let growths = memory.growths.get();
    live.allocate(300_000, 8).expect("what was reserved");
    assert_eq!(memory.growths.get(), growths);
    let last = live.nth(live.count() - 1);
    assert_eq!(live.reallocate(last, 3_000_000), None);
    assert_eq!(memory.growths.get(), growths);
}

#[test]
fn what_was_reserved_is_allocated_without_growth() {
    for bytes in [1, 1_000, 65_536, 100_000, 1_000_000, 3_333_333] {
        let memory = Memory::new(1, 40_000, 80);
        let heap = memory.heap::<1, true>();
        assert!(heap.reserve(bytes));
        let growths = memory.growths.get();
        let mut live = Live::new(&heap);
        live.allocate(bytes, 8).expect("room");
        assert_eq!(memory.growths.get(), growths, "after {bytes}");
    }
}

#[test]
fn reserve_says_when_the_source_gives_too_little() {
    let memory = Memory::empty(10);
    let heap = memory.heap::<1, true>();
    assert!(!heap.reserve(11 * PAGE_BYTES));
    assert!(!heap.reserve(usize::MAX));
    assert!(!heap.reserve(isize::MAX.unsigned_abs()));
    assert!(heap.reserve(8 * PAGE_BYTES));
}

#[test]
fn the_memory_grows_by_no_more_than_the_request_needs() {
    for bytes in [PAGE_BYTES / 2, PAGE_BYTES, 5 * PAGE_BYTES, 100 * PAGE_BYTES] {
        let memory = Memory::empty(200);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        live.allocate(bytes, 8).expect("room");
        let needed = bytes.div_ceil(PAGE_BYTES);
        // MetaPages are up to a sixteenth just after a range of pages was entered, and have a guard if hardened.
        let guard = usize::from(cfg!(feature = "hardened"));
        let most = needed + needed.div_ceil(16) + guard + 1;
        assert!(
            memory.pages() <= most,
            "{} pages for {needed}",
            memory.pages()
        );
    }
}

#[test]
fn a_large_step_is_taken_when_it_can_be_and_a_small_one_when_not() {
    let memory = Memory::empty(13);
    let heap = memory.heap::<8, true>();
    let mut live = Live::new(&heap);
    live.allocate(100, 8).expect("room");
    assert_eq!((memory.pages(), memory.growths.get()), (8, 1));
    while live.allocate(3_000, 8).is_some() {}
    assert_eq!(memory.pages(), 13);
}

#[test]
fn a_refused_growth_leaves_the_heap_as_it_was() {
    let memory = Memory::empty(64);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for pages in 1..64 {
        memory.pages_max.set(pages);
        while live.allocate(9_000, 8).is_some() {}
        for size in [9_000, 65_536, 1 << 20] {
            assert_eq!(live.allocate(size, 8), None);
            assert_eq!(live.allocate_zeroed(size, 65_536), None);
            assert!(!heap.reserve(size));
        }
        // A growth that enters a new range of pages needs room for MetaPages as well; with `small`, for a new table
        // of all of them.
        let is_small = cfg!(all(feature = "small", not(feature = "hardened")));
        let headers = if is_small { 4 } else { 2 };
        assert!(
            memory.pages() + headers >= pages,
            "{} of {pages} pages",
            memory.pages()
        );
    }
    live.assert_all_intact();
}

// With `small`, a block that changes its size moves.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_at_the_end_grows_where_it_is() {
    let memory = Memory::empty(400);
    let heap = memory.heap::<1, true>();
    assert!(heap.reserve(PAGE_BYTES));
    let mut live = Live::new(&heap);
    let first = live.allocate(30_000, 8).expect("room");
    let mut moves = 0;
    let mut block = first;
    for pages in 1..100 {
        let moved = live.reallocate(block, pages * PAGE_BYTES).expect("room");
        moves += usize::from(moved != block);
        block = moved;
    }
    // It may only move when MetaPages were put above it, once per doubling at most.
    assert!(moves <= 7, "{moves} moves");
    assert_eq!(live.reallocate(block, 5_000), Some(block));
}

#[test]
fn somebody_else_may_grow_the_memory_at_any_time() {
    for ours in [1, 2, 5, 17] {
        for theirs in [1, 3, 8, 29] {
            let memory = Memory::new(1, 60_000, 1_000);
            let heap = memory.heap::<1, true>();
            let mut live = Live::named(&heap, format!("{ours} of ours, {theirs} of theirs"));
            while memory.grow_by_somebody_else(theirs) && memory.pages() < 900 {
                for size in [70, 1_500, 40_000, ours * PAGE_BYTES] {
                    live.allocate(size, 8).expect("room");
                }
                let block = live.nth(live.count() * 2 / 3);
                live.free(block);
                if cfg!(miri) && memory.pages() > 40 {
                    break;
                }
            }
            live.assert_all_intact();
            drop(live);
            memory.assert_others_are_intact();
        }
    }
}

// With `small`, all memory that must be zero is filled.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn fresh_memory_is_not_filled_with_zeros_again() {
    let memory = Memory::empty(64);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let block = live.allocate(100_000, 8).expect("room");
    let end = memory.range().end;
    assert!(heap.reserve(20 * PAGE_BYTES));
    // The host plays a trick: what it gave as zero is not zero any more. A heap that fills what is known to
    // be zero would hide it.
    memory.fill(end + 4 * PAGE_BYTES..memory.range().end, 7);
    let layout = std::alloc::Layout::from_size_align(19 * PAGE_BYTES, 8).expect("a layout");
    // SAFETY: the layout is longer than zero bytes.
    let zeroed = unsafe { std::alloc::GlobalAlloc::alloc_zeroed(&heap, layout) };
    assert!(zeroed.addr() > block);
    // SAFETY: the block is longer than that.
    let inside = unsafe { zeroed.add(12 * PAGE_BYTES) };
    // SAFETY: the host initialised it.
    assert_eq!(unsafe { inside.read() }, 7);
    // SAFETY: the heap gave it for this layout.
    unsafe { std::alloc::GlobalAlloc::dealloc(&heap, zeroed, layout) };
}

#[test]
fn somebody_else_may_grow_the_memory_while_the_heap_asks_for_it() {
    for initial_pages in [0, 2] {
        let memory = Memory::new(initial_pages, 0, 60);
        memory.intruder_pages.set(1);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        for size in [100, 3_000, 70_000, 200_000] {
            // It may get null: the new pages do not continue the free run that they were to make longer.
            live.allocate(size, 8);
        }
        assert!(live.count() > 1);
        live.assert_all_intact();
        live.free_all();
        memory.assert_others_are_intact();
    }
}

/// A small heap looks at the first run of a list only. If that is too short, it grows though a longer one lies at
/// the memory's end: by a page at least, and by a table, if one is needed then.
#[cfg(all(feature = "check", feature = "small", not(feature = "hardened")))]
#[test]
fn a_run_at_the_end_that_is_not_found_leaves_room_for_a_table() {
    use alligator_alloc::Piece;

    const GRANULE_BYTES: usize = 1024;
    let mut cases = 0;
    for granules in (64..1500).step_by(5) {
        let memory = Memory::empty(300);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        live.allocate(20 * PAGE_BYTES, 8).expect("room");
        live.allocate(granules * GRANULE_BYTES, 8).expect("room");
        let short = live.allocate(256 * GRANULE_BYTES, 8).expect("room");
        live.allocate(GRANULE_BYTES, 8).expect("room");
        let long = live.allocate(300 * GRANULE_BYTES, 8).expect("room");
        let mut last = 0;
        heap.walk(|piece| {
            last = match piece {
                Piece::FreeRun { bytes, .. } => bytes,
                _ => 0,
            };
        });
        if last < 30 * GRANULE_BYTES {
            continue;
        }
        live.free(long); // 330 granules and more: the same list as the short one's.
        live.free(short);
        live.allocate(257 * GRANULE_BYTES, 8).expect("room");
        cases += 1;
    }
    assert!(cases > 10, "{cases} cases");
}

/// Where blocks come from at the heap's end. With `small`, always from the lower end of a run.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
mod at_the_end {
    use super::*;

    /// The shortest block that is taken from the upper end.
    const LONG: usize = 4 * PAGE_BYTES;

    #[test]
    fn a_long_block_comes_from_the_upper_end_of_memory_that_was_used() {
        let memory = Memory::empty(64);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        live.allocate(LONG, 8).expect("room");
        let last = live.allocate(3 * LONG, 8).expect("room");
        live.free(last);
        let end = memory.range().end;
        // A shorter one goes where the free run begins.
        let short = live.allocate(LONG - PAGE_BYTES, 8).expect("room");
        assert_eq!(short, last);
        let upper = live.allocate(LONG, 8).expect("room");
        assert_eq!(upper + LONG, end);
        // What is free now is not at the end.
        let between = live.allocate(LONG, 8).expect("room");
        assert_eq!(between, short + LONG - PAGE_BYTES);
        live.free(upper);
        let upper = live.allocate(LONG + PAGE_BYTES, 8).expect("room");
        assert_eq!(upper + LONG + PAGE_BYTES, end);
        assert_eq!(memory.range().end, end);
    }

    #[test]
    fn a_long_block_that_takes_a_whole_run_of_several_is_given_back() {
        let memory = Memory::empty(200);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        let first = live.allocate(4 * LONG, 8).expect("room");
        live.allocate(3_000, 8).expect("room");
        let last = live.allocate(4 * LONG, 8).expect("room");
        // The last is in the bin before the first.
        live.free(first);
        live.free(last);
        let pages = memory.pages();
        let mut places = Vec::new();
        for size in (4 * LONG..).step_by(2_048) {
            let again = live.allocate(size, 8).expect("room");
            live.free(again);
            if memory.pages() > pages {
                break;
            }
            places.push(again);
        }
        assert_eq!(places.last(), Some(&last));
        assert_eq!(places.iter().filter(|&&place| place == last).count(), 1);
    }

    #[test]
    fn reserved_memory_is_used_from_its_start() {
        let memory = Memory::empty(64);
        let heap = memory.heap::<1, true>();
        assert!(heap.reserve(32 * PAGE_BYTES));
        let mut live = Live::new(&heap);
        let first = live.allocate(LONG, 8).expect("room");
        for _ in 0..3 {
            let second = live.allocate(LONG, 8).expect("room");
            assert_eq!(second, first + LONG);
            live.free(second);
        }
        let untouched = first + 2 * LONG..first + 7 * LONG;
        assert!(untouched.end <= memory.range().end);
        assert!(untouched.step_by(64).all(|address| {
            // SAFETY: the memory has this byte, and no block is there.
            unsafe { memory.pointer(address).read() == 0 }
        }));
    }

    #[test]
    fn zeroed_blocks_from_the_end_are_zero_though_part_of_it_was_used() {
        let memory = Memory::empty(64);
        let heap = memory.heap::<16, true>();
        let mut live = Live::new(&heap);
        let first = live.allocate(14 * PAGE_BYTES, 8).expect("room");
        assert_eq!(memory.pages(), 16);
        live.free(first);
        // From here the upper end, of which the last page was never used.
        let upper = live.allocate_zeroed(LONG, 8).expect("room");
        assert_eq!(upper + LONG, memory.range().end);
        live.free(upper);
        let again = live.allocate_zeroed(LONG, 8).expect("room");
        assert_eq!(again, upper);
        live.allocate_zeroed(9 * PAGE_BYTES, 8).expect("room");
        assert_eq!(memory.growths.get(), 1);
    }
}

//! When the heap asks its source for memory, how much, and what it does when somebody else does so too.

use std::alloc::{GlobalAlloc, Layout};

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
    let _ = heap.reserve(0);
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
fn what_was_reserved_is_not_reserved_again() {
    let memory = Memory::empty(64);
    let heap = memory.heap::<1, true>();
    assert!(heap.reserve(20 * PAGE_BYTES));
    let pages = memory.pages();
    assert!(heap.reserve(4 * PAGE_BYTES));
    assert_eq!(memory.pages(), pages);
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

#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_at_the_end_grows_the_memory_by_what_it_lacks() {
    let memory = Memory::empty(60);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let block = live.allocate(20 * PAGE_BYTES, 8).expect("room");
    let moved = live.reallocate(block, 22 * PAGE_BYTES);
    assert_eq!(moved, Some(block));
    assert!(memory.pages() <= 23, "{} pages", memory.pages());
}

#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_at_the_end_moves_to_where_it_needs_no_growth() {
    let memory = Memory::empty(60);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let blocks = [10, 1, 3].map(|pages| live.allocate(pages * PAGE_BYTES, 8).expect("room"));
    live.free(blocks[0]);
    let pages = memory.pages();
    let moved = live.reallocate(blocks[2], 9 * PAGE_BYTES);
    assert_eq!(moved, Some(blocks[0]));
    assert_eq!(memory.pages(), pages);
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
    // The table of records may be at the end.
    memory.fill(end + 4 * PAGE_BYTES..end + 16 * PAGE_BYTES, 7);
    let layout = Layout::from_size_align(19 * PAGE_BYTES, 8).expect("a layout");
    // SAFETY: the layout is longer than zero bytes.
    let zeroed = unsafe { GlobalAlloc::alloc_zeroed(&heap, layout) };
    assert!(zeroed.addr() > block);
    // SAFETY: the block is longer than that.
    let inside = unsafe { zeroed.add(12 * PAGE_BYTES) };
    // SAFETY: the host initialised it.
    assert_eq!(unsafe { inside.read() }, 7);
    // SAFETY: the heap gave it for this layout.
    unsafe { GlobalAlloc::dealloc(&heap, zeroed, layout) };
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

/// Another thread grows the memory while the heap does, so that what the heap gets does not follow what it has. (A module
/// without threads has no code for that.)
#[cfg(not(target_family = "wasm"))]
#[test]
fn short_a_request_that_can_be_served_is_served_though_another_thread_grows_the_memory_meanwhile() {
    let races = [(1, 2), (1, 1), (3, 3), (20, 1), (5, usize::MAX)];
    let requests = [
        (2, 3 * PAGE_BYTES),
        (0, 100),
        (0, 70_000),
        (9, 10 * PAGE_BYTES),
        (3, 20 * PAGE_BYTES),
    ];
    let few = if cfg!(miri) { 1 } else { 5 };
    for (theirs, intrusions) in races.into_iter().take(few) {
        for (free_pages, bytes) in requests.into_iter().take(few) {
            let memory = Memory::empty(if cfg!(miri) { 30 } else { 200 });
            let heap = memory.heap::<1, true>();
            let mut live = Live::named(&heap, format!("{theirs} pages, {intrusions} times"));
            live.allocate(100, 8).expect("room");
            let free = live.allocate(free_pages * PAGE_BYTES + 1, 8).expect("room");
            live.free(free);
            memory.intruder_pages.set(theirs);
            memory.intrusions.set(intrusions);
            live.allocate(bytes, 8).expect("room");
            live.assert_all_intact();
            drop(live);
            memory.assert_others_are_intact();
        }
    }
}

#[cfg(not(target_family = "wasm"))]
#[test]
fn a_reservation_is_kept_though_another_thread_grows_the_memory_meanwhile() {
    for (theirs, intrusions) in [(1, 1), (7, 3), (1, usize::MAX)] {
        let memory = Memory::new(2, 1_000, 300);
        let heap = memory.heap::<1, false>();
        memory.intruder_pages.set(theirs);
        memory.intrusions.set(intrusions);
        for pages in [1, 10, 30] {
            assert!(heap.reserve(pages * PAGE_BYTES), "{theirs} pages");
        }
        memory.assert_others_are_intact();
    }
}

/// A heap of so many pages has a table that is shorter than what it gets, as long, or longer.
#[cfg(not(target_family = "wasm"))]
#[test]
#[cfg_attr(miri, ignore = "too much memory")]
fn pages_that_have_no_room_for_the_table_are_not_taken() {
    for pages in (32..48).chain([200]) {
        let memory = Memory::empty(300);
        let heap = memory.heap::<1, true>();
        let mut live = Live::named(&heap, format!("{pages} pages"));
        live.allocate(pages * PAGE_BYTES, 8).expect("room");
        memory.may_grow.set(false);
        while live.allocate(2_000, 8).is_some() {}
        memory.may_grow.set(true);
        memory.intruder_pages.set(1);
        memory.intrusions.set(1);
        live.allocate(2_000, 8).expect("room");
        live.assert_all_intact();
        memory.assert_others_are_intact();
    }
}

#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
#[cfg_attr(miri, ignore = "too much memory")]
fn what_was_a_table_below_somebody_elses_pages_is_used() {
    let memory = Memory::empty(300);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    live.allocate(200 * PAGE_BYTES, 8).expect("room");
    let end = memory.range().end;
    assert!(memory.grow_by_somebody_else(1));
    live.allocate(10 * PAGE_BYTES, 8).expect("room");
    let block = live.allocate(4 * PAGE_BYTES, 8).expect("room");
    assert!(block < end);
    memory.assert_others_are_intact();
}

/// The views that JavaScript has of the memory stay as long as it does not grow.
#[test]
fn short_a_source_whose_spare_memory_is_enough_is_not_asked_for_more() {
    let requests: [fn(&crate::memory::Simulated); 5] = [
        |heap| assert!(heap.allocate_by_address(Layout::new::<u64>()).is_some()),
        |heap| {
            let block = heap.allocate_by_address(Layout::new::<[u8; PAGE_BYTES]>());
            assert!(block.is_some());
        },
        |heap| {
            // SAFETY: the layout is not empty.
            let block = unsafe { heap.alloc_zeroed(Layout::new::<[u8; 3_000]>()) };
            assert!(!block.is_null());
        },
        |heap| {
            let layout = Layout::from_size_align(5_000, 8_192).expect("a layout");
            // SAFETY: the layout is not empty.
            assert!(!unsafe { heap.alloc(layout) }.is_null());
        },
        |heap| assert!(heap.reserve(PAGE_BYTES)),
    ];
    for request in requests {
        let memory = Memory::new(3, 1_000, 16);
        request(&memory.heap::<1, true>());
        assert_eq!(memory.asked.get(), 0);
    }
}

#[test]
fn a_source_whose_spare_memory_is_not_enough_is_asked_once() {
    for bytes in [3 * PAGE_BYTES, 10 * PAGE_BYTES] {
        let memory = Memory::new(3, 1_000, 16);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        live.allocate(bytes, 8).expect("room");
        assert_eq!(memory.asked.get(), 1);
    }
}

/// What is asked for is enough the first time, if nobody else grows the memory.
fn assert_each_request_asks_once<const STEP_PAGES: usize>() {
    let memory = Memory::new(1, 20_000, 600);
    let heap = memory.heap::<STEP_PAGES, true>();
    let mut live = Live::new(&heap);
    for round in 1..60 {
        for bytes in [
            100,
            1_500,
            30_000 + round * 1_111,
            PAGE_BYTES,
            round * 9_999,
        ] {
            let asked = memory.asked.get();
            live.allocate(bytes, 8).expect("room");
            assert!(memory.asked.get() <= asked + 1, "{bytes} bytes");
        }
        let last = live.nth(live.count() - 1);
        live.free(last);
        if round % 4 == 0 {
            memory.grow_by_somebody_else(1);
        }
    }
}

#[test]
fn a_request_that_nobody_disturbs_asks_the_source_once() {
    assert_each_request_asks_once::<1>();
}

#[test]
fn a_request_that_nobody_disturbs_asks_the_source_for_one_step() {
    assert_each_request_asks_once::<6>();
}

#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_below_the_last_one_asks_once() {
    let memory = Memory::empty(20);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let block = live.allocate(2 * PAGE_BYTES, 8).expect("room");
    memory.may_grow.set(false);
    let mut sizes = (1..=PAGE_BYTES).rev().step_by(1_024);
    sizes
        .find_map(|size| live.allocate(size, 8))
        .expect("room up to the table");
    memory.may_grow.set(true);
    let asked = memory.asked.get();
    live.reallocate(block, 12 * PAGE_BYTES).expect("room");
    assert_eq!(memory.asked.get(), asked + 1);
}

#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
#[cfg_attr(miri, ignore = "too much memory")]
fn a_long_heap_grows_by_a_64th_of_itself() {
    let memory = Memory::empty(800);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    live.allocate(600 * PAGE_BYTES, 8).expect("room");
    let pages = memory.pages();
    while memory.pages() == pages {
        live.allocate(PAGE_BYTES / 2, 8).expect("room");
    }
    assert_eq!(memory.pages(), pages + pages / 64);
}

#[test]
fn the_first_request_asks_once_whatever_its_length() {
    for granules in 1..200 {
        let memory = Memory::empty(8);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        live.allocate(granules * 1_024, 8).expect("room");
        assert_eq!(memory.asked.get(), 1, "{granules} granules");
    }
}

#[test]
fn a_source_that_says_it_may_not_grow_is_not_asked() {
    let memory = Memory::new(3, 1_000, 16);
    memory.may_grow.set(false);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for size in [40_000, 1_000, 100] {
        while live.allocate(size, 8).is_some() {}
        assert_eq!(live.allocate_zeroed(size, 4_096), None);
        assert_eq!(live.reallocate(live.nth(0), PAGE_BYTES), None);
    }
    assert!(!heap.reserve(PAGE_BYTES));
    assert_eq!(memory.asked.get(), 0);
    memory.may_grow.set(true);
    live.allocate(PAGE_BYTES, 8).expect("room by now");
}

#[test]
fn a_source_that_does_not_grow_on_demand_is_asked_by_reservations_only() {
    let memory = Memory::new(3, 1_000, 16);
    let heap = memory.heap::<1, false>();
    let mut live = Live::new(&heap);
    for size in [40_000, 1_000, 100] {
        while live.allocate(size, 8).is_some() {}
        assert_eq!(live.allocate_zeroed(size, 4_096), None);
        assert_eq!(live.reallocate(live.nth(0), PAGE_BYTES), None);
    }
    assert_eq!(memory.asked.get(), 0);
    assert!(heap.reserve(PAGE_BYTES));
    assert_eq!(memory.asked.get(), 1);
}

/// The longest block that a new heap serves.
fn longest<const ON_DEMAND: bool>(new: impl Fn() -> std::rc::Rc<Memory>) -> usize {
    let is_served = |granules: usize| {
        let heap = new().heap::<1, ON_DEMAND>();
        let layout = Layout::from_size_align(granules * 1_024, 8).expect("a layout");
        heap.allocate_by_address(layout).is_some()
    };
    let (mut served, mut refused) = (0, new().pages_max.get() * PAGE_BYTES / 1_024 + 1);
    while refused - served > 1 {
        let between = usize::midpoint(served, refused);
        if is_served(between) {
            served = between;
        } else {
            refused = between;
        }
    }
    served * 1_024
}

/// Null only when no run of that length can be had: what is not served is headers, for the pages there are or for twice
/// as many, and at the most half a page or, with guards, a page.
#[test]
#[cfg_attr(miri, ignore = "too many heaps")]
fn the_longest_block_of_a_new_heap_is_all_of_the_memory_but_the_headers() {
    for pages in (1..20).chain([
        31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 255, 256, 257, 258,
    ]) {
        let bytes = pages * PAGE_BYTES;
        let header_bytes = if cfg!(target_pointer_width = "64") {
            2_560
        } else {
            1_536
        };
        // Tables are made for a power of two of pages, and when the memory grows for pages that it might have then.
        let most = 2 * (pages + 2).next_power_of_two().max(8) * header_bytes;
        let fixed = longest::<false>(|| Memory::new(pages, 0, pages));
        assert!(
            bytes - fixed <= most / 2 + PAGE_BYTES / 8,
            "{pages} fixed pages: {fixed}"
        );
        let growing = longest::<true>(|| Memory::empty(pages));
        assert!(
            bytes - growing <= most + PAGE_BYTES / 8,
            "{pages} pages: {growing}"
        );
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
#[cfg_attr(miri, ignore = "too much memory")]
fn a_heap_of_nearly_two_gibibytes_serves_one_and_a_half_more_of_four() {
    let memory = Memory::empty((4 << 30) / PAGE_BYTES);
    let heap = memory.heap::<1, true>();
    for mebibytes in [1_900, 1_500] {
        let layout = Layout::from_size_align(mebibytes << 20, 8).expect("a layout");
        let block = heap.allocate_by_address(layout);
        assert!(block.is_some(), "{mebibytes} MiB");
    }
}

/// A small heap looks at the first run of a list only. If that is too short, and a longer one lies at the memory's end,
/// it takes that: more pages would be too many.
#[cfg(all(feature = "small", not(feature = "hardened")))]
#[test]
fn a_run_at_the_end_that_is_not_found_at_first_is_taken() {
    const GRANULE_BYTES: usize = 1024;
    for granules in [1, 64, 700] {
        let memory = Memory::empty(300);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        live.allocate(granules * GRANULE_BYTES, 8).expect("room");
        let short = live.allocate(256 * GRANULE_BYTES, 8).expect("room");
        live.allocate(GRANULE_BYTES, 8).expect("room");
        let long = live.allocate(300 * GRANULE_BYTES, 8).expect("room");
        live.free(long); // With what is free above, the same list as the short one's.
        live.free(short);
        let pages = memory.pages();
        let block = live.allocate(257 * GRANULE_BYTES, 8).expect("room");
        assert_eq!((block, memory.pages()), (long, pages));
    }
}

#[cfg(any(not(feature = "small"), feature = "hardened"))]
mod at_the_end;
mod in_the_way;

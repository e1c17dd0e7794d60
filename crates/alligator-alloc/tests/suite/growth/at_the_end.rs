//! Where blocks come from at the heap's end. With `small`, always from the lower end of a run.

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
    assert!(end - upper - LONG < PAGE_BYTES, "below the table");
    // What is free now is not at the end.
    let between = live.allocate(LONG, 8).expect("room");
    assert_eq!(between, short + LONG - PAGE_BYTES);
    live.free(upper);
    let upper = live.allocate(LONG + PAGE_BYTES, 8).expect("room");
    assert!(
        end - upper - LONG - PAGE_BYTES < PAGE_BYTES,
        "below the table"
    );
    assert_eq!(memory.range().end, end);
}

/// Then the table reaches below the pages that the memory grew by, and nothing is untouched.
#[test]
#[cfg_attr(miri, ignore = "too much memory")]
fn a_long_block_comes_from_the_upper_end_after_a_growth_shorter_than_the_table() {
    let memory = Memory::empty(800);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let first = live.allocate(600 * PAGE_BYTES, 8).expect("room");
    let mut last = first;
    let pages = memory.pages();
    while memory.pages() == pages {
        last = live.allocate(PAGE_BYTES, 8).expect("room");
    }
    assert!(memory.pages() < pages + 14);
    live.free(last);
    live.free(first);
    let upper = live.allocate(LONG, 8).expect("room");
    assert!(upper > first + 500 * PAGE_BYTES);
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
    for size in (4 * LONG..).step_by(1_024) {
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
    assert!(upper + LONG + PAGE_BYTES > memory.range().end);
    live.free(upper);
    let again = live.allocate_zeroed(LONG, 8).expect("room");
    assert_eq!(again, upper);
    live.allocate_zeroed(9 * PAGE_BYTES, 8).expect("room");
    assert_eq!(memory.growths.get(), 1);
}

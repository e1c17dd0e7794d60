//! Blocks of one to four and a half KiB, with the feature `medium`: in slots where that saves memory, in whole
//! granules where it would not.

use alligator_alloc::PAGE_BYTES;

use crate::live::Live;
use crate::memory::{Memory, Simulated};

/// Sizes a little above those that whole granules serve well.
const SIZES: [usize; 4] = [1_032, 1_640, 2_056, 4_272];
/// How many blocks of each in a MiniPage.
const IN_A_MINI_PAGE: [usize; 4] = [17, 11, 8, 4];
const MINI_PAGE_BYTES: usize = 9 * 2_048;
/// Blocks in a test.
const BLOCKS: usize = if cfg!(miri) { 20 } else { 400 };
/// A heap that has so many bytes in use is not small.
const LARGE: usize = 8 * PAGE_BYTES;

/// Runs `test` on a heap of up to `pages` that is large enough for medium slots.
fn in_a_large_heap(pages: usize, test: impl FnOnce(&Memory, &mut Live<'_, Simulated>)) {
    let memory = Memory::empty(pages);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    live.allocate(LARGE, 8).expect("room");
    test(&memory, &mut live);
}

#[test]
fn blocks_a_little_above_a_power_of_two_take_little_more_than_they_ask_for() {
    for (size, in_a_mini_page) in SIZES.into_iter().zip(IN_A_MINI_PAGE) {
        in_a_large_heap(600, |memory, live| {
            let before = memory.pages();
            for _ in 0..BLOCKS {
                live.allocate(size, 8).expect("room");
            }
            let bytes = BLOCKS.div_ceil(in_a_mini_page) * MINI_PAGE_BYTES;
            // And headers: up to a sixteenth, twice that on 64 bits, if the heap has just entered a new table's range.
            let headers = bytes * usize::BITS as usize / 32 / 16;
            let most = (bytes + headers).div_ceil(PAGE_BYTES) + 1;
            let pages = memory.pages() - before;
            assert!(pages <= most, "{size}: {pages} pages, {most} at most");
        });
    }
}

#[test]
fn slots_given_back_in_any_order_are_reused_and_then_merge() {
    in_a_large_heap(200, |memory, live| {
        let mut blocks = Vec::new();
        for round in 0..BLOCKS {
            blocks.push(live.allocate(SIZES[round % 4], 16).expect("room"));
        }
        let pages = memory.pages();
        for step in [7, 3, 1] {
            // Every so many, from the upper end.
            for index in (0..blocks.len()).rev().step_by(step) {
                live.free(blocks.swap_remove(index));
            }
            while blocks.len() < BLOCKS {
                blocks.push(live.allocate(SIZES[blocks.len() % 4], 16).expect("room"));
            }
            live.assert_all_intact();
        }
        assert!(memory.pages() <= pages + 4, "{} pages", memory.pages());
        live.free_all();
        let pages = memory.pages();
        live.allocate((pages - 3) * PAGE_BYTES, 8).expect("room");
        // Headers may stand between; but what was slots is whole again.
        assert!(memory.pages() <= 2 * pages, "{} pages", memory.pages());
    });
}

#[test]
fn a_block_stays_where_it_is_while_its_slot_will_do_and_keeps_its_contents_elsewhere() {
    in_a_large_heap(200, |_, live| {
        let block = live.allocate(2_200, 8).expect("room");
        assert_eq!(live.reallocate(block, 2_288), Some(block));
        assert_eq!(live.reallocate(block, 2_060), Some(block));
        let mut block = block;
        for size in [
            4_000, 1_030, 64, 1_100, 9_000, 4_500, 2_048, 4_400, 1_024, 3_000, 100_000, 2_050,
        ] {
            block = live.reallocate(block, size).expect("room");
        }
    });
}

#[test]
fn zeroed_blocks_are_zero_in_new_memory_and_in_used() {
    in_a_large_heap(200, |_, live| {
        for _ in 0..3 {
            let blocks: Vec<_> = (0..60)
                .map(|index| live.allocate_zeroed(SIZES[index % 4], 8).expect("room"))
                .collect();
            for block in blocks {
                live.free(block);
            }
        }
    });
}

#[test]
fn memory_too_short_for_a_mini_page_still_serves_blocks() {
    in_a_large_heap(12, |_, live| {
        let mut pins = Vec::new();
        while let Some(pin) = live.allocate(6 * 2_048, 8) {
            pins.push(pin);
        }
        while live.allocate(2_048, 8).is_some() {}
        // No two of these are neighbours.
        for pin in pins.iter().step_by(2) {
            live.free(*pin);
        }
        let served = (0..).map_while(|_| live.allocate(2_056, 8)).count();
        let runs = pins.len().div_ceil(2);
        assert_eq!(served, runs * 3, "two granules for each");
    });
}

#[cfg(feature = "check")]
#[test]
fn a_small_heap_keeps_to_whole_granules_and_a_larger_one_does_not() {
    use alligator_alloc::Piece;

    let memory = Memory::empty(200);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let medium_slots = || {
        let (mut slots, mut free) = (0, 0);
        heap.walk(|piece| match piece {
            Piece::MiniPage {
                slot_bytes,
                slot_count,
                free_slots,
                ..
            } if slot_bytes > 1_024 => {
                assert_eq!(slot_bytes, 1_200);
                (slots, free) = (slots + slot_count, free + free_slots);
            }
            _ => {}
        });
        (slots, free)
    };
    live.allocate(8, 8).expect("room"); // With it the heap gets a page, so that there are nine granules.
    let early = live.allocate(1_100, 8).expect("room");
    assert_eq!(medium_slots(), (0, 0));
    live.allocate(LARGE, 8).expect("room");
    let late = live.allocate(1_100, 8).expect("room");
    assert_eq!(medium_slots(), (15, 14));
    // Which of both it is follows from where it is, not from its size.
    live.free(early);
    assert_eq!(medium_slots(), (15, 14));
    live.allocate(1_100, 4_096).expect("room");
    assert_eq!(medium_slots(), (15, 14), "slots are not aligned so far");
    live.free(late);
    assert_eq!(medium_slots(), (15, 15), "the last one is kept");
    let blocks: Vec<_> = (0..16)
        .map(|_| live.allocate(1_100, 8).expect("room"))
        .collect();
    assert_eq!(medium_slots(), (30, 14));
    for block in blocks {
        live.free(block);
    }
    assert_eq!(medium_slots(), (15, 15), "and no other");
}

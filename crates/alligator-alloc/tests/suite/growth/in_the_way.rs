//! What others have, or the heap keeps for itself, is in the way of a block: whatever is free is used all the same.

use super::*;

/// Somebody else's pages lie above the initial memory when the first request comes, which finds no room there.
#[test]
fn initial_memory_below_somebody_elses_pages_is_used_after_a_first_block_that_is_too_long_for_it() {
    for theirs in [1, 3, 20] {
        let memory = Memory::new(8, 1_000, 100);
        let spare = memory.spare();
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        assert!(memory.grow_by_somebody_else(theirs));
        let block = live.allocate(10 * PAGE_BYTES, 8).expect("room");
        assert!(!spare.contains(&block));
        let pages = memory.pages();
        let mut bytes = 0;
        while let Some(block) = live.allocate(3_000, 8) {
            if memory.pages() > pages {
                break;
            }
            bytes += usize::from(spare.contains(&block)) * 3_000;
        }
        assert!(
            bytes > 7 * PAGE_BYTES,
            "{bytes} bytes of {} are used, with {theirs} pages above",
            spare.len()
        );
        live.assert_all_intact();
        drop(live);
        memory.assert_others_are_intact();
    }
}

/// Slots that were given back, and that the heap keeps for the next requests, lie above a block that must grow.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_grows_over_what_the_heap_keeps() {
    let (old, new) = (10 * PAGE_BYTES, 30 * PAGE_BYTES);
    // There is room for the longer block only where the shorter one is: with growth, and without.
    for (pages_max, reserved) in [(32, 1), (64, 36)] {
        let memory = Memory::empty(pages_max);
        let heap = memory.heap::<1, true>();
        assert!(heap.reserve(reserved * PAGE_BYTES * 9 / 10));
        let pages = memory.pages();
        let mut live = Live::new(&heap);
        let block = live.allocate(old, 8).expect("room");
        let slots = [20, 100, 500, 1_000].map(|size| live.allocate(size, 8).expect("room"));
        for slot in slots {
            live.free(slot);
        }
        assert_eq!(live.reallocate(block, new), Some(block));
        assert_eq!(memory.pages() > pages, reserved == 1, "{reserved} pages");
        live.assert_all_intact();
    }
}

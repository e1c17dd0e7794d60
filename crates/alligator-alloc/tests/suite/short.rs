//! Each way through the heap once, in little memory and few steps: what an interpreter such as Miri can follow.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::slice;

use alligator_alloc::{Arena, Heap, PAGE_BYTES};

use crate::live::Live;
use crate::memory::Memory;

#[test]
fn short_slots_of_every_class() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for size in [
        1, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 160, 224, 320, 512, 640, 1024,
    ] {
        let first = live.allocate(size, 8).expect("room");
        let second = live.allocate(size, 1).expect("room");
        live.free(first);
        live.reallocate(second, size + 9).expect("room");
    }
}

#[test]
fn short_more_slots_than_a_magazine_holds() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    // 512 bytes: four slots to a MiniPage. The magazine overflows, MiniPages become runs, and others again.
    for size in [512, 300] {
        for _ in 0..110 {
            live.allocate(size, 8).expect("room");
        }
        live.free_all();
    }
}

#[test]
fn short_magazines_flushed_by_growth() {
    let memory = Memory::empty(20);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for _ in 0..40 {
        live.allocate(1024, 8).expect("room");
    }
    live.free_all();
    // Each time a page is used up, by a run and MiniPages: as often as there are classes that take turns, and more.
    for _ in 0..13 {
        live.allocate(60_000, 8).expect("room");
        for _ in 0..9 {
            live.allocate(640, 8).expect("room");
        }
    }
    for _ in 0..40 {
        live.allocate(1024, 8).expect("room");
    }
}

#[test]
fn short_slots_of_many_mini_pages() {
    let memory = Memory::empty(2);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for _ in 0..80 {
        live.allocate(16, 8).expect("room");
    }
    // Of each MiniPage some, beyond what the magazine takes, and again.
    let addresses = live.addresses();
    for block in addresses.iter().step_by(3) {
        live.free(*block);
    }
    for _ in 0..40 {
        live.allocate(16, 8).expect("room");
    }
}

#[test]
fn short_runs_that_split_merge_and_move() {
    let memory = Memory::empty(12);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let sizes = [20_000, 3_000, 40_000, 5_000, 20_000];
    let blocks = sizes.map(|size| live.allocate(size, 8).expect("room"));
    live.free(blocks[2]);
    let grown = live.reallocate(blocks[1], 30_000).expect("room");
    live.free(blocks[0]);
    let moved = live.reallocate(blocks[3], 18_000).expect("room");
    live.reallocate(grown, 2_500).expect("room");
    live.reallocate(moved, 700).expect("room");
    live.free(blocks[4]);
    live.allocate(90_000, 8).expect("the runs have merged");
}

#[test]
fn short_long_blocks_at_the_end() {
    let memory = Memory::empty(24);
    let mut heap = Heap::new(memory.source::<1, true>());
    let long = Layout::new::<[u8; 4 * PAGE_BYTES]>();
    let longer = Layout::new::<[u8; 9 * PAGE_BYTES]>();
    heap.allocate(long).expect("room");
    let last = heap.allocate(longer).expect("room");
    // SAFETY: the heap gave it for this layout.
    unsafe { heap.deallocate(last, longer) };
    // Whatever is left of the run, then all of it.
    for _ in 0..2 {
        let blocks = [(); 2].map(|()| heap.allocate(long).expect("room"));
        for block in blocks {
            // SAFETY: the heap gave it for this layout.
            unsafe { heap.deallocate(block, long) };
        }
    }
}

#[test]
fn short_alignments_above_a_granule() {
    let memory = Memory::empty(9);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for align in [4096, 65_536] {
        let block = live.allocate(5_000, align).expect("room");
        let block = live.reallocate(block, 9_000).expect("room");
        live.free(block);
    }
    live.allocate_zeroed(3_000, 4096).expect("room");
}

/// A pointer to the block at `block` that leads to its first `bytes` only, as a program may have it.
fn narrow(block: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    // SAFETY: the block is in use, has so many bytes, which were written, and nobody else refers to them.
    let contents = unsafe { slice::from_raw_parts_mut(block.as_ptr(), bytes) };
    NonNull::from(contents).cast()
}

/// What was resized can be written all over by the pointer that is returned, whatever the one that was passed leads to.
#[test]
fn short_a_block_that_is_resized_where_it_is_can_be_used_to_its_new_end() {
    let memory = Memory::empty(12);
    let mut heap = Heap::new(memory.source::<1, true>());
    // Slots, runs, aligned runs.
    for (size, align, new_size) in [
        (65, 8, 71),
        (8_000, 8, 8_150),
        (8_000, 8, 30_000),
        (1_300, 8, 1_310),
        (9_000, 8_192, 10_000),
        (9_000, 8_192, 5_000),
        (70_000, 8, 80_000),
    ] {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        let new_layout = Layout::from_size_align(new_size, align).expect("a layout");
        let block = heap.allocate(layout).expect("room");
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(1, size) };
        // SAFETY: the heap gave the block for this layout.
        let resized = unsafe { heap.reallocate(narrow(block, size), layout, new_size) };
        let resized = resized.expect("room");
        // SAFETY: the block has so many bytes.
        unsafe { resized.write_bytes(2, new_size) };
        // SAFETY: the heap gave the block for this layout.
        unsafe { heap.deallocate(narrow(resized, new_size), new_layout) };
    }
}

#[test]
fn short_a_block_that_is_resized_by_address_can_be_used_to_its_new_end() {
    let memory = Memory::empty(12);
    let mut heap = Heap::new(memory.source::<1, true>());
    for (size, new_size) in [(65, 71), (8_000, 8_150), (8_000, 30_000), (30_000, 9_000)] {
        let layout = |size| Layout::from_size_align(size, 8).expect("a layout");
        let block = heap.allocate_by_address(layout(size)).expect("room");
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(1, size) };
        let narrow_block = narrow(block, size);
        // SAFETY: the block is in use.
        let resized = unsafe { heap.reallocate_by_address(narrow_block, layout(new_size)) };
        let resized = resized.expect("room");
        // SAFETY: the block has so many bytes.
        unsafe { resized.write_bytes(2, new_size) };
        // SAFETY: the block is in use.
        unsafe { heap.deallocate_by_address(narrow(resized, new_size)) };
    }
}

// With `small`, a block that changes its size moves.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn short_a_block_grows_into_all_of_the_free_run_above_it() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let blocks = [3_072, 5_120, 2_048].map(|size| live.allocate(size, 8).expect("room"));
    live.free(blocks[1]);
    assert_eq!(live.reallocate(blocks[0], 8_192), Some(blocks[0]));
}

#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn short_a_block_aligned_to_more_than_a_granule_shrinks_and_grows_where_it_is() {
    let memory = Memory::empty(12);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for align in [4_096, 65_536] {
        let block = live.allocate(40_000, align).expect("room");
        for size in [9_000, 30_000, 2_100, 40_000] {
            assert_eq!(live.reallocate(block, size), Some(block), "to {size}");
        }
        live.free(block);
    }
}

// With `small`, a block that changes its size moves.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn short_what_an_aligned_block_shrinks_by_is_free_again() {
    let memory = Memory::new(3, 0, 3);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let block = live.allocate(100_000, 4_096).expect("room");
    assert_eq!(live.allocate(95_000, 8), None);
    live.reallocate(block, 5_000).expect("it shrinks");
    live.allocate(95_000, 8).expect("what it shrank by");
}

#[cfg(target_pointer_width = "64")]
#[test]
fn short_sizes_and_alignments_beyond_what_records_can_say_are_refused() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for align in [8, 4_096] {
        let block = live.allocate(8_000, align).expect("room");
        for bytes in [1 << 37, 1 << 38, (1 << 38) + 8_000] {
            assert_eq!(live.allocate(bytes, align), None);
            assert_eq!(live.reallocate(block, bytes), None);
        }
    }
    assert_eq!(live.allocate(8_000, 1 << 38), None);
    assert!(!heap.reserve(1 << 38));
}

#[test]
fn short_zeroed_blocks_in_dirty_memory() {
    let memory = Memory::new(1, 10_000, 6);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let dirty = live.allocate(4_000, 8).expect("room");
    live.free(dirty);
    for size in [24, 4_000, 30_000] {
        live.allocate_zeroed(size, 8).expect("room");
    }
    memory.assert_others_are_intact();
}

#[test]
fn short_growth_into_a_second_table_beside_others() {
    let memory = Memory::new(2, PAGE_BYTES, 24);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let first = live.allocate(4 * PAGE_BYTES, 8).expect("room");
    memory.grow_by_somebody_else(1);
    live.allocate(6 * PAGE_BYTES, 8).expect("room");
    live.free(first);
    live.allocate(2 * PAGE_BYTES, 8).expect("room");
    memory.assert_others_are_intact();
}

#[test]
fn short_reservations_and_refusals() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, false>();
    let mut live = Live::new(&heap);
    assert!(live.allocate(100, 8).is_none());
    assert!(heap.reserve(2 * PAGE_BYTES));
    let block = live.allocate(2 * PAGE_BYTES, 8).expect("it was reserved");
    assert!(live.reallocate(block, 8 * PAGE_BYTES).is_none());
    assert!(!heap.reserve(8 * PAGE_BYTES));
    live.allocate(100, 8).expect("room");
}

#[test]
fn short_blocks_by_their_address_in_an_arena() {
    let memory = Box::leak(Box::new_uninit_slice(3 * PAGE_BYTES));
    let mut heap = Heap::new(Arena::new(memory));
    for (size, align) in [(0, 1), (24, 8), (700, 16), (3_000, 16), (5_000, 4096)] {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        let block = heap.allocate_by_address(layout).expect("room");
        // SAFETY: the block is in use.
        assert!(unsafe { heap.usable_size(block) } >= size);
        let larger = Layout::from_size_align(size + 2_000, 16).expect("a layout");
        // SAFETY: as above.
        let block = unsafe { heap.reallocate_by_address(block, larger) }.expect("room");
        // SAFETY: as above.
        unsafe { heap.deallocate_by_address(block) };
    }
}

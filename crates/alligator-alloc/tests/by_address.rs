//! Blocks given back and resized by their address alone.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests have std"
)]

use std::alloc::Layout;
use std::ptr::NonNull;

use alligator_alloc::{Arena, Heap};

const ARENA_BYTES: usize = 8 << 20;

/// Sizes around every boundary between classes, and of runs.
const SIZES: [usize; 26] = [
    1, 8, 16, 24, 32, 33, 40, 64, 100, 160, 320, 512, 640, 641, 1_000, 1_024, 1_025, 1_072, 1_073,
    2_048, 2_049, 4_592, 4_593, 5_000, 65_536, 100_000,
];

fn heap() -> Heap<Arena<'static>> {
    Heap::new(Arena::new(Box::leak(Box::new_uninit_slice(ARENA_BYTES))))
}

fn layouts() -> impl Iterator<Item = Layout> {
    let alignments = (0..17).map(|shift| 1_usize << shift);
    alignments
        .flat_map(|align| SIZES.map(|size| Layout::from_size_align(size, align).expect("a layout")))
}

fn check(heap: &Heap<Arena>) {
    #[cfg(feature = "check")]
    heap.check().expect("a whole heap");
    let _ = heap;
}

fn fill(block: NonNull<u8>, bytes: usize, seed: usize) {
    for at in 0..bytes {
        // SAFETY: the block has that many bytes, and is ours.
        let byte = unsafe { block.add(at) };
        // SAFETY: as above.
        unsafe { byte.write(pattern(seed, at)) };
    }
}

fn is_filled(block: NonNull<u8>, bytes: usize, seed: usize) -> bool {
    (0..bytes).all(|at| {
        // SAFETY: the block has that many bytes, and `fill` has written them.
        let byte = unsafe { block.add(at) };
        // SAFETY: as above.
        let found = unsafe { byte.read() };
        found == pattern(seed, at)
    })
}

#[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
fn pattern(seed: usize, at: usize) -> u8 {
    (seed * 131 + at * 7 + (at >> 8)) as u8
}

#[test]
fn every_block_is_given_back_whatever_its_layout() {
    let mut heap = heap();
    for turn in 0..3 {
        for layout in layouts() {
            let pin = heap.allocate(layout).expect("room");
            let block = match turn {
                0 => heap.allocate(layout),
                1 => heap.allocate_by_address(layout),
                _ => heap.allocate_zeroed(layout),
            };
            let block = block.expect("room");
            assert_eq!(block.addr().get() % layout.align(), 0, "{layout:?}");
            fill(block, layout.size(), turn);
            for block in [pin, block] {
                // SAFETY: the heap gave both, and each goes back once.
                unsafe { heap.deallocate_by_address(block) };
            }
            check(&heap);
        }
    }
    // All is free again: the longest block of the beginning still has room.
    let whole = Layout::from_size_align(ARENA_BYTES / 2, 8).expect("a layout");
    assert!(heap.allocate(whole).is_some());
}

#[test]
fn all_usable_bytes_belong_to_the_block() {
    let mut heap = heap();
    let mut blocks = Vec::new();
    for (seed, layout) in layouts().enumerate() {
        let block = heap.allocate(layout).expect("room");
        // SAFETY: the heap gave the block just now.
        let bytes = unsafe { heap.usable_size(block) };
        assert!(bytes >= layout.size(), "{layout:?}");
        fill(block, bytes, seed);
        blocks.push((block, bytes, seed));
        if blocks.len() == 16 {
            for (block, bytes, seed) in blocks.drain(..) {
                assert!(is_filled(block, bytes, seed));
                // SAFETY: as above.
                unsafe { heap.deallocate_by_address(block) };
            }
        }
    }
}

#[test]
fn a_resized_block_keeps_its_bytes() {
    let mut heap = heap();
    for layout in layouts().filter(|layout| layout.align() >= 16) {
        for new_size in SIZES {
            let new_layout = Layout::from_size_align(new_size, 16).expect("a layout");
            let block = heap.allocate(layout).expect("room");
            fill(block, layout.size(), new_size);
            // SAFETY: the heap gave the block for at least that alignment.
            let new = unsafe { heap.reallocate_by_address(block, new_layout) };
            let new = new.expect("room");
            assert_eq!(new.addr().get() % 16, 0);
            let kept = layout.size().min(new_size);
            assert!(is_filled(new, kept, new_size), "{layout:?} to {new_size}");
            // SAFETY: the heap gave the block just now.
            assert!(unsafe { heap.usable_size(new) } >= new_size);
            // SAFETY: as above.
            unsafe { heap.deallocate_by_address(new) };
        }
        check(&heap);
    }
}

#[test]
fn to_shrink_needs_no_room() {
    let mut heap = heap();
    let large = Layout::from_size_align(1_000, 16).expect("a layout");
    let small = Layout::from_size_align(10, 16).expect("a layout");
    let first = heap.allocate(large).expect("room");
    fill(first, 1_000, 1);
    while heap.allocate(large).is_some() {}
    while heap.allocate(small).is_some() {}
    // SAFETY: the heap gave the block for that alignment.
    let shrunk = unsafe { heap.reallocate_by_address(first, small) };
    assert_eq!(shrunk, Some(first));
    assert!(is_filled(first, 10, 1));
    check(&heap);
}

#[test]
fn a_block_of_no_bytes_is_one() {
    let mut heap = heap();
    for align in [1, 16, 64, 4_096] {
        let layout = Layout::from_size_align(0, align).expect("a layout");
        let first = heap.allocate_by_address(layout).expect("room");
        let second = heap.allocate_by_address(layout).expect("room");
        assert_ne!(first, second);
        assert_eq!(second.addr().get() % align, 0);
    }
}

#[cfg(feature = "metrics")]
#[test]
fn what_is_counted_in_is_counted_out() {
    let mut heap = heap();
    for layout in layouts().filter(|layout| layout.align() >= 16) {
        let block = heap.allocate_by_address(layout).expect("room");
        let new_layout = Layout::from_size_align(layout.size() * 2, 16).expect("a layout");
        // SAFETY: the heap gave the block for at least that alignment.
        let block = unsafe { heap.reallocate_by_address(block, new_layout) }.expect("room");
        // SAFETY: the heap gave the block just now.
        unsafe { heap.deallocate_by_address(block) };
    }
    let metrics = heap.metrics();
    assert_eq!(metrics.requested_bytes_live, 0);
    assert!(metrics.classes().iter().all(|class| class.blocks.live == 0));
    assert_eq!(metrics.runs.live, 0);
    assert!(metrics.reallocations > 0);
}

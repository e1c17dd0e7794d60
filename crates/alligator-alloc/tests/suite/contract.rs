//! What any global allocator owes, for all sizes and alignments: each function below takes any [`Subject`].

use std::alloc::{GlobalAlloc, Layout, System};

use crate::live::{Live, Subject};
use crate::memory::Memory;

/// Pages enough for every test here.
const PAGES_MAX: usize = if cfg!(miri) { 64 } else { 512 };

/// Sizes around every boundary up to 256 KiB: four to a doubling, one less and one more.
fn sizes() -> impl Iterator<Item = usize> + Clone {
    let doublings = if cfg!(miri) { 2..8 } else { 2..17 };
    let quarters = doublings.flat_map(|shift| (4..8).map(move |quarter| quarter << shift));
    let around = quarters.flat_map(|size| [size - 1, size, size + 1]);
    (1..16).chain(around)
}

/// Alignments up to two pages.
fn alignments() -> impl Iterator<Item = usize> {
    (0..if cfg!(miri) { 13 } else { 18 }).map(|shift| 1 << shift)
}

fn blocks_of_every_size_and_alignment_are_apart(subject: &impl Subject) {
    for align in alignments() {
        let mut live = Live::new(subject);
        for size in sizes().filter(|size| size * 4 >= align || size % 3 == 0) {
            live.allocate(size, align).expect("room");
            if live.bytes() + live.count() * align > 8 << 20 {
                live.free_all();
            }
        }
        live.assert_all_intact();
    }
}

fn a_freed_half_is_filled_again(subject: &impl Subject) {
    let mut live = Live::new(subject);
    for size in sizes().filter(|&size| size < 20_000) {
        live.allocate(size, 8).expect("room");
    }
    for turn in 0..4 {
        let addresses = live.addresses();
        for address in addresses.iter().skip(turn % 2).step_by(2) {
            live.free(*address);
        }
        for size in sizes().filter(|&size| size < 20_000).step_by(2) {
            live.allocate(size, 1 << (turn * 2)).expect("room");
        }
        live.assert_all_intact();
    }
}

fn realloc_keeps_the_contents_both_ways(subject: &impl Subject) {
    let step = if cfg!(miri) { 23 } else { 7 };
    for align in [1, 8, 16, 64, 1024, 4096, 65_536] {
        let mut live = Live::new(subject);
        for old in sizes().step_by(step) {
            for new in sizes().step_by(step + 2) {
                let pin = live.allocate(old, align).expect("room");
                let block = live.allocate(old, align).expect("room");
                let block = live.reallocate(block, new).expect("room");
                let block = live.reallocate(block, old).expect("room");
                live.free(pin);
                live.free(block);
            }
        }
    }
}

fn zeroed_blocks_are_zero_after_dirty_ones(subject: &impl Subject) {
    for align in [1, 16, 256, 4096] {
        let mut live = Live::new(subject);
        for size in sizes() {
            let dirty = live.allocate(size, align).expect("room");
            let pin = live.allocate(size, align).expect("room");
            live.free(dirty);
            let zeroed = live.allocate_zeroed(size, align).expect("room");
            live.free(zeroed);
            live.free(pin);
        }
    }
}

fn impossible_layouts_get_null_and_nothing_breaks(subject: &impl Subject) {
    let mut live = Live::new(subject);
    let small = live.allocate(100, 8).expect("room");
    for align in (0..usize::BITS - 1).map(|shift| 1_usize << shift) {
        let largest = isize::MAX.unsigned_abs() - (align - 1);
        for size in [largest, largest - 1, largest / 2, largest / 4 * 3] {
            let Ok(layout) = Layout::from_size_align(size.max(1), align) else {
                continue;
            };
            // More than a 32-bit memory, and more than any test's memory.
            if layout.size() < 1 << 30 {
                continue;
            }
            // SAFETY: the layout has at least one byte.
            let block = unsafe { subject.alloc(layout) };
            assert!(block.is_null(), "{layout:?} got {block:?}");
            // SAFETY: as above.
            let block = unsafe { subject.alloc_zeroed(layout) };
            assert!(block.is_null(), "{layout:?} got {block:?}");
        }
    }
    assert_eq!(live.reallocate(small, isize::MAX.unsigned_abs() - 7), None);
    assert_eq!(live.reallocate(small, isize::MAX.unsigned_abs() / 2), None);
    let large = live.allocate(100_000, 8).expect("room");
    assert_eq!(live.reallocate(large, isize::MAX.unsigned_abs() - 7), None);
    assert_eq!(live.reallocate(large, isize::MAX.unsigned_abs() / 2), None);
    live.assert_all_intact();
    subject.assert_sound(&"after impossible layouts");
}

/// Allocates `size` until there is no room; returns how many blocks there was room for.
fn fill_up(live: &mut Live<'_, impl Subject>, size: usize, align: usize) -> usize {
    let before = live.count();
    while live.allocate(size, align).is_some() {}
    live.count() - before
}

fn the_end_of_memory_is_null_and_all_comes_back(subject: &impl Subject) {
    let mut live = Live::new(subject);
    for (size, align) in [
        (70_000, 8),
        (3_000, 8),
        (1_500, 16),
        (8_000, 4096),
        (400, 8),
    ] {
        let first = fill_up(&mut live, size, align);
        assert!(first > 0);
        assert_eq!(live.allocate_zeroed(size, align), None);
        let block = live.nth(live.count() / 2);
        assert_eq!(live.reallocate(block, size * 40), None);
        live.assert_all_intact();
        live.free_all();
        // Freed slots that a class keeps at hand may pin some pieces, but no more than that.
        let second = fill_up(&mut live, size, align);
        assert!(
            second * 20 >= first * 19,
            "{first} blocks of {size}, then {second}"
        );
        live.free_all();
    }
}

/// All of the contract that needs no end of memory.
fn assert_contract(subject: &impl Subject) {
    blocks_of_every_size_and_alignment_are_apart(subject);
    a_freed_half_is_filled_again(subject);
    realloc_keeps_the_contents_both_ways(subject);
    zeroed_blocks_are_zero_after_dirty_ones(subject);
}

#[test]
fn the_contract_asks_nothing_that_the_hosts_allocator_does_not_keep() {
    assert_contract(&System);
}

#[test]
fn a_heap_in_growing_memory_keeps_the_contract() {
    assert_contract(&Memory::empty(PAGES_MAX).heap::<1, true>());
}

#[test]
fn a_heap_that_grows_in_large_steps_keeps_the_contract() {
    assert_contract(&Memory::empty(PAGES_MAX).heap::<16, true>());
}

#[test]
fn a_heap_that_starts_in_a_dirty_spare_tail_keeps_the_contract() {
    let memory = Memory::new(3, 70_001, PAGES_MAX);
    assert_contract(&memory.heap::<1, true>());
    memory.assert_others_are_intact();
}

#[test]
fn a_heap_that_was_reserved_and_never_grows_keeps_the_contract() {
    let memory = Memory::new(1, 5, PAGES_MAX);
    let heap = memory.heap::<1, false>();
    assert!(heap.reserve((PAGES_MAX - PAGES_MAX / 8) * alligator_alloc::PAGE_BYTES));
    let pages = memory.pages();
    assert_contract(&heap);
    assert_eq!(memory.pages(), pages);
}

#[cfg(target_family = "wasm")]
#[test]
fn the_global_allocator_of_this_program_keeps_the_contract() {
    assert_contract(&crate::ALLOC);
}

#[test]
fn a_heap_gives_null_for_impossible_layouts() {
    impossible_layouts_get_null_and_nothing_breaks(&Memory::empty(8).heap::<1, true>());
    impossible_layouts_get_null_and_nothing_breaks(&Memory::new(2, 99, 8).heap::<4, true>());
}

#[test]
fn a_heap_gives_null_at_the_end_of_memory_and_goes_on() {
    let pages_max = if cfg!(miri) { 6 } else { 40 };
    the_end_of_memory_is_null_and_all_comes_back(&Memory::empty(pages_max).heap::<1, true>());
    the_end_of_memory_is_null_and_all_comes_back(&Memory::new(3, 9, pages_max).heap::<7, true>());
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

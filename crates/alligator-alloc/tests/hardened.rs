//! Each misuse of a hardened heap, and the fault that names it. That no right program is refused is what the
//! whole test suite shows, run with the feature.

#![cfg(all(feature = "hardened", not(target_family = "wasm")))]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core,
    reason = "tests have std"
)]

#[path = "suite/memory.rs"]
#[allow(dead_code, reason = "made for more tests than these")]
mod memory;

use std::alloc::{GlobalAlloc, Layout};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use alligator_alloc::{Arena, Fault, Heap, PAGE_BYTES};
use memory::Memory;

const SLOT: Layout = Layout::new::<[u64; 10]>();
const RUN: Layout = Layout::new::<[u64; 1_000]>();

/// A heap in 1 MiB that starts at a multiple of the page size, as in WebAssembly: tests are the same in each run.
fn heap() -> Heap<Arena> {
    const BYTES: usize = 1 << 20;
    let memory = vec![MaybeUninit::<u8>::uninit(); BYTES + PAGE_BYTES].into_boxed_slice();
    let memory = Box::leak(memory);
    let first = memory.as_ptr().addr();
    let before = first.next_multiple_of(PAGE_BYTES) - first;
    Heap::new(Arena::new(&mut memory[before..][..BYTES]))
}

fn allocate(heap: &mut Heap<Arena>, layout: Layout) -> NonNull<u8> {
    heap.allocate(layout).expect("room")
}

/// Right or wrong.
fn free(heap: &mut Heap<Arena>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: a hardened heap stops where this is not its block. If it did not, the test would fail.
    unsafe { heap.deallocate(block, layout) };
}

fn at(block: NonNull<u8>, offset: usize) -> NonNull<u8> {
    block.map_addr(|address| address.saturating_add(offset))
}

/// A write through a stale pointer, or past a block.
fn write(block: NonNull<u8>, byte: u8) {
    // SAFETY: the memory is an arena's, which outlives the test, and no reference to it exists.
    unsafe { block.write(byte) };
}

/// The fault that `action` is stopped by, and its address. One at a time: the last fault is the program's.
fn fault_of(action: impl FnOnce()) -> Option<(Fault, usize)> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(()) => None,
        Err(payload) => {
            let (fault, address) = Fault::last().expect("a fault, not another panic");
            let text = payload.downcast::<String>().expect("a message");
            assert_eq!(*text, format!("{fault} ({address:#x})"));
            Some((fault, address))
        }
    }
}

/// Giving back `block` as one of `layout` is refused for `fault`, and the heap is as it was.
#[track_caller]
fn assert_refused(heap: &mut Heap<Arena>, block: NonNull<u8>, layout: Layout, fault: Fault) {
    let found = fault_of(|| free(heap, block, layout));
    assert_eq!(found, Some((fault, block.addr().get())), "{layout:?}");
    let found = fault_of(|| {
        // SAFETY: as in `free`.
        unsafe { heap.reallocate(block, layout, layout.size() * 2 + 1) };
    });
    assert_eq!(
        found,
        Some((fault, block.addr().get())),
        "resize {layout:?}"
    );
    assert_sound(heap);
}

#[track_caller]
fn assert_refused_by_address(heap: &mut Heap<Arena>, block: NonNull<u8>, fault: Fault) {
    let expected = Some((fault, block.addr().get()));
    let give_back = || {
        // SAFETY: as in `free`.
        unsafe { heap.deallocate_by_address(block) };
    };
    assert_eq!(fault_of(give_back), expected);
    let resize = || {
        // SAFETY: as in `free`.
        unsafe { heap.reallocate_by_address(block, RUN) };
    };
    assert_eq!(fault_of(resize), expected);
    let ask = || {
        // SAFETY: as in `free`.
        unsafe { heap.usable_size(block) };
    };
    assert_eq!(fault_of(ask), expected);
    assert_sound(heap);
}

fn assert_sound(heap: &Heap<Arena>) {
    #[cfg(feature = "check")]
    assert_eq!(heap.check(), Ok(()));
    let _ = heap;
}

#[test]
fn a_slot_given_back_twice_is_refused() {
    let mut heap = heap();
    let blocks: Vec<_> = (0..60).map(|_| allocate(&mut heap, SLOT)).collect();
    for &block in &blocks[..40] {
        free(&mut heap, block, SLOT);
    }
    // In the current MiniPage and in another, and in one that is a free run now.
    for &block in &blocks[..40] {
        assert_refused(&mut heap, block, SLOT, Fault::DoubleFree);
        assert_refused_by_address(&mut heap, block, Fault::DoubleFree);
    }
}

#[test]
fn a_slot_that_was_never_given_out_is_refused() {
    let mut heap = heap();
    let block = allocate(&mut heap, SLOT);
    let next = at(block, SLOT.size());
    assert_refused(&mut heap, next, SLOT, Fault::DoubleFree);
    assert_refused_by_address(&mut heap, next, Fault::DoubleFree);
}

#[test]
fn a_run_given_back_twice_is_refused_merged_or_not() {
    let mut heap = heap();
    let blocks: Vec<_> = (0..5).map(|_| allocate(&mut heap, RUN)).collect();
    for freed in [1, 3, 2, 0] {
        free(&mut heap, blocks[freed], RUN);
        assert_refused(&mut heap, blocks[freed], RUN, Fault::DoubleFree);
        assert_refused(&mut heap, blocks[1], RUN, Fault::DoubleFree);
        assert_refused_by_address(&mut heap, blocks[freed], Fault::DoubleFree);
    }
    free(&mut heap, blocks[4], RUN);
}

#[test]
fn a_run_that_has_moved_is_refused_where_it_was() {
    let mut heap = heap();
    let block = allocate(&mut heap, RUN);
    let _pin = allocate(&mut heap, RUN);
    // SAFETY: the heap gave the block for this layout.
    let moved = unsafe { heap.reallocate(block, RUN, 40_000) }.expect("room");
    assert_ne!(moved, block);
    assert_refused(&mut heap, block, RUN, Fault::DoubleFree);
}

#[test]
fn an_address_inside_a_slot_is_refused() {
    let mut heap = heap();
    let block = allocate(&mut heap, SLOT);
    for offset in [1, 8, 16, 40, 79] {
        assert_refused(&mut heap, at(block, offset), SLOT, Fault::NotABlock);
        assert_refused_by_address(&mut heap, at(block, offset), Fault::NotABlock);
    }
}

#[test]
fn what_is_left_over_at_a_mini_pages_end_is_refused() {
    let mut heap = heap();
    let layout = Layout::new::<[u64; 5]>();
    let block = allocate(&mut heap, layout);
    let end = (block.addr().get() / 2048 + 1) * 2048 - block.addr().get();
    assert_eq!(end, 2048, "the first slot is not at the granule's start");
    assert_refused(&mut heap, at(block, 51 * 40), layout, Fault::NotABlock);
}

#[test]
fn an_address_inside_a_run_is_refused() {
    let mut heap = heap();
    let block = allocate(&mut heap, RUN);
    for offset in [1, 8, 64, 2_047, 2_048, 4_096, 7_999] {
        assert_refused(&mut heap, at(block, offset), RUN, Fault::NotABlock);
        assert_refused_by_address(&mut heap, at(block, offset), Fault::NotABlock);
    }
}

#[test]
fn an_address_inside_a_run_that_was_many_blocks_is_refused() {
    let mut heap = heap();
    let slots: Vec<_> = (0..1_000).map(|_| allocate(&mut heap, SLOT)).collect();
    let runs: Vec<_> = (0..20).map(|_| allocate(&mut heap, RUN)).collect();
    for slot in slots {
        free(&mut heap, slot, SLOT);
    }
    for &run in &runs {
        free(&mut heap, run, RUN);
    }
    let large = Layout::from_size_align(250_000, 8).expect("a layout");
    let block = allocate(&mut heap, large);
    for granule in 1..120 {
        let inside = at(block, granule * 2_048);
        for layout in [SLOT, RUN, large] {
            let found = fault_of(|| free(&mut heap, inside, layout));
            assert!(found.is_some(), "granule {granule}, {layout:?}");
        }
    }
    free(&mut heap, block, large);
    assert_sound(&heap);
}

#[test]
fn memory_that_is_not_the_heaps_is_refused() {
    let (mut heap, mut other) = (heap(), heap());
    allocate(&mut heap, SLOT);
    let local = [0_u64; 10];
    let blocks = [
        allocate(&mut other, SLOT),
        NonNull::from(&local).cast(),
        NonNull::<u64>::dangling().cast(),
        NonNull::from(&SLOT).cast(),
    ];
    for block in blocks {
        for layout in [SLOT, RUN] {
            assert_refused(&mut heap, block, layout, Fault::Foreign);
        }
        assert_refused_by_address(&mut heap, block, Fault::Foreign);
    }
}

#[test]
fn pages_after_the_heaps_last_are_refused() {
    let mut heap = heap();
    let block = allocate(&mut heap, SLOT);
    for page in 16..80 {
        let after = at(block, page * PAGE_BYTES);
        assert_refused(&mut heap, after, SLOT, Fault::Foreign);
        assert_refused_by_address(&mut heap, after, Fault::Foreign);
    }
}

#[test]
fn a_heap_without_memory_refuses_everything() {
    let mut heap = heap();
    assert_refused(&mut heap, NonNull::from(&SLOT).cast(), SLOT, Fault::Foreign);
    assert_refused_by_address(&mut heap, NonNull::from(&SLOT).cast(), Fault::Foreign);
}

#[test]
fn the_heaps_own_headers_are_refused() {
    let mut heap = heap();
    let block = allocate(&mut heap, SLOT);
    // The headers of the first pages stand before the first block, after a guard.
    for granules in 1..4 {
        let headers = block.map_addr(|address| {
            let before = address.get() - granules * 2_048;
            before.try_into().expect("not zero")
        });
        assert_refused(&mut heap, headers, SLOT, Fault::NotABlock);
        assert_refused(&mut heap, headers, RUN, Fault::NotABlock);
        assert_refused_by_address(&mut heap, headers, Fault::NotABlock);
    }
}

#[test]
fn a_block_of_another_class_or_length_is_refused() {
    let mut heap = heap();
    let slot = allocate(&mut heap, SLOT);
    let run = allocate(&mut heap, RUN);
    for size in [1, 24, 72, 88, 1_024, 1_025, 8_000] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        assert_refused(&mut heap, slot, layout, Fault::WrongLayout);
        allocate(&mut heap, layout); // Now the other class knows where its slots would be.
        assert_refused(&mut heap, slot, layout, Fault::WrongLayout);
    }
    for size in [1, 80, 1_024, 2_048, 6_144, 8_193, 100_000] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        assert_refused(&mut heap, run, layout, Fault::WrongLayout);
    }
    // Of the same class and length: no difference to the heap.
    free(&mut heap, slot, Layout::new::<[u8; 73]>());
    free(&mut heap, run, Layout::new::<[u8; 6_145]>());
    assert_sound(&heap);
}

#[test]
fn a_block_of_another_alignment_class_is_refused() {
    let mut heap = heap();
    let slot = allocate(&mut heap, SLOT);
    let aligned = Layout::from_size_align(80, 128).expect("a layout");
    assert_refused(&mut heap, slot, aligned, Fault::WrongLayout);
    let aligned = Layout::from_size_align(8_000, 1 << 16).expect("a layout");
    let blocks: Vec<_> = (0..3).map(|_| allocate(&mut heap, aligned)).collect();
    for block in blocks {
        assert_refused(&mut heap, block, SLOT, Fault::WrongLayout);
        free(&mut heap, block, aligned);
        assert_refused(&mut heap, block, aligned, Fault::DoubleFree);
        assert_refused_by_address(&mut heap, block, Fault::DoubleFree);
    }
}

#[test]
fn the_memory_before_an_aligned_block_is_refused() {
    let mut heap = heap();
    let aligned = Layout::from_size_align(8_000, 1 << 16).expect("a layout");
    let pin = allocate(&mut heap, RUN);
    let run = at(pin, 8_192);
    let block = allocate(&mut heap, aligned);
    assert!(block > run, "nothing lies before the block");
    assert_refused_by_address(&mut heap, run, Fault::NotABlock);
    assert_refused(&mut heap, run, RUN, Fault::NotABlock);
    assert_refused(&mut heap, block, RUN, Fault::WrongLayout);
    free(&mut heap, block, aligned);
    assert_sound(&heap);
}

#[test]
fn a_write_to_a_freed_slot_is_found_when_it_is_given_out_again() {
    for size in [16, 24, 32, 40, 1_024] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        for offset in 0..size.min(16) {
            let mut heap = heap();
            let block = allocate(&mut heap, layout);
            free(&mut heap, block, layout);
            write(at(block, offset), 0);
            let reuse = || while heap.allocate(layout).is_some() {};
            let expected = Some((Fault::WriteAfterFree, block.addr().get()));
            assert_eq!(fault_of(reuse), expected, "byte {offset} of {size}");
        }
    }
}

#[test]
fn a_write_past_the_poison_of_a_freed_slot_is_not_found() {
    let mut heap = heap();
    let block = allocate(&mut heap, SLOT);
    free(&mut heap, block, SLOT);
    write(at(block, 16), 0);
    let reuse = || while heap.allocate(SLOT).is_some() {};
    assert_eq!(fault_of(reuse), None);
}

#[test]
fn a_write_past_a_slot_is_found_if_the_next_one_is_free() {
    let mut heap = heap();
    let block = allocate(&mut heap, SLOT);
    write(at(block, SLOT.size()), 0);
    let found = fault_of(|| {
        allocate(&mut heap, SLOT);
    });
    let next = block.addr().get() + SLOT.size();
    assert_eq!(found, Some((Fault::WriteAfterFree, next)));
}

#[test]
fn a_write_to_a_freed_run_is_found_when_it_is_given_out_again() {
    for offset in 0..16 {
        let mut heap = heap();
        let block = allocate(&mut heap, RUN);
        let _pin = allocate(&mut heap, RUN);
        free(&mut heap, block, RUN);
        write(at(block, offset), 0);
        let found = fault_of(|| {
            allocate(&mut heap, RUN);
        });
        let expected = Some((Fault::WriteAfterFree, block.addr().get()));
        assert_eq!(found, expected, "byte {offset}");
    }
}

#[test]
fn a_freed_block_is_poisoned() {
    let mut heap = heap();
    for layout in [SLOT, RUN] {
        let block = allocate(&mut heap, layout);
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(7, layout.size()) };
        free(&mut heap, block, layout);
        for offset in 0..16 {
            // SAFETY: the memory is the arena's, and was written.
            let found = unsafe { at(block, offset).read() };
            assert_eq!(found, 0xF5, "byte {offset} of {layout:?}");
        }
    }
}

/// A heap with several tables of headers, blocks below each, and the lowest and highest addresses of its memory.
fn grown() -> (
    std::rc::Rc<Memory>,
    memory::Simulated<1, true>,
    Vec<*mut u8>,
) {
    let memory = Memory::empty(64);
    let heap = memory.heap::<1, true>();
    let mut blocks = Vec::new();
    while memory.pages() < 40 {
        // SAFETY: the layout is not empty.
        blocks.push(unsafe { heap.alloc(RUN) });
    }
    (memory, heap, blocks)
}

#[test]
fn a_write_past_a_block_into_later_headers_is_found_before_they_are_used() {
    let (memory, heap, mut blocks) = grown();
    blocks.sort();
    // The first table is below all blocks; another was made when the heap had eight pages.
    let gap = blocks
        .windows(2)
        .find(|pair| pair[1].addr() - pair[0].addr() > 3 * 8_192);
    let below = gap.expect("headers between blocks")[0];
    let highest = *blocks.last().expect("a block");
    // All of the memory between, up to the next block, through guard and headers.
    let start = below.addr() + 8_192;
    memory.fill(start..start + 3 * 8_192, 0xF5);
    let found = fault_of(|| {
        for &block in &blocks {
            // SAFETY: the heap gave the block for this layout.
            unsafe { heap.dealloc(block, RUN) };
        }
    });
    let (fault, address) = found.expect("a fault");
    assert_eq!(fault, Fault::Corrupted);
    assert!(address <= highest.addr());
    std::mem::forget(heap);
}

#[test]
fn somebody_elses_pages_between_ours_are_refused_and_disturb_nobody() {
    let memory = Memory::new(2, 1_000, 4_000);
    let heap = memory.heap::<1, true>();
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    for pages in [1, 3, 900, 2] {
        for _ in 0..100 {
            // SAFETY: the layout is not empty.
            let block = unsafe { heap.alloc(RUN) };
            assert!(!block.is_null());
            ours.push(block);
        }
        theirs.push(memory.range().end);
        assert!(memory.grow_by_somebody_else(pages));
    }
    for address in theirs {
        for inside in [address, address + 2_048, address + 8 * 2_048 + 16] {
            let block = ours[0].with_addr(inside);
            for layout in [SLOT, RUN] {
                // SAFETY: as in `free`.
                let found = fault_of(|| unsafe { heap.dealloc(block, layout) });
                let fault = found.expect("a fault").0;
                assert!(
                    matches!(fault, Fault::NotABlock | Fault::Foreign),
                    "{fault:?}"
                );
            }
        }
    }
    for block in ours {
        // SAFETY: the heap gave the block for this layout.
        unsafe { heap.dealloc(block, RUN) };
    }
    memory.assert_others_are_intact();
}

#[test]
fn a_fault_leaves_the_lock_open_and_the_heap_goes_on() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    // SAFETY: the layout is not empty.
    let block = unsafe { heap.alloc(SLOT) };
    // SAFETY: the heap gave the block for this layout.
    unsafe { heap.dealloc(block, SLOT) };
    // SAFETY: as in `free`.
    let found = fault_of(|| unsafe { heap.dealloc(block, SLOT) });
    assert_eq!(found, Some((Fault::DoubleFree, block.addr())));
    assert!(heap.reserve(PAGE_BYTES));
    // SAFETY: the layout is not empty.
    assert!(!unsafe { heap.alloc(SLOT) }.is_null());
}

#[test]
fn a_fault_has_a_number_and_is_found_by_it() {
    for code in 1..=6 {
        assert_eq!(Fault::from_code(code).map(Fault::code), Some(code));
    }
    assert_eq!(Fault::from_code(0), None);
    assert_eq!(Fault::from_code(7), None);
}

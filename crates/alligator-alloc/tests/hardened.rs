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
fn heap() -> Heap<Arena<'static>> {
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

/// A heap, and what is misused in it.
type Case = (Heap<Arena<'static>>, NonNull<u8>);

/// Each of `misuses`, in a heap of its own that `make` makes, is refused for `fault`; the heap is as it was, and stopped.
#[track_caller]
fn assert_stops(make: &dyn Fn() -> Case, fault: Fault, misuses: &[&dyn Fn(&mut Case)]) {
    for (index, misuse) in misuses.iter().enumerate() {
        let mut case = make();
        let expected = Some((fault, case.1.addr().get()));
        assert_eq!(fault_of(|| misuse(&mut case)), expected, "misuse {index}");
        assert_sound(&case.0);
        let again = fault_of(|| {
            let _ = case.0.allocate(SLOT);
        });
        assert_eq!(again, expected, "after misuse {index}");
    }
}

/// Giving back the block as one of `layout` is refused for `fault`, and so is resizing it.
#[track_caller]
fn assert_refused(make: impl Fn() -> Case, layout: Layout, fault: Fault) {
    let resize = |(heap, block): &mut Case| {
        // SAFETY: as in `free`.
        let _ = unsafe { heap.reallocate(*block, layout, layout.size() * 2 + 1) };
    };
    assert_stops(
        &make,
        fault,
        &[&|(heap, block)| free(heap, *block, layout), &resize],
    );
}

/// Whatever can be done with the block by its address is refused for `fault`.
#[track_caller]
fn assert_refused_by_address(make: impl Fn() -> Case, fault: Fault) {
    let give_back = |(heap, block): &mut Case| {
        // SAFETY: as in `free`.
        unsafe { heap.deallocate_by_address(*block) };
    };
    let resize = |(heap, block): &mut Case| {
        // SAFETY: as in `free`.
        let _ = unsafe { heap.reallocate_by_address(*block, RUN) };
    };
    let ask = |(heap, block): &mut Case| {
        // SAFETY: as in `free`.
        let _ = unsafe { heap.usable_size(*block) };
    };
    assert_stops(&make, fault, &[&give_back, &resize, &ask]);
}

fn assert_sound(heap: &Heap<Arena>) {
    #[cfg(feature = "check")]
    assert_eq!(heap.check(), Ok(()));
    let _ = heap;
}

/// A heap with one block of `layout`, and the address `offset` bytes into it.
fn inside(layout: Layout, offset: usize) -> Case {
    let mut heap = heap();
    let block = allocate(&mut heap, layout);
    (heap, at(block, offset))
}

#[test]
fn a_slot_given_back_twice_is_refused() {
    // In the current MiniPage and in another, and in one that is a free run now.
    for index in 0..40 {
        let make = || {
            let mut heap = heap();
            let blocks: Vec<_> = (0..60).map(|_| allocate(&mut heap, SLOT)).collect();
            for &block in &blocks[..40] {
                free(&mut heap, block, SLOT);
            }
            (heap, blocks[index])
        };
        assert_refused(make, SLOT, Fault::DoubleFree);
        assert_refused_by_address(make, Fault::DoubleFree);
    }
}

/// A heap that has given its current MiniPage back to its list: one slot is in use, and the other was.
fn gathered() -> (Heap<Arena<'static>>, [NonNull<u8>; 2]) {
    let mut heap = heap();
    let slots = [(); 2].map(|()| allocate(&mut heap, SLOT));
    free(&mut heap, slots[1], SLOT);
    let too_much = Layout::from_size_align(1 << 30, 8).expect("a layout");
    assert_eq!(heap.allocate(too_much), None);
    (heap, slots)
}

#[test]
fn a_slot_given_back_twice_is_refused_after_the_heap_has_gathered() {
    let make = || {
        let (heap, slots) = gathered();
        (heap, slots[1])
    };
    assert_refused(make, SLOT, Fault::DoubleFree);
}

#[test]
fn a_slot_in_use_is_given_back_after_the_heap_has_gathered() {
    let (mut heap, slots) = gathered();
    free(&mut heap, slots[0], SLOT);
    assert_sound(&heap);
}

#[test]
fn the_first_slot_after_the_current_mini_page_is_given_back() {
    let mut heap = heap();
    let slots: Vec<_> = (0..50).map(|_| allocate(&mut heap, SLOT)).collect();
    assert_eq!(slots[25], at(slots[0], 2_048));
    free(&mut heap, slots[3], SLOT);
    assert_eq!(allocate(&mut heap, SLOT), slots[3]);
    free(&mut heap, slots[25], SLOT);
    assert_sound(&heap);
}

#[test]
fn a_slot_that_was_never_given_out_is_refused() {
    let make = || inside(SLOT, SLOT.size());
    assert_refused(make, SLOT, Fault::DoubleFree);
    assert_refused_by_address(make, Fault::DoubleFree);
}

#[test]
fn a_run_given_back_twice_is_refused_merged_or_not() {
    let order = [1, 3, 2, 0];
    for count in 1..=order.len() {
        for twice in [order[0], order[count - 1]] {
            let make = || {
                let mut heap = heap();
                let blocks: Vec<_> = (0..5).map(|_| allocate(&mut heap, RUN)).collect();
                for &freed in &order[..count] {
                    free(&mut heap, blocks[freed], RUN);
                }
                (heap, blocks[twice])
            };
            assert_refused(make, RUN, Fault::DoubleFree);
            assert_refused_by_address(make, Fault::DoubleFree);
        }
    }
}

#[test]
fn a_run_that_has_moved_is_refused_where_it_was() {
    let make = || {
        let (mut heap, block) = inside(RUN, 0);
        let _pin = allocate(&mut heap, RUN);
        // SAFETY: the heap gave the block for this layout.
        let moved = unsafe { heap.reallocate(block, RUN, 40_000) }.expect("room");
        assert_ne!(moved, block);
        (heap, block)
    };
    assert_refused(make, RUN, Fault::DoubleFree);
}

#[test]
fn an_address_inside_a_slot_is_refused() {
    for offset in [1, 8, 16, 40, 79] {
        assert_refused(|| inside(SLOT, offset), SLOT, Fault::NotABlock);
        assert_refused_by_address(|| inside(SLOT, offset), Fault::NotABlock);
    }
}

#[test]
fn what_is_left_over_at_a_mini_pages_end_is_refused() {
    let layout = Layout::new::<[u64; 5]>();
    let make = || {
        let (heap, block) = inside(layout, 0);
        let start = block.addr().get() % 1024;
        assert_eq!(start, 0, "the first slot is not at the MiniPage's start");
        (heap, at(block, 51 * 40))
    };
    assert_refused(make, layout, Fault::NotABlock);
}

#[test]
fn an_address_inside_a_run_is_refused() {
    for offset in [1, 8, 64, 2_047, 2_048, 4_096, 7_999] {
        assert_refused(|| inside(RUN, offset), RUN, Fault::NotABlock);
        assert_refused_by_address(|| inside(RUN, offset), Fault::NotABlock);
    }
}

/// A heap with a long block where there were many short ones, and that block.
fn long_where_many_were(long: Layout) -> Case {
    let mut heap = heap();
    let slots: Vec<_> = (0..1_000).map(|_| allocate(&mut heap, SLOT)).collect();
    let runs: Vec<_> = (0..20).map(|_| allocate(&mut heap, RUN)).collect();
    for slot in slots {
        free(&mut heap, slot, SLOT);
    }
    for run in runs {
        free(&mut heap, run, RUN);
    }
    let block = allocate(&mut heap, long);
    (heap, block)
}

#[test]
fn an_address_inside_a_run_that_was_many_blocks_is_refused() {
    let long = Layout::from_size_align(250_000, 8).expect("a layout");
    for granule in 1..120 {
        for layout in [SLOT, RUN, long] {
            let (mut heap, block) = long_where_many_were(long);
            let inside = at(block, granule * 2_048);
            let found = fault_of(|| free(&mut heap, inside, layout));
            assert!(found.is_some(), "granule {granule}, {layout:?}");
            assert_sound(&heap);
        }
    }
}

#[test]
fn a_run_that_was_many_blocks_is_given_back() {
    let long = Layout::from_size_align(250_000, 8).expect("a layout");
    let (mut heap, block) = long_where_many_were(long);
    free(&mut heap, block, long);
    assert_sound(&heap);
}

#[test]
fn memory_that_is_not_the_heaps_is_refused() {
    let (_other, others) = inside(SLOT, 0);
    let local = [0_u64; 10];
    let blocks = [
        others,
        NonNull::from(&local).cast(),
        NonNull::<u64>::dangling().cast(),
        NonNull::from(&SLOT).cast(),
    ];
    for block in blocks {
        let make = || (inside(SLOT, 0).0, block);
        for layout in [SLOT, RUN] {
            assert_refused(make, layout, Fault::Foreign);
        }
        assert_refused_by_address(make, Fault::Foreign);
    }
}

#[test]
fn pages_after_the_heaps_last_are_refused() {
    for page in 16..80 {
        let make = || inside(SLOT, page * PAGE_BYTES);
        assert_refused(make, SLOT, Fault::Foreign);
        assert_refused_by_address(make, Fault::Foreign);
    }
}

#[test]
fn a_heap_without_memory_refuses_everything() {
    let make = || (heap(), NonNull::from(&SLOT).cast());
    assert_refused(make, SLOT, Fault::Foreign);
    assert_refused_by_address(make, Fault::Foreign);
}

#[test]
fn the_heaps_own_records_are_refused() {
    // The first block is at the arena's start, the table at its end.
    for granules in 1..28 {
        let make = || inside(SLOT, (1 << 20) - granules * 1_024);
        assert_refused(make, SLOT, Fault::NotABlock);
        assert_refused(make, RUN, Fault::NotABlock);
        assert_refused_by_address(make, Fault::NotABlock);
    }
}

#[test]
fn a_slot_given_back_as_one_of_another_class_is_refused() {
    for size in [1, 24, 72, 88, 1_024, 1_025, 8_000] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        for other_class_has_slots in [false, true] {
            let make = || {
                let (mut heap, slot) = inside(SLOT, 0);
                if other_class_has_slots {
                    allocate(&mut heap, layout); // It knows where its slots would be.
                }
                (heap, slot)
            };
            assert_refused(make, layout, Fault::WrongLayout);
        }
    }
}

#[test]
fn a_run_given_back_as_one_of_another_length_is_refused() {
    for size in [1, 80, 1_024, 2_048, 6_144, 8_193, 100_000] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        assert_refused(|| inside(RUN, 0), layout, Fault::WrongLayout);
    }
}

#[test]
fn a_size_of_the_same_class_or_length_makes_no_difference() {
    let mut heap = heap();
    let (slot, run) = (allocate(&mut heap, SLOT), allocate(&mut heap, RUN));
    free(&mut heap, slot, Layout::new::<[u8; 73]>());
    free(&mut heap, run, Layout::new::<[u8; 7_169]>());
    assert_sound(&heap);
}

#[test]
fn a_block_of_another_alignment_class_is_refused() {
    let aligned = Layout::from_size_align(80, 128).expect("a layout");
    assert_refused(|| inside(SLOT, 0), aligned, Fault::WrongLayout);
    let aligned = Layout::from_size_align(8_000, 1 << 16).expect("a layout");
    for index in 0..3 {
        let make = || {
            let mut heap = heap();
            let blocks: Vec<_> = (0..3).map(|_| allocate(&mut heap, aligned)).collect();
            (heap, blocks[index])
        };
        assert_refused(make, SLOT, Fault::WrongLayout);
        let make_freed = || {
            let (mut heap, block) = make();
            free(&mut heap, block, aligned);
            (heap, block)
        };
        assert_refused(make_freed, aligned, Fault::DoubleFree);
        assert_refused_by_address(make_freed, Fault::DoubleFree);
    }
}

#[test]
fn an_aligned_block_shrinks_and_grows_where_it_is() {
    let mut heap = heap();
    let aligned = |size| Layout::from_size_align(size, 1 << 14).expect("a layout");
    let block = allocate(&mut heap, aligned(40_000));
    for (old, new) in [(40_000, 9_000), (9_000, 30_000), (30_000, 1_500)] {
        // SAFETY: the block is of this layout.
        let resized = unsafe { heap.reallocate(block, aligned(old), new) };
        assert_eq!(resized, Some(block), "{old} to {new}");
        assert_sound(&heap);
    }
    free(&mut heap, block, aligned(1_500));
    assert_sound(&heap);
}

#[test]
fn the_memory_before_an_aligned_block_is_refused() {
    let aligned = Layout::from_size_align(8_000, 1 << 16).expect("a layout");
    let make = || {
        let (mut heap, pin) = inside(RUN, 0);
        let block = allocate(&mut heap, aligned);
        let before = at(pin, 8_192);
        assert!(block > before, "nothing lies before the block");
        (heap, before)
    };
    assert_refused_by_address(make, Fault::NotABlock);
    assert_refused(make, RUN, Fault::NotABlock);
    let make_block = || {
        let (mut heap, _) = inside(RUN, 0);
        let block = allocate(&mut heap, aligned);
        (heap, block)
    };
    assert_refused(make_block, RUN, Fault::WrongLayout);
    let (mut heap, block) = make_block();
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

#[test]
fn a_freed_block_that_merges_with_what_lies_below_is_poisoned() {
    for by_address in [false, true] {
        let mut heap = heap();
        let blocks = [(); 3].map(|()| allocate(&mut heap, RUN));
        // SAFETY: the block has so many bytes.
        unsafe { blocks[1].write_bytes(7, RUN.size()) };
        free(&mut heap, blocks[0], RUN);
        if by_address {
            // SAFETY: the block is in use.
            unsafe { heap.deallocate_by_address(blocks[1]) };
        } else {
            free(&mut heap, blocks[1], RUN);
        }
        for offset in 0..16 {
            // SAFETY: the memory is the arena's, and was written.
            assert_eq!(unsafe { at(blocks[1], offset).read() }, 0xF5);
        }
    }
}

/// A heap as a value in a simulated memory.
type InMemory = Heap<memory::SimulatedMemory<1, true>>;

/// A memory, a heap in it, and its blocks.
fn grown() -> (std::rc::Rc<Memory>, InMemory, Vec<NonNull<u8>>) {
    let memory = Memory::empty(64);
    let mut heap = Heap::new(memory.source::<1, true>());
    let mut blocks = Vec::new();
    while memory.pages() < 40 {
        blocks.push(heap.allocate(RUN).expect("room"));
    }
    (memory, heap, blocks)
}

#[test]
fn a_write_past_the_last_block_into_the_records_is_found_before_they_are_used() {
    let (memory, mut heap, mut blocks) = grown();
    blocks.sort();
    let highest = *blocks.last().expect("a block");
    // All of the memory from its end on, through what is free, the guard and the records.
    memory.fill(highest.addr().get() + 8_192..memory.range().end, 0xF5);
    let found = fault_of(|| {
        for &block in &blocks {
            // SAFETY: the heap gave the block for this layout.
            unsafe { heap.deallocate(block, RUN) };
        }
    });
    let (fault, address) = found.expect("a fault");
    assert_eq!(fault, Fault::Corrupted);
    assert_eq!(address, blocks[0].addr().get());
}

/// A memory that a heap has grown in turns with somebody else; the heap, its blocks, and where the others' pages start.
fn shared() -> (std::rc::Rc<Memory>, InMemory, Vec<NonNull<u8>>, Vec<usize>) {
    let memory = Memory::new(2, 1_000, 1_200);
    let mut heap = Heap::new(memory.source::<1, true>());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pages in [1, 3, 900, 2] {
        ours.extend((0..100).map(|_| heap.allocate(RUN).expect("room")));
        theirs.push(memory.range().end);
        assert!(memory.grow_by_somebody_else(pages));
    }
    (memory, heap, ours, theirs)
}

#[test]
fn somebody_elses_pages_between_ours_are_refused() {
    for index in 0..4 {
        for offset in [0, 2_048, 8 * 2_048 + 16] {
            for layout in [SLOT, RUN] {
                let (memory, mut heap, ours, theirs) = shared();
                let address = theirs[index] + offset;
                let block = ours[0].map_addr(|_| address.try_into().expect("not zero"));
                // SAFETY: as in `free`.
                let found = fault_of(|| unsafe { heap.deallocate(block, layout) });
                let (fault, found) = found.expect("a fault");
                assert!(
                    matches!(fault, Fault::NotABlock | Fault::Foreign),
                    "{fault:?}"
                );
                assert_eq!(found, address);
                memory.assert_others_are_intact();
            }
        }
    }
}

#[test]
fn somebody_elses_pages_between_ours_disturb_nobody() {
    let (memory, mut heap, ours, _) = shared();
    for block in ours {
        // SAFETY: the heap gave the block for this layout.
        unsafe { heap.deallocate(block, RUN) };
    }
    memory.assert_others_are_intact();
}

/// What can be asked of a heap: of one that has a slot and a run in use.
type Ask = fn(&mut Heap<Arena>, NonNull<u8>, NonNull<u8>);

/// All of that.
const ASKED: [(&str, Ask); 13] = [
    ("a slot", |heap, _, _| _ = heap.allocate(SLOT)),
    ("a run", |heap, _, _| _ = heap.allocate(RUN)),
    ("zeros", |heap, _, _| _ = heap.allocate_zeroed(RUN)),
    ("an aligned run", |heap, _, _| {
        let layout = Layout::from_size_align(8_000, 1 << 16).expect("a layout");
        _ = heap.allocate(layout);
    }),
    ("too much", |heap, _, _| {
        let layout = Layout::from_size_align(1 << 30, 8).expect("a layout");
        _ = heap.allocate(layout);
    }),
    ("by address", |heap, _, _| {
        _ = heap.allocate_by_address(SLOT);
    }),
    ("reserve", |heap, _, _| _ = heap.reserve(PAGE_BYTES)),
    ("free a slot", |heap, slot, _| free(heap, slot, SLOT)),
    ("free a run", |heap, _, run| free(heap, run, RUN)),
    ("resize a slot", |heap, slot, _| {
        // SAFETY: the heap gave the block for this layout.
        _ = unsafe { heap.reallocate(slot, SLOT, 81) };
    }),
    ("free by address", |heap, slot, _| {
        // SAFETY: the block is in use.
        unsafe { heap.deallocate_by_address(slot) };
    }),
    ("resize by address", |heap, _, run| {
        // SAFETY: the block is in use.
        _ = unsafe { heap.reallocate_by_address(run, SLOT) };
    }),
    ("size by address", |heap, slot, _| {
        // SAFETY: the block is in use.
        _ = unsafe { heap.usable_size(slot) };
    }),
];

#[test]
fn whatever_is_asked_of_a_heap_that_has_found_a_fault_finds_it_again() {
    let (mut heap, twice) = inside(SLOT, 0);
    let (slot, run) = (allocate(&mut heap, SLOT), allocate(&mut heap, RUN));
    free(&mut heap, twice, SLOT);
    let expected = Some((Fault::DoubleFree, twice.addr().get()));
    assert_eq!(fault_of(|| free(&mut heap, twice, SLOT)), expected);
    for (name, ask) in ASKED {
        let found = fault_of(|| ask(&mut heap, slot, run));
        assert_eq!(found, expected, "{name}");
        assert_sound(&heap);
    }
}

#[test]
fn a_heap_that_has_found_none_answers_whatever_is_asked() {
    for (name, ask) in ASKED {
        let mut heap = heap();
        let (slot, run) = (allocate(&mut heap, SLOT), allocate(&mut heap, RUN));
        assert_eq!(fault_of(|| ask(&mut heap, slot, run)), None, "{name}");
        assert_sound(&heap);
    }
}

#[test]
fn a_fault_of_one_heap_does_not_stop_another() {
    let (mut stopped, block) = inside(SLOT, 0);
    let mut other = heap();
    free(&mut stopped, block, SLOT);
    assert!(fault_of(|| free(&mut stopped, block, SLOT)).is_some());
    let block = allocate(&mut other, SLOT);
    free(&mut other, block, SLOT);
}

#[test]
fn a_second_misuse_does_not_hide_the_first() {
    let (mut heap, block) = inside(RUN, 0);
    let expected = Some((Fault::NotABlock, block.addr().get() + 8));
    assert_eq!(fault_of(|| free(&mut heap, at(block, 8), RUN)), expected);
    assert_eq!(fault_of(|| free(&mut heap, block, SLOT)), expected);
}

#[test]
fn an_allocator_by_its_own_methods_unwinds_with_its_lock_open() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let block = heap.allocate_by_address(SLOT).expect("room");
    // SAFETY: the heap gave the block, once; the second time it stops.
    let free = || unsafe { heap.deallocate_by_address(block) };
    free();
    let expected = Some((Fault::DoubleFree, block.addr().get()));
    assert_eq!(fault_of(free), expected);
    let reserved = fault_of(|| {
        let _ = heap.reserve(PAGE_BYTES);
    });
    assert_eq!(reserved, expected);
}

/// Nothing may unwind out of `GlobalAlloc`: a fault found by its methods ends the process, and says why. This test
/// starts itself in a process of its own, where it does the misuse.
#[test]
fn a_fault_in_a_global_allocator_ends_the_process_and_is_named() {
    const MISUSE: &str = "ALLIGATOR_TEST_MISUSE";
    if std::env::var_os(MISUSE).is_some() {
        let heap = Memory::empty(4).heap::<1, true>();
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.alloc(SLOT) };
        // SAFETY: the heap gave the block for this layout.
        unsafe { heap.dealloc(block, SLOT) };
        // SAFETY: a hardened heap stops here.
        let unwound = catch_unwind(AssertUnwindSafe(|| unsafe { heap.dealloc(block, SLOT) }));
        println!("goes on: {}", unwound.is_ok());
        std::process::exit(0);
    }
    let this = std::env::current_exe().expect("a path");
    let child = std::process::Command::new(this)
        .args([
            "--exact",
            "a_fault_in_a_global_allocator_ends_the_process_and_is_named",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(MISUSE, "1")
        .output()
        .expect("it starts");
    let (said, shown) = (
        String::from_utf8_lossy(&child.stderr),
        String::from_utf8_lossy(&child.stdout),
    );
    assert!(
        !child.status.success() && !shown.contains("goes on"),
        "{shown}"
    );
    assert!(said.contains(&Fault::DoubleFree.to_string()), "{said}");
}

#[test]
fn a_fault_has_a_number_and_is_found_by_it() {
    for code in 1..=7 {
        assert_eq!(Fault::from_code(code).map(Fault::code), Some(code));
    }
    assert_eq!(Fault::from_code(0), None);
    assert_eq!(Fault::from_code(8), None);
}

//! One misuse per export. Its name says which fault must stop it: `fault_1_..` the fault with number 1, and
//! `fault_0_..` none.

use std::alloc::{GlobalAlloc, Layout, alloc, dealloc, realloc};

use alligator_alloc::{AlligatorAlloc, Arena, Heap, PAGE_BYTES};
use alligator_rt::ScopedHeap;

#[global_allocator]
static ALLOC: AlligatorAlloc = AlligatorAlloc::new();

const SLOT: Layout = Layout::new::<[u64; 10]>();
const RUN: Layout = Layout::new::<[u64; 1_000]>();

fn block(layout: Layout) -> *mut u8 {
    // SAFETY: no layout here is empty.
    let block = unsafe { alloc(layout) };
    // SAFETY: the block is as long as that.
    unsafe { block.write_bytes(1, layout.size()) };
    block
}

/// Right or wrong.
fn free(block: *mut u8, layout: Layout) {
    // SAFETY: where this is wrong, the heap stops the program.
    unsafe { dealloc(block, layout) };
}

/// A write that nobody may do. `black_box` keeps the compiler from knowing.
fn write(place: *mut u8, byte: u8) {
    // SAFETY: the address is inside the linear memory, where the heap is.
    unsafe { std::hint::black_box(place).write_volatile(byte) };
}

#[unsafe(no_mangle)]
extern "C" fn fault_0_a_right_program() {
    for turn in 0..10_000_usize {
        let mut numbers: Vec<usize> = (0..turn % 700).collect();
        numbers.shrink_to_fit();
        let text = format!("{turn} {}", numbers.len());
        assert!(text.len() > 2);
    }
}

#[unsafe(no_mangle)]
extern "C" fn fault_1_a_slot_given_back_twice() {
    let slot = block(SLOT);
    free(slot, SLOT);
    free(slot, SLOT);
}

#[unsafe(no_mangle)]
extern "C" fn fault_1_a_run_given_back_twice() {
    let run = block(RUN);
    free(run, RUN);
    free(run, RUN);
}

#[unsafe(no_mangle)]
extern "C" fn fault_1_a_freed_slot_resized() {
    let slot = block(SLOT);
    free(slot, SLOT);
    // SAFETY: as in `free`.
    let _ = unsafe { realloc(slot, SLOT, 200) };
}

#[unsafe(no_mangle)]
extern "C" fn fault_2_an_address_inside_a_slot() {
    free(block(SLOT).wrapping_add(16), SLOT);
}

#[unsafe(no_mangle)]
extern "C" fn fault_2_an_address_inside_a_run() {
    free(block(RUN).wrapping_add(2_048), RUN);
}

#[unsafe(no_mangle)]
extern "C" fn fault_3_an_address_outside_the_memory() {
    free(block(SLOT).with_addr(0xFFFF_0000), SLOT);
}

#[unsafe(no_mangle)]
extern "C" fn fault_3_a_block_of_another_heap() {
    let memory = vec![std::mem::MaybeUninit::uninit(); 1 << 16].leak();
    let mut heap = Heap::new(Arena::new(memory));
    heap.allocate(SLOT).expect("room");
    let other = block(Layout::new::<[u64; 100_000]>());
    let other = std::ptr::NonNull::new(other).expect("room");
    // SAFETY: as in `free`.
    unsafe { heap.deallocate(other, SLOT) };
}

#[unsafe(no_mangle)]
extern "C" fn fault_4_a_block_of_another_class() {
    free(block(SLOT), Layout::new::<[u64; 11]>());
}

#[unsafe(no_mangle)]
extern "C" fn fault_4_a_run_of_another_length() {
    free(block(RUN), Layout::new::<[u64; 1_025]>());
}

#[unsafe(no_mangle)]
extern "C" fn fault_5_a_write_to_a_freed_slot() {
    let slot = block(SLOT);
    free(slot, SLOT);
    write(slot.wrapping_add(8), 0);
    for _ in 0..1_000 {
        block(SLOT);
    }
}

#[unsafe(no_mangle)]
extern "C" fn fault_5_a_write_to_a_freed_run() {
    let run = block(RUN);
    free(run, RUN);
    write(run, 0);
    block(RUN);
}

#[unsafe(no_mangle)]
extern "C" fn fault_6_a_write_past_a_block_into_records() {
    let run = block(RUN);
    // The records lie at the heap's end, which is the memory's.
    let end = std::arch::wasm32::memory_size(0) * PAGE_BYTES;
    for offset in RUN.size()..end - run.addr() {
        write(run.wrapping_add(offset), 0xAA);
    }
    free(run, RUN);
}

/// A request's second block, when the request is over.
fn of_a_request() -> (&'static ScopedHeap<AlligatorAlloc>, *mut u8) {
    static SCOPED: ScopedHeap<AlligatorAlloc> = ScopedHeap::new(AlligatorAlloc::new());
    // SAFETY: no layout here is empty.
    let two = || [SLOT, SLOT].map(|layout| unsafe { SCOPED.alloc(layout) });
    // SAFETY: what is done with the block after the request is the fault.
    let blocks = unsafe { SCOPED.in_request(1 << 20, two) };
    (
        &SCOPED,
        blocks.map_or(std::ptr::null_mut(), |[_, second]| second),
    )
}

#[unsafe(no_mangle)]
extern "C" fn fault_1_a_requests_block_given_back_after_it() {
    let (heap, block) = of_a_request();
    // SAFETY: it is wrong, and the heap stops the program.
    unsafe { heap.dealloc(block, SLOT) };
}

#[unsafe(no_mangle)]
extern "C" fn fault_1_a_requests_block_resized_after_it() {
    let (heap, block) = of_a_request();
    // SAFETY: it is wrong, and the heap stops the program.
    unsafe { heap.realloc(block, SLOT, 200) };
}

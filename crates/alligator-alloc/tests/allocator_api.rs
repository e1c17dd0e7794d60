//! Collections in a heap of their own (feature `allocator-api2`).
#![cfg(feature = "allocator-api2")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::alloc::Layout;
use core::mem::MaybeUninit;

use alligator_alloc::{AlligatorAlloc, Arena, PAGE_BYTES};
use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;

fn heap(pages: usize) -> AlligatorAlloc<Arena<'static>> {
    let memory = vec![MaybeUninit::uninit(); pages * PAGE_BYTES].leak();
    AlligatorAlloc::with_source(Arena::new(memory))
}

#[test]
fn a_vector_grows_and_shrinks() {
    let heap = heap(8);
    let mut numbers = Vec::new_in(&heap);
    numbers.extend(0..20_000_u32);
    numbers.truncate(100);
    numbers.shrink_to_fit();
    assert!(numbers.iter().copied().eq(0..100));
    assert_eq!(numbers.capacity(), 100);
}

#[test]
fn a_box_is_aligned_and_its_memory_is_used_again() {
    #[repr(align(4096))]
    struct Page([u8; 4096]);

    let heap = heap(2);
    for round in 0..1000_u32 {
        let page = Box::new_in(Page([round.to_le_bytes()[0]; 4096]), &heap);
        assert!((&raw const *page).addr() % 4096 == 0);
        assert_eq!(page.0[4095], round.to_le_bytes()[0]);
    }
}

#[test]
fn blocks_of_no_bytes_are_blocks() {
    let heap = heap(1);
    let (nothing, some) = (Layout::new::<()>(), Layout::new::<u64>());
    let first = (&heap).allocate(nothing).unwrap();
    let second = (&heap).allocate(nothing).unwrap();
    assert_ne!(first.cast::<u8>(), second.cast::<u8>());
    assert_eq!(first.len(), 0);
    // SAFETY: the block was given for this layout, and the new one is larger.
    let grown = unsafe { (&heap).grow_zeroed(first.cast(), nothing, some) }.unwrap();
    // SAFETY: the block has eight bytes, all zero.
    assert_eq!(unsafe { grown.cast::<u64>().read() }, 0);
    // SAFETY: as before; the new layout is smaller.
    let shrunk = unsafe { (&heap).shrink(grown.cast(), some, nothing) }.unwrap();
    for block in [shrunk, second] {
        // SAFETY: each was given for this layout, and is given back once.
        unsafe { (&heap).deallocate(block.cast(), nothing) };
    }
}

#[test]
fn a_block_may_change_its_alignment() {
    let heap = heap(2);
    let (narrow, wide) = (
        Layout::from_size_align(24, 8).unwrap(),
        Layout::from_size_align(100, 2048).unwrap(),
    );
    let block = (&heap).allocate_zeroed(narrow).unwrap();
    // SAFETY: the block has 24 bytes.
    unsafe { block.cast::<[u8; 24]>().write([7; 24]) };
    // SAFETY: the block was given for `narrow`, and `wide` is larger.
    let block = unsafe { (&heap).grow_zeroed(block.cast(), narrow, wide) }.unwrap();
    assert!(block.cast::<u8>().addr().get() % 2048 == 0);
    // SAFETY: the block has 100 bytes, all written.
    let bytes = unsafe { block.cast::<[u8; 100]>().read() };
    assert_eq!(bytes[..24], [7; 24]);
    assert_eq!(bytes[24..], [0; 76]);
    // SAFETY: the block was given for `wide`.
    unsafe { (&heap).deallocate(block.cast(), wide) };
}

#[test]
fn what_a_block_gains_is_zero_where_another_block_was() {
    let heap = heap(2);
    let (short, long) = (Layout::new::<[u8; 3_000]>(), Layout::new::<[u8; 9_000]>());
    let block = (&heap).allocate(long).unwrap();
    // SAFETY: the block has 9,000 bytes.
    unsafe { block.cast::<[u8; 9_000]>().write([7; 9_000]) };
    // SAFETY: the block was given for `long`, and `short` is shorter.
    let block = unsafe { (&heap).shrink(block.cast(), long, short) }.unwrap();
    // SAFETY: the block was given for `short`, and `long` is longer.
    let block = unsafe { (&heap).grow_zeroed(block.cast(), short, long) }.unwrap();
    // SAFETY: the block has 9,000 bytes, all written.
    let bytes = unsafe { block.cast::<[u8; 9_000]>().read() };
    assert_eq!(bytes[..3_000], [7; 3_000]);
    assert_eq!(bytes[3_000..], [0; 6_000]);
    // SAFETY: the block was given for `long`.
    unsafe { (&heap).deallocate(block.cast(), long) };
}

#[test]
fn a_full_heap_is_an_error_and_goes_on() {
    let heap = heap(2);
    let mut bytes = Vec::new_in(&heap);
    bytes.resize(1000, 1_u8);
    assert!(bytes.try_reserve(4 * PAGE_BYTES).is_err());
    bytes.extend_from_slice(&[2; 1000]);
    assert_eq!(bytes.len(), 2000);
}

#[test]
fn zeroed_blocks_of_no_bytes_are_blocks_whatever_their_alignment() {
    let heap = heap(2);
    let mut places = std::collections::BTreeSet::new();
    for align in (0..12).map(|shift| 1 << shift) {
        let nothing = Layout::from_size_align(0, align).unwrap();
        for _ in 0..2 {
            let block = (&heap).allocate_zeroed(nothing).unwrap().cast::<u8>();
            assert!(block.addr().get() % align == 0, "aligned to {align}");
            assert!(places.insert(block), "aligned to {align}");
        }
    }
}

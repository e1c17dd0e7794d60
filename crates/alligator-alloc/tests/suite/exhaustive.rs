//! Every case of what has few enough cases.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use alligator_alloc::{Arena, Heap};

use crate::live::Live;
use crate::memory::Memory;

/// An arena of `bytes`, `offset` after an address that is a multiple of a page.
fn arena(offset: usize, bytes: usize) -> Arena<'static> {
    let padded = bytes + offset + 2 * 65_536;
    let memory = Box::leak(vec![MaybeUninit::uninit(); padded].into_boxed_slice());
    let start = memory.as_ptr().addr().next_multiple_of(65_536) + offset - memory.as_ptr().addr();
    Arena::new(&mut memory[start..start + bytes])
}

fn assert_sound(heap: &Heap<Arena>) {
    #[cfg(feature = "check")]
    assert_eq!(heap.check(), Ok(()));
    let _ = heap;
}

#[test]
#[cfg_attr(miri, ignore = "too many cases")]
fn every_size_up_to_two_pages_is_served_at_every_alignment() {
    let heap = Memory::empty(256).heap::<1, true>();
    for align in (0..14).map(|shift| 1 << shift) {
        let mut live = Live::new(&heap);
        let step = if align > 1 { 7 } else { 1 };
        for size in (1..=2_200)
            .chain((2_201..131_073).step_by(1013))
            .step_by(step)
        {
            let block = live.allocate(size, align).expect("room");
            if size % 3 != 0 || live.bytes() > 1 << 20 {
                live.free(block);
            }
        }
    }
}

#[test]
fn every_alignment_up_to_a_mebibyte_is_kept_by_realloc() {
    let heap = Memory::empty(if cfg!(miri) { 40 } else { 256 }).heap::<1, true>();
    for align in (0..if cfg!(miri) { 15 } else { 21 }).map(|shift| 1 << shift) {
        let mut live = Live::new(&heap);
        let mut block = live.allocate(1, align).expect("room");
        for size in [2_049, 17, 1_024, 5_000, 70_000, 1, 1_025, 300] {
            live.allocate(size, 8).expect("room");
            block = live.reallocate(block, size).expect("room");
        }
        block = live.reallocate(block, 2).expect("room");
        live.free(block);
    }
}

#[test]
fn a_size_of_zero_gets_an_aligned_block_of_its_own() {
    let mut heap = Heap::new(arena(0, 1 << 20));
    for align in (0..17).map(|shift| 1 << shift) {
        let layout = Layout::from_size_align(0, align).expect("a layout");
        let count = if align > 1_024 { 4 } else { 40 };
        let allocate = |index: usize| match index % 2 {
            0 => heap.allocate(layout).expect("room"),
            _ => heap.allocate_zeroed(layout).expect("room"),
        };
        let blocks: Vec<_> = (0..count).map(allocate).collect();
        for (index, block) in blocks.iter().enumerate() {
            assert!(block.addr().get() % align == 0, "{block:?} for {layout:?}");
            assert!(
                !blocks[..index].contains(block),
                "{layout:?} twice at {block:?}"
            );
        }
        assert_sound(&heap);
        for block in blocks {
            // SAFETY: the heap gave it for this layout, and it is given back once.
            unsafe { heap.deallocate(block, layout) };
            assert_sound(&heap);
        }
    }
}

#[test]
fn a_block_may_shrink_to_nothing_and_grow_again() {
    let mut heap = Heap::new(arena(0, 1 << 20));
    for (bytes, align) in [(10, 1), (3_000, 8), (70_000, 8), (500, 512), (9_000, 4096)] {
        let layout = Layout::from_size_align(bytes, align).expect("a layout");
        let nothing = Layout::from_size_align(0, align).expect("a layout");
        let block = heap.allocate(layout).expect("room");
        let neighbour = heap.allocate(layout).expect("room");
        // SAFETY: the heap gave it for this layout, and it is in use.
        let block = unsafe { heap.reallocate(block, layout, 0) }.expect("room");
        assert_sound(&heap);
        // SAFETY: as above, for the layout without bytes.
        let block = unsafe { heap.reallocate(block, nothing, bytes) }.expect("room");
        assert_ne!(block, neighbour);
        assert!(block.addr().get() % align == 0);
        assert_sound(&heap);
        // SAFETY: as above, for the first layout again.
        unsafe { heap.deallocate(block, layout) };
        // SAFETY: the heap gave it for this layout, and it is in use.
        unsafe { heap.deallocate(neighbour, layout) };
        assert_sound(&heap);
    }
}

#[test]
fn an_arena_of_every_length_is_used_inside_its_bounds_only() {
    let step = if cfg!(miri) { 4099 } else { 53 };
    for bytes in (0..20_000).step_by(step).chain([65_536, 65_535, 131_073]) {
        for offset in [0, 1, 1_023, 1_024, 60_000] {
            let mut heap = Heap::new(arena(offset, bytes));
            let layout = Layout::new::<[u64; 10]>();
            let mut first: Option<NonNull<u8>> = None;
            while let Some(block) = heap.allocate(layout) {
                // Out of the arena, Miri and the allocator the arena is from would notice.
                // SAFETY: the heap gave so many bytes for writing.
                unsafe { block.write_bytes(0xAB, layout.size()) };
                first.get_or_insert(block);
                let inside = block.addr().get() - first.map_or(0, |first| first.addr().get());
                assert!(inside < bytes || first.is_none(), "{inside} of {bytes}");
            }
            assert_sound(&heap);
            // A hardened heap has headers for all granules of its first page, and a guard before them.
            let enough = if cfg!(feature = "hardened") {
                15_000
            } else {
                12_000
            };
            assert!(
                first.is_some() || bytes < enough,
                "{bytes} at {offset} hold nothing"
            );
        }
    }
}

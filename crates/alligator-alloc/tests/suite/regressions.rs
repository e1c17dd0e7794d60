//! What hurt others: each test is a way in which some allocator for Wasm has looped, leaked, or damaged its
//! heap.

use alligator_alloc::PAGE_BYTES;
#[cfg(feature = "check")]
use alligator_alloc::{AlligatorAlloc, Lock, Piece, Source};

use crate::live::Live;
use crate::memory::Memory;

const GRANULE_BYTES: usize = 1024;

/// Slots that a magazine holds.
const MAGAZINE_SLOTS: usize = 20;

/// Pages of the largest buffer.
const RATCHET_PAGES: usize = if cfg!(miri) { 12 } else { 200 };

#[test]
fn a_buffer_that_grows_page_by_page_beside_its_predecessor_reuses_what_it_left() {
    let memory = Memory::new(17, 16 * PAGE_BYTES + 9_000, RATCHET_PAGES * 5);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let mut old = live.allocate(PAGE_BYTES, 8).expect("room");
    for pages in 2..=RATCHET_PAGES {
        let new = live.allocate(pages * PAGE_BYTES, 8).expect("room");
        live.free(old);
        old = new;
    }
    // A header has as many words on every host, so MetaPages are longer where words are.
    let most = 17 + RATCHET_PAGES * if usize::BITS > 32 { 36 } else { 32 } / 10;
    assert!(
        memory.pages() <= most,
        "{} pages, {most} at most",
        memory.pages()
    );
}

// With `small`, a block that changes its size moves.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_buffer_that_grows_page_by_page_by_realloc_wastes_little() {
    let memory = Memory::new(17, 16 * PAGE_BYTES + 9_000, RATCHET_PAGES * 3);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let mut block = live.allocate(PAGE_BYTES, 8).expect("room");
    for pages in 2..=RATCHET_PAGES {
        block = live.reallocate(block, pages * PAGE_BYTES).expect("room");
    }
    // A header has twice the bytes where words have: the block must move more often to make room for them.
    let grown = RATCHET_PAGES + RATCHET_PAGES * if usize::BITS > 32 { 80 } else { 5 } / 100;
    let most = 17 + grown;
    assert!(
        memory.pages() <= most,
        "{} pages, {most} at most",
        memory.pages()
    );
}

#[test]
fn blocks_near_a_page_with_one_pinned_neighbour_are_served_without_end() {
    for size in [65_520, 65_535, 65_536, 65_537, 64_512, 66_000] {
        let memory = Memory::empty(64);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        let mut pages = 0;
        for turn in 0..200 {
            let first = live.allocate(size, 8).expect("room");
            let pinned = live.allocate(24, 8).expect("room");
            let second = live.allocate(size, 16).expect("room");
            live.free(first);
            live.free(second);
            let again = live.allocate(size - 16, 16).expect("room");
            live.free(again);
            live.free(pinned);
            if turn == 1 {
                pages = memory.pages();
            }
            if cfg!(miri) && turn > 4 {
                break;
            }
        }
        assert_eq!(memory.pages(), pages, "the heap grew for ever");
    }
}

#[test]
fn a_pinned_block_per_page_leaves_the_pages_usable() {
    let memory = Memory::empty(400);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let mut large = Vec::new();
    for _ in 0..100 {
        large.push(live.allocate(65_520, 8).expect("room"));
        live.allocate(2_500, 8).expect("room");
    }
    for turn in 0..5 {
        let pages = memory.pages();
        for block in large.drain(..) {
            live.free(block);
        }
        for _ in 0..100 {
            large.push(live.allocate(65_520 - turn * 8, 8).expect("room"));
        }
        assert_eq!(memory.pages(), pages);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too much memory")]
fn free_gaps_over_sixteen_mebibytes_are_found_and_split() {
    // With `small`, headers take up to a twelfth on 64 bits.
    let is_small = cfg!(all(feature = "small", not(feature = "hardened")));
    let memory = Memory::empty(if is_small { 2_300 } else { 2_100 });
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let mut gaps = Vec::new();
    for mebibytes in [17, 33, 20, 48] {
        gaps.push(live.allocate(mebibytes << 20, 8).expect("room"));
        live.allocate(3_000, 8).expect("room");
    }
    let pages = memory.pages();
    for gap in gaps {
        live.free(gap);
    }
    for mebibytes in [47, 16, 32, 15, 1, 1] {
        live.allocate(mebibytes << 20, 8).expect("room");
    }
    assert_eq!(memory.pages(), pages, "a gap was not found");
    while live.allocate(100_000, 8).is_some() && memory.pages() == pages {}
    live.assert_all_intact();
}

// With `small`, bins are wider.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_takes_no_run_that_is_a_third_longer_if_one_is_of_its_length() {
    let memory = Memory::empty(8);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let blocks = [8, 11].map(|granules| {
        let block = live.allocate(granules * GRANULE_BYTES, 8).expect("room");
        live.allocate(2 * GRANULE_BYTES, 8).expect("room");
        block
    });
    for block in blocks {
        live.free(block);
    }
    let again = live.allocate(8 * GRANULE_BYTES, 8);
    assert_eq!(again, Some(blocks[0]));
}

// With `small`, only the first runs of a list are looked at.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_block_that_nothing_else_has_room_for_takes_a_run_that_is_not_its_bins_first() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let blocks = [9, 8].map(|granules| {
        let block = live.allocate(granules * GRANULE_BYTES, 8).expect("room");
        live.allocate(2 * GRANULE_BYTES, 8).expect("room");
        block
    });
    memory.may_grow.set(false);
    while live.allocate(2 * GRANULE_BYTES, 8).is_some() {}
    for block in blocks {
        live.free(block);
    }
    let again = live.allocate(9 * GRANULE_BYTES, 8);
    assert_eq!(again, Some(blocks[0]));
}

#[test]
fn large_blocks_are_reused_after_they_were_freed() {
    let rounds = if cfg!(miri) { 2 } else { 50 };
    for size in [65_536, 65_537, 100_000, 1 << 20] {
        let memory = Memory::empty(400);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        let mut pages = 0;
        for round in 0..rounds {
            for _ in 0..8 {
                live.allocate(size, 8).expect("room");
            }
            live.free_all();
            if round == 0 {
                pages = memory.pages();
            }
            assert_eq!(memory.pages(), pages, "blocks of {size} in round {round}");
        }
    }
}

#[test]
fn phases_of_different_sizes_share_the_memory() {
    let phase_bytes = if cfg!(miri) { 200_000 } else { 4 << 20 };
    let memory = Memory::empty(1_000);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    // Whole slots and granules, nearly: what is measured is memory that is not reused.
    let sizes = [
        32,
        40,
        2_000,
        100,
        70_000,
        512,
        48,
        8_000,
        1_900,
        1 << 19,
        72,
        32,
    ];
    for (phase, &size) in sizes.iter().enumerate() {
        while live.bytes() < phase_bytes {
            live.allocate(size, 8).expect("room");
        }
        // Some phases free by address, some against it, some every third first.
        let step = [1, 3, 7][phase % 3];
        let blocks = live.addresses();
        for start in 0..step {
            for block in blocks.iter().skip(start).step_by(step) {
                live.free(*block);
            }
        }
    }
    // What magazines and current MiniPages keep lies apart, so the largest phases find less than all in one piece.
    let most = phase_bytes / PAGE_BYTES * 17 / 10 + 2;
    assert!(
        memory.pages() <= most,
        "{} pages, {most} at most",
        memory.pages()
    );
}

#[test]
fn a_heap_whose_runs_are_all_freed_is_one_run_again() {
    let memory = Memory::empty(if cfg!(miri) { 10 } else { 100 });
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    let mut size = 9_000;
    while live.allocate(size, 8).is_some() {
        size = (size * 7 + 11) % 60_000 + 8_193;
    }
    let pages = memory.pages();
    let blocks = live.addresses();
    for start in [3, 1, 4, 0, 2] {
        for block in blocks.iter().skip(start).step_by(5) {
            live.free(*block);
        }
    }
    // A full heap puts MetaPages between its runs when it enters a new range of pages, here at a third.
    let largest = pages * PAGE_BYTES / 3;
    live.allocate(largest, 8)
        .expect("the freed runs have merged");
}

#[test]
fn a_few_blocks_of_every_small_size_need_two_pages_at_most() {
    let memory = Memory::empty(16);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for size in (1..=25).map(|index| index * index * 2_048 / 625) {
        for _ in 0..3 {
            live.allocate(size, 8).expect("room");
        }
    }
    assert!(memory.pages() <= 2, "{} pages", memory.pages());
}

/// What every program has of the heap before it asks for anything.
#[test]
#[cfg(all(
    target_pointer_width = "32",
    not(any(feature = "check", feature = "metrics"))
))]
fn the_heap_itself_is_under_three_kib() {
    let bytes = size_of::<alligator_alloc::Heap<crate::memory::SimulatedMemory<1, true>>>();
    assert!(bytes < 3 * 1024, "{bytes} bytes");
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn mini_pages_of_every_size_are_filled_to_the_last_slot_and_then_serve_others() {
    const BYTES: usize = 5 * PAGE_BYTES;
    for size in [16, 24, 32, 40, 64, 128, 512, 1024] {
        let memory = Memory::empty(16);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        let mut fill = |size: usize| {
            for _ in 0..BYTES / size {
                live.allocate(size, 8).expect("room");
            }
            live.free_all();
            memory.pages()
        };
        // Records, and what is left over at the end of each MiniPage.
        let pages = fill(size);
        assert!(pages <= 7, "{pages} pages of slots of {size}");
        let kept = (MAGAZINE_SLOTS * size).div_ceil(PAGE_BYTES);
        let reused = fill(4_096);
        assert!(
            reused <= pages + 1 + kept,
            "{reused} pages after slots of {size}"
        );
    }
}

/// A MiniPage is in its class's list while its word has a bit, the lowest or the highest.
#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn slots_given_back_in_one_half_of_their_mini_pages_are_served_once() {
    for size in [16, 24] {
        for half in [0..32, 32..64] {
            let memory = Memory::empty(4);
            let heap = memory.heap::<1, true>();
            let mut live = Live::new(&heap);
            for _ in 0..16 * GRANULE_BYTES / size {
                live.allocate(size, 8).expect("room");
            }
            let mut blocks = live.addresses();
            blocks.retain(|block| half.contains(&(block % GRANULE_BYTES / size)));
            for block in &blocks {
                live.free(*block);
            }
            // More than a magazine holds, so all but these have their bits in MiniPages.
            assert!(blocks.len() > MAGAZINE_SLOTS);
            for _ in 0..2 * blocks.len() {
                live.allocate(size, 8).expect("room");
            }
        }
    }
}

/// Only MiniPages are kept apart when they become free, not blocks of one granule.
#[cfg(feature = "check")]
#[test]
fn freed_blocks_of_a_granule_merge() {
    let memory = Memory::empty(16);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for _ in 0..100 {
        live.allocate(GRANULE_BYTES, 8).expect("room");
    }
    live.free_all();
    let granules = single_granules(&heap);
    assert!(granules <= 1, "{granules} granules");
}

/// What MiniPages were is not refused to blocks of one granule where there is nothing else.
#[test]
fn granules_kept_apart_serve_blocks_of_their_length() {
    let memory = Memory::empty(16);
    let heap = memory.heap::<1, false>();
    let mut live = Live::new(&heap);
    assert!(heap.reserve(8 * PAGE_BYTES));
    let mut fill = |size: usize| {
        while live.allocate(size, 8).is_some() {}
        let blocks = live.addresses().len();
        live.free_all();
        blocks
    };
    let blocks = fill(GRANULE_BYTES);
    fill(1024);
    let again = fill(GRANULE_BYTES);
    // The slots that the magazine keeps, and the class's current MiniPage, take up to so many granules.
    assert!(again + 25 >= blocks, "{again} of {blocks}");
}

/// Free runs of one granule, whether they are kept apart or between two others that are in use.
#[cfg(feature = "check")]
fn single_granules<S: Source, L: Lock>(heap: &AlligatorAlloc<S, L>) -> usize {
    let mut granules = 0;
    heap.walk(|piece| {
        let is_single = matches!(piece, Piece::FreeRun { bytes, .. } if bytes == GRANULE_BYTES);
        granules += usize::from(is_single);
    });
    granules
}

/// What is freed is kept in magazines and in what a class works from, and nowhere else.
#[cfg(feature = "check")]
#[test]
fn a_class_keeps_a_mini_page_for_each_slot_of_its_magazine_at_most() {
    for size in [512, 672, 1024] {
        let memory = Memory::empty(16);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        assert!(heap.reserve(12 * PAGE_BYTES));
        let slots = 4096 / size;
        for _ in 0..120 * slots {
            live.allocate(size, 8).expect("room");
        }
        // One slot of each MiniPage first: what the magazine holds then keeps a MiniPage each.
        for block in live.addresses().iter().step_by(slots) {
            live.free(*block);
        }
        live.free_all();
        let kept = mini_pages(&heap, size);
        assert!(kept <= MAGAZINE_SLOTS + 1, "{kept} MiniPages of {size}");
        let keeps_some = !cfg!(any(feature = "small", feature = "hardened"));
        assert!(
            !keeps_some || kept >= MAGAZINE_SLOTS,
            "{kept} MiniPages of {size}"
        );
    }
}

/// What classes keep is given back before null is answered, and before the memory grows by as much as it has.
#[cfg(all(
    feature = "check",
    not(all(feature = "small", not(feature = "hardened")))
))]
#[test]
fn what_magazines_keep_is_given_back_before_it_is_missed() {
    for may_grow in [false, true] {
        let memory = Memory::empty(64);
        let heap = memory.heap::<1, true>();
        let mut live = Live::new(&heap);
        assert!(heap.reserve(60 * PAGE_BYTES));
        for size in [16, 48, 112, 256, 400, 512, 672, 1024].repeat(2_000) {
            if live.allocate(size, 8).is_none() {
                break;
            }
        }
        live.free_all();
        let pages = memory.pages();
        memory.may_grow.set(may_grow);
        live.allocate(58 * PAGE_BYTES, 8).expect("room");
        assert_eq!(memory.pages(), pages);
        heap.check().expect("whole");
    }
}

/// A block aligned above 16 bytes takes the next power of two, no less and no more.
#[cfg(all(
    feature = "check",
    not(all(feature = "small", not(feature = "hardened")))
))]
#[test]
fn aligned_blocks_take_slots_no_longer_than_they_must() {
    for align in [32, 64, 128, 256, 512, 1024] {
        for size in [1, 8, 24, 40, 96, 100, 288, 320, 384, 400, 576, 640, 1000] {
            let memory = Memory::empty(4);
            let heap = memory.heap::<1, true>();
            let mut live = Live::new(&heap);
            live.allocate(size, align).expect("room");
            let slot = size.max(align).next_power_of_two();
            assert_eq!(mini_pages(&heap, slot), 1, "{size} at {align}");
        }
    }
}

#[cfg(feature = "check")]
#[test]
fn a_mini_page_has_no_room_for_one_slot_more() {
    let memory = Memory::empty(4);
    let heap = memory.heap::<1, true>();
    let mut live = Live::new(&heap);
    for size in (8..=1_024).step_by(8) {
        live.allocate(size, 8).expect("room");
    }
    heap.walk(|piece| {
        if let Piece::MiniPage {
            bytes,
            slot_bytes,
            slot_count,
            ..
        } = piece
        {
            assert!((slot_count + 1) * slot_bytes > bytes, "{piece:?}");
        }
    });
}

/// MiniPages with slots of `size` bytes.
#[cfg(feature = "check")]
fn mini_pages<S: Source, L: Lock>(heap: &AlligatorAlloc<S, L>, size: usize) -> usize {
    let mut mini_pages = 0;
    heap.walk(|piece| {
        let of_size = matches!(piece, Piece::MiniPage { slot_bytes, .. } if slot_bytes == size);
        mini_pages += usize::from(of_size);
    });
    mini_pages
}

/// However many pages it grows by, a heap refuses nothing before its memory is used up: what it grows by may be
/// too little for the records of more.
#[test]
fn a_heap_that_grows_in_steps_fills_all_of_its_memory() {
    fn fill<const STEP_PAGES: usize>() {
        let pages_max = if cfg!(miri) { 20 } else { 600 };
        let memory = Memory::new(1, 0, pages_max);
        let heap = memory.heap::<STEP_PAGES, true>();
        let mut live = Live::new(&heap);
        while live.allocate(PAGE_BYTES / 2, 8).is_some() {}
        let pages = memory.pages();
        // A longer table takes 24 bytes a granule, while the old one is there, too.
        assert!(
            pages + pages_max / 40 + STEP_PAGES.max(2) > pages_max,
            "{pages} pages, steps of {STEP_PAGES}"
        );
    }
    fill::<1>();
    fill::<2>();
    fill::<4>();
    fill::<5>();
    fill::<16>();
}

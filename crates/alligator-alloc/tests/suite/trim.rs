//! What a heap says of its memory, and giving back what it keeps for itself ahead of time.

use std::alloc::Layout;

use alligator_alloc::Heap;

use crate::memory::Memory;

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).expect("a layout")
}

#[test]
fn what_is_said_to_be_free_is_served_without_growth() {
    let memory = Memory::empty(64);
    let mut heap = Heap::new(memory.source::<1, true>());
    assert_eq!((heap.heap_bytes(), heap.largest_free()), (0, 0));
    let mut blocks = Vec::new();
    for turn in 0..300 {
        let bytes = 1 + turn * 7_919 % 9_000;
        blocks.push((heap.allocate(layout(bytes)).expect("room"), bytes));
        if turn % 3 == 0 {
            let (block, bytes) = blocks.swap_remove(turn * 31 % blocks.len());
            // SAFETY: the heap gave it for this layout.
            unsafe { heap.deallocate(block, layout(bytes)) };
        }
        let (largest, pages) = (heap.largest_free(), memory.pages());
        if largest != 0 {
            let block = heap.allocate(layout(largest)).expect("what was said");
            assert_eq!(memory.pages(), pages);
            // SAFETY: the heap gave it for this layout.
            unsafe { heap.deallocate(block, layout(largest)) };
        }
    }
}

// A small heap keeps nothing for later.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
mod kept {
    use alligator_alloc::{Hardened, PAGE_BYTES, Policy, Source, Standard};

    use super::*;

    /// Fills some pages with slots of many classes and empties them again; the heap keeps some of that for itself.
    fn use_slots<S: Source, P: Policy>(heap: &mut Heap<S, P>) {
        let sizes = || (1..=1_024).step_by(7).flat_map(|size| [size; 12]);
        let blocks: Vec<_> = sizes()
            .map(|size| heap.allocate(layout(size)).expect("room"))
            .collect();
        for (block, size) in blocks.into_iter().zip(sizes()) {
            // SAFETY: the heap gave it for this layout.
            unsafe { heap.deallocate(block, layout(size)) };
        }
    }

    fn assert_trimmed<P: Policy>() {
        let memory = Memory::empty(100);
        let mut heap = Heap::<_, P>::with_policy(memory.source::<1, true>());
        assert!(heap.trim(100), "an empty heap");
        use_slots(&mut heap);
        let pages = memory.pages();
        let mut calls = 1;
        while !heap.trim(1) {
            #[cfg(feature = "check")]
            assert_eq!(heap.check(), Ok(()));
            calls += 1;
        }
        assert!(calls <= 24, "{calls}");
        // All but the records is one free run: the longest block there can be is served, and no memory asked for.
        let largest = heap.largest_free();
        assert!(largest > heap.heap_bytes() / 100 * 96, "{largest}");
        assert_eq!(heap.heap_bytes(), pages * PAGE_BYTES);
        assert!(heap.allocate(layout(largest)).is_some());
        assert_eq!((heap.largest_free(), memory.pages()), (0, pages));
    }

    #[test]
    fn a_heap_trimmed_class_by_class_is_one_piece() {
        assert_trimmed::<Standard>();
        assert_trimmed::<Hardened>();
    }
}

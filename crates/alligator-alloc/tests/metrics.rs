//! The counters (feature `metrics`) against what the program did.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::NonNull;

use alligator_alloc::{Arena, Failure, Heap, PAGE_BYTES, Source};

fn arena(bytes: usize) -> Arena<'static> {
    Arena::new(vec![MaybeUninit::uninit(); bytes].leak())
}

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

/// Gives an arena's memory page by page, and only on demand if `ON_DEMAND`.
struct Pages<const ON_DEMAND: bool> {
    arena: Arena<'static>,
    given_until: usize,
    memory_end: usize,
}

impl<const ON_DEMAND: bool> Pages<ON_DEMAND> {
    fn new(pages: usize) -> Self {
        let mut arena = arena((pages + 1) * PAGE_BYTES);
        let memory = arena.spare();
        let first = memory.start.next_multiple_of(PAGE_BYTES);
        Self {
            arena,
            given_until: first,
            memory_end: first + pages * PAGE_BYTES,
        }
    }
}

// SAFETY: the pages are the arena's own, each is given once, from low to high, and zeroed before.
unsafe impl<const ON_DEMAND: bool> Source for Pages<ON_DEMAND> {
    const ON_DEMAND: bool = ON_DEMAND;

    fn spare(&mut self) -> Range<usize> {
        0..0
    }

    fn end(&self) -> usize {
        self.given_until
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        let first = self.given_until;
        let after = first.checked_add(pages.checked_mul(PAGE_BYTES)?)?;
        if after > self.memory_end {
            return None;
        }
        self.given_until = after;
        // SAFETY: these pages are inside the arena's memory, and nobody has them yet.
        unsafe { self.arena.pointer(first).write_bytes(0, after - first) };
        Some(first)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.arena.pointer(address)
    }
}

#[test]
fn a_new_heap_has_done_nothing() {
    let metrics = Heap::new(arena(PAGE_BYTES)).metrics();
    assert_eq!(metrics.heap_bytes, 0);
    assert_eq!(metrics.requested_bytes_peak, 0);
    assert_eq!(metrics.last_failure, None);
    assert!(
        metrics
            .classes()
            .iter()
            .all(|class| class.blocks.allocations == 0)
    );
}

#[test]
fn classes_come_by_size_and_serve_what_fits() {
    let mut heap = Heap::new(arena(PAGE_BYTES));
    let sizes: Vec<usize> = heap
        .metrics()
        .classes()
        .iter()
        .map(|class| class.slot_bytes)
        .collect();
    assert!(sizes.is_sorted());
    for (index, &size) in sizes.iter().enumerate() {
        heap.allocate(bytes(size)).unwrap();
        assert_eq!(
            heap.metrics().classes()[index].blocks.live,
            1,
            "{size} bytes"
        );
    }
    let largest = sizes[sizes.len() - 1];
    heap.allocate(bytes(largest + 1)).unwrap();
    assert_eq!(heap.metrics().runs.live, 1);
}

#[test]
fn live_and_peak_follow_allocations_and_frees() {
    let mut heap = Heap::new(arena(PAGE_BYTES));
    let layout = bytes(24);
    let blocks: Vec<NonNull<u8>> = (0..10).map(|_| heap.allocate(layout).unwrap()).collect();
    for &block in &blocks[..7] {
        // SAFETY: `allocate` gave it for this layout, and it is given back once.
        unsafe { heap.deallocate(block, layout) };
    }
    heap.allocate_zeroed(layout).unwrap();

    let metrics = heap.metrics();
    let class = metrics
        .classes()
        .iter()
        .find(|class| class.slot_bytes >= 24)
        .unwrap();
    assert_eq!(class.blocks.allocations, 11);
    assert_eq!(class.blocks.frees, 7);
    assert_eq!(class.blocks.live, 4);
    assert_eq!(class.blocks.peak, 10);
    assert_eq!(metrics.requested_bytes_live, 4 * 24);
    assert_eq!(metrics.requested_bytes_peak, 10 * 24);
    assert_eq!(metrics.failures, 0);
}

#[test]
fn a_realloc_counts_where_the_class_changes() {
    let mut heap = Heap::new(arena(4 * PAGE_BYTES));
    let block = heap.allocate(bytes(10)).unwrap();
    // SAFETY: the block is live and has this layout.
    let same = unsafe { heap.reallocate(block, bytes(10), 12) }.unwrap();
    let metrics = heap.metrics();
    assert_eq!(same, block);
    assert_eq!((metrics.reallocations, metrics.moves), (1, 0));
    assert_eq!(metrics.classes()[0].blocks.allocations, 1);

    // SAFETY: as above.
    unsafe { heap.reallocate(same, bytes(12), 5000) }.unwrap();
    let metrics = heap.metrics();
    assert_eq!((metrics.reallocations, metrics.moves), (2, 1));
    assert_eq!(metrics.classes()[0].blocks.live, 0);
    assert_eq!(metrics.runs.live, 1);
    assert_eq!(metrics.requested_bytes_live, 5000);
}

#[test]
fn growth_is_counted_in_calls_pages_and_bytes() {
    let mut heap = Heap::new(Pages::<true>::new(8));
    heap.allocate(bytes(24)).unwrap();
    assert_eq!(heap.metrics().growths, 1);
    assert_eq!(heap.metrics().pages_grown, 1);
    assert!(heap.reserve(3 * PAGE_BYTES));
    let metrics = heap.metrics();
    assert_eq!(metrics.growths, 2);
    assert_eq!(metrics.heap_bytes, metrics.pages_grown * PAGE_BYTES as u64);
    assert!(metrics.pages_grown >= 4);
}

#[test]
fn what_an_arena_has_from_the_start_is_counted() {
    let mut heap = Heap::new(arena(3 * PAGE_BYTES));
    heap.allocate(bytes(24)).unwrap();
    let heap_bytes = heap.metrics().heap_bytes;
    assert!((190_000..=196_608).contains(&heap_bytes), "{heap_bytes}");
}

#[test]
fn a_refusal_of_the_source_is_the_failure_s_cause() {
    let mut heap = Heap::new(Pages::<true>::new(2));
    heap.allocate(bytes(24)).unwrap();
    assert_eq!(heap.allocate(bytes(5 * PAGE_BYTES)), None);
    let metrics = heap.metrics();
    assert_eq!(metrics.failures, 1);
    assert_eq!(metrics.last_failure, Some(Failure::SourceRefused));
    assert_eq!(metrics.last_failure_bytes, 5 * PAGE_BYTES);
    assert_eq!(metrics.runs.allocations, 0);
}

#[test]
fn without_growth_on_demand_that_is_the_failure_s_cause() {
    let mut heap = Heap::new(Pages::<false>::new(2));
    assert_eq!(heap.allocate(bytes(24)), None);
    assert_eq!(heap.metrics().last_failure, Some(Failure::GrowthOff));
    assert!(heap.reserve(1024));
    assert!(heap.allocate(bytes(24)).is_some());
    assert_eq!(heap.metrics().failures, 1);
}

#[test]
fn a_request_beyond_the_address_space_is_too_large() {
    let mut heap = Heap::new(arena(PAGE_BYTES));
    assert!(!heap.reserve(usize::MAX));
    assert_eq!(heap.metrics().last_failure, Some(Failure::TooLarge));
    assert_eq!(heap.metrics().last_failure_bytes, usize::MAX);
}

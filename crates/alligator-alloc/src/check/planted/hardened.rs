//! A hardened heap stops at what was written over before it follows it: by a panic, where a fault is no trap.

extern crate std;

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::string::String;

use super::{GRANULE_BYTES, Layout, NonNull, Vec, allocate, heap_with_everything, mini_page, runs};
use crate::fault::Fault;
use crate::policy::Hardened;
use crate::records::{ALIGNED, GRANULE, Id, MINI_PAGE, Record};
use crate::source::Source;

type Victim = super::Victim<Hardened>;

/// The slots of [`heap_with_everything`].
const SLOT: Layout = Layout::new::<[u64; 8]>();

fn record(heap: &Victim, id: Id) -> &Record {
    heap.runs.records.record(id)
}

fn layout(granules: usize, align: usize) -> Layout {
    Layout::from_size_align(granules * GRANULE_BYTES, align).expect("a layout")
}

/// The block at the start of the granule of `id`, or `offset` bytes above.
fn block(heap: &Victim, id: Id, offset: usize) -> NonNull<u8> {
    let address = heap.runs.records.place(id) + offset;
    NonNull::new(heap.source().pointer(address)).expect("not zero")
}

/// `misuse` writes over something in a heap, and what it asks then is stopped because of `fault`.
#[track_caller]
fn assert_stops(fault: Fault, misuse: impl FnOnce(&mut Victim)) {
    let mut heap = heap_with_everything();
    let stopped = catch_unwind(AssertUnwindSafe(|| misuse(&mut heap)));
    let message = stopped.expect_err("a fault").downcast::<String>();
    let message = message.expect("a message");
    assert!(message.starts_with(&std::format!("{fault}")), "{message}");
}

#[test]
fn a_free_run_whose_record_or_links_were_written_over_is_not_taken() {
    let plants: [fn(&Victim, Id); 6] = [
        |heap, id| record(heap, id).below.set(Id::NONE),
        |heap, id| record(heap, id).previous.set(id),
        |heap, id| {
            let next = record(heap, id).next.get();
            record(heap, next).previous.set(Id::NONE);
        },
        |heap, id| {
            let end = heap.runs.end(); // It has a record, but is no run's.
            record(heap, id).next.set(end);
            record(heap, end).previous.set(id);
        },
        |heap, id| {
            let end = heap.runs.end();
            record(heap, id).previous.set(end);
            record(heap, end).next.set(id);
        },
        |heap, id| {
            let next = record(heap, id).next.get();
            record(heap, id).next.set(next.above(GRANULE / 2)); // No record starts there.
            let previous = &record(heap, next.above(GRANULE)).length;
            previous.set(id.distance_from(Id::NONE));
        },
    ];
    for plant in plants {
        assert_stops(Fault::Corrupted, |heap| {
            let id = runs::free_before_another(heap);
            plant(heap, id);
            heap.runs.cut(id, GRANULE);
        });
    }
}

#[test]
fn a_heap_whose_canary_was_written_over_neither_takes_nor_grows() {
    let asks: [fn(&mut Victim); 3] = [
        |heap| _ = allocate(heap, layout(1, 8), 1),
        |heap| {
            mini_page::use_up_current(heap);
            allocate(heap, SLOT, 1);
        },
        |heap| _ = heap.reserve(heap.runs.length() as usize * 64),
    ];
    for ask in asks {
        assert_stops(Fault::Corrupted, |heap| {
            heap.runs.write_over_canary();
            ask(heap);
        });
    }
}

#[test]
fn a_list_of_mini_pages_that_leads_elsewhere_is_not_followed() {
    let plants: [fn(&Victim) -> Id; 3] = [
        |heap| {
            let end = heap.runs.end();
            record(heap, end).length.set(MINI_PAGE);
            end
        },
        |heap| {
            let run = runs::first_used(heap);
            record(heap, run).length.set(16 * GRANULE); // In a MiniPage, the first granule.
            run
        },
        |heap| mini_page::first_listed(heap).above(GRANULE),
    ];
    for plant in plants {
        assert_stops(Fault::Corrupted, |heap| {
            mini_page::lead_list_to(heap, plant(heap));
            mini_page::use_up_current(heap);
            allocate(heap, SLOT, 1);
        });
    }
}

#[test]
fn a_mini_page_whose_links_were_written_over_is_not_given_up() {
    assert_stops(Fault::Corrupted, |heap| {
        let id = record(heap, mini_page::first_listed(heap)).next.get();
        record(heap, id).previous.set(Id::NONE);
        let free = heap.runs.records.view().word(id).get();
        for index in (0..32).filter(|index| free >> index & 1 == 0) {
            let slot = block(heap, id, index * SLOT.size());
            // SAFETY: the slot is in use: not free, and not in the current MiniPage.
            unsafe { heap.deallocate(slot, SLOT) };
        }
    });
}

#[test]
fn a_granule_of_a_class_that_does_not_exist_has_no_block() {
    assert_stops(Fault::NotABlock, |heap| {
        let id = runs::first_used(heap);
        record(heap, id).length.set(MINI_PAGE | 200 << 8);
        // SAFETY: the heap stops.
        unsafe { heap.deallocate_by_address(block(heap, id, 0)) };
    });
}

#[test]
fn an_aligned_block_that_leads_to_no_run_of_its_own_is_refused() {
    let plants: [fn(&Victim, Id, Id); 4] = [
        |heap, id, _| {
            let end = heap.runs.end();
            record(heap, id).next.set(end);
            record(heap, end).next.set(id);
            record(heap, end).length.set(GRANULE);
        },
        |heap, _, run| record(heap, run).length.set(MINI_PAGE),
        |heap, _, run| record(heap, run).below.set(Id::FREE),
        |heap, _, run| record(heap, run).next.set(run),
    ];
    for plant in plants {
        assert_stops(Fault::NotABlock, |heap| {
            let blocks: Vec<_> = allocate(heap, layout(3, 8 * GRANULE_BYTES), 4);
            let mut ids = blocks
                .iter()
                .map(|block| heap.runs.records.id_at(block.addr().get()));
            let id = ids.find(|&id| record(heap, id).length.get() == ALIGNED);
            let id = id.expect("a block that starts after its run");
            plant(heap, id, record(heap, id).next.get());
            // SAFETY: the heap stops.
            unsafe { heap.deallocate_by_address(block(heap, id, 0)) };
        });
    }
}

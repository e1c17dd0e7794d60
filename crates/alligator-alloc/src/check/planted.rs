//! Each invariant catches a violation planted for it. The violations themselves stand beside the layer whose
//! state they break.

extern crate std;

use core::alloc::Layout;
use core::ptr::NonNull;
use std::vec::Vec;

use super::Invariant;
use super::growing::Growing;
use crate::heap::Heap;
use crate::mini_page::check::planted as mini_page;
#[cfg(all(feature = "medium", not(feature = "hardened")))]
use crate::mini_page::medium::check::planted as medium;
use crate::runs::check::planted as runs;
use crate::units::{GRANULE_BYTES, MEDIUM};

/// A heap that the tests break.
pub(crate) type Victim = Heap<Growing>;

/// A heap that has some of everything: a full magazine, a list of MiniPages, a current one with free slots, one that
/// became a recent granule, used and free runs, and MetaPages in what was a free run.
fn heap_with_everything() -> Victim {
    let mut heap = Heap::new(Growing::new());
    let slot = Layout::from_size_align(64, 8).expect("a layout");
    // 32 to a MiniPage. Some of the first and the last fill the magazine; then all of the fourth, and one more.
    let slots = allocate(&mut heap, slot, 140);
    for range in [2..96, 128..130, 96..128, 130..131] {
        free(&mut heap, slot, &slots[range]);
    }
    let run = |granules| Layout::from_size_align(granules * GRANULE_BYTES, 8).expect("a layout");
    let long = allocate(&mut heap, run(20), 6);
    free(&mut heap, run(20), &[long[1], long[3]]);
    let short = allocate(&mut heap, run(3), 3);
    free(&mut heap, run(3), &[short[0], short[2]]);
    allocate(&mut heap, run(30), 10);
    allocate_medium(&mut heap);
    assert_eq!(heap.check(), Ok(()));
    heap
}

/// Some medium blocks, two of which are given back, if the heap has slots for them.
fn allocate_medium(heap: &mut Victim) {
    if MEDIUM {
        let medium = Layout::from_size_align(2 * GRANULE_BYTES / 3, 8).expect("a layout");
        let blocks = allocate(heap, medium, 40);
        free(heap, medium, &blocks[20..22]);
    }
}

fn allocate(heap: &mut Victim, layout: Layout, count: usize) -> Vec<NonNull<u8>> {
    let block = |_| heap.allocate(layout).expect("room");
    (0..count).map(block).collect()
}

fn free(heap: &mut Victim, layout: Layout, blocks: &[NonNull<u8>]) {
    for &block in blocks {
        // SAFETY: the caller has just allocated them with this layout.
        unsafe { heap.deallocate(block, layout) };
    }
}

/// Plants a violation: the checker must find that `invariant` does not hold.
fn is_caught(plant: impl Fn(&mut Victim), invariant: Invariant) {
    let mut heap = heap_with_everything();
    plant(&mut heap);
    let found = heap.check().map_err(|violation| violation.invariant);
    assert_eq!(found, Err(invariant));
}

/// Makes a test of each line, and a match of all of them: an invariant without a line does not compile.
macro_rules! each_is_caught {
    ($($(#[$attribute:meta])* $invariant:ident: $test:ident, $plant:path;)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $test() {
                is_caught($plant, Invariant::$invariant);
            }
        )*

        #[expect(dead_code, reason = "it is there to be compiled")]
        fn has_a_test(invariant: Invariant) {
            match invariant {
                $(Invariant::$invariant => {})*
            }
        }
    };
}

each_is_caught! {
    HeaderAtStart: a_header_of_another_place_is_caught, runs::header_of_another_place;
    Extent: a_run_without_length_is_caught, runs::run_without_length;
    Above: a_wrong_upper_neighbour_is_caught, runs::wrong_upper_neighbour;
    Below: a_free_run_below_that_is_none_is_caught, runs::free_run_below_that_is_none;
    Merged: free_neighbours_are_caught, runs::free_neighbours;
    Untouched: a_block_in_untouched_memory_is_caught, runs::block_in_untouched_memory;
    // In a hardened heap, a run that becomes a table is none any more.
    #[cfg(not(feature = "hardened"))]
    MetaPageRun: a_table_in_a_run_of_another_length_is_caught, runs::table_of_another_length;
    InBin: a_free_run_in_no_bin_is_caught, runs::free_run_in_no_bin;
    BinLinks: a_bin_whose_run_points_elsewhere_is_caught, runs::bin_that_points_elsewhere;
    BinBitmap: a_bit_without_a_run_is_caught, runs::bit_without_a_run;
    FreeSlots: a_free_slot_that_is_none_is_caught, mini_page::free_slot_that_is_none;
    Listed: a_mini_page_that_no_list_has_is_caught, mini_page::in_no_list;
    ListLinks: a_list_that_points_elsewhere_is_caught, mini_page::list_that_points_elsewhere;
    Current: a_current_mini_page_at_no_granule_is_caught, mini_page::current_at_no_granule;
    #[cfg(all(feature = "medium", not(feature = "hardened")))]
    SlotPlace: a_slot_without_its_place_is_caught, medium::place_of_a_slot_lost;
    #[cfg(not(any(feature = "small", feature = "hardened")))]
    Recent: a_recent_run_that_is_not_there_is_caught, runs::recent_run_that_is_not_there;
    #[cfg(not(any(feature = "small", feature = "hardened")))]
    Magazine: a_slot_twice_in_a_magazine_is_caught, mini_page::slot_twice_in_a_magazine;
    #[cfg(feature = "hardened")]
    Interior: a_start_inside_a_run_is_caught, runs::start_inside_a_run;
    #[cfg(feature = "hardened")]
    Poison: a_write_to_a_free_run_is_caught, runs::write_to_a_free_run;
}

/// What is said above of MiniPages holds of medium ones, too.
#[cfg(all(feature = "medium", not(feature = "hardened")))]
#[test]
fn a_medium_mini_page_whose_class_bits_or_links_are_wrong_is_caught() {
    is_caught(medium::class_that_there_is_none, Invariant::HeaderAtStart);
    is_caught(medium::free_slot_that_is_none, Invariant::FreeSlots);
    is_caught(medium::in_no_list, Invariant::Listed);
    is_caught(medium::list_that_points_elsewhere, Invariant::ListLinks);
}

/// A hardened heap stops at a record written over before it follows it: by a panic, where a fault is no trap.
#[cfg(all(feature = "hardened", not(target_family = "wasm")))]
mod hardened {
    use super::*;
    use crate::fault::Fault;
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;
    use std::string::String;

    /// Asks a heap in which `plant` has written over something for a run of `granules`: it must stop.
    fn is_noticed(plant: impl Fn(&mut Victim), granules: usize) {
        let mut heap = heap_with_everything();
        plant(&mut heap);
        let run = Layout::from_size_align(granules * GRANULE_BYTES, 8).expect("a layout");
        let taken = catch_unwind(AssertUnwindSafe(|| allocate(&mut heap, run, 1)));
        let message = taken.expect_err("a fault").downcast::<String>();
        let expected = std::format!("{}", Fault::Corrupted);
        assert!(message.expect("a message").starts_with(&expected));
    }

    #[test]
    fn a_free_run_whose_header_links_or_guard_were_written_over_is_not_taken() {
        is_noticed(runs::bin_that_points_elsewhere, 1);
        is_noticed(runs::free_run_of_another_place, 1);
        is_noticed(|heap| heap.runs.meta.write_over_canaries(), 1);
    }

    #[test]
    fn a_heap_whose_headers_were_written_over_does_not_grow() {
        for plant in [
            runs::headers_written_over,
            runs::headers_of_new_memory_written_over,
        ] {
            let with_headers_for_growth = |heap: &mut Victim| {
                let long = Layout::from_size_align(200 * GRANULE_BYTES, 8).expect("a layout");
                allocate(heap, long, 1);
                plant(heap);
            };
            is_noticed(with_headers_for_growth, 1);
        }
    }

    /// A block between two free runs, one of which is not as it was: the other, which is looked at first or last, stays
    /// as it is.
    #[test]
    fn a_block_whose_neighbour_was_written_over_merges_with_neither() {
        let run = Layout::from_size_align(3 * GRANULE_BYTES, 8).expect("a layout");
        for broken in [0, 2] {
            let mut heap = Heap::new(Growing::new());
            let blocks = allocate(&mut heap, run, 4);
            free(&mut heap, run, &[blocks[0], blocks[2]]);
            let id = heap.runs.meta.id_at(blocks[broken].addr().get());
            let place = heap.runs.meta.header(id).place.replace(0);
            let freed = catch_unwind(AssertUnwindSafe(|| free(&mut heap, run, &blocks[1..2])));
            assert!(freed.is_err(), "block {broken}");
            heap.runs.meta.header(id).place.set(place);
            assert_eq!(heap.check(), Ok(()), "block {broken}");
        }
    }
}

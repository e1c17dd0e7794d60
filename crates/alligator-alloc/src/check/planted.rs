//! Each invariant catches a violation planted for it. The violations themselves stand beside the layer whose
//! state they break.

extern crate std;

#[cfg(not(target_family = "wasm"))]
mod hardened;

use core::alloc::Layout;
use core::ptr::NonNull;
use std::vec::Vec;

use super::Invariant;
use super::growing::Growing;
use crate::heap::Heap;
use crate::mini_page::check::planted as mini_page;
use crate::policy::{Hardened, Policy, Standard};
use crate::runs::check::planted as runs;
use crate::units::GRANULE_BYTES;

/// A heap that the tests break.
pub(crate) type Victim<P> = Heap<Growing, P>;

/// A heap that has some of everything: a full magazine, lists of MiniPages, a current one with free slots, used and free
/// runs, and a table that has moved.
fn heap_with_everything<P: Policy>() -> Victim<P> {
    let mut heap = Heap::with_policy(Growing::new());
    let run = |granules| Layout::from_size_align(granules * GRANULE_BYTES, 8).expect("a layout");
    let long = allocate(&mut heap, run(40), 6);
    free(&mut heap, run(40), &[long[1], long[3]]);
    let short = allocate(&mut heap, run(3), 3);
    free(&mut heap, run(3), &[short[0], short[2]]);
    allocate(&mut heap, run(60), 14);
    let slot = Layout::from_size_align(64, 8).expect("a layout");
    // 32 to a MiniPage. Some of the first fill the magazine, if there is one.
    let slots = allocate(&mut heap, slot, 200);
    for range in [2..30, 160..170, 70..80, 40..44] {
        free(&mut heap, slot, &slots[range]);
    }
    assert_eq!(heap.check(), Ok(()));
    heap
}

fn allocate<P: Policy>(heap: &mut Victim<P>, layout: Layout, count: usize) -> Vec<NonNull<u8>> {
    let block = |_| heap.allocate(layout).expect("room");
    (0..count).map(block).collect()
}

fn free<P: Policy>(heap: &mut Victim<P>, layout: Layout, blocks: &[NonNull<u8>]) {
    for &block in blocks {
        // SAFETY: the caller has just allocated them with this layout.
        unsafe { heap.deallocate(block, layout) };
    }
}

/// Plants a violation: the checker must find that `invariant` does not hold.
fn is_caught<P: Policy>(plant: impl Fn(&Victim<P>), invariant: Invariant) {
    let heap = heap_with_everything();
    plant(&heap);
    let found = heap.check().map_err(|violation| violation.invariant);
    assert_eq!(found, Err(invariant));
}

/// Makes a test of each line, and a match of all of them: an invariant without a line does not compile.
macro_rules! each_is_caught {
    ($($invariant:ident: $test:ident, $plant:path, $($policy:ident),+;)*) => {
        $(
            #[test]
            fn $test() {
                $(is_caught::<$policy>($plant, Invariant::$invariant);)+
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
    HeaderAtStart: a_record_of_another_start_is_caught, runs::record_of_another_start, Standard, Hardened;
    Extent: a_run_that_is_too_long_is_caught, runs::run_that_is_too_long, Standard, Hardened;
    Below: a_free_run_below_that_is_none_is_caught, runs::free_run_below_that_is_none, Standard, Hardened;
    Merged: free_neighbours_are_caught, runs::free_neighbours, Standard, Hardened;
    Untouched: a_block_in_untouched_memory_is_caught, runs::block_in_untouched_memory, Standard;
    Table: a_table_that_is_too_long_is_caught, runs::table_that_is_too_long, Standard, Hardened;
    InBin: a_free_run_in_no_bin_is_caught, runs::free_run_in_no_bin, Standard, Hardened;
    BinLinks: a_bin_whose_run_points_elsewhere_is_caught, runs::bin_that_points_elsewhere, Standard, Hardened;
    BinBitmap: a_bit_without_a_run_is_caught, runs::bit_without_a_run, Standard, Hardened;
    FreeSlots: a_free_slot_that_is_none_is_caught, mini_page::free_slot_that_is_none, Standard, Hardened;
    Listed: a_mini_page_that_no_list_has_is_caught, mini_page::in_no_list, Standard, Hardened;
    ListLinks: a_list_that_points_elsewhere_is_caught, mini_page::list_that_points_elsewhere, Standard, Hardened;
    Current: a_current_mini_page_at_no_granule_is_caught, mini_page::current_at_no_granule, Standard, Hardened;
    Magazine: a_slot_twice_in_a_magazine_is_caught, mini_page::slot_twice_in_a_magazine, Standard;
    Interior: a_start_inside_a_run_is_caught, runs::start_inside_a_run, Hardened;
    Poison: a_write_to_a_free_run_is_caught, runs::write_to_a_free_run, Hardened;
}

//! Each invariant catches a violation planted for it.

extern crate std;

use core::alloc::Layout;
use core::ptr::NonNull;
use std::vec::Vec;

use super::{Heap, Kind, Part};
use crate::check::Invariant;
use crate::check::growing::Growing;
use crate::small::headers::{Header, Id};
use crate::units::GRANULE_BYTES;

/// A heap that the tests break.
type Victim = Heap<Growing>;

/// A heap that has some of everything: MiniPages that are full and that are not, used and free runs, an aligned
/// block, and a table that has moved.
fn heap_with_everything() -> Victim {
    let mut heap = Heap::new(Growing::new());
    let slot = Layout::from_size_align(64, 8).expect("a layout");
    let slots = allocate(&mut heap, slot, 60);
    free(&mut heap, slot, &slots[..10]);
    free(&mut heap, slot, &slots[20..22]);
    let run = |granules, align| Layout::from_size_align(granules * GRANULE_BYTES, align);
    let long = run(20, 8).expect("a layout");
    let blocks = allocate(&mut heap, long, 6);
    free(&mut heap, long, &[blocks[1], blocks[3]]);
    let short = run(3, 8).expect("a layout");
    let blocks = allocate(&mut heap, short, 3);
    free(&mut heap, short, &[blocks[0], blocks[2]]);
    allocate(&mut heap, run(5, 16 * 1024).expect("a layout"), 2);
    allocate(&mut heap, run(60, 8).expect("a layout"), 10);
    assert_eq!(heap.check(), Ok(()));
    heap
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

/// The first part that `is_it`.
fn part(heap: &Victim, is_it: impl Fn(&Part) -> bool) -> Part {
    let mut parts = heap.parts().map(|part| part.expect("a sound heap"));
    parts.find(is_it).expect("a part of this kind")
}

/// The header of the first part of that kind.
fn header(heap: &Victim, kind: Kind) -> &Header {
    let part = part(heap, |part| part.kind == kind);
    heap.header(Id::at(part.address))
}

/// A free run of several granules.
fn free_run(heap: &Victim) -> Part {
    part(heap, |part| {
        part.kind == Kind::Free && part.bytes > GRANULE_BYTES
    })
}

/// The header of the first MiniPage that is full, or is not.
fn mini_page(heap: &Victim, is_full: bool) -> &Header {
    let is_it = |part: &Part| {
        let header = heap.header(Id::at(part.address));
        matches!(part.kind, Kind::MiniPage(_)) && (header.previous.get() == 0) == is_full
    };
    heap.header(Id::at(part(heap, is_it).address))
}

fn slots_of_no_size(heap: &mut Victim) {
    mini_page(heap, true).bytes.set(65);
}

fn block_that_leads_elsewhere(heap: &mut Victim) {
    header(heap, Kind::Used).next.set(Id::NONE);
}

fn header_after_the_end(heap: &mut Victim) {
    heap.header(Id::at(heap.end)).bytes.set(GRANULE_BYTES);
}

fn run_beyond_the_end(heap: &mut Victim) {
    let bytes = heap.end;
    header(heap, Kind::Used)
        .bytes
        .set(bytes - bytes % GRANULE_BYTES);
}

fn free_run_below_that_is_none(heap: &mut Victim) {
    let used = part(heap, |part| part.kind == Kind::Used);
    let id = Id::at(used.address);
    heap.header(id).below.set(id);
}

fn free_neighbours(heap: &mut Victim) {
    let free = free_run(heap);
    let id = Id::at(free.address);
    heap.unlink(id);
    heap.push(id, GRANULE_BYTES);
    let rest = id.above(GRANULE_BYTES);
    heap.header(rest).below.set(id);
    heap.header(id.above(free.bytes)).below.set(rest);
    heap.push(rest, free.bytes - GRANULE_BYTES);
}

fn table_that_is_a_run(heap: &mut Victim) {
    let header = header(heap, Kind::Table);
    header.bytes.set(GRANULE_BYTES);
}

fn free_run_in_no_list(heap: &mut Victim) {
    let id = Id::at(free_run(heap).address);
    heap.unlink(id);
    heap.header(id).previous.set(1);
}

fn list_of_runs_that_points_elsewhere(heap: &mut Victim) {
    let last = 63 - heap.nonempty.leading_zeros() as usize;
    let first = heap.first(last);
    heap.header(first).previous.set(last - 1);
}

fn bit_without_a_run(heap: &mut Victim) {
    heap.nonempty |= 1 << 63;
}

fn slot_in_use_that_is_none(heap: &mut Victim) {
    let header = mini_page(heap, false);
    header.slots.set(header.slots.get() | 1 << 63);
}

fn no_slot_in_use(heap: &mut Victim) {
    mini_page(heap, false).slots.set(0);
}

fn slot_of_a_run(heap: &mut Victim) {
    header(heap, Kind::Used).slots.set(1);
}

fn mini_page_in_no_list(heap: &mut Victim) {
    let header = mini_page(heap, true);
    header.slots.set(header.slots.get() & !1);
}

fn list_that_points_elsewhere(heap: &mut Victim) {
    let first = heap.first(heap.nonempty.trailing_zeros() as usize);
    heap.header(first).previous.set(1 << 10);
}

/// Makes a test of each line, and a match of all of them: an invariant without a line does not compile.
macro_rules! each_is_caught {
    ($($invariant:ident: $test:ident, $plant:path;)*) => {
        $(
            #[test]
            fn $test() {
                let mut heap = heap_with_everything();
                $plant(&mut heap);
                let found = heap.check().map_err(|violation| violation.invariant);
                assert_eq!(found, Err(Invariant::$invariant));
            }
        )*

        #[expect(dead_code, reason = "it is there to be compiled")]
        #[expect(unreachable_patterns, reason = "some have several tests")]
        fn has_a_test(invariant: Invariant) {
            match invariant {
                $(Invariant::$invariant => {})*
                // What a small heap does not have.
                Invariant::Untouched
                | Invariant::Current
                | Invariant::Magazine
                | Invariant::Interior
                | Invariant::Poison => {}
            }
        }
    };
}

each_is_caught! {
    HeaderAtStart: slots_of_no_size_are_caught, slots_of_no_size;
    HeaderAtStart: a_block_that_leads_elsewhere_is_caught, block_that_leads_elsewhere;
    HeaderAtStart: a_header_after_the_end_is_caught, header_after_the_end;
    Extent: a_run_beyond_the_end_is_caught, run_beyond_the_end;
    Below: a_free_run_below_that_is_none_is_caught, free_run_below_that_is_none;
    Merged: free_neighbours_are_caught, free_neighbours;
    Table: a_table_that_is_a_run_is_caught, table_that_is_a_run;
    InBin: a_free_run_in_no_list_is_caught, free_run_in_no_list;
    BinLinks: a_list_of_runs_that_points_elsewhere_is_caught, list_of_runs_that_points_elsewhere;
    BinBitmap: a_bit_without_a_run_is_caught, bit_without_a_run;
    FreeSlots: a_slot_in_use_that_is_none_is_caught, slot_in_use_that_is_none;
    FreeSlots: a_mini_page_without_a_slot_in_use_is_caught, no_slot_in_use;
    FreeSlots: a_slot_of_a_run_is_caught, slot_of_a_run;
    Listed: a_mini_page_in_no_list_is_caught, mini_page_in_no_list;
    ListLinks: a_list_that_points_elsewhere_is_caught, list_that_points_elsewhere;
}

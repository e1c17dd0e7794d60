//! Violations of the invariants of runs and bins, for the tests of the checker.

use super::{Kind, Part};
use crate::check::planted::Victim;
use crate::meta_page::{FREE, HeaderId};
#[cfg(feature = "hardened")]
use crate::source::Source;
use crate::units::GRANULE_BYTES;
#[cfg(all(feature = "hardened", not(target_family = "wasm")))]
use crate::units::PAGE_BYTES;

/// The first part that `is_it`.
fn part(heap: &Victim, is_it: impl Fn(&Part) -> bool) -> Part {
    let mut parts = heap.runs.parts().map(|part| part.expect("a sound heap"));
    parts.find(is_it).expect("a part of this kind")
}

/// A used run, and its header.
fn used(heap: &Victim) -> (HeaderId, Part) {
    let part = part(heap, |part| matches!(part.kind, Kind::Used(_)));
    (heap.runs.meta.id_at(part.address), part)
}

/// A free run of several granules, and its header.
fn free(heap: &Victim) -> (HeaderId, Part) {
    let is_long = |part: &Part| matches!(part.kind, Kind::Free(_)) && part.granules > 1;
    let part = part(heap, is_long);
    (heap.runs.meta.id_at(part.address), part)
}

pub(crate) fn header_of_another_place(heap: &mut Victim) {
    let (id, part) = used(heap);
    let header = heap.runs.meta.header(id);
    header.place.set(part.address + GRANULE_BYTES);
}

/// As an overflow would that has come past the guard, up to the header after the heap's last granule.
#[cfg(all(feature = "hardened", not(target_family = "wasm")))]
pub(crate) fn headers_written_over(heap: &mut Victim) {
    write_over_header(heap, heap.runs.end);
}

/// The same, up to the header of the memory that the heap will take in, above what somebody else has grown.
#[cfg(all(feature = "hardened", not(target_family = "wasm")))]
pub(crate) fn headers_of_new_memory_written_over(heap: &mut Victim) {
    let others = heap.runs.meta.source.grow(1);
    write_over_header(heap, others.expect("room") + PAGE_BYTES);
}

/// Writes over all guards and the header of the granule at `address`, and leaves no run free.
#[cfg(all(feature = "hardened", not(target_family = "wasm")))]
fn write_over_header(heap: &mut Victim, address: usize) {
    heap.runs.meta.write_over_canaries();
    heap.runs.nonempty = 0;
    heap.runs.bins = [HeaderId::NONE; super::BIN_COUNT];
    let header = heap.runs.meta.header(heap.runs.meta.id_at(address));
    header.below.set(HeaderId::from_raw(8));
}

pub(crate) fn run_without_length(heap: &mut Victim) {
    let (id, _) = used(heap);
    heap.runs.meta.header(id).granules.set(0);
}

pub(crate) fn wrong_upper_neighbour(heap: &mut Victim) {
    let (id, _) = used(heap);
    heap.runs.meta.header(id).above.set(id);
}

pub(crate) fn free_run_below_that_is_none(heap: &mut Victim) {
    let (id, _) = used(heap);
    heap.runs.meta.header(id).below.set(id);
}

pub(crate) fn free_neighbours(heap: &mut Victim) {
    let (id, part) = free(heap);
    let runs = &mut heap.runs;
    runs.unlink(id);
    let rest = runs.meta.id_at(part.address + GRANULE_BYTES);
    let above = runs.meta.header(id).above.get();
    runs.put_in(id, 1, rest);
    runs.meta
        .header(rest)
        .place
        .set(part.address + GRANULE_BYTES);
    runs.put_in(rest, part.granules - 1, above);
    assert_eq!(runs.meta.header(rest).below.get(), FREE);
}

pub(crate) fn block_in_untouched_memory(heap: &mut Victim) {
    let (_, part) = used(heap);
    heap.runs.untouched = part.address;
}

#[cfg(not(feature = "hardened"))]
pub(crate) fn table_of_another_length(heap: &mut Victim) {
    let has_header = |part: &Part| {
        let meta = &heap.runs.meta;
        matches!(part.kind, Kind::Meta)
            && meta.next_with_header(part.address) == Some(part.address)
            && meta.header(meta.id_at(part.address)).place.get() == part.address
    };
    let part = part(heap, has_header);
    let header = heap.runs.meta.header(heap.runs.meta.id_at(part.address));
    header.granules.set(part.granules + 1);
}

pub(crate) fn free_run_in_no_bin(heap: &mut Victim) {
    let (id, _) = free(heap);
    heap.runs.unlink(id);
}

pub(crate) fn bin_that_points_elsewhere(heap: &mut Victim) {
    let bin = heap.runs.nonempty.trailing_zeros() as usize;
    let first = heap.runs.bins[bin];
    heap.runs.meta.header(first).previous.set(HeaderId::NONE);
}

pub(crate) fn bit_without_a_run(heap: &mut Victim) {
    heap.runs.nonempty |= 1 << 63;
}

#[cfg(all(feature = "hardened", not(target_family = "wasm")))]
pub(crate) fn free_run_of_another_place(heap: &mut Victim) {
    let bin = heap.runs.nonempty.trailing_zeros() as usize;
    let header = heap.runs.meta.header(heap.runs.bins[bin]);
    header.place.set(header.place.get() + GRANULE_BYTES);
}

#[cfg(feature = "hardened")]
pub(crate) fn start_inside_a_run(heap: &mut Victim) {
    let long = |part: &Part| matches!(part.kind, Kind::Used(_)) && part.granules > 1;
    let inside = part(heap, long).address + GRANULE_BYTES;
    let meta = &heap.runs.meta;
    meta.header(meta.id_at(inside)).place.set(inside);
}

#[cfg(feature = "hardened")]
pub(crate) fn write_to_a_free_run(heap: &mut Victim) {
    let (_, part) = free(heap);
    let first = heap.runs.meta.source.pointer(part.address);
    // SAFETY: the run is the heap's, and nobody uses it.
    unsafe { first.write(1) };
}

#[cfg(not(any(feature = "small", feature = "hardened")))]
pub(crate) fn recent_run_that_is_not_there(heap: &mut Victim) {
    assert!(heap.runs.recent.count > 0, "a recent granule");
    heap.runs.recent.count += 1;
}

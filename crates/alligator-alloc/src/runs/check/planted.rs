//! Violations of the invariants of runs and bins, for the tests of the checker.

use crate::check::parts::{Kind, Part};
use crate::check::planted::Victim;
use crate::policy::Policy;
use crate::records::{GRANULE, Id, Record};
use crate::source::Source;

/// The first part of a kind.
fn part<P: Policy>(heap: &Victim<P>, is_it: impl Fn(&Part) -> bool) -> Part {
    let mut parts = heap.runs.parts().map_while(Result::ok);
    parts.find(is_it).expect("a part of this kind")
}

fn used<P: Policy>(heap: &Victim<P>) -> &Record {
    let part = part(heap, |part| matches!(part.kind, Kind::Used));
    heap.runs.records.record(part.id)
}

fn free<P: Policy>(heap: &Victim<P>) -> (Part, &Record) {
    let part = part(heap, Part::is_free);
    (part, heap.runs.records.record(part.id))
}

/// The first used run.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn first_used<P: Policy>(heap: &Victim<P>) -> Id {
    part(heap, |part| matches!(part.kind, Kind::Used)).id
}

/// A free run that another follows in its bin.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn free_before_another<P: Policy>(heap: &Victim<P>) -> Id {
    let next = |id| heap.runs.records.record(id).next.get();
    part(heap, |part| part.is_free() && next(part.id).is_some()).id
}

pub(crate) fn record_of_another_start<P: Policy>(heap: &Victim<P>) {
    used(heap).length.set(GRANULE + 1);
}

pub(crate) fn run_that_is_too_long<P: Policy>(heap: &Victim<P>) {
    used(heap).length.set(heap.runs.length() + GRANULE);
}

pub(crate) fn free_run_below_that_is_none<P: Policy>(heap: &Victim<P>) {
    let is_in_use = |id| !heap.runs.records.record(id).is_free();
    let after_used = part(heap, |part| is_in_use(part.id) && is_in_use(part.end())).end();
    let record = heap.runs.records.record(after_used);
    record.below.set(after_used);
}

pub(crate) fn free_neighbours<P: Policy>(heap: &Victim<P>) {
    let long = part(heap, |part| part.is_free() && part.length > GRANULE);
    heap.runs.records.record(long.id).length.set(GRANULE);
    let second = long.id.above(GRANULE);
    let record = heap.runs.records.record(second);
    record.length.set(long.length - GRANULE);
    record.below.set(Id::FREE);
    // Both in the first one's bin, so that nothing else is wrong before the second.
    heap.runs.plant_in_bin(long.id);
}

pub(crate) fn block_in_untouched_memory<P: Policy>(heap: &Victim<P>) {
    heap.runs.plant_untouched(heap.runs.parts().count());
}

pub(crate) fn table_that_is_too_long<P: Policy>(heap: &Victim<P>) {
    heap.runs.plant_end();
}

pub(crate) fn free_run_in_no_bin<P: Policy>(heap: &Victim<P>) {
    let (part, _) = free(heap);
    heap.runs.plant_unlinked(part.id);
}

pub(crate) fn bin_that_points_elsewhere<P: Policy>(heap: &Victim<P>) {
    let (part, record) = free(heap);
    record.previous.set(part.id);
}

pub(crate) fn bit_without_a_run<P: Policy>(heap: &Victim<P>) {
    heap.runs.plant_bit();
}

pub(crate) fn start_inside_a_run<P: Policy>(heap: &Victim<P>) {
    let long = part(heap, |part| {
        matches!(part.kind, Kind::Used) && part.length > GRANULE
    });
    let inside = heap.runs.records.record(long.id.above(GRANULE));
    inside.length.set(GRANULE);
}

pub(crate) fn write_to_a_free_run<P: Policy>(heap: &Victim<P>) {
    let (part, _) = free(heap);
    let place = heap.source().pointer(heap.runs.records.place(part.id) + 9);
    // SAFETY: the run is free, so nobody else uses its memory.
    unsafe { place.write(1) };
}

//! Violations of the invariants of medium MiniPages, for the tests of the checker.

use crate::check::planted::Victim;
use crate::meta_page::{CLASS_MASK, HeaderId};
use crate::mini_page::medium::{COUNT, MediumClass};

/// A class that has a list, and the first MiniPage in it.
fn listed(heap: &Victim) -> (MediumClass, HeaderId) {
    let lists = &heap.medium.partial;
    let class = (0..COUNT).find(|&class| lists[class].first.is_some());
    let class = class.expect("a medium MiniPage with free slots");
    (MediumClass(class), lists[class].first)
}

/// Of the MiniPage's third slot, which is in use in the test's heap, and in another granule than the first.
pub(crate) fn place_of_a_slot_lost(heap: &mut Victim) {
    let (class, id) = listed(heap);
    let meta = &heap.runs.meta;
    let slot = meta.header(id).first_byte() + 2 * class.slot_bytes();
    let own = meta.header(meta.id_at(slot));
    own.place.set(own.place.get() + 1);
}

pub(crate) fn class_that_there_is_none(heap: &mut Victim) {
    let (_, id) = listed(heap);
    let header = heap.runs.meta.header(id);
    header.place.set(header.place.get() | CLASS_MASK);
}

pub(crate) fn free_slot_that_is_none(heap: &mut Victim) {
    let (_, id) = listed(heap);
    let [free, _] = &heap.runs.meta.header(id).slots;
    free.set(free.get() | 1 << 63);
}

pub(crate) fn in_no_list(heap: &mut Victim) {
    let (class, _) = listed(heap);
    heap.medium.partial[class.0].first = HeaderId::NONE;
}

pub(crate) fn list_that_points_elsewhere(heap: &mut Victim) {
    let (_, id) = listed(heap);
    heap.runs.meta.header(id).previous.set(id);
}

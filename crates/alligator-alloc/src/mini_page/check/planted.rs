//! Violations of the invariants of MiniPages and classes, for the tests of the checker.

use crate::check::planted::Victim;
use crate::meta_page::HeaderId;
use crate::mini_page::ClassState;
use crate::size_class::CLASS_COUNT;

/// The index of a class that is as `is_it` wants.
fn class(heap: &Victim, is_it: impl Fn(&ClassState) -> bool) -> usize {
    let found = (0..CLASS_COUNT).find(|&index| is_it(&heap.classes[index]));
    found.expect("a class of this kind")
}

/// The first MiniPage of a list, and the index of its class.
fn listed(heap: &Victim) -> (HeaderId, usize) {
    let class = class(heap, |state| state.partial.first.is_some());
    (heap.classes[class].partial.first, class)
}

pub(crate) fn free_slot_that_is_none(heap: &mut Victim) {
    let (id, _) = listed(heap);
    let [first, _] = &heap.runs.meta.header(id).slots;
    // The test's MiniPages have fewer slots.
    first.set(first.get() | 1 << 63);
}

pub(crate) fn in_no_list(heap: &mut Victim) {
    let (_, class) = listed(heap);
    heap.classes[class].partial.first = HeaderId::NONE;
}

pub(crate) fn list_that_points_elsewhere(heap: &mut Victim) {
    let (id, _) = listed(heap);
    heap.runs.meta.header(id).previous.set(id);
}

pub(crate) fn current_at_no_granule(heap: &mut Victim) {
    let class = class(heap, |state| state.free != 0);
    heap.classes[class].current += 64;
}

#[cfg(not(any(feature = "small", feature = "hardened")))]
pub(crate) fn slot_twice_in_a_magazine(heap: &mut Victim) {
    let states = &mut heap.classes;
    assert!(states.iter_mut().any(ClassState::plant_twice));
}

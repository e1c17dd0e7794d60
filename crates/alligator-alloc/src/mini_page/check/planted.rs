//! Violations of the invariants of MiniPages and classes, for the tests of the checker.

use crate::check::planted::Victim;
use crate::mini_page::ClassState;
use crate::policy::{Entry, Policy};
use crate::records::Id;

/// The state of a class that is as `is_it` wants.
fn class<P: Policy>(heap: &Victim<P>, is_it: impl Fn(&ClassState<P>) -> bool) -> &ClassState<P> {
    let mut classes = heap.classes.iter();
    classes
        .find(|state| is_it(state))
        .expect("a class of this kind")
}

/// A class with MiniPages in its list.
fn listed<P: Policy>(heap: &Victim<P>) -> &ClassState<P> {
    class(heap, |state| state.partial.get().is_some())
}

/// The first MiniPage of a list.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn first_listed<P: Policy>(heap: &Victim<P>) -> Id {
    listed(heap).partial.get()
}

/// Makes that list start at `id`.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn lead_list_to<P: Policy>(heap: &Victim<P>, id: Id) {
    listed(heap).partial.set(id);
}

/// Takes from that list's class what it works from: the next slot is one of the list.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn use_up_current<P: Policy>(heap: &Victim<P>) {
    listed(heap).free.set(0);
}

pub(crate) fn free_slot_that_is_none<P: Policy>(heap: &Victim<P>) {
    let word = heap.runs.records.view().word(listed(heap).partial.get());
    word.set(word.get() | 1 << 63); // The test's MiniPages have fewer slots.
}

pub(crate) fn in_no_list<P: Policy>(heap: &Victim<P>) {
    listed(heap).partial.set(Id::NONE);
}

pub(crate) fn list_that_points_elsewhere<P: Policy>(heap: &Victim<P>) {
    let first = listed(heap).partial.get();
    let second = heap.runs.records.record(first).next.get();
    assert!(second.is_some());
    heap.runs.records.record(second).previous.set(second);
}

pub(crate) fn current_at_no_granule<P: Policy>(heap: &Victim<P>) {
    let state = class(heap, |state| state.free.get() != 0);
    state.current.set(state.current.get() + 64);
}

pub(crate) fn slot_twice_in_a_magazine<P: Policy>(heap: &Victim<P>) {
    let state = class(heap, |state| state.magazine_slots().count() > 1);
    let latest = state.magazine.get().cast::<Entry>();
    // SAFETY: there are two entries from `room` on.
    let latest = unsafe { latest.byte_add(state.room.get()) };
    // SAFETY: as above.
    let before = unsafe { latest.add(1) };
    // SAFETY: as above; both are entries of one magazine.
    unsafe { before.copy_from_nonoverlapping(latest, 1) };
}

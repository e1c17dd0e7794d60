//! Operations that give up where the memory would have to grow, for threads that hold the lock: whoever calls them grows
//! the memory without it. All in place, without a call and without a loop.

use core::alloc::Layout;

use super::{Heap, is_too_much, run_length};
use crate::policy::Policy;
use crate::records::Id;
use crate::runs::length_for;
use crate::size_class::Class;
use crate::source::Source;
use crate::units::GRANULE_BYTES;

impl<S: Source, P: Policy> Heap<S, P> {
    /// [`allocate_long_dirty`](Self::allocate_long_dirty), if there is a block without growth.
    #[inline(always)]
    pub(crate) fn allocate_long_at_hand(&self, layout: Layout) -> (usize, usize) {
        if is_too_much(layout) {
            return (0, 0);
        }
        self.take_run_dirty(self.runs.find(run_length(layout)), layout)
    }

    /// [`resize_long`](Self::resize_long), if the block can stay where it is without growth; false if not, and nothing is
    /// changed.
    #[inline(always)]
    pub(crate) fn resize_long_in_place(&self, address: usize, layout: Layout, new: Layout) -> bool {
        if is_too_much(new) {
            return false;
        }
        let mut run = self.runs.records.id_at(address);
        let (mut old, mut length) = (length_for(layout.size()), length_for(new.size()));
        if layout.align() > GRANULE_BYTES {
            let first = self.runs.records.record(run).next.get();
            length += run.distance_from(first);
            run = first;
            old = self.runs.records.record(run).length.get();
        }
        self.runs.resize(run, old, length)
    }

    /// The address of a slot of `class`, if there is one without growth, or zero.
    #[inline(always)]
    pub(crate) fn allocate_slot_at_hand(&self, class: Class) -> usize {
        let state = self.state(class);
        match state.pop() {
            Some(slot) => slot.get(),
            None => state.take(self.classes.as_ptr(), &self.runs, |_| Id::NONE),
        }
    }
}

//! A hardened heap's boundary: is the block that is given back or resized one of ours, in use, and of that layout? If
//! not, which misuse is it?
//!
//! What is asked on every call is one condition, true or false. Only when it is false, and the program is about
//! to stop, [`Heap::refuse`] looks for the reason.

use core::alloc::Layout;
use core::num::NonZeroUsize;

use super::{Heap, class_of};
use crate::fault::Fault;
use crate::mini_page::ClassState;
use crate::policy::Policy;
use crate::records::Id;
use crate::runs::length_for;
use crate::size_class::Class;
use crate::source::Source;
use crate::units::GRANULE_BYTES;

impl<S: Source, P: Policy> Heap<S, P> {
    /// Stops unless a block of `layout` is in use at `address`. *Time:* constant.
    #[inline(never)]
    pub(crate) fn require_block(&self, address: NonZeroUsize, layout: Layout) {
        let is_in_use = match class_of(layout) {
            Some(class) => self.is_slot_in_use(class, address),
            None => self.run_of_block(address, layout).is_some(),
        };
        if !is_in_use {
            self.refuse(address);
        }
    }

    /// Stops unless a block, of whatever layout, is in use at `address`. *Time:* constant.
    #[inline(never)]
    pub(crate) fn require_any_block(&self, address: NonZeroUsize) {
        let is_in_use = match self.class_at(address) {
            Some(class) => self.is_slot_in_use(class, address),
            None => self.runs.run_in_use(address.get()).is_some(),
        };
        if !is_in_use {
            self.refuse(address);
        }
    }

    /// Gives back the slot of `class` at `slot`; stops if there is none in use. *Time:* constant.
    #[inline(never)]
    pub(super) fn deallocate_slot_if_in_use(&self, slot: NonZeroUsize, class: Class) {
        let state = self.state(class);
        if !state.give_back_if_in_use(class, slot.get(), &self.runs) {
            self.refuse(slot);
        }
    }

    /// Gives back the block of `layout`, which is not a slot's, at `address`; stops if there is none.
    #[inline(always)]
    pub(super) fn deallocate_run_if_in_use(&self, address: NonZeroUsize, layout: Layout) {
        let Some(run) = self.run_of_block(address, layout) else {
            self.refuse(address);
        };
        self.runs.leave(address.get(), run);
        self.free_aligned(run);
    }

    /// The run in use with the block of `layout` at `address`.
    #[inline(always)]
    fn run_of_block(&self, address: NonZeroUsize, layout: Layout) -> Option<Id> {
        let run = self.runs.run_in_use(address.get())?;
        let before = self.runs.records.id_at(address.get()).distance_from(run);
        let length = length_for(layout.size()) + before;
        let may_start_later = layout.align() > GRANULE_BYTES;
        let is_right = length == self.runs.records.record(run).length.get()
            && (before == 0 || may_start_later);
        is_right.then_some(run)
    }

    #[inline(always)]
    fn is_slot_in_use(&self, class: Class, address: NonZeroUsize) -> bool {
        let state = self.state(class);
        state.has_in_use(class, address.get(), &self.runs)
    }

    /// The class of the MiniPage that `address` lies in, if it is one. Any address will do.
    #[inline(always)]
    fn class_at(&self, address: NonZeroUsize) -> Option<Class> {
        let id = self.runs.guarded_id_at(address.get());
        if !id.is_some() {
            return None;
        }
        let index = self.runs.records.record(id).class()?;
        (index < self.classes.len()).then(|| Class::from_index(index))
    }

    /// Stops because of the block at `address`, which is not what it should be.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&self, address: NonZeroUsize) -> ! {
        self.runs.raise(self.fault_at(address), address.get())
    }

    /// What is wrong with a block at `address` that is not as was said.
    #[inline(always)]
    fn fault_at(&self, address: NonZeroUsize) -> Fault {
        if !self.runs.reaches(address.get()) {
            return Fault::Foreign;
        }
        let id = self.runs.guarded_id_at(address.get());
        if !id.is_some() {
            return Fault::Corrupted;
        }
        if let Some(class) = self.class_at(address) {
            if self.is_slot_in_use(class, address) {
                return Fault::WrongLayout;
            }
            if ClassState::has_slot_at(class, address.get(), id, &self.runs) {
                return Fault::DoubleFree;
            }
            return Fault::NotABlock;
        }
        if self.runs.run_in_use(address.get()).is_some() {
            return Fault::WrongLayout;
        }
        if self.runs.was_block(id) {
            return Fault::DoubleFree;
        }
        Fault::NotABlock
    }
}

//! The feature `hardened` at the heap's boundary: is the block that is given back or resized one of ours, in use,
//! and of that layout? If not, which misuse is it?
//!
//! What is asked on every call is one condition, true or false. Only when it is false, and the program is about
//! to stop, [`Heap::refuse`] looks for the reason.

use core::alloc::Layout;
use core::num::NonZeroUsize;

use crate::fault::Fault;
use crate::heap::{Heap, class_of};
use crate::meta_page::{CLASS_MASK, HeaderId, MERGED, MINI_PAGE};
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, granule_floor, granules_for};

impl<S: Source> Heap<S> {
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
    pub(crate) fn deallocate_slot_if_in_use(&mut self, slot: NonZeroUsize, class: Class) {
        let (state, runs) = self.parts(class);
        if !state.give_back_if_in_use(class, slot.get(), runs) {
            self.refuse(slot);
        }
    }

    /// Gives back the block of `layout`, which is not a slot's, at `address`; stops if there is none.
    #[inline(always)]
    pub(crate) fn deallocate_run_if_in_use(&mut self, address: NonZeroUsize, layout: Layout) {
        let run = self.run_of_block(address, layout);
        if !run.is_some() {
            self.refuse(address);
        }
        self.runs.leave(address.get());
        self.runs.free(run);
    }

    /// The run in use with the block of `layout` at `address`, or none.
    #[inline(always)]
    fn run_of_block(&self, address: NonZeroUsize, layout: Layout) -> HeaderId {
        let run = self.runs.run_in_use(address.get());
        if run.is_some() {
            let header = self.runs.meta.header(run);
            let before = address.get() - header.place.get();
            let granules = granules_for(layout.size()) + (before >> GRANULE_SHIFT);
            let may_start_later = layout.align() > GRANULE_BYTES;
            if granules == header.granules.get() && (before == 0 || may_start_later) {
                return run;
            }
        }
        HeaderId::NONE
    }

    #[inline(always)]
    fn is_slot_in_use(&self, class: Class, address: NonZeroUsize) -> bool {
        match self.classes.get(class.index()) {
            Some(state) => state.has_in_use(class, address.get(), &self.runs),
            None => false,
        }
    }

    /// The class of the MiniPage that `address` lies in, if it is one. Any address will do.
    #[inline(always)]
    fn class_at(&self, address: NonZeroUsize) -> Option<Class> {
        let id = self.runs.meta.guarded_id_at(address.get());
        if !id.is_some() {
            return None;
        }
        let place = self.runs.meta.header(id).place.get();
        let class = place & CLASS_MASK;
        (place & MINI_PAGE != 0 && class < CLASS_COUNT).then(|| Class::from_index(class))
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
        let id = self.runs.meta.guarded_id_at(address.get());
        if !id.is_some() {
            return Fault::Corrupted;
        }
        let base = granule_floor(address.get());
        if let Some(class) = self.class_at(address) {
            let state = self.classes.get(class.index());
            if state
                .and_then(|state| state.slot_at(address.get()))
                .is_none()
            {
                return Fault::NotABlock;
            }
            if self.is_slot_in_use(class, address) {
                return Fault::WrongLayout;
            }
            return Fault::DoubleFree;
        }
        if self.runs.run_in_use(address.get()).is_some() {
            return Fault::WrongLayout;
        }
        let header = self.runs.meta.header(id);
        let place = header.place.get();
        if place == MERGED || place == base && header.is_free() {
            return Fault::DoubleFree; // A run, or a MiniPage whose slots are all back, was here.
        }
        Fault::NotABlock
    }
}

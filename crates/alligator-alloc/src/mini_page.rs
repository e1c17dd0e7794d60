//! MiniPages: one, two or four granules cut into equal slots of one size class ("slabs"), and the state that each
//! class keeps about its own in the GlobalMetaPage.
//!
//! Which slots are free is one bit each in the MiniPage's word; nothing is stored in or beside the slots. A class works
//! from one *current* MiniPage, whose word it takes out, so one visit serves up to 64 allocations. Freed slots go to
//! the class's *magazine*, a short stack of addresses, and when that is full, back to their MiniPage's word, the
//! current one's too. A MiniPage with bits in its word is in its class's list; when all bits are there it is a free
//! run again.
//!
//! *Source:* slabs and magazines (Bonwick, Adams: Magazines and Vmem, USENIX 2001).

#[cfg(thread_caches)]
pub(crate) mod cached;
#[cfg(feature = "check")]
pub(crate) mod check;
mod hardened;
mod magazine;

use core::cell::{Cell, UnsafeCell};
use core::ptr;

use self::hardened::{require_own, require_poison};
use crate::policy::{Entries, Policy};
use crate::records::{GRANULE, Id, offset_in_mini_page};
use crate::runs::Runs;
use crate::size_class::{Class, ClassInfo, slot_index};
use crate::source::Source;

/// What the GlobalMetaPage knows of one size class. All zero: the class has nothing.
///
/// `info` is written each time the class makes a MiniPage, so that one address leads to all an operation
/// needs. The magazine is empty then, so that gives it its room, too.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ClassState<P: Policy> {
    /// The free slots taken out of the current MiniPage's word, one bit each.
    free: Cell<u64>,
    /// The class's constants.
    info: Cell<ClassInfo>,
    /// The address of the current MiniPage.
    current: Cell<usize>,
    /// The MiniPage that slots were given back to last, of those with bits in their words.
    partial: Cell<Id>,
    /// Bytes of the magazine that are free. Without one, slots of the current MiniPage that have been given out once:
    /// those with a lower index than this.
    room: Cell<usize>,
    /// The slots freed last: see [`magazine`].
    magazine: UnsafeCell<P::Magazine>,
}

impl<P: Policy> ClassState<P> {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each class gets one of its own"
    )]
    pub(crate) const NEW: Self = Self {
        free: Cell::new(0),
        info: Cell::new(ClassInfo::ZERO),
        current: Cell::new(0),
        partial: Cell::new(Id::NONE),
        room: Cell::new(0),
        magazine: UnsafeCell::new(P::Magazine::EMPTY),
    };

    /// The address of a slot from the class's current MiniPage, another with free slots, or a new one; zero, if there is
    /// no free run for that after `make_room` was called with its length. Only a new MiniPage must know its class: it is
    /// computed from `classes`, where the first class's state is, so that the many places that allocate need not pass it.
    ///
    /// *Time:* constant.
    #[inline(always)]
    pub(crate) fn take<S: Source>(
        &self,
        classes: *const Self,
        runs: &Runs<S, P>,
        make_room: impl FnOnce(u32) -> Id,
    ) -> usize {
        let mut free = self.free.get();
        if free == 0 {
            let id = self.partial.get();
            if !id.is_some() {
                return self.make(classes, runs, make_room);
            }
            if P::HARDENED {
                runs.require_intact();
                require_own(id, runs);
                self.room.set(u64::BITS as usize);
            }
            let at = runs.records.view();
            free = at.word(id).replace(0);
            self.current.set(runs.records.place(id));
            self.partial.set(at.record(id).next.get());
        }
        self.take_lowest(free, runs)
    }

    /// The address of the slot of the lowest bit of `free`, which is not zero; the others stay the class's.
    #[inline(always)]
    pub(crate) fn take_lowest<S: Source>(&self, free: u64, runs: &Runs<S, P>) -> usize {
        self.free.set(free & free.wrapping_sub(1));
        let index = free.trailing_zeros() as usize;
        let slot = self.current.get() + index * usize::from(self.info.get().slot_bytes);
        if P::HARDENED {
            require_poison(slot, runs);
            if index == self.room.get() {
                self.open_next(runs);
            }
        }
        slot
    }

    /// Makes a new MiniPage the current one; the address of its first slot.
    #[inline(always)]
    fn make<S: Source>(
        &self,
        classes: *const Self,
        runs: &Runs<S, P>,
        make_room: impl FnOnce(u32) -> Id,
    ) -> usize {
        let index = (ptr::from_ref(self).addr() - classes.addr()) / size_of::<Self>();
        let info = Class::from_index(index).info();
        let length = u32::from(info.granules) * GRANULE;
        let mut run = runs.find_exact(info.bin.into());
        if !run.is_some() {
            run = make_room(length);
            if !run.is_some() {
                return 0;
            }
        }
        runs.split_mini_page(run, info);
        let address = runs.records.place(run);
        self.info.set(*info);
        self.current.set(address);
        self.free.set(info.all - 1); // The first slot's bit, the lowest, goes.
        if P::HARDENED {
            self.room.set(0);
            self.open_next(runs);
        } else {
            self.room.set(magazine::room_max::<P>());
        }
        address
    }

    /// Gives the slot at `address` back to its MiniPage, and the MiniPage to the free runs if it was the last in use.
    /// *Time:* constant.
    #[cfg_attr(thread_caches, inline(always))]
    #[cfg_attr(not(thread_caches), inline(never))]
    pub(crate) fn give_back<S: Source>(&self, address: usize, runs: &Runs<S, P>) {
        let id = runs.records.id_at(address);
        let back = runs.records.record(id).back();
        let offset = offset_in_mini_page(address, back);
        let index = slot_index(offset, self.info.get().reciprocal);
        self.add(id.below(back), 1 << index, runs);
    }

    /// Adds the free `slots`, of which there are some, to those of the MiniPage whose record is `id`.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    pub(crate) fn add<S: Source>(&self, id: Id, slots: u64, runs: &Runs<S, P>) {
        let word = runs.records.view().word(id);
        let old = word.get();
        let new = old | slots;
        if new != self.info.get().all {
            word.set(new);
            if old == 0 {
                self.push(id, runs);
            }
            return;
        }
        word.set(0); // As a new MiniPage's must be.
        if old != 0 {
            self.remove(id, runs);
        }
        runs.free_mini_page(id, &self.info.get());
    }

    /// Puts the MiniPage whose record is `id` before all others of the list. The first in it has no valid `previous`.
    #[inline(always)]
    fn push<S: Source>(&self, id: Id, runs: &Runs<S, P>) {
        let at = runs.records.view();
        let next = self.partial.replace(id);
        at.record(id).next.set(next);
        at.record(next).previous.set(id);
    }

    /// Takes the MiniPage whose record is `id` out of the list.
    #[inline(always)]
    fn remove<S: Source>(&self, id: Id, runs: &Runs<S, P>) {
        let at = runs.records.view();
        let record = at.record(id);
        let next = record.next.get();
        if self.partial.get() == id {
            return self.partial.set(next);
        }
        if P::HARDENED && !runs.is_linked(at, id) {
            runs.raise_at(id);
        }
        let previous = record.previous.get();
        at.record(previous).next.set(next);
        at.record(next).previous.set(previous);
    }

    /// Gives back all that the class keeps: the slots in its magazine, and those of its current MiniPage.
    ///
    /// *Time:* constant: a magazine's length.
    #[inline(never)]
    pub(crate) fn flush<S: Source>(&self, runs: &Runs<S, P>) {
        for _ in 0..P::Magazine::SLOTS_MAX {
            self.give_back_latest(runs);
        }
        let free = self.free.replace(0);
        if free == 0 {
            return;
        }
        if P::HARDENED {
            self.poison_all(free, runs);
            self.room.set(0);
        }
        self.add(runs.records.id_at(self.current.get()), free, runs);
    }

    /// Gives back the slot that the magazine got last, if it has one.
    #[inline(never)]
    fn give_back_latest<S: Source>(&self, runs: &Runs<S, P>) {
        if let Some(slot) = self.pop() {
            self.give_back(slot.get(), runs);
        }
    }
}

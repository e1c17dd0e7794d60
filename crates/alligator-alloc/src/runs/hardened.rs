//! What a hardened heap does besides with runs: it knows which are in use, poisons the start of free ones, and
//! looks at what it is about to trust.

use super::{BIN_COUNT, Runs};
use crate::fault::{self, Fault};
use crate::meta_page::{HeaderId, MERGED};
use crate::poison;
use crate::source::Source;
use crate::units::{GRANULE_BYTES, HARDENED};

impl<S: Source> Runs<S> {
    /// Whether a fault ends the process from now on, where it could unwind.
    #[inline(always)]
    pub(crate) fn never_unwinding(&mut self, is_on: bool) {
        if HARDENED && cfg!(not(target_family = "wasm")) {
            self.never_unwinds = is_on;
        }
    }

    /// Stops again if this heap has stopped before.
    #[inline(always)]
    pub(crate) fn require_no_fault(&self) {
        if self.stopped.get().is_some() {
            self.raise_again();
        }
    }

    /// Stops because of the fault that has stopped this heap before.
    #[cold]
    #[inline(never)]
    fn raise_again(&self) -> ! {
        let (fault, address) = self.stopped.get().unwrap_or((Fault::Corrupted, 0));
        self.raise(fault, address)
    }

    /// Stops because of `fault`, found at `address`.
    #[cold]
    #[inline(never)]
    pub(crate) fn raise(&self, fault: Fault, address: usize) -> ! {
        self.stopped.set(Some((fault, address)));
        if self.never_unwinds {
            fault::abort(fault, address);
        }
        fault::raise(fault, address)
    }

    /// Whether `address` lies between the heap's first page and its end, whoever has it.
    #[inline(always)]
    pub(crate) fn reaches(&self, address: usize) -> bool {
        self.meta.has_header(address) && address < self.end
    }

    /// The run with the block that starts at `address`, if there is such a block and it is in use; or none. Any
    /// address will do. *Time:* constant.
    ///
    /// A block that starts after its run does has a header of its own, and the two lead to one another; a run
    /// whose block starts with it leads nowhere.
    #[inline(never)]
    pub(crate) fn run_in_use(&self, address: usize) -> HeaderId {
        let id = self.meta.guarded_id_at(address);
        if !id.is_some() {
            return HeaderId::NONE;
        }
        let place = self.meta.header(id).place.get();
        if place == 0 || (place | address) % GRANULE_BYTES != 0 {
            return HeaderId::NONE;
        }
        let (mut run, mut leads_to) = (id, HeaderId::NONE);
        if place != address {
            (run, leads_to) = (self.meta.guarded_id_at(place), id);
            if !run.is_some() {
                return HeaderId::NONE;
            }
        }
        let header = self.meta.header(run);
        if header.place.get() != place || header.is_free() || header.next.get() != leads_to {
            return HeaderId::NONE;
        }
        run
    }

    /// Notes that the block of the used run `run` starts where the header `id` is for.
    #[inline(always)]
    pub(super) fn lead(&self, run: HeaderId, id: HeaderId) {
        let leads_to = if run == id { HeaderId::NONE } else { id };
        self.meta.header(run).next.set(leads_to);
    }

    /// Poisons the start of the block at `address`, which is given back, and forgets that it started there if
    /// its run does not. The run's own header says whether it is in use.
    #[inline(always)]
    pub(crate) fn leave(&self, address: usize) {
        // SAFETY: the block is a run's, so it has at least a granule and is aligned to one.
        unsafe { poison::put(self.meta.source.pointer(address)) };
        let id = self.meta.id_at(address);
        if self.meta.header(id).place.get() != address {
            self.retire(id);
        }
    }

    /// Forgets that something started where the header `id` is for.
    #[inline(always)]
    pub(crate) fn retire(&self, id: HeaderId) {
        self.meta.header(id).place.set(MERGED);
    }

    /// Stops if somebody has written over what stands before the header of the granule at `address`.
    #[inline(never)]
    pub(super) fn require_headers(&self, address: usize) {
        if !self.meta.guarded_id_at(address).is_some() {
            self.raise(Fault::Corrupted, address);
        }
    }

    /// Stops unless `id` is the header of a free run, and what stands before and after it in its bin leads back
    /// to it.
    ///
    /// *Source:* safe unlinking (glibc 2.3.4).
    #[inline(never)]
    pub(super) fn require_free(&self, id: HeaderId) {
        let header = self.meta.header(id);
        let place = header.place.get();
        let is_own =
            header.is_free() && place % GRANULE_BYTES == 0 && self.meta.guarded_id_at(place) == id;
        if !is_own || !self.is_linked(id) {
            self.raise(Fault::Corrupted, place);
        }
    }

    /// Whether what stands before and after the free run `run` in its bin leads back to it.
    #[inline(always)]
    fn is_linked(&self, run: HeaderId) -> bool {
        let header = self.meta.header(run);
        let (next, previous) = (header.next.get(), header.previous.get());
        let before = if previous.raw() < BIN_COUNT {
            self.first(previous.raw())
        } else {
            self.meta.header(previous).next.get()
        };
        before == run && (!next.is_some() || self.meta.header(next).previous.get() == run)
    }

    /// What the words at the start of a free run at `place` are: memory that nobody has touched stays so.
    #[inline(always)]
    fn word_at(&self, place: usize) -> u64 {
        if place < self.untouched {
            poison::POISON
        } else {
            0
        }
    }

    /// Poisons the start of `run`, which nobody uses.
    #[inline(never)]
    pub(crate) fn poison(&self, run: HeaderId) {
        let place = self.meta.header(run).place.get();
        if place < self.untouched {
            // SAFETY: the run is the heap's, has at least a granule and is aligned to one.
            unsafe { poison::put(self.meta.source.pointer(place)) };
        }
    }

    /// Poisons the granule at `place`, which nobody uses.
    #[inline(always)]
    pub(crate) fn poison_granule(&self, place: usize) {
        // SAFETY: the caller has taken the granule.
        unsafe { poison::fill(self.meta.source.pointer(place), GRANULE_BYTES) };
    }

    /// Stops if somebody has written to the start of the free run `run`.
    #[inline(never)]
    pub(super) fn require_poison(&self, run: HeaderId) {
        if !self.has_poison(run) {
            self.raise(Fault::WriteAfterFree, self.meta.header(run).place.get());
        }
    }

    /// Whether the start of the free run `run` is as it was left.
    #[inline(always)]
    pub(super) fn has_poison(&self, run: HeaderId) -> bool {
        let place = self.meta.header(run).place.get();
        let first = self.meta.source.pointer(place);
        // SAFETY: a free run has at least a granule, is aligned to one, and `put_in` has poisoned it or the
        // host made it zero.
        unsafe { poison::is_intact(first, self.word_at(place)) }
    }

    /// Before other memory counts as untouched: poisons the free run, if any, that still is.
    #[inline(never)]
    pub(super) fn touch(&mut self) {
        let place = core::mem::replace(&mut self.untouched, usize::MAX);
        let id = self.meta.guarded_id_at(place);
        if id.is_some() {
            let header = self.meta.header(id);
            if header.is_free() && header.place.get() == place {
                self.poison(id);
            }
        }
    }
}

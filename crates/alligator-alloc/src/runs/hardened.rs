//! What a hardened heap does besides with runs: it knows which are in use, poisons the start of free ones, and
//! looks at what it is about to trust.
//!
//! Before the table of records lies a granule that nobody uses, and at its end, right before the first record, a word
//! that nobody changes. Who writes past a block, however far, must write over that word before a record is reached, and
//! it is looked at whenever a record is found by an address.
//!
//! Where nothing starts, a record's `length` is zero or [`RETIRED`].
//!
//! *Source:* canaries (Cowan and others: `StackGuard`, USENIX Security 1998); safe unlinking (glibc 2.3.4).

use super::Runs;
use crate::fault::{self, Fault};
use crate::poison;
use crate::policy::Policy;
use crate::records::{ALIGNED, GRANULE, Id, MINI_PAGE, View};
use crate::source::Source;
use crate::units::GRANULE_BYTES;

/// Granules before the table that nobody uses.
pub(super) const GUARD_GRANULES: usize = 1;

/// In `length`: what started here does no more. No length.
pub(crate) const RETIRED: u32 = 1;
/// In `length`: this is no run's.
const MARKS: u32 = MINI_PAGE | ALIGNED | RETIRED;

/// Stands before the table. It has the bytes at which copies of text and lines end, so such a copy cannot pass
/// it unnoticed.
const CANARY: u64 = 0x00FF_0A0D_A7F5_C39E;

impl<S: Source, P: Policy> Runs<S, P> {
    /// Whether a fault ends the process from now on, where it could unwind.
    #[inline(always)]
    pub(crate) fn never_unwinding(&self, is_on: bool) {
        if P::HARDENED && cfg!(not(target_family = "wasm")) {
            self.never_unwinds.set(is_on);
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
        if self.never_unwinds.get() {
            fault::abort(fault, address);
        }
        fault::raise(fault, address)
    }

    /// Puts the word before the table.
    pub(super) fn set_guard(&self) {
        // SAFETY: a granule before the table is the heap's, and nobody uses it.
        unsafe { self.canary().write(CANARY) };
    }

    #[inline(always)]
    fn canary(&self) -> *mut u64 {
        let table = self.records.table();
        self.records
            .source()
            .pointer(table - size_of::<u64>())
            .cast()
    }

    /// Whether `address` lies between the heap's first granule and its end, whoever has it.
    #[inline(always)]
    pub(crate) fn reaches(&self, address: usize) -> bool {
        self.records.covers(address) && self.records.id_at(address) < self.end.get()
    }

    /// Whether nobody has written over what stands before the table, which is there.
    #[inline(always)]
    fn is_intact(&self) -> bool {
        // SAFETY: the word was written with the table, in memory that is the heap's.
        unsafe { self.canary().read() == CANARY }
    }

    /// Stops if somebody has written over what stands before the table, which is there.
    #[inline(always)]
    pub(crate) fn require_intact(&self) {
        if !self.is_intact() {
            self.raise_at(self.table.get());
        }
    }

    /// The record of the granule at `address`, which may be any; none if there is none, or somebody has written over
    /// what stands before the table. *Time:* constant.
    #[inline(never)]
    pub(crate) fn guarded_id_at(&self, address: usize) -> Id {
        if self.records.covers(address) && self.is_intact() {
            self.records.id_at(address)
        } else {
            Id::NONE
        }
    }

    /// The run with the block that starts at `address`, if there is such a block and it is in use. Any address will do.
    /// *Time:* constant.
    ///
    /// A block that starts after its run does has a record of its own, and the two lead to one another; a run
    /// whose block starts with it leads nowhere.
    #[inline(never)]
    pub(crate) fn run_in_use(&self, address: usize) -> Option<Id> {
        let id = self.guarded_id_at(address);
        if !id.is_some() {
            return None;
        }
        let at = self.records.view();
        let record = at.record(id);
        let length = record.length.get();
        if address % GRANULE_BYTES != 0 || length == 0 || length & (MINI_PAGE | RETIRED) != 0 {
            return None;
        }
        let run = record.next.get();
        if length & ALIGNED == 0 {
            let is_block = !record.is_free() && (!run.is_some() || run == id);
            return is_block.then_some(id);
        }
        if !self.has(run) {
            return None;
        }
        let record = at.record(run);
        let is_run = record.length.get() & MARKS == 0 && !record.is_free();
        (is_run && record.next.get() == id).then_some(run)
    }

    /// Notes that the block of the used run `run` starts where the record `id` is for.
    #[inline(always)]
    pub(super) fn lead(&self, run: Id, id: Id) {
        self.records.record(run).next.set(id);
    }

    /// Poisons the start of the block at `address`, which is given back, and forgets that it started there if its run
    /// `run` does not. The run's own record says whether it is in use.
    #[inline(always)]
    pub(crate) fn leave(&self, address: usize, run: Id) {
        // SAFETY: the block is a run's, so it has at least a granule and is aligned to one.
        unsafe { poison::put(self.records.source().pointer(address)) };
        let id = self.records.id_at(address);
        if id != run {
            self.retire(id);
        }
    }

    /// Forgets that something started where the record `id` is for.
    #[inline(always)]
    pub(crate) fn retire(&self, id: Id) {
        self.records.record(id).length.set(RETIRED);
    }

    /// Whether a run, or a MiniPage whose slots are all back, was where the record `id` is for.
    pub(crate) fn was_block(&self, id: Id) -> bool {
        let record = self.records.record(id);
        let length = record.length.get();
        length == RETIRED || length != 0 && length & MARKS == 0 && record.is_free()
    }

    /// Stops unless `run` is the record of a free run, and what stands before and after it in its bin leads back to it.
    #[inline(always)]
    pub(super) fn require_linked(&self, at: View<'_, S>, run: Id) {
        let is_free = self.has(run) && at.record(run).is_free();
        if !is_free || !self.is_linked(at, run) {
            self.raise_at(run);
        }
    }

    /// Whether what stands before and after `id` in its list are records, which lead back to it.
    #[inline(always)]
    pub(crate) fn is_linked(&self, at: View<'_, S>, id: Id) -> bool {
        let (next, previous) = (at.record(id).next.get(), at.record(id).previous.get());
        self.has(next)
            && self.has(previous)
            && at.record(previous).next.get() == id
            && (!next.is_some() || at.record(next).previous.get() == id)
    }

    /// Whether `id` is that of a record.
    #[inline(always)]
    pub(crate) fn has(&self, id: Id) -> bool {
        id < self.end.get() && id.bin() * GRANULE == id.distance_from(Id::NONE)
    }

    /// Stops because what is said of the granule whose record is `id` cannot be.
    #[cold]
    #[inline(never)]
    pub(crate) fn raise_at(&self, id: Id) -> ! {
        self.raise(Fault::Corrupted, self.records.place(id))
    }

    /// What the words at the start of a free run are: memory that nobody has touched stays so.
    #[inline(always)]
    fn word_of(&self, run: Id) -> u64 {
        if run < self.untouched.get() {
            poison::POISON
        } else {
            0
        }
    }

    /// Poisons the start of `run`, which nobody uses.
    #[inline(never)]
    pub(crate) fn poison(&self, run: Id) {
        if run < self.untouched.get() {
            let place = self.records.place(run);
            // SAFETY: the run is the heap's, has at least a granule and is aligned to one.
            unsafe { poison::put(self.records.source().pointer(place)) };
        }
    }

    /// Stops if somebody has written to the start of the free run `run`.
    #[inline(never)]
    pub(super) fn require_poison(&self, run: Id) {
        if !self.has_poison(run) {
            self.raise(Fault::WriteAfterFree, self.records.place(run));
        }
    }

    /// Whether the start of the free run `run` is as it was left.
    #[inline(always)]
    pub(super) fn has_poison(&self, run: Id) -> bool {
        let first = self.records.source().pointer(self.records.place(run));
        // SAFETY: a free run has at least a granule, is aligned to one, and was poisoned when it became free or the host made
        // it zero.
        unsafe { poison::is_intact(first, self.word_of(run)) }
    }

    /// Before other memory counts as untouched: poisons the free run, if any, that still is.
    #[inline(never)]
    pub(super) fn touch(&self) {
        let run = self.untouched.replace(Id::FREE);
        let is_run = run < self.end.get() && self.records.record(run).is_free();
        if is_run && self.records.record(run).length.get() != 0 {
            self.poison(run);
        }
    }

    /// Writes over the word before the table, and over nothing else, for the tests.
    #[cfg(all(test, feature = "check", not(target_family = "wasm")))]
    pub(crate) fn write_over_canary(&self) {
        // SAFETY: as in `set_guard`.
        unsafe { self.canary().write(!CANARY) };
    }
}

//! Taking in memory: new pages, the spare end of the initial memory, and the table of records, which always lies at the
//! heap's end. All of it is off the real-time path: whoever comes here waits for the host, or gets null.
//!
//! ```text
//! before   | blocks ..      free | table |
//! grown    | blocks ..      free                new pages | longer table |
//! ```
//!
//! So the table parts no free memory, it needs no room to spare, and whatever is free at the heap's end, or was the old
//! table, is one run with the new pages; if others' pages lie between, it is one of its own. Each growth moves it: a copy
//! of 24 bytes for each KiB of the heap. So that a long heap is not copied too often, it grows by a share of itself at
//! least.

use super::hardened::GUARD_GRANULES;
use super::{NO_BIN, Runs};
use crate::policy::Policy;
use crate::records::{
    BYTES_PER_GRANULE, FRONT_BYTES, GRANULE, GRANULES_MAX, Id, Length, bin_of, table_granules,
};
use crate::source::Source;
use crate::source::range::{GROWTHS_MAX, new_range, whole_granules};
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, PAGE_BYTES, PAGE_GRANULES, bytes_of};

/// A heap grows by one part in so many of itself at least.
const STEP_SHARE: usize = 64;
/// Whether a source can have more memory than a table has records of.
const CAN_BE_TOO_LONG: bool = GRANULES_MAX < usize::MAX >> GRANULE_SHIFT;
/// Runs of one bin that are looked at where one is not enough, at most.
pub(crate) const LOOKS_MAX: usize = 128;

impl<S: Source, P: Policy> Runs<S, P> {
    /// What lies before a table that nobody uses: a hardened heap looks there for writes past the block below it.
    pub(super) const GUARD: usize = if P::HARDENED { GUARD_GRANULES } else { 0 };

    /// The length that a table for `covered` granules takes.
    #[inline(always)]
    pub(super) fn table_length(covered: usize) -> Length {
        (Self::GUARD + table_granules(covered)) as Length * GRANULE
    }

    /// Makes a free run of `length` at the heap's end, by as few new pages as that takes or a step, if the source has so
    /// many; or by none, if the heap is new and the source's spare memory is enough. Adds none if the source does not grow
    /// on demand and this is not a `reservation`. If the source gives too little, what it gave is kept.
    ///
    /// *Time:* the source's, and a copy of the table.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, length: Length, reservation: bool) {
        if !self.end.get().is_some() {
            self.look_at_spare();
        }
        let mut alone = false;
        for _ in 0..GROWTHS_MAX {
            let pages = self.pages_for(length, alone);
            let mut start = self.end.get();
            let mut after = self.records.place(start);
            let mut first = after;
            if pages != 0 {
                if !self.may_grow(reservation) {
                    return;
                }
                let Some(new) = self.ask_for(pages) else {
                    return;
                };
                (first, after) = new;
                start = self.records.end_id(first);
            }
            self.take_in(start, first, after);
            if GROWTHS_MAX == 1 || self.look(length).is_some() {
                return;
            }
            alone = true; // Somebody else's pages may come between again.
        }
    }

    /// As [`find`](Self::find), where speed does not matter.
    #[cold]
    #[cfg_attr(built_for_size, inline(always))]
    #[cfg_attr(not(built_for_size), inline(never))]
    pub(crate) fn look(&self, length: Length) -> Id {
        self.find(length)
    }

    /// Whether it is worth while to ask the source for pages.
    #[inline(always)]
    fn may_grow(&self, reservation: bool) -> bool {
        (S::ON_DEMAND || reservation) && self.records.source().may_grow(reservation)
    }

    /// Makes the source's spare memory all that the heap has. It is taken in when it has room for a request and the table,
    /// or with the first pages, if these follow it.
    #[cfg_attr(thread_caches, inline(always))]
    fn look_at_spare(&self) {
        let end = self.records.source().end();
        let spare = self.records.with_source(S::spare);
        let (first, mut after) = whole_granules::<S>(spare, end);
        if CAN_BE_TOO_LONG {
            after = after.min(first.saturating_add(bytes_of(GRANULES_MAX / 2)));
        }
        self.begin(first);
        if first != after {
            self.end.set(self.records.end_id(after)); // Before the end of the address space, there may be nothing.
        }
    }

    /// Makes the granule at `address` the first of the heap, which has no other.
    #[inline(always)]
    fn begin(&self, address: usize) {
        self.records.set_first(address);
        self.table.set(self.records.first());
        self.end.set(self.records.first());
    }

    /// Whether the first pages, at `address`, cannot go with the spare memory that the source spoke of: there is none, it
    /// lies above them, or too far below for one table.
    #[inline(always)]
    fn is_elsewhere(&self, address: usize) -> bool {
        let spare_end = self.records.place(self.end.get());
        !S::IS_TRUSTED
            && !self.records.is_there()
            && (self.end.get() == self.records.first()
                || address < spare_end
                || (address - spare_end) >> GRANULE_SHIFT >= GRANULES_MAX / 2)
    }

    /// The free run right below the table, or none.
    #[inline(always)]
    fn last_free(&self) -> Id {
        self.records.record(self.table.get()).below.get()
    }

    /// What a table at the heap's end and a free run below it can be made of, without new pages.
    #[inline(always)]
    fn tail(&self) -> Length {
        let mut length = self.end.get().distance_from(self.table.get());
        if self.records.is_there() {
            length += self.records.record(self.last_free()).length.get();
        }
        length
    }

    /// The fewest pages with which a free run of `length` and a table that knows of them can lie at the heap's end: none
    /// only if there is no table yet. What is free there does not count if they are `alone`.
    #[inline(always)]
    fn pages_for(&self, length: Length, alone: bool) -> usize {
        let pages = self.pages_after(self.end.get(), self.tail(), length);
        if pages == 0 {
            // With a table, a run is there, but not the first of its bin.
            return self.records.is_there().into();
        }
        let address = self.records.source().end();
        let mut end = self.records.end_id(address);
        if !S::IS_TRUSTED && self.records.is_there() {
            end = end.max(self.end.get());
        } else if self.is_elsewhere(address) {
            end = self.records.first();
        }
        if end == self.end.get() && !alone {
            return pages;
        }
        self.pages_after(end, 0, length)
    }

    /// The pages that `length` and the table take at `end`, where `free` is free already.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    fn pages_after(&self, end: Id, free: Length, length: Length) -> usize {
        let granules = |length: Length| (length / GRANULE) as usize;
        let words = |bytes: usize| bytes / size_of::<u64>(); // So that no sum is too long.
        let mut covered = granules(end.distance_from(self.records.first())) + 1;
        if !S::IS_TRUSTED {
            covered = covered.min(GRANULES_MAX); // Such an end may lie below the heap.
        }
        let table = FRONT_BYTES + covered * BYTES_PER_GRANULE;
        let missing = ((Self::GUARD + granules(length)) * words(GRANULE_BYTES) + words(table))
            .saturating_sub(granules(free) * words(GRANULE_BYTES));
        // Each page takes room in the table, too.
        missing.div_ceil(words(PAGE_BYTES - PAGE_GRANULES * BYTES_PER_GRANULE))
    }

    /// The pages to ask for where `pages` are needed.
    #[inline(always)]
    fn step_for(&self, pages: usize) -> usize {
        let share = (self.length() / (GRANULE * PAGE_GRANULES as Length)) as usize / STEP_SHARE;
        pages.max(S::STEP_PAGES).max(share)
    }

    /// What a free run of `length` at the heap's end takes of the source: so many pages, better the second number, for
    /// [`take_in_late`](Self::take_in_late); no pages if the source's spare memory is enough. None if the source is not to
    /// be asked.
    #[cfg(thread_caches)]
    #[inline(always)]
    pub(crate) fn pages_wanted(&self, length: Length, reservation: bool) -> Option<(usize, usize)> {
        if !self.end.get().is_some() {
            self.look_at_spare();
        }
        let pages = self.pages_for(length, false);
        if pages == 0 {
            return Some((0, 0));
        }
        self.may_grow(reservation)
            .then(|| (pages, self.step_for(pages)))
    }

    /// Takes in `pages` that the source gave at `new`, or its spare memory if they are none. If another has grown the
    /// memory meanwhile, and the heap has that already, they lie below its end and are lost.
    #[cfg(thread_caches)]
    #[inline(always)]
    pub(crate) fn take_in_late(&self, new: usize, pages: usize) {
        let end = self.end.get();
        let end_place = self.records.place(end);
        if pages == 0 {
            return self.take_in(end, end_place, end_place);
        }
        if self.records.is_there() && new < end_place {
            return;
        }
        if let Some((first, after)) = new_range::<S>(new, pages, 0) {
            self.take_in(self.records.end_id(first), first, after);
        }
    }

    /// At least `pages` of the source, and where they start and end.
    #[inline(always)]
    fn ask_for(&self, pages: usize) -> Option<(usize, usize)> {
        let end = self.records.source().end();
        let step = self.step_for(pages);
        let ask = |pages: usize| {
            let new = self.records.with_source(|source| source.grow(pages))?;
            Some((new, pages))
        };
        let Some((new, pages)) = ask(step).or_else(|| ask(pages)) else {
            self.recorder.refused(pages, end);
            return None;
        };
        self.recorder.grown(pages);
        new_range::<S>(new, pages, end)
    }

    /// Takes in the pages from `address`, that of the granule `start`, to `after`, zero, which the source gave at the
    /// memory's end; or, if there are none, the heap's spare memory, which need not be zero.
    #[inline(always)]
    fn take_in(&self, mut start: Id, address: usize, after: usize) {
        let is_first = !self.records.is_there();
        if self.is_elsewhere(address) {
            self.begin(address);
            start = self.end.get();
        }
        let first = self.records.place(self.records.first());
        let reach = after.wrapping_sub(first) >> GRANULE_SHIFT;
        let is_too_low = !S::IS_TRUSTED && address < first;
        if is_too_low || CAN_BE_TOO_LONG && reach >= GRANULES_MAX {
            return; // Ids are those of other granules there.
        }
        let after = self.records.end_id(after);
        let length = Self::table_length(reach + 1);
        let table = after.below(length);
        let (old, old_end) = (self.table.get(), self.end.get());
        let lowest = if start == old_end { old } else { start };
        let is_out_of_order = !S::IS_TRUSTED && start < old_end;
        if is_out_of_order || length >= after.distance_from(lowest) {
            return; // Or there is no room for the table.
        }
        if P::HARDENED && !is_first {
            self.touch();
        }
        self.untouched.set(start);
        let address = self.records.place(table) + bytes_of(Self::GUARD);
        self.records.move_to(address, reach + 1, table < start);
        self.table.set(table);
        self.end.set(after);
        if P::HARDENED {
            self.set_guard();
            self.records.record(table).length.set(0);
        }
        let mut taken = after.distance_from(start);
        if is_first {
            taken += old_end.distance_from(old);
            self.nonempty.set(NO_BIN);
        }
        self.recorder.taken_in(bytes_of((taken / GRANULE) as usize));
        if lowest == start && old != old_end {
            self.free(old, old_end.distance_from(old));
        }
        self.free(lowest, table.distance_from(lowest));
    }

    /// As [`look`](Self::look), but not only the first of the bin is looked at.
    pub(crate) fn look_far(&self, length: Length) -> Id {
        let mut run = self.look(length);
        if run.is_some() || !self.records.is_there() {
            return run;
        }
        run = Id::start_of(bin_of(length));
        for _ in 0..LOOKS_MAX {
            run = self.records.record(run).next.get();
            if self.records.record(run).length.get() >= length {
                return run;
            }
        }
        Id::NONE
    }
}

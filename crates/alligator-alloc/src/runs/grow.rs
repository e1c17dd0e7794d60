//! Taking in memory: new pages, the spare end of the initial memory, and the table of records for both; and moving that
//! table out of the way. All of it is off the real-time path: whoever comes here waits for the host, or gets null.
//!
//! ```text
//! before   | blocks ..      | last free |
//! grown    | blocks ..      | last free          new pages |
//! or, where the table is outgrown and fits into no free run,
//!          | blocks .. free | last free          new pages | new table |      the old table becomes a free run, too
//! ```

use super::hardened::GUARD_GRANULES;
use super::{NO_BIN, Runs};
use crate::policy::Policy;
use crate::records::{GRANULE, GRANULES_MAX, Id, Length, table_granules};
use crate::source::Source;
use crate::source::range::{GROWTHS_MAX, new_range, whole_granules};
use crate::units::{PAGE_GRANULES, bytes_of, pages_for};

/// Of what a new table has records for, one part in so many is to come ..
const SPARE_SHARE: usize = 4;
/// .. and so many granules besides: four pages.
const SPARE: usize = 4 * PAGE_GRANULES;

impl<S: Source, P: Policy> Runs<S, P> {
    /// What lies before a table that nobody uses: a hardened heap looks there for writes past the block below it.
    const GUARD: usize = if P::HARDENED { GUARD_GRANULES } else { 0 };

    /// The granules that a table for `covered` granules takes, and its length.
    #[inline(always)]
    fn table_length(covered: usize) -> Length {
        (Self::GUARD + table_granules(covered)) as Length * GRANULE
    }

    /// Makes a free run of `length`: of the source's spare memory at the heap's first request, if that is enough, or
    /// at the end of the memory by few new pages. Adds none if the source does not grow on demand and this is not a
    /// `reservation`. If the source gives too little, what it gave is kept. The memory grows by a step at least, with
    /// records to spare, if this `spares` the next growth. If it `lifts` the table, which then lies at the heap's end but
    /// for free runs, what is free below that is part of the run. *Time:* the source's, and constant besides.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, length: Length, reservation: bool, spares: bool, lifts: bool) {
        if !self.end.get().is_some() {
            self.look_at_spare();
        }
        let mut alone = false;
        for _ in 0..GROWTHS_MAX {
            let pages = self.pages_for(length, alone, spares, lifts);
            let mut start = self.end_address();
            if pages != 0 {
                if !self.may_grow(reservation) {
                    return;
                }
                let Some(new) = self.ask_for(pages) else {
                    return;
                };
                start = new;
            }
            self.take_in(start, pages * PAGE_GRANULES, spares, lifts);
            if GROWTHS_MAX == 1 || self.finds(length) {
                return;
            }
            alone = true; // Somebody else's pages may come between again.
        }
    }

    /// As [`find`](Self::find), where speed does not matter.
    #[cold]
    #[inline(never)]
    pub(crate) fn look(&self, length: Length) -> Id {
        self.find(length)
    }

    /// Whether there is a free run of `length` that is found in constant time.
    #[inline(always)]
    pub(crate) fn finds(&self, length: Length) -> bool {
        self.look(length).is_some()
    }

    /// Whether it is worth while to ask the source for pages.
    #[inline(always)]
    pub(crate) fn may_grow(&self, reservation: bool) -> bool {
        (S::ON_DEMAND || reservation) && self.records.source().may_grow(reservation)
    }

    /// Makes the source's spare memory all that the heap has. It is taken in when it has room for a request and the table,
    /// or with the first pages, if these follow it.
    fn look_at_spare(&self) {
        let end = self.records.source().end();
        let spare = self.records.with_source(S::spare);
        let (first, mut after) = whole_granules::<S>(spare, end);
        after = after.min(first.saturating_add(bytes_of(GRANULES_MAX / 2)));
        self.records.set_first(first);
        // Before the end of the address space, there may be nothing, too.
        let is_empty = first == after;
        let end = self.records.end_id(after);
        self.end
            .set(if is_empty { self.records.first() } else { end });
    }

    /// The address of the heap's end.
    fn end_address(&self) -> usize {
        self.records.place(self.end.get())
    }

    /// Granules that a new table has records of, no fewer than the old one, if the heap has `granules`.
    #[inline(always)]
    fn covered_for(&self, granules: usize, spares: bool) -> usize {
        let mut covered = granules + 1;
        if spares && S::ON_DEMAND {
            covered += if self.records.is_there() {
                granules / SPARE_SHARE + SPARE
            } else {
                S::HEADER_PAGES.saturating_mul(PAGE_GRANULES)
            };
        }
        self.records.covered().max(covered.min(GRANULES_MAX))
    }

    /// The free run at the heap's end, or none.
    #[inline(always)]
    fn last_free(&self) -> Id {
        self.records.record(self.end.get()).below.get()
    }

    /// The free run below the table, or none.
    #[inline(always)]
    fn below_table(&self) -> Id {
        self.records.record(self.table.get()).below.get()
    }

    /// Whether nothing but the table and free runs lies between the used run `run` of `length` and the heap's end, and
    /// the table is no longer than the run is to be.
    pub(crate) fn is_last_but_table(&self, run: Id, length: Length, to_be: Length) -> bool {
        let (table, table_length) = (self.table.get(), self.table_length.get());
        let below = self.below_table();
        let next = if below.is_some() { below } else { table };
        table_length <= to_be && run.above(length) == next && self.is_last(table, table_length)
    }

    /// A free run for a table of `length`, but one that the growth is to add to; or none.
    #[inline(never)]
    fn hole(&self, length: Length, lifts: bool) -> Id {
        let run = self.look(length);
        if run.is_some() && (run == self.last_free() || lifts && run == self.below_table()) {
            return Id::NONE;
        }
        run
    }

    /// What is free at the heap's end, with the table and what is free below if the growth `lifts` that.
    #[inline(always)]
    fn tail(&self, lifts: bool) -> Length {
        if !self.records.is_there() {
            return self.length();
        }
        let length = |run: Id| self.records.record(run).length.get();
        let mut free = length(self.last_free());
        if lifts {
            free += self.table_length.get() + length(self.below_table());
        }
        free
    }

    /// The pages that make a free run of `length` at the heap's end, and room for a longer table of records if they need
    /// one and no free run has it: none, if the spare memory is enough. What is free at the end does not count if they are
    /// `alone`. A table is longer than it must be, and the pages are a step at least, if the growth `spares` the next one.
    #[inline(never)]
    fn pages_for(&self, length: Length, alone: bool, spares: bool, lifts: bool) -> usize {
        if !self.records.is_there() {
            let all = self.length();
            let covered = self.covered_for((all / GRANULE) as usize, spares);
            if all >= Self::table_length(covered).saturating_add(length) {
                return 0;
            }
        }
        let mut end = self.records.end_id(self.records.source().end());
        if !S::IS_TRUSTED && self.records.is_there() {
            end = end.max(self.end.get());
        }
        let follows = end == self.end.get();
        let is_new = !self.records.is_there() && !follows;
        let first = if is_new { end } else { self.records.first() };
        let free = if follows && !alone {
            self.tail(lifts)
        } else {
            0
        };
        let least = if spares { S::STEP_PAGES } else { 1 };
        let pages =
            |length: Length| pages_for((length.saturating_sub(free) / GRANULE) as usize).max(least);
        let reach = (end.distance_from(first) / GRANULE) as usize;
        let mut all = pages(length);
        if lifts || reach + all * PAGE_GRANULES >= self.records.covered() {
            let table = |pages: usize| {
                let covered = self.covered_for(reach + pages * PAGE_GRANULES, spares);
                Self::table_length(covered)
            };
            let shortest = table(all);
            if !self.hole(shortest, lifts).is_some() {
                all = pages(length.saturating_add(shortest));
                all = pages(length.saturating_add(table(all + 1)));
            }
        }
        all
    }

    /// `pages` of the source: the address of the first.
    #[inline(always)]
    fn ask_for(&self, pages: usize) -> Option<usize> {
        let end = self.records.source().end();
        let Some(new) = self.records.with_source(|source| source.grow(pages)) else {
            self.recorder.refused(pages, end);
            return None;
        };
        self.recorder.grown(pages);
        let (start, _) = new_range::<S>(new, pages, end)?;
        Some(start)
    }

    /// Takes in `granules` from the address `start` on, zero, which the source gave at the memory's end. A new table, if
    /// they need one, has records to spare if it `spares`.
    #[inline(never)]
    fn take_in(&self, start: usize, granules: usize, spares: bool, lifts: bool) {
        let is_first = !self.records.is_there();
        if is_first && start != self.end_address() {
            self.records.set_first(start);
            self.end.set(self.records.first());
        }
        let start = self.records.id_at(start);
        let after = start.above(granules as Length * GRANULE);
        let reach = (after.distance_from(self.records.first()) / GRANULE) as usize;
        if reach >= GRANULES_MAX || start < self.end.get() {
            return; // It is too far from the heap's first granule, or not where it was said to be.
        }
        let (mut from, mut top) = (start, after);
        let mut counted = start;
        let follows = !is_first && start == self.end.get() && self.last_free().is_some();
        if lifts || reach >= self.records.covered() {
            let covered = self.covered_for(reach, spares);
            let table = Self::table_length(covered);
            let hole = self.hole(table, lifts);
            if hole.is_some() {
                self.split(hole, table);
                self.place_table(hole, covered, true);
            } else if is_first {
                // Below all blocks.
                counted = self.records.first();
                from = counted.above(table);
                if from >= after {
                    return;
                }
                self.place_table(counted, covered, counted != start);
            } else {
                top = after.above(table.wrapping_neg());
                if top <= start {
                    return; // Others have grown the memory so far meanwhile.
                }
                self.place_table(top, covered, false);
            }
        }
        if !follows {
            self.touch_below(from.max(start));
        }
        self.end.set(after);
        let granules = after.distance_from(counted) / GRANULE;
        self.recorder.taken_in(bytes_of(granules as usize));
        self.free(from, top.distance_from(from));
        self.note_top();
    }

    /// Makes a table for `covered` granules from `run` on, in used memory of the heap, instead of the old one.
    #[inline(never)]
    fn place_table(&self, run: Id, covered: usize, dirty: bool) {
        let (old, length) = (self.table.get(), self.table_length.get());
        self.set_table(run, covered, dirty);
        if length == 0 {
            self.nonempty.set(NO_BIN);
        } else {
            self.free(old, length);
        }
    }

    /// Makes a table for `covered` granules from `run` on, and forgets the old one.
    #[inline(never)]
    fn set_table(&self, run: Id, covered: usize, dirty: bool) {
        self.touch_below(self.table.get().above(self.table_length.get()));
        let address = self.records.place(run) + bytes_of(Self::GUARD);
        self.records.move_to(address, covered, dirty);
        self.table.set(run);
        self.table_length.set(Self::table_length(covered));
        if P::HARDENED {
            self.set_guard();
        }
        self.retire(run);
    }

    /// Notes that memory below `id` has been touched.
    #[inline(always)]
    fn touch_below(&self, id: Id) {
        if id > self.untouched.get() {
            if P::HARDENED {
                self.touch();
            }
            self.untouched.set(id);
        }
    }

    /// Moves the table down over what is free below it, so that it parts less free memory. *Time:* linear in the records.
    pub(crate) fn lower_table(&self) {
        if self.records.is_there() {
            self.refit_table(self.records.covered());
        }
    }

    /// Makes the table as long as it must be so that the heap can have a free run of `length` at its end, if it lies
    /// beside enough free memory. *Time:* linear in the records.
    pub(crate) fn fit_table(&self, length: Length, reservation: bool) {
        if self.records.is_there() {
            let mut granules = (self.length() / GRANULE) as usize;
            if self.may_grow(reservation) {
                let missing = length.saturating_sub(self.tail(false)) / GRANULE;
                granules += pages_for(missing as usize).saturating_mul(PAGE_GRANULES);
            }
            self.refit_table(granules.min(GRANULES_MAX - 1) + 1);
        }
    }

    /// Moves the table down over what is free below it, with records of `covered` granules, for which the free runs on
    /// both sides of it may be used.
    fn refit_table(&self, covered: usize) {
        let (table, old_length) = (self.table.get(), self.table_length.get());
        let free = |run: Id| self.records.record(run).length.get();
        let above = table.above(old_length);
        let above = if self.records.record(above).is_free() {
            above
        } else {
            Id::NONE
        };
        let below = self.records.record(table).below.get();
        let all = free(below) + old_length + free(above);
        let length = Self::table_length(covered);
        let is_longer = covered > self.records.covered();
        if all < length || !below.is_some() && length == old_length {
            return;
        }
        if above.is_some() {
            self.split(above, free(above));
            self.retire(above);
        }
        let mut run = table;
        if below.is_some() {
            self.split(below, free(below));
            run = below;
        }
        self.set_table(run, covered, is_longer);
        if all > length {
            let rest = run.above(length);
            self.records.record(rest).below.set(Id::NONE);
            self.free(rest, all - length);
        }
        self.note_top();
    }

    /// Notes what is the highest that is not the table.
    fn note_top(&self) {
        let (end, table) = (self.end.get(), self.table.get());
        let is_last = table.above(self.table_length.get()) == end;
        self.top.set(if is_last { table } else { end });
    }

    /// As [`look`](Self::look), but not only the first of the bin is looked at.
    pub(crate) fn look_far(&self, length: Length) -> Id {
        let mut run = self.look(length);
        if run.is_some() || !self.records.is_there() {
            return run;
        }
        run = Id::sentinel(super::bin_of(length));
        for _ in 0..LOOKS_MAX {
            run = self.records.record(run).next.get();
            if self.records.record(run).length.get() >= length {
                return run;
            }
        }
        Id::NONE
    }
}

/// Runs of one bin that are looked at where one is not enough, at most.
const LOOKS_MAX: usize = 128;

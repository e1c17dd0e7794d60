//! Taking in memory: new pages, the spare end of the initial memory, and the table of records for both; and moving that
//! table out of the way. All of it is off the real-time path: whoever comes here waits for the host, or gets null.
//!
//! ```text
//! before   | blocks ..      | last free |
//! grown    | blocks ..      | last free          new pages |
//! or, where the table is outgrown and fits into no free run,
//!          | blocks .. free | new table |          free    |      the old table becomes a free run, too
//! ```

use super::hardened::GUARD_GRANULES;
use super::{NO_BIN, Runs, UNTOUCHED_SHARE};
use crate::policy::Policy;
use crate::records::{GRANULE, GRANULES_MAX, Id, Length, table_granules};
use crate::source::Source;
use crate::source::range::{GROWTHS_MAX, new_range, whole_granules};
use crate::units::{PAGE_GRANULES, bytes_of, pages_for};

/// Of what a new table has records for, one part in so many is to come ..
const SPARE_SHARE: Length = 4;
/// .. and so much besides: four pages.
const SPARE: Length = 4 * PAGE;
/// The length of a page.
const PAGE: Length = PAGE_GRANULES as Length * GRANULE;
/// The longest heap, less what lengths are rounded up by.
const LENGTH_MAX: Length = (GRANULES_MAX - 2 * PAGE_GRANULES) as Length * GRANULE;

/// Runs of one bin that are looked at where one is not enough, at most.
const LOOKS_MAX: usize = 128;

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
    /// `reservation`. If the source gives too little, what it gave is kept. A new table has records to spare if it
    /// `spares`. *Time:* the source's, and constant besides.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, length: Length, reservation: bool, spares: bool) {
        if !self.records.is_there() {
            self.start(length);
            if self.finds(length) {
                return;
            }
        }
        if !self.may_grow(reservation) {
            return;
        }
        let mut alone = false;
        for _ in 0..GROWTHS_MAX + 1 {
            let pages = self.pages_for(length, alone, spares);
            let mut start = self.ask_for(pages.max(S::STEP_PAGES));
            let mut granules = pages.max(S::STEP_PAGES) * PAGE_GRANULES;
            if start.is_none() && pages < S::STEP_PAGES {
                start = self.ask_for(pages);
                granules = pages * PAGE_GRANULES;
            }
            let Some(start) = start else {
                return;
            };
            self.take_in(start, granules, spares);
            if GROWTHS_MAX == 1 || self.finds(length) {
                return;
            }
            alone = true; // Somebody else's pages may come between again.
        }
    }

    /// Whether there is a free run of `length` that is found in constant time.
    #[inline(never)]
    pub(crate) fn finds(&self, length: Length) -> bool {
        self.find(length).is_some()
    }

    /// Whether it is worth while to ask the source for pages.
    #[inline(always)]
    pub(crate) fn may_grow(&self, reservation: bool) -> bool {
        (S::ON_DEMAND || reservation) && self.records.source().may_grow(reservation)
    }

    /// Takes the source's spare memory in, if it has room for a table, which is for `length` besides. If not, it is
    /// remembered: it serves with the first pages, if these follow it.
    fn start(&self, length: Length) {
        if !self.end.get().is_some() {
            let end = self.records.source().end();
            let spare = self.records.with_source(S::spare);
            let (first, mut after) = whole_granules::<S>(spare, end);
            after = after.min(first.saturating_add(bytes_of(GRANULES_MAX / 2)));
            self.records.set_first(first);
            // Before the end of the address space, there may be nothing, too.
            let is_empty = first == after;
            let end = self.records.end_id(after);
            self.end.set(if is_empty { self.records.first() } else { end });
        }
        let all = self.length();
        let mut covered = (all / GRANULE) as usize + 1;
        if S::ON_DEMAND {
            covered += ((length + length / 16) / GRANULE) as usize;
            covered = covered.saturating_add(S::HEADER_PAGES.saturating_mul(PAGE_GRANULES));
        }
        let covered = covered.min(GRANULES_MAX);
        let table = Self::table_length(covered);
        if table < all {
            let first = self.records.first();
            self.place_table(first, covered, true);
            self.untouched.set(self.end.get());
            self.give(first.above(table), self.end.get());
        }
    }

    /// What is free at the heap's end: all of it, before there is a table.
    fn last_free(&self) -> Length {
        if self.records.is_there() {
            let below = self.records.record(self.end.get()).below.get();
            return self.records.record(below).length.get();
        }
        self.length()
    }

    /// The pages that make a free run of `length` at the heap's end. If their records need a longer table, that is made
    /// now where there is a free run for it, else they have room for it, too. What is free at the end does not count if
    /// they are `alone`.
    #[inline(never)]
    fn pages_for(&self, length: Length, alone: bool, spares: bool) -> usize {
        let mut end = self.records.end_id(self.records.source().end());
        let first = if self.records.is_there() {
            if !S::IS_TRUSTED {
                end = end.max(self.end.get());
            }
            self.records.first()
        } else if end == self.end.get() {
            self.records.first()
        } else {
            end
        };
        let follows = end == self.end.get() && !alone;
        // At least one: who comes here has not found a run that can be found in constant time.
        let pages = |needed: Length| {
            let free = if follows { self.last_free() } else { 0 };
            pages_for((needed.saturating_sub(free) / GRANULE) as usize).max(1)
        };
        let mut more = length;
        let distance = end.distance_from(first);
        let reach = distance.saturating_add(pages(length).max(S::STEP_PAGES) as Length * PAGE);
        let reach = reach.min(LENGTH_MAX);
        if (reach / GRANULE) as usize >= self.records.covered() {
            let covered = covered_for(reach + PAGE, spares);
            let table = Self::table_length(covered);
            let run = self.take(table);
            if run.is_some() {
                self.place_table(run, covered, true);
                self.lower_table(false); // The old one may have been below.
            } else {
                more += table + table / 16;
            }
        }
        pages(more)
    }

    /// `pages` of the source: the address of the first.
    #[inline(never)]
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
    fn take_in(&self, start: usize, granules: usize, spares: bool) {
        if !self.records.is_there() && self.records.id_at(start) != self.end.get() {
            self.records.set_first(start);
            self.end.set(self.records.first());
        }
        let start = self.records.id_at(start);
        let after = start.above(granules as Length * GRANULE);
        let reach = after.distance_from(self.records.first());
        if reach >= LENGTH_MAX || start < self.end.get() {
            return; // It is too far from the heap's first granule, or not where it was said to be.
        }
        let follows = start == self.end.get();
        let (mut from, mut untouched) = (start, self.untouched.get());
        if !follows {
            untouched = start;
        }
        if (reach / GRANULE) as usize >= self.records.covered() {
            let covered = covered_for(reach, spares);
            let free = if follows { self.last_free() } else { 0 };
            let table = start.above(free.wrapping_neg());
            from = table.above(Self::table_length(covered));
            if from >= after {
                return; // Others have grown the memory so far meanwhile.
            }
            if self.records.is_there() && free != 0 {
                self.split(table, free);
            }
            self.place_table(table, covered, free != 0);
            self.records.record(from).below.set(Id::NONE);
            untouched = from.max(start);
        }
        if P::HARDENED && untouched != self.untouched.get() {
            self.touch();
        }
        self.untouched.set(untouched);
        self.end.set(after);
        self.give(from, after);
    }

    /// Makes a table for `covered` granules from `run` on, in used memory of the heap, instead of the old one.
    fn place_table(&self, run: Id, covered: usize, dirty: bool) {
        let old = self.table_run();
        self.set_table(run, covered, dirty);
        match old {
            Some((run, length)) => self.free(run, length),
            None => self.nonempty.set(NO_BIN),
        }
    }

    /// Makes a table for `covered` granules from `run` on, and forgets the old one.
    fn set_table(&self, run: Id, covered: usize, dirty: bool) {
        let address = self.records.place(run) + bytes_of(Self::GUARD);
        self.records.move_to(address, covered, dirty);
        if P::HARDENED {
            self.set_guard();
        }
        self.retire(run);
    }

    /// The run that the table is in, if there is one.
    pub(crate) fn table_run(&self) -> Option<(Id, Length)> {
        self.records.is_there().then(|| {
            let address = self.records.table() - bytes_of(Self::GUARD);
            let length = Self::table_length(self.records.covered());
            (self.records.id_at(address), length)
        })
    }

    /// Gives what lies from `from` to `after`, the heap's end, back.
    fn give(&self, from: Id, after: Id) {
        let length = after.distance_from(from);
        self.recorder.taken_in(bytes_of((length / GRANULE) as usize));
        self.free(from, length);
        self.note_untouched();
    }

    /// Counts what nobody has touched.
    #[inline(never)]
    pub(crate) fn note_untouched(&self) {
        let untouched = self.end.get().distance_from(self.untouched.get());
        self.touched_min.set(untouched.saturating_mul(UNTOUCHED_SHARE));
    }

    /// Moves the table down over what is free below it, so that it parts less free memory, and makes it no longer than
    /// it must be if it `shrinks`. *Time:* linear in the records.
    #[cold]
    #[inline(never)]
    pub(crate) fn lower_table(&self, shrinks: bool) {
        let Some((table, old_length)) = self.table_run() else {
            return;
        };
        let mut covered = self.records.covered();
        if shrinks {
            covered = (self.length() / GRANULE) as usize + 1;
        }
        let length = Self::table_length(covered);
        let below = self.records.record(table).below.get();
        let (mut run, mut all) = (table, old_length);
        if below.is_some() {
            let free = self.records.record(below).length.get();
            self.split(below, free);
            (run, all) = (below, all + free);
        }
        if all > length {
            self.set_table(run, covered, false);
            let rest = run.above(length);
            self.records.record(rest).below.set(Id::NONE);
            self.free(rest, all - length);
        }
    }

    /// A run of exactly `length`, or none: as [`take`](Self::take), but not only the first of its bin is looked at.
    /// *Time:* constant.
    pub(crate) fn take_any(&self, length: Length) -> Id {
        let mut run = self.take(length);
        if run.is_some() || !self.records.is_there() {
            return run;
        }
        run = Id::sentinel(super::bin_of(length));
        for _ in 0..LOOKS_MAX {
            run = self.records.record(run).next.get();
            if self.records.record(run).length.get() >= length {
                self.split(run, length);
                return run;
            }
        }
        Id::NONE
    }
}

/// Granules that a table has records of when it is made for a heap of `length`.
fn covered_for(length: Length, spares: bool) -> usize {
    let spare = if spares { length / SPARE_SHARE + SPARE } else { 0 };
    ((length + spare) / GRANULE) as usize + 1
}

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

/// Whether a heap can be longer than lengths can say.
const CAN_BE_TOO_LONG: bool = usize::BITS > 32;

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
        if !self.records.is_there() && self.start(length) || !self.may_grow(reservation) {
            return;
        }
        let mut alone = false;
        for _ in 0..GROWTHS_MAX {
            let pages = self.pages_for(length, alone, spares, lifts);
            let Some(start) = self.ask_for(pages) else {
                return;
            };
            self.take_in(start, pages * PAGE_GRANULES, spares, lifts);
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

    /// Takes the source's spare memory in, if it has room for a free run of `length` and a table: whether it has. If not,
    /// it is remembered: it serves with the first pages, if these follow it.
    fn start(&self, length: Length) -> bool {
        if !self.end.get().is_some() {
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
        let all = self.length();
        let mut covered = (all / GRANULE) as usize + 1;
        if S::ON_DEMAND {
            covered = covered.saturating_add(S::HEADER_PAGES.saturating_mul(PAGE_GRANULES));
        }
        let covered = covered.min(GRANULES_MAX);
        let table = Self::table_length(covered);
        if all < table.saturating_add(length) {
            return false;
        }
        let first = self.records.first();
        self.place_table(first, covered, true);
        self.untouched.set(self.end.get());
        self.count(first);
        self.free(first.above(table), all - table);
        self.note_top();
        true
    }

    /// Granules that a new table has records of, no fewer than the old one, if the heap has `granules`.
    #[inline(always)]
    fn covered_for(&self, granules: usize, spares: bool) -> usize {
        let spare = if spares {
            granules / SPARE_SHARE + SPARE
        } else {
            0
        };
        self.records.covered().max(granules + spare + 1)
    }

    /// The free run at the heap's end, or none.
    #[inline(always)]
    fn last_free(&self) -> Id {
        self.records.record(self.end.get()).below.get()
    }

    /// The free run below the table, or none.
    #[inline(always)]
    fn below_table(&self) -> Id {
        self.table_run().map_or(Id::NONE, |(table, _)| {
            self.records.record(table).below.get()
        })
    }

    /// Whether nothing but the table and free runs lies between the used run `run` of `length` and the heap's end, and
    /// the table is no longer than the run is to be.
    pub(crate) fn is_last_but_table(&self, run: Id, length: Length, to_be: Length) -> bool {
        let Some((table, table_length)) = self.table_run() else {
            return false;
        };
        let below = self.below_table();
        let next = if below.is_some() { below } else { table };
        table_length <= to_be && run.above(length) == next && self.is_last(table, table_length)
    }

    /// A free run for a table of `length`, but one that the growth is to add to; or none.
    #[inline(never)]
    fn hole(&self, length: Length, lifts: bool) -> Id {
        let run = self.find(length);
        if !run.is_some() || run == self.last_free() || lifts && run == self.below_table() {
            return Id::NONE;
        }
        run
    }

    /// What is free at the heap's end, with the table and what is free below if the growth `lifts` that.
    #[inline(always)]
    fn tail(&self, lifts: bool) -> Length {
        let length = |run: Id| self.records.record(run).length.get();
        let mut free = length(self.last_free());
        if let (true, Some((_, table_length))) = (lifts, self.table_run()) {
            free += table_length + length(self.below_table());
        }
        free
    }

    /// The pages that make a free run of `length` at the heap's end, and room for a longer table of records if they need
    /// one and no free run has it. What is free at the end does not count if they are `alone`. A table is longer than it
    /// must be, and the pages are a step at least, if the growth `spares` the next one.
    #[inline(never)]
    fn pages_for(&self, length: Length, alone: bool, spares: bool, lifts: bool) -> usize {
        let mut end = self.records.end_id(self.records.source().end());
        let mut first = self.records.first();
        let mut free = 0;
        if self.records.is_there() {
            if !S::IS_TRUSTED {
                end = end.max(self.end.get());
            }
            if end == self.end.get() && !alone {
                free = self.tail(lifts);
            }
        } else if end == self.end.get() {
            free = self.length();
        } else {
            first = end;
        }
        let step = if spares { S::STEP_PAGES } else { 1 };
        let pages =
            |length: Length| pages_for((length.saturating_sub(free) / GRANULE) as usize).max(step);
        let mut pages_all = pages(length);
        let reach = (end.distance_from(first) / GRANULE) as usize;
        if lifts || reach + pages_all * PAGE_GRANULES >= self.records.covered() {
            let covered = self.covered_for(reach + (pages_all + 1) * PAGE_GRANULES, spares);
            let table = Self::table_length(covered);
            if !self.hole(table, lifts).is_some() {
                pages_all = pages(length.saturating_add(table + table / 16));
            }
        }
        pages_all
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
        if is_first && self.records.id_at(start) != self.end.get() {
            self.records.set_first(start);
            self.end.set(self.records.first());
        }
        let start = self.records.id_at(start);
        let after = start.above(granules as Length * GRANULE);
        let reach = (after.distance_from(self.records.first()) / GRANULE) as usize;
        if CAN_BE_TOO_LONG && reach >= GRANULES_MAX || start < self.end.get() {
            return; // It is too far from the heap's first granule, or not where it was said to be.
        }
        let follows = start == self.end.get() && !is_first && self.last_free().is_some();
        let (mut from, mut top) = (start, after);
        if lifts || reach >= self.records.covered() {
            let covered = self.covered_for(reach, spares);
            let table = Self::table_length(covered);
            if is_first {
                // Below all blocks, with records for some pages to come.
                let first = self.records.first();
                from = first.above(table);
                self.place_table(first, covered, first != start);
            } else {
                let hole = self.hole(table, lifts);
                if hole.is_some() {
                    self.split(hole, table);
                    self.place_table(hole, covered, true);
                } else {
                    top = after.above(table.wrapping_neg());
                    if top <= start {
                        return; // Others have grown the memory so far meanwhile.
                    }
                    self.place_table(top, covered, false);
                }
            }
        }
        if !follows {
            self.touch_below(from.max(start));
        }
        self.end.set(after);
        self.count(if is_first {
            self.records.first()
        } else {
            start
        });
        self.free(from, top.distance_from(from));
        self.note_top();
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
    #[inline(never)]
    fn set_table(&self, run: Id, covered: usize, dirty: bool) {
        if let Some((old, length)) = self.table_run() {
            self.touch_below(old.above(length));
        }
        let address = self.records.place(run) + bytes_of(Self::GUARD);
        self.records.move_to(address, covered, dirty);
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

    /// The run that the table is in, if there is one.
    pub(crate) fn table_run(&self) -> Option<(Id, Length)> {
        self.records.is_there().then(|| {
            let address = self.records.table() - bytes_of(Self::GUARD);
            let length = Self::table_length(self.records.covered());
            (self.records.id_at(address), length)
        })
    }

    /// Counts what lies from `from` to the heap's end as taken in.
    #[inline(always)]
    fn count(&self, from: Id) {
        let granules = self.end.get().distance_from(from) / GRANULE;
        self.recorder.taken_in(bytes_of(granules as usize));
    }

    /// Moves the table down over what is free below it, so that it parts less free memory. *Time:* linear in the records.
    pub(crate) fn lower_table(&self) {
        self.refit_table(self.records.covered());
    }

    /// Makes the table as long as it must be so that the heap can have a free run of `length` at its end, if it lies
    /// beside enough free memory. *Time:* linear in the records.
    pub(crate) fn fit_table(&self, length: Length) {
        if self.records.is_there() {
            let missing = length.saturating_sub(self.tail(false));
            let pages = pages_for((missing / GRANULE) as usize);
            let granules = (self.length() / GRANULE) as usize + pages.saturating_mul(PAGE_GRANULES);
            self.refit_table(granules.min(GRANULES_MAX - 1) + 1);
        }
    }

    /// Moves the table down over what is free below it, with records of `covered` granules, for which the free runs on
    /// both sides of it may be used.
    fn refit_table(&self, covered: usize) {
        let Some((table, old_length)) = self.table_run() else {
            return;
        };
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
        let end = self.end.get();
        self.top.set(match self.table_run() {
            Some((table, length)) if table.above(length) == end => table,
            _ => end,
        });
    }

    /// Puts a free run of at least `length` before all others of its bin, so that it is found, if one of the first
    /// [`LOOKS_MAX`] there is long enough.
    pub(crate) fn bring_forward(&self, length: Length) {
        if !self.records.is_there() {
            return;
        }
        let at = self.records.view();
        let mut run = Id::sentinel(super::bin_of(length));
        for _ in 0..LOOKS_MAX {
            run = at.record(run).next.get();
            let free = at.record(run).length.get();
            if free >= length {
                let nonempty = self.unlink(at, run, self.nonempty.get());
                return self.link(at, run, free, nonempty);
            }
        }
    }
}

/// Runs of one bin that are looked at where one is not enough, at most.
const LOOKS_MAX: usize = 128;

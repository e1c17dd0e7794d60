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
use crate::units::{GRANULE_BYTES, PAGE_GRANULES, bytes_of, pages_for};

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
    /// records to spare, if this `spares` the next growth. *Time:* the source's, and constant besides.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, length: Length, reservation: bool, spares: bool) {
        if !self.records.is_there() && self.start(length) || !self.may_grow(reservation) {
            return;
        }
        for _ in 0..GROWTHS_MAX {
            let step = if spares { S::STEP_PAGES } else { 1 };
            let mut pages = self.pages_for(length, step);
            if self.reach(pages) >= self.records.covered() {
                if !self.make_table(length, pages, spares) {
                    return;
                }
                pages = self.pages_for(length, step);
            }
            if self.finds(length) {
                return;
            }
            let Some(start) = self.ask_for(pages) else {
                return;
            };
            self.take_in(start, start, pages);
            if GROWTHS_MAX == 1 || self.finds(length) {
                return; // Else somebody else's pages have come between.
            }
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
        self.recorder.taken_in(bytes_of((all / GRANULE) as usize));
        self.free(first.above(table), all - table);
        true
    }

    /// What is free at the heap's end, all of it before there is a table; nothing if others have grown the memory since.
    fn tail(&self) -> Length {
        if self.records.end_id(self.records.source().end()) != self.end.get() {
            0
        } else if self.records.is_there() {
            let below = self.records.record(self.end.get()).below.get();
            self.records.record(below).length.get()
        } else {
            self.length()
        }
    }

    /// The pages, `least` at least, that make a free run of `length` at the heap's end.
    #[inline(never)]
    fn pages_for(&self, length: Length, least: usize) -> usize {
        pages_for((length.saturating_sub(self.tail()) / GRANULE) as usize).max(least)
    }

    /// The granules that the heap has with so many `pages` more.
    #[inline(never)]
    fn reach(&self, pages: usize) -> usize {
        let end = self.records.end_id(self.records.source().end());
        (end.distance_from(self.records.first()) / GRANULE) as usize + pages * PAGE_GRANULES
    }

    /// Makes a longer table for a heap with so many `pages` more: in a free run if there is one, else in pages of its own,
    /// for `length` besides if it is the first. False if the source gives too little.
    #[inline(never)]
    fn make_table(&self, length: Length, pages: usize, spares: bool) -> bool {
        let mut covered = self.reach(pages) + PAGE_GRANULES;
        covered += if spares { covered / SPARE_SHARE + SPARE } else { covered / 32 };
        let table = Self::table_length(covered);
        let is_first = !self.records.is_there();
        let mut run = self.look(table);
        if run.is_some() {
            self.split(run, table);
            self.place_table(run, covered, true);
            return true;
        }
        let needed = if is_first { table.saturating_add(length) } else { table };
        let pages = if is_first { self.pages_for(needed, 1) } else { pages_for((table / GRANULE) as usize) };
        let Some(start) = self.ask_for(pages) else {
            return false;
        };
        run = self.records.id_at(start);
        if is_first {
            if run != self.end.get() {
                self.records.set_first(start);
                self.end.set(self.records.first());
            }
            run = self.records.first();
            self.recorder.taken_in(start - self.records.place(run));
        }
        let dirty = run != self.records.id_at(start);
        self.place_table(run, covered, dirty);
        self.take_in(self.records.place(run.above(table)), start, pages);
        true
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

    /// Takes in what lies from the address `from` on in `pages` that the source gave at `start`, zero, at the memory's end.
    #[inline(never)]
    fn take_in(&self, from: usize, start: usize, pages: usize) {
        let (from, start) = (self.records.id_at(from), self.records.id_at(start));
        let after = start.above((pages * PAGE_GRANULES) as Length * GRANULE);
        let reach = (after.distance_from(self.records.first()) / GRANULE) as usize;
        if reach >= self.records.covered() || start < self.end.get() || from > after {
            return; // Others have grown the memory meanwhile, or it is not where it was said to be.
        }
        let is_free_below = self.records.record(from).below.get().is_some();
        if !is_free_below || from != self.end.get() {
            self.touch_below(from.max(start));
        }
        self.end.set(after);
        self.recorder.taken_in(pages * PAGE_GRANULES * GRANULE_BYTES);
        if from != after {
            self.free(from, after.distance_from(from));
        }
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

    /// Moves the table down over what is free below it, so that it parts less free memory. *Time:* linear in the records.
    pub(crate) fn lower_table(&self) {
        self.refit_table(self.records.covered());
    }

    /// Makes the table as long as it must be so that the heap can have a free run of `length` at its end, if it lies
    /// beside enough free memory. *Time:* linear in the records.
    pub(crate) fn fit_table(&self, length: Length) {
        if self.records.is_there() {
            let pages = self.pages_for(length, 0);
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

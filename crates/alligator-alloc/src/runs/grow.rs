//! Taking in memory: new pages, the spare end of the initial memory, and the MetaPages for both. All of it
//! is off the real-time path: whoever comes here waits for the host.

use super::{FIXED_HEAP_SHARE, GROWING_HEAP_SHARE, RECENT_MAX, Runs, UNTOUCHED_SHARE_SHIFT};
use crate::meta_page::HeaderId;
use crate::source::Source;
use crate::units::{
    GRANULE_BYTES, GRANULE_SHIFT, HARDENED, PAGE_GRANULES, PAGE_SHIFT, bytes_of, granule_floor,
    pages_for, round_up,
};

impl<S: Source> Runs<S> {
    /// Grows the memory and takes a run of exactly `granules`, or none.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_and_take(&mut self, granules: usize) -> HeaderId {
        self.grow(granules, false);
        let run = self.take(granules);
        self.note_untouched();
        run
    }

    /// Grows the memory for the used run `run`, so that it has `granules` where it is, if it is the heap's
    /// last but for a free one; else as [`grow_and_take`](Self::grow_and_take).
    #[cold]
    #[inline(never)]
    pub(super) fn grow_for(&mut self, run: HeaderId, granules: usize) -> HeaderId {
        let header = self.meta.header(run);
        let missing = granules - header.granules.get();
        let mut above = header.above.get();
        let above_header = self.meta.header(above);
        if above_header.is_free() {
            above = above_header.above.get();
        }
        let is_last = above == self.end_id;
        self.grow(if is_last { missing } else { granules }, false);
        if self.has_above(run, missing) {
            self.extend(run, missing);
            return run;
        }
        self.allocate(granules) // It is not the last, or new MetaPages have come between.
    }

    /// Adds as few pages as make a free run of `granules` at the end of the memory, none if the source does
    /// not grow on demand and this is not a `reservation`; the first time, takes the source's spare memory
    /// in, too. If the source gives too little, what it gave is kept. *Time:* the source's, and constant
    /// besides.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, granules: usize, reservation: bool) {
        let may_add = S::ON_DEMAND || reservation;
        if !may_add && self.end != 0 {
            return;
        }
        let end = self.meta.source.end();
        let mut start = end;
        if self.end == 0 {
            let spare = self.meta.source.spare();
            if spare.end == end {
                start = round_up(spare.start, GRANULE_BYTES).min(end);
            }
            self.meta.set_origin(start);
        }
        if may_add {
            // What the new run and its MetaPages can reach. Past the address space, the source will refuse.
            let reach = bytes_of(granules + (granules >> 1) + PAGE_GRANULES);
            let last = end.wrapping_sub(1);
            let last = last.checked_add(reach).unwrap_or(last);
            let last = if HARDENED && self.end != 0 {
                // Somebody else's pages need headers, too.
                last.saturating_add(end.wrapping_sub(self.end) >> 4)
            } else {
                last
            };
            let mut needed = granules;
            let mut present = (end - start) >> GRANULE_SHIFT;
            if !self.meta.covers(last) {
                needed += self.meta.granules_to_cover(start, last);
            } else if end == self.end {
                if HARDENED {
                    self.require_headers(end);
                }
                let below = self.meta.header(self.end_id).below.get();
                if below.is_some() {
                    present = self.meta.header(below).granules.get();
                }
            }
            // At least one: who comes here has not found a run that can be found in constant time.
            let pages = pages_for(needed.saturating_sub(present)).max(1);
            let may_step = S::STEP_PAGES > pages && self.step_has_room(granules, start, end);
            if let Some((new, pages)) = self.more_pages(pages, may_step) {
                let from = if new == end { start } else { new };
                return self.take_in(from, new, new.wrapping_add(pages << PAGE_SHIFT));
            }
        }
        self.take_in(start, end, end);
    }

    /// Whether `STEP_PAGES` more after `end` have room for a run of `granules` and for the headers that the heap
    /// then lacks, from `start` on.
    #[inline(always)]
    fn step_has_room(&self, granules: usize, start: usize, end: usize) -> bool {
        let step_granules = S::STEP_PAGES * PAGE_GRANULES;
        let last = end.wrapping_sub(1);
        let Some(last) = last.checked_add(bytes_of(step_granules)) else {
            return false;
        };
        let is_covered = self.meta.covers(last);
        is_covered || granules + self.meta.granules_to_cover(start, last) <= step_granules
    }

    /// `pages` new pages, or `STEP_PAGES` if it `may_step`: the address of the first and their number.
    fn more_pages(&mut self, pages: usize, may_step: bool) -> Option<(usize, usize)> {
        let source = &mut self.meta.source;
        if may_step {
            if let Some(new) = source.grow(S::STEP_PAGES) {
                self.record.grown(S::STEP_PAGES);
                return Some((new, S::STEP_PAGES));
            }
        }
        let new = source.grow(pages);
        if new.is_some() {
            self.record.grown(pages);
        } else {
            self.record.refused(pages, source.end());
        }
        new.map(|new| (new, pages))
    }

    /// Takes in the memory from `start` to `end`, zero from `zero_from` on, which the source gave: makes the
    /// headers it needs, in a free run or at its start, and a free run of the rest. Memory too
    /// short for its own headers is left alone.
    fn take_in(&mut self, start: usize, zero_from: usize, end: usize) {
        // The last granule below 4 GiB has no header after it, so it cannot be used.
        let end = granule_floor(if end < start { usize::MAX } else { end });
        if start >= end {
            return;
        }
        let mut first = start;
        if !self.meta.covers(end - 1) {
            let granules = self.meta.granules_to_cover(start, end - 1);
            let run = self.take(granules);
            if run.is_some() {
                let place = self.meta.header(run).place.get();
                if HARDENED {
                    self.retire(run);
                }
                self.meta.cover(place, start, end - 1, true);
            } else {
                first += bytes_of(granules);
                if first >= end {
                    return;
                }
                self.meta.cover(start, start, end - 1, start < zero_from);
            }
        }
        if first != self.end {
            if HARDENED {
                self.touch();
            }
            self.untouched = first.max(zero_from);
        }
        self.end = end;
        self.end_id = self.meta.id_at(end);
        self.note_untouched();
        let share = if S::ON_DEMAND {
            GROWING_HEAP_SHARE
        } else {
            FIXED_HEAP_SHARE
        };
        self.recent.max = RECENT_MAX.min((self.bytes() >> GRANULE_SHIFT) / share);
        self.record.taken_in(end - start);
        if HARDENED {
            self.require_headers(first);
        }
        let run = self.meta.id_at(first);
        self.meta.header(run).place.set(first);
        self.give_back(run, (end - first) >> GRANULE_SHIFT, self.end_id);
    }

    /// Counts what nobody has touched. An end that is no multiple of a granule lies before that: then the number is
    /// so large that no run has more.
    #[inline(always)]
    fn note_untouched(&mut self) {
        let bytes = self.end.wrapping_sub(self.untouched);
        self.touched_min = bytes >> (GRANULE_SHIFT - UNTOUCHED_SHARE_SHIFT);
    }
}

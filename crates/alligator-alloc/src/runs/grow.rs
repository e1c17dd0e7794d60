//! Taking in memory: new pages, the spare end of the initial memory, and the MetaPages for both. All of it
//! is off the real-time path: whoever comes here waits for the host.

use super::{FIXED_HEAP_SHARE, GROWING_HEAP_SHARE, RECENT_MAX, Runs, UNTOUCHED_SHARE_SHIFT};
use crate::meta_page::{HeaderId, MetaPages};
use crate::source::Source;
use crate::source::range::{GROWTHS_MAX, new_range, whole_granules};
use crate::units::{
    GRANULE_SHIFT, HARDENED, PAGE_GRANULES, PAGE_SHIFT, bytes_of, granule_floor, pages_for,
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

    /// Makes a free run of `granules`: of the source's spare memory at the heap's first request, if that is enough, or
    /// at the end of the memory by few new pages. Adds none if the source does not grow on demand and this is not a
    /// `reservation`. If the source gives too little, what it gave is kept. *Time:* the source's, and constant besides.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, granules: usize, reservation: bool) {
        if self.end == 0 {
            let end = self.meta.source.end();
            let (first, after) = whole_granules::<S>(self.meta.source.spare(), end);
            self.meta.set_origin(first);
            self.take_in(first, after, after);
            if self.last_free() >= granules {
                return;
            }
        }
        if !self.may_grow(reservation) {
            return;
        }
        for _ in 0..GROWTHS_MAX {
            let end = self.memory_end();
            let Some((new, after)) = self.more_pages(granules, end) else {
                return;
            };
            self.take_in(new, new, after);
            if GROWTHS_MAX == 1 || self.last_free() >= granules {
                return;
            }
        }
    }

    /// The granules of the free run at the heap's end; none if there is no such run, or no heap yet. *Time:* constant.
    #[inline(never)]
    fn last_free(&self) -> usize {
        if self.end != 0 {
            let below = self.meta.header(self.end_id).below.get();
            if below.is_some() {
                return self.meta.header(below).granules.get();
            }
        }
        0
    }

    /// Whether it is worth while to ask the source for pages.
    #[inline(always)]
    pub(super) fn may_grow(&self, reservation: bool) -> bool {
        (S::ON_DEMAND || reservation) && self.meta.source.may_grow(reservation)
    }

    /// The end of the memory, whoever owns it.
    #[inline(always)]
    fn memory_end(&self) -> usize {
        let end = self.meta.source.end();
        if S::IS_TRUSTED || end == 0 {
            end
        } else {
            end.max(self.end).max(self.meta.origin())
        }
    }

    /// New pages that make a free run of `granules` from `end` on: the address of the first, and the one after them.
    /// `None` if the source refuses.
    #[inline(always)]
    fn more_pages(&mut self, granules: usize, end: usize) -> Option<(usize, usize)> {
        // What the new run and its MetaPages can reach.
        let reach = bytes_of(granules + (granules >> 1) + PAGE_GRANULES);
        let last = end.wrapping_sub(1).checked_add(reach);
        let mut last = last.unwrap_or(MetaPages::<S>::LAST_MAX);
        if HARDENED && self.end != 0 {
            // Somebody else's pages need headers, too.
            last = last
                .saturating_add(end.wrapping_sub(self.end) >> 4)
                .min(MetaPages::<S>::LAST_MAX);
        }
        let mut needed = granules;
        if !self.meta.covers(last) {
            needed += self.meta.granules_to_cover(end, last);
        } else if end == self.end {
            if HARDENED {
                self.require_headers(end);
            }
            needed = needed.saturating_sub(self.last_free());
        }
        // At least one: who comes here has not found a run that can be found in constant time.
        let pages = pages_for(needed).max(1);
        if S::STEP_PAGES > pages && self.step_has_room(granules, end) {
            let new = self.ask_for(S::STEP_PAGES);
            if new.is_some() {
                return new;
            }
        }
        self.ask_for(pages)
    }

    /// Whether `STEP_PAGES` after `end` have room for a run of `granules` and for the headers that the heap then lacks.
    #[inline(always)]
    fn step_has_room(&self, granules: usize, end: usize) -> bool {
        let last = end
            .wrapping_sub(1)
            .saturating_add(S::STEP_PAGES << PAGE_SHIFT);
        let is_covered = self.meta.covers(last);
        is_covered
            || granules + self.meta.granules_to_cover(end, last) <= S::STEP_PAGES * PAGE_GRANULES
    }

    /// `pages` of the source: the address of the first, and the one after the last.
    #[inline(always)]
    fn ask_for(&mut self, pages: usize) -> Option<(usize, usize)> {
        let Some(new) = self.meta.source.grow(pages) else {
            self.record.refused(pages, self.meta.source.end());
            return None;
        };
        self.record.grown(pages);
        new_range::<S>(new, pages, self.end.max(self.meta.origin()))
    }

    /// Takes in the memory from `start`, a granule's, to `end`, zero from `zero_from` on, which the source gave: makes the
    /// headers it needs, in a free run or at its start, and a free run of the rest. Memory too
    /// short for its own headers is left alone.
    fn take_in(&mut self, start: usize, zero_from: usize, end: usize) {
        // The last granule below 4 GiB has no header after it, so it cannot be used.
        let end = granule_floor(if end < start { usize::MAX } else { end });
        if start >= end {
            return;
        }
        let last = (end - 1).min(MetaPages::<S>::LAST_MAX);
        let mut first = start;
        if !self.meta.covers(last) {
            let granules = self.meta.granules_to_cover(start, last);
            let run = self.take(granules);
            let mut place = start;
            let mut dirty = start < zero_from;
            if run.is_some() {
                place = self.meta.header(run).place.get();
                dirty = true;
                if HARDENED {
                    self.retire(run);
                }
            } else {
                first += bytes_of(granules);
                if first >= end {
                    return;
                }
            }
            self.meta.cover(place, start, last, dirty);
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

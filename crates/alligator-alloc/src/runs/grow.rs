//! Taking in memory: new pages, the spare end of the initial memory, and the MetaPages for both. All of it
//! is off the real-time path: whoever comes here waits for the host.

use super::{Runs, bin_of};
use crate::meta_page::HeaderId;
use crate::source::Source;
use crate::units::{
    GRANULE_BYTES, GRANULE_SHIFT, PAGE_GRANULES, PAGE_SHIFT, bytes_of, granule_floor, pages_for,
    round_up,
};

impl<S: Source> Runs<S> {
    /// Grows the memory and takes a run of exactly `granules`, or none.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_and_take(&mut self, granules: usize) -> HeaderId {
        let run = self.grow(granules, false);
        if run.is_some() {
            self.keep(run, granules);
        }
        run
    }

    /// Adds as few pages as make a free run of `granules` at the end of the memory, none if the source does
    /// not grow on demand and this is not a `reservation`; the first time, takes the source's spare memory
    /// in, too. That run, taken out of its bin; none if the source gives too little, and then what it gave is
    /// kept. *Time:* the source's, and constant besides.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, granules: usize, reservation: bool) -> HeaderId {
        let may_add = S::ON_DEMAND || reservation;
        if !may_add && self.end != 0 {
            return HeaderId::NONE;
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
        // What the new run and its MetaPages can reach. Past the address space, the source will refuse.
        let reach = bytes_of(granules + (granules >> 3) + PAGE_GRANULES);
        let last = end.wrapping_sub(1);
        let last = last.checked_add(reach).unwrap_or(last);
        let meta = if self.meta.covers(last) {
            0
        } else {
            self.meta.granules_to_cover(start, last)
        };
        // New MetaPages go into a free run if there is one, else first into the memory taken in; then no run
        // from below can be joined to the rest.
        let below = self.free_below(end);
        let (place, _) = self.find_beside(below, meta.max(1));
        let mut joined = (end - start) >> GRANULE_SHIFT;
        if below.is_some() && (meta == 0 || place.is_some()) {
            joined = self.meta.header(below).run().granules.get();
        }
        if place.is_some() && place != below {
            joined += meta;
        }
        let missing = (granules + meta).saturating_sub(joined);
        // At least one: who comes here has not found a run that can be found in constant time.
        let pages = if may_add {
            pages_for(missing).max(1)
        } else {
            0
        };
        match self.more_pages(pages) {
            Some((new, pages)) => {
                let from = if new == end { start } else { new };
                self.take_in(from, new, new.wrapping_add(pages << PAGE_SHIFT));
            }
            None => self.take_in(start, end, end),
        }
        self.take_last(granules)
    }

    /// The free run at the heap's end, taken out of its bin, if it has `granules`, or none.
    fn take_last(&mut self, granules: usize) -> HeaderId {
        if self.end == 0 {
            return HeaderId::NONE; // The heap owns nothing yet.
        }
        let run = self.free_below(self.end);
        if !run.is_some() || self.meta.header(run).run().granules.get() < granules {
            return HeaderId::NONE;
        }
        self.unlink(run);
        self.meta.header(run).below.set(HeaderId::NONE);
        run
    }

    /// At least `pages` new pages: the address of the first and their number.
    fn more_pages(&mut self, pages: usize) -> Option<(usize, usize)> {
        let source = &mut self.meta.source;
        if S::STEP_PAGES > pages && pages > 0 {
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

    /// The free run that new memory at `end` will be joined to, or none: the heap's last.
    fn free_below(&self, end: usize) -> HeaderId {
        if end != self.end || end == 0 {
            return HeaderId::NONE;
        }
        self.meta.header(self.meta.id_at(end)).below.get()
    }

    /// [`find`](Self::find), but not the run `last` if a wider bin has another: it is better kept whole.
    #[inline(never)]
    fn find_beside(&self, last: HeaderId, granules: usize) -> (HeaderId, usize) {
        let (run, bin) = self.find(granules);
        match self.first_bin_from(bin + 1) {
            Some(wider) if run == last => (self.first(wider), wider),
            _ => (run, bin),
        }
    }

    /// Takes in the memory from `start` to `end`, zero from `zero_from` on, which the source gave: makes the
    /// headers it needs, in a free run or at its start, and a free run of the rest. Memory too short for its
    /// own headers is left alone.
    fn take_in(&mut self, start: usize, zero_from: usize, end: usize) {
        // The last granule below 4 GiB has no header after it, so it cannot be used.
        let end = granule_floor(if end < start { usize::MAX } else { end });
        if start >= end {
            return;
        }
        let mut first = start;
        if !self.meta.covers(end - 1) {
            let granules = self.meta.granules_to_cover(start, end - 1);
            let (run, bin) = self.find_beside(self.free_below(start), granules);
            if run.is_some() {
                self.split(run, bin, granules);
                let place = self.meta.header(run).place.get();
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
            self.untouched = first.max(zero_from);
        }
        self.end = end;
        self.record.taken_in(end - start);
        let run = self.meta.id_at(first);
        self.meta.header(run).place.set(first);
        let above = self.meta.id_at(end);
        self.give_back(run, (end - first) >> GRANULE_SHIFT, above);
    }

    /// Grows the memory if the used run `run` is the heap's last, but for a free one, so that it has
    /// `granules` where it is. False if it is not or the source refuses.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_above(&mut self, run: HeaderId, granules: usize) -> bool {
        let body = self.meta.header(run).run();
        let missing = granules - body.granules.get();
        let above = body.above.get();
        let above_header = self.meta.header(above);
        let last = if above_header.is_free() {
            above_header.run().above.get()
        } else {
            above
        };
        if last != self.meta.id_at(self.end) || self.end != self.meta.source.end() {
            return false;
        }
        let new = self.grow(missing, false);
        if new == above {
            self.absorb(run, above, granules);
        } else if new.is_some() {
            self.put_back(new);
        }
        new == above
    }

    /// Puts the free run `run` back into its bin.
    pub(super) fn put_back(&mut self, run: HeaderId) {
        let header = self.meta.header(run).run();
        let (granules, above) = (header.granules.get(), header.above.get());
        self.set_extent(run, granules, above);
        self.push(run, bin_of(granules));
    }
}

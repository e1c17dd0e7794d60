//! Taking in memory: the source's spare part, fresh pages, and the MetaPages they need. All of it is off
//! the real-time path: whoever calls it is about to wait for the host.

use super::Runs;
use crate::meta_page::HeaderId;
use crate::source::Source;
use crate::units::{
    GRANULE_BYTES, PAGE_GRANULES, PAGE_SHIFT, bytes_of, granule_floor, pages_for, round_up,
};

impl<S: Source> Runs<S> {
    /// Makes sure that the bins hold a free run of `granules`, with memory that is there from the start or,
    /// if `may_grow`, with new pages. False if the source gives too little; whatever it gave is kept.
    /// *Time:* the source's, and constant besides.
    #[cold]
    #[inline(never)]
    pub(crate) fn ensure(&mut self, granules: usize, may_grow: bool) -> bool {
        if !self.has_spare {
            self.has_spare = true;
            let spare = self.meta.source.spare();
            self.take_in(
                round_up(spare.start, GRANULE_BYTES),
                granule_floor(spare.end),
                true,
            );
            if self.find(granules).is_some() {
                return true;
            }
        }
        may_grow && self.grow(granules) && self.find(granules).is_some()
    }

    /// Adds as few pages as make a free run of `granules` at the end of the memory. False if the source
    /// refuses.
    #[inline(never)]
    pub(super) fn grow(&mut self, granules: usize) -> bool {
        let end = self.meta.source.end();
        if self.end == 0 {
            self.meta.set_origin(end);
        }
        // What a run that starts at `end` reaches at most, its MetaPages included.
        let reach = granules + (granules >> 3) + PAGE_GRANULES;
        let Some(last) = end
            .wrapping_sub(1)
            .checked_add(bytes_of(pages_for(granules) * PAGE_GRANULES))
        else {
            return false;
        };
        let mut missing = granules;
        if self.meta.covers(last) || self.cover_from_free_runs(end, last) {
            let free = self.free_below(end);
            if free >= granules {
                return true; // It was skipped by the good fit; now it is its bin's first.
            }
            missing -= free;
        } else {
            // The MetaPages come first in the new memory, so the free run below cannot be joined to it.
            missing += self
                .meta
                .granules_to_cover(end, (end - 1).saturating_add(bytes_of(reach)));
        }
        let pages = pages_for(missing);
        let source = &mut self.meta.source;
        let step = pages.max(S::STEP_PAGES);
        let (start, pages) = match source.grow(step) {
            Some(start) => (start, step),
            None if step > pages => match source.grow(pages) {
                Some(start) => (start, pages),
                None => return false,
            },
            None => return false,
        };
        self.take_in(start, start.wrapping_add(pages << PAGE_SHIFT), false);
        true
    }

    /// Grows the memory if the run at `above`, free or not there, is the heap's last, so that it is free and
    /// has `granules`. False if it is not or the source refuses.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_above(&mut self, above: HeaderId, granules: usize) -> bool {
        let header = self.meta.header(above);
        let last = if header.is_free() {
            header.run().above.get()
        } else {
            above
        };
        S::ON_DEMAND
            && last == self.meta.id_at(self.end)
            && self.end == self.meta.source.end()
            && self.grow(granules)
            && self.free_granules(above) >= granules
    }

    /// The granules of the free run that ends at `end`, the end of all memory, if the heap ends there too.
    /// Puts it first in its bin.
    fn free_below(&mut self, end: usize) -> usize {
        if end != self.end {
            return 0;
        }
        let run = self.meta.header(self.meta.id_at(end)).below.get();
        if !run.is_some() {
            return 0;
        }
        let granules = self.meta.header(run).run().granules.get();
        self.unlink(run);
        self.push(run, super::bin_of(granules));
        granules
    }

    /// Makes the headers for the memory from `end` to `last` in a free run that is already there, which
    /// keeps them out of the way of the run that will grow at the end. False if none is long enough.
    fn cover_from_free_runs(&mut self, end: usize, last: usize) -> bool {
        if self.end == 0 {
            return false;
        }
        let Some(run) = self.take(self.meta.granules_to_cover(end, last)) else {
            return false;
        };
        let place = self.meta.header(run).first_byte();
        self.meta.cover(place, end, last, true);
        true
    }

    /// Takes in the memory from `start` to `end`, which the source gave: makes the headers it needs at its
    /// start and a free run of the rest. `dirty` if it is not known to be zero. Memory too short for its own
    /// headers is left alone.
    #[inline(never)]
    fn take_in(&mut self, start: usize, end: usize, dirty: bool) {
        // The last granule below 4 GiB has no header after it, so it cannot be used.
        let end = if end == 0 && start != 0 {
            end.wrapping_sub(GRANULE_BYTES)
        } else {
            end
        };
        if start >= end {
            return;
        }
        if self.end == 0 {
            self.meta.set_origin(start);
        }
        let mut first = start;
        if !self.meta.covers(end - 1) {
            first += bytes_of(self.meta.granules_to_cover(start, end - 1));
            if first >= end {
                return;
            }
            self.meta.cover(start, start, end - 1, dirty);
        }
        if dirty {
            self.untouched = end;
        } else if first != self.end {
            self.untouched = first;
        }
        self.end = end;
        let run = self.meta.id_at(first);
        self.meta.header(run).place.set(first);
        self.give_back(run, (end - first) / GRANULE_BYTES, self.meta.id_at(end));
    }
}

//! Taking in memory: new pages, the spare end of the initial memory, and the table for both. All of it is off
//! the real-time path: whoever comes here waits for the host.
//!
//! ```text
//! before   | old table | blocks ..           |
//! after    | free      | blocks ..           | new memory, free        | new table |
//! ```

use super::Heap;
use super::headers::{HEADER_BYTES, Id};
use crate::source::Source;
use crate::units::{
    GRANULE_BYTES, GRANULE_SHIFT, PAGE_BYTES, PAGE_SHIFT, granule_floor, round_up,
};

impl<S: Source> Heap<S> {
    /// Adds as few pages as make a free run of `bytes`, whole granules, at the end of the memory, none if the
    /// source does not grow on demand and this is not a `reservation`; the first time, takes the source's spare
    /// memory in, too. If the source gives too little, what it gave is kept.
    ///
    /// *Time:* the source's, constant besides, and where the heap outgrows its table, the copy of that.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, bytes: usize, reservation: bool) {
        let may_add = S::ON_DEMAND || reservation;
        let source_end = self.source.end();
        let mut end = granule_floor(source_end);
        let mut start = end;
        // What lies at the memory's end and will be part of the new run.
        let mut present = 0;
        if self.end == 0 {
            let spare = self.source.spare();
            if spare.end == source_end {
                start = round_up(spare.start, GRANULE_BYTES).min(end);
            }
            self.origin = start;
            present = end - start;
        } else if self.end == end {
            let below = self.header(Id::at(end)).below.get();
            if below.is_some() {
                present = self.header(below).bytes.get();
            }
        }
        let table = self.table_for(end, if may_add { bytes } else { 0 }, may_add);
        if may_add {
            let missing = (bytes + table).saturating_sub(present);
            // At least one page, unless this is the first time: who comes here has not found a run.
            let pages = missing.div_ceil(PAGE_BYTES).max(usize::from(self.end != 0));
            if let Some((new, pages)) = self.more_pages(pages) {
                if new != end {
                    start = new;
                }
                end = new.wrapping_add(pages << PAGE_SHIFT);
            }
        }
        self.take_in(start, end, table);
    }

    /// At least `pages` new pages: the address of the first and their number.
    #[inline(always)]
    fn more_pages(&mut self, pages: usize) -> Option<(usize, usize)> {
        if S::STEP_PAGES > pages.max(1) {
            if let Some(new) = self.source.grow(S::STEP_PAGES) {
                self.record.grown(S::STEP_PAGES);
                return Some((new, S::STEP_PAGES));
            }
        }
        let new = self.source.grow(pages);
        if new.is_some() {
            self.record.grown(pages);
        } else {
            self.record.refused(pages, self.source.end());
        }
        new.map(|new| (new, pages))
    }

    /// The bytes of a new table, whole granules, if `bytes` more after `end` may need headers that the table
    /// does not have; else none.
    #[inline(always)]
    fn table_for(&self, end: usize, bytes: usize, may_add: bool) -> usize {
        let ahead = bytes.max((S::STEP_PAGES - 1) << PAGE_SHIFT) >> GRANULE_SHIFT;
        let mut granules = (end.wrapping_sub(self.origin) >> GRANULE_SHIFT) + 1;
        if may_add {
            granules += ahead + (PAGE_BYTES >> GRANULE_SHIFT);
        }
        if granules <= self.covered {
            return 0;
        }
        if may_add {
            granules += granules / 2;
        }
        round_up(granules * HEADER_BYTES, GRANULE_BYTES)
    }

    /// Takes in the memory from `start` to `end`, which the source gave, the last `table` bytes of it as a new
    /// table. Memory too short for its headers is left alone, as is what the table does not reach.
    #[inline(always)]
    fn take_in(&mut self, start: usize, end: usize, table: usize) {
        // The last granule below 4 GiB has no header after it, so it cannot be used.
        let end = if end == 0 { granule_floor(usize::MAX) } else { end };
        let covered = if table == 0 { self.covered } else { table / HEADER_BYTES };
        let last = (end - self.origin) >> GRANULE_SHIFT;
        if end - start <= table || last >= covered {
            return;
        }
        let after = end - table;
        if table != 0 {
            self.move_table(after, table);
        }
        self.end = end;
        self.record.taken_in(end - start);
        self.free_run(Id::at(start), after - start);
    }

    /// Makes the `bytes` at `place`, which the heap owns and nobody uses, the table.
    #[inline(always)]
    fn move_table(&mut self, place: usize, bytes: usize) {
        let first = Id::at(self.origin).raw();
        let old = self.base.wrapping_add(first);
        let old_bytes = self.covered * HEADER_BYTES;
        let table = self.source.pointer(place);
        // SAFETY: the caller owns these bytes, and nobody uses them.
        unsafe { table.write_bytes(0, bytes) };
        // SAFETY: the old table has these bytes; the new one is longer, and lies elsewhere.
        unsafe { table.copy_from_nonoverlapping(self.source.pointer(old), old_bytes) };
        self.base = place.wrapping_sub(first);
        self.covered = bytes / HEADER_BYTES;
        self.header(Id::at(place)).bytes.set(bytes);
        if old_bytes != 0 {
            let run = Id::at(old);
            self.free_run(run, self.header(run).bytes.get());
        }
    }
}

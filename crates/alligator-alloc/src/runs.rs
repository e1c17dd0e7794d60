//! Runs: neighbouring granules with one header, used or free; bins that find a free run; splitting, merging
//! and growing. All in constant time, without a loop.
//!
//! Free runs are kept in 64 bins by length, four to a doubling, and never lie side by side. A request looks
//! at the first run of its own bin, then takes the first run of the next bin that is not empty: every run
//! there is long enough ("good fit"). The free part of a run is split off at its upper end, so low addresses
//! are used first and a block that is last in a row can grow.
//!
//! *Source:* two-level segregated fit (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS 2004), with one bitmap,
//! the tags in MetaPages instead of beside the blocks, and a link to the free run below instead of an end
//! tag (Knuth, TAOCP 2.5, Algorithm C).

mod grow;

use crate::meta_page::{FREE, HeaderId, MetaPages};
use crate::source::Source;
use crate::units::{GRANULE_SHIFT, bytes_of, granules_for, round_up};

/// Bins for free runs.
const BIN_COUNT: usize = 64;
/// Bins per doubling of the length.
const BINS_PER_DOUBLING: usize = 1 << BINS_PER_DOUBLING_SHIFT;
const BINS_PER_DOUBLING_SHIFT: u32 = 2;

/// The bin of a run of `granules`: exact below eight granules, four to a doubling above; runs of 112 MiB
/// and more share the last.
#[inline(always)]
fn bin_of(granules: usize) -> usize {
    let shift = (usize::BITS - 1 - BINS_PER_DOUBLING_SHIFT)
        - (granules | BINS_PER_DOUBLING).leading_zeros();
    ((granules >> shift) + ((shift as usize) << BINS_PER_DOUBLING_SHIFT)).min(BIN_COUNT - 1)
}

/// All runs of a heap, and the memory they are made of.
#[derive(Debug)]
pub(crate) struct Runs<S> {
    /// Bit `b` is set when `bins[b]` is not empty.
    nonempty: u64,
    /// The first free run of each bin.
    bins: [HeaderId; BIN_COUNT],
    /// The address after the heap's last granule. Zero before the first growth.
    end: usize,
    /// From this address to `end`, nobody has touched the memory since the host gave it zeroed.
    untouched: usize,
    /// Set once the source's spare memory is taken in.
    has_spare: bool,
    pub(crate) meta: MetaPages<S>,
}

impl<S: Source> Runs<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self {
            nonempty: 0,
            bins: [HeaderId::NONE; BIN_COUNT],
            end: 0,
            untouched: 0,
            has_spare: false,
            meta: MetaPages::new(source),
        }
    }

    /// Takes a run of exactly `granules`, at least one; grows the memory if there is none and the source
    /// allows it. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn allocate(&mut self, granules: usize) -> Option<HeaderId> {
        let run = self.take(granules);
        if run.is_none() {
            self.allocate_after_growth(granules)
        } else {
            run
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate_after_growth(&mut self, granules: usize) -> Option<HeaderId> {
        if self.ensure(granules, S::ON_DEMAND) {
            self.take(granules)
        } else {
            None
        }
    }

    /// Takes a run of exactly `granules`, at least one, whose first byte is a multiple of `align`, a power
    /// of two above a granule. *Time:* constant, growth apart.
    #[inline(never)]
    pub(crate) fn allocate_aligned(&mut self, granules: usize, align: usize) -> Option<HeaderId> {
        let longest = granules + granules_for(align) - 1;
        let bin = match self.find(longest) {
            Some(bin) => bin,
            None if self.ensure(longest, S::ON_DEMAND) => self.find(longest)?,
            None => return None,
        };
        let run = self.bins[bin];
        let header = self.meta.header(run);
        let (total, above) = (header.run().granules.get(), header.run().above.get());
        let (next, place) = (header.next.get(), header.place.get());
        header.below.set(HeaderId::NONE);
        self.set_first(bin, next);
        let first = round_up(place, align);
        let front = (first - place) >> GRANULE_SHIFT;
        if front == 0 {
            self.keep(run, granules, total, above);
            return Some(run);
        }
        let kept = self.meta.id_at(first);
        self.meta.header(kept).place.set(first);
        self.set_extent(run, front, kept);
        self.push(run, bin_of(front));
        self.keep(kept, granules, total - front, above);
        Some(kept)
    }

    /// Makes sure that the next run of `granules` needs no growth. False if the source gives too little.
    pub(crate) fn reserve(&mut self, granules: usize) -> bool {
        self.find(granules).is_some() || self.ensure(granules, true)
    }

    /// Gives back the used run that starts at `address`. *Time:* constant.
    #[inline(always)]
    pub(crate) fn free(&mut self, address: usize) {
        let run = self.meta.id_at(address);
        let body = self.meta.header(run).run();
        self.give_back(run, body.granules.get(), body.above.get());
    }

    /// Takes a run of exactly `granules` from the bins, or `None`. *Time:* constant.
    #[inline(never)]
    pub(crate) fn take(&mut self, granules: usize) -> Option<HeaderId> {
        let bin = self.find(granules)?;
        let run = self.bins[bin];
        let header = self.meta.header(run);
        let next = header.next.get();
        let rest = header.run().granules.get() - granules;
        let above = header.run().above.get();
        header.below.set(HeaderId::NONE);
        header.run().granules.set(granules);
        let after = header.place.get() + bytes_of(granules);
        if after > self.untouched {
            self.untouched = after;
        }
        if rest == 0 {
            self.meta.header(above).below.set(HeaderId::NONE);
            self.set_first(bin, next);
            return Some(run);
        }
        let rest_run = self.meta.id_at(after);
        self.meta.header(run).run().above.set(rest_run);
        self.meta.header(rest_run).place.set(after);
        self.set_extent(rest_run, rest, above);
        let rest_bin = bin_of(rest);
        if rest_bin == bin {
            self.link_first(rest_run, bin, next);
        } else {
            self.set_first(bin, next);
            self.push(rest_run, rest_bin);
        }
        Some(run)
    }

    /// A bin whose first run has at least `granules`, or `None`. *Time:* constant.
    #[inline(always)]
    fn find(&self, granules: usize) -> Option<usize> {
        let own = bin_of(granules);
        let first = self.bins[own];
        if first.is_some() && self.meta.header(first).run().granules.get() >= granules {
            return Some(own);
        }
        let above = (self.nonempty >> own) >> 1; // In two steps: a shift by 64 would be a shift by 0.
        (above != 0).then(|| own + 1 + above.trailing_zeros() as usize)
    }

    /// Keeps the lower `granules` of the used run `run`, which has `total` and ends below `above`, and makes
    /// a free run of the rest.
    #[inline(never)]
    fn keep(&mut self, run: HeaderId, granules: usize, total: usize, above: HeaderId) {
        let after = self.meta.header(run).place.get() + bytes_of(granules);
        self.touch(after);
        let header = self.meta.header(run);
        header.run().granules.set(granules);
        if total == granules {
            header.run().above.set(above);
            self.meta.header(above).below.set(HeaderId::NONE);
            return;
        }
        let rest_run = self.meta.id_at(after);
        header.run().above.set(rest_run);
        self.meta.header(rest_run).place.set(after);
        self.set_extent(rest_run, total - granules, above);
        self.push(rest_run, bin_of(total - granules));
    }

    /// Makes the used run `run` exactly `granules` long where it is. False if it cannot be, and then nothing
    /// has changed. *Time:* constant, growth apart.
    #[inline(never)]
    pub(crate) fn resize(&mut self, run: HeaderId, granules: usize) -> bool {
        let header = self.meta.header(run);
        let old = header.run().granules.get();
        let above = header.run().above.get();
        if granules <= old {
            if granules < old {
                let after = header.place.get() + bytes_of(granules);
                let rest_run = self.meta.id_at(after);
                let rest = self.meta.header(rest_run);
                rest.place.set(after);
                rest.below.set(HeaderId::NONE);
                header.run().granules.set(granules);
                header.run().above.set(rest_run);
                self.give_back(rest_run, old - granules, above);
            }
            return true;
        }
        if self.free_granules(above) < granules - old && !self.grow_above(above, granules - old) {
            return false;
        }
        let total = old + self.free_granules(above);
        self.unlink(above);
        self.keep(
            run,
            granules,
            total,
            self.meta.header(above).run().above.get(),
        );
        true
    }

    /// The granules of the run `run` if it is free, or zero.
    #[inline(always)]
    fn free_granules(&self, run: HeaderId) -> usize {
        let header = self.meta.header(run);
        if header.is_free() {
            header.run().granules.get()
        } else {
            0
        }
    }

    /// Notes that the memory below `end` may have been touched.
    #[inline(always)]
    fn touch(&mut self, end: usize) {
        if end > self.untouched {
            self.untouched = end;
        }
    }

    /// From this address on, the heap's memory is as the host gave it: zero.
    #[inline(always)]
    pub(crate) fn untouched(&self) -> usize {
        self.untouched
    }

    /// Makes `next`, which may be none, the first run of `bin`.
    #[inline(always)]
    fn set_first(&mut self, bin: usize, next: HeaderId) {
        self.bins[bin] = next;
        if next.is_some() {
            self.meta.header(next).previous.set(HeaderId::from_raw(bin));
        } else {
            self.nonempty &= !(1 << bin);
        }
    }

    /// Puts `run` before the first run of `bin`.
    #[inline(always)]
    fn push(&mut self, run: HeaderId, bin: usize) {
        self.nonempty |= 1 << bin;
        let first = self.bins[bin];
        self.link_first(run, bin, first);
    }

    /// Makes `run` the first of `bin`, before `next`.
    #[inline(always)]
    fn link_first(&mut self, run: HeaderId, bin: usize, next: HeaderId) {
        self.bins[bin] = run;
        let header = self.meta.header(run);
        header.next.set(next);
        header.previous.set(HeaderId::from_raw(bin));
        if next.is_some() {
            self.meta.header(next).previous.set(run);
        }
    }

    /// Takes the free run `run` out of its bin.
    #[inline(always)]
    fn unlink(&mut self, run: HeaderId) {
        let header = self.meta.header(run);
        let next = header.next.get();
        let previous = header.previous.get();
        if previous.raw() < BIN_COUNT {
            self.set_first(previous.raw(), next);
        } else {
            self.meta.header(previous).next.set(next);
            if next.is_some() {
                self.meta.header(next).previous.set(previous);
            }
        }
    }

    /// Gives back the used run `run` of `granules`, which ends below `above`; merges it with its free
    /// neighbours. *Time:* constant.
    #[inline(never)]
    pub(crate) fn give_back(&mut self, run: HeaderId, mut granules: usize, mut above: HeaderId) {
        let above_header = self.meta.header(above);
        if above_header.is_free() {
            granules += above_header.run().granules.get();
            self.unlink(above);
            above = self.meta.header(above).run().above.get();
        }
        let mut run = run;
        let below = self.meta.header(run).below.get();
        if below.is_some() {
            let before = self.meta.header(below).run().granules.get();
            granules += before;
            run = below;
            if bin_of(before) == bin_of(granules) {
                self.set_extent(run, granules, above);
                return;
            }
            self.unlink(run);
        }
        self.set_extent(run, granules, above);
        self.push(run, bin_of(granules));
    }

    /// Writes down that the free run `run` has `granules` and ends below `above`.
    #[inline(always)]
    fn set_extent(&mut self, run: HeaderId, granules: usize, above: HeaderId) {
        let header = self.meta.header(run);
        header.run().granules.set(granules);
        header.run().above.set(above);
        header.below.set(FREE);
        self.meta.header(above).below.set(run);
    }
}

//! Runs: neighbouring granules with one header, used or free; bins that find a free run; splitting and
//! merging. All in constant time, without a loop.
//!
//! Free runs are kept in 64 bins by length, two to a doubling, and never lie side by side. A request looks
//! at the first run of its own bin, then takes the first run of the next bin that is not empty: every run
//! there is long enough ("good fit"). A single granule comes from the first bin that is not empty. The free
//! part of a run is split off at its upper end, so low addresses are used first and the last block in a row
//! can grow.
//!
//! *Source:* two-level segregated fit (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS 2004), with one bitmap,
//! the tags in MetaPages instead of beside the blocks, and a link to the free run below instead of an end
//! tag (Knuth, TAOCP 2.5, Algorithm C).

#[cfg(feature = "check")]
mod check;
mod grow;

use crate::meta_page::{ALIGNED, FREE, HeaderId, MetaPages};
use crate::metrics::Recorder;
use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, SMALL, bytes_of, round_up};

/// Bins for free runs.
const BIN_COUNT: usize = 64;
/// Binary logarithm of the bins per doubling of the length.
const BINS_PER_DOUBLING_SHIFT: u32 = 1;

/// How many freed runs of each length, in granules, are kept for the next request of that length before they
/// are merged. Zero for length zero, which no run has.
const RECENT_MAX: [u8; RECENT_GRANULES_MAX + 1] = [0, 32, 8, 4, 2, 2, 1, 1, 1];
/// The longest run in granules that is kept so.
const RECENT_GRANULES_MAX: usize = 8;

/// Freed runs of one length that are not merged yet. To their neighbours they are used runs.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// The run freed last, linked through `next`.
    first: HeaderId,
    /// Runs in the list.
    count: usize,
}

/// The bin of a run of `granules`: exact below four granules, two to a doubling above. A 32-bit memory needs
/// 44 bins; on 64 bits, runs of 3 TiB and more share the last.
#[inline(always)]
fn bin_of(granules: usize) -> usize {
    let bin = unclamped_bin_of(granules);
    if usize::BITS > 32 {
        bin.min(BIN_COUNT - 1)
    } else {
        bin
    }
}

/// [`bin_of`] if there were bins without end.
#[inline(always)]
fn unclamped_bin_of(granules: usize) -> usize {
    let exact = granules | 1 << BINS_PER_DOUBLING_SHIFT;
    let shift = (usize::BITS - 1 - BINS_PER_DOUBLING_SHIFT) - exact.leading_zeros();
    (granules >> shift) + ((shift as usize) << BINS_PER_DOUBLING_SHIFT)
}

/// All runs of a heap, and the memory they are made of.
#[derive(Debug)]
pub(crate) struct Runs<S> {
    /// Bit `b` is set when `bins[b]` is not empty.
    nonempty: u64,
    /// The first free run of each bin.
    bins: [HeaderId; BIN_COUNT],
    /// By length in granules, the runs that were freed last.
    recent: [Recent; RECENT_MAX.len()],
    /// The address after the heap's last granule. Zero before the first growth.
    end: usize,
    /// From this address to `end`, nobody has touched the memory since the host gave it zeroed.
    untouched: usize,
    pub(crate) meta: MetaPages<S>,
    pub(crate) record: Recorder,
}

impl<S: Source> Runs<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self {
            nonempty: 0,
            bins: [HeaderId::NONE; BIN_COUNT],
            recent: [Recent {
                first: HeaderId::NONE,
                count: 0,
            }; RECENT_MAX.len()],
            end: 0,
            untouched: 0,
            meta: MetaPages::new(source),
            record: Recorder::NEW,
        }
    }

    /// Takes a run of exactly `granules`, at least one; grows the memory if there is none and the source
    /// allows it. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn allocate(&mut self, granules: usize) -> HeaderId {
        let run = self.take(granules);
        if run.is_some() {
            run
        } else {
            self.grow_and_take(granules)
        }
    }

    /// Takes a recent run of exactly `granules`, or none. *Time:* constant.
    #[inline(always)]
    fn pop_recent(&mut self, granules: usize) -> HeaderId {
        let Some(recent) = self.recent.get_mut(granules).filter(|_| !SMALL) else {
            return HeaderId::NONE;
        };
        let run = recent.first;
        if run.is_some() {
            recent.count -= 1;
            recent.first = self.meta.header(run).next.get();
        }
        run
    }

    /// Remembers the used run `run` of `granules`, which nobody needs; false if there are enough. *Time:*
    /// constant.
    #[inline(always)]
    fn push_recent(&mut self, run: HeaderId, granules: usize) -> bool {
        let Some(recent) = self.recent.get_mut(granules).filter(|_| !SMALL) else {
            return false;
        };
        if recent.count >= usize::from(RECENT_MAX[granules]) {
            return false;
        }
        recent.count += 1;
        self.meta.header(run).next.set(recent.first);
        recent.first = run;
        true
    }

    /// Takes one granule. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn allocate_granule(&mut self) -> HeaderId {
        let run = self.pop_recent(1);
        if run.is_some() {
            return run;
        }
        match self.first_bin_from(1) {
            Some(bin) => {
                let run = self.first(bin);
                self.split(run, bin, 1);
                run
            }
            None => self.grow_and_take(1),
        }
    }

    /// Gives back the granule `run` at `address`. *Time:* constant.
    #[inline(always)]
    pub(crate) fn give_granule_back(&mut self, run: HeaderId, address: usize) {
        self.meta.header(run).place.set(address);
        if !self.push_recent(run, 1) {
            self.give_back(run, 1, self.meta.id_at(address + GRANULE_BYTES));
        }
    }

    /// Takes `granules`, at least one, from a multiple of `align` on, a power of two above a granule. The
    /// run may start lower, by less than `align`: it keeps what lies before, and the header of the granule
    /// at the address returned leads back to it. That address, or zero. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn allocate_aligned(&mut self, granules: usize, align: usize) -> usize {
        // Wherever a run of this length starts, an aligned one is in it.
        let longest = granules + (align >> GRANULE_SHIFT) - 1;
        let (mut run, bin) = self.find(longest);
        let found = run.is_some();
        if !found {
            run = self.grow(longest, false);
            if !run.is_some() {
                return 0;
            }
        }
        let place = self.meta.header(run).place.get();
        let address = round_up(place, align);
        let needed = granules + ((address - place) >> GRANULE_SHIFT);
        if found {
            self.split(run, bin, needed);
        } else {
            self.keep(run, needed);
        }
        let header = self.meta.header(self.meta.id_at(address));
        header.next.set(run);
        if address != place {
            header.place.set(address | ALIGNED);
        }
        address
    }

    /// The run that [`allocate_aligned`](Self::allocate_aligned) took for the address whose header is `id`.
    #[inline(always)]
    pub(crate) fn aligned_run_at(&self, id: HeaderId) -> HeaderId {
        self.meta.header(id).next.get()
    }

    /// A run of exactly `granules` if there is one without growth, or none. *Time:* constant.
    #[inline(never)]
    fn take(&mut self, granules: usize) -> HeaderId {
        let run = self.pop_recent(granules);
        if run.is_some() {
            return run;
        }
        let (run, bin) = self.find(granules);
        if run.is_some() {
            self.split(run, bin, granules);
        }
        run
    }

    /// Makes sure that the next run of `granules` needs no growth. False if the source gives too little.
    pub(crate) fn reserve(&mut self, granules: usize) -> bool {
        if self.find(granules).0.is_some() {
            return true;
        }
        let run = self.grow(granules, true);
        if run.is_some() {
            self.put_back(run);
        }
        run.is_some()
    }

    /// The first run of some bin that has at least `granules`, and the bin; none if no run that can be
    /// looked at in constant time is long enough. *Time:* constant.
    #[inline(always)]
    fn find(&self, granules: usize) -> (HeaderId, usize) {
        let own = bin_of(granules);
        let first = self.first(own);
        if first.is_some() && self.meta.header(first).run().granules.get() >= granules {
            return (first, own);
        }
        match self.first_bin_from(own + 1) {
            Some(bin) => (self.first(bin), bin),
            None => (HeaderId::NONE, own),
        }
    }

    /// The first bin from `bin` on that is not empty. *Time:* constant.
    #[inline(always)]
    fn first_bin_from(&self, bin: usize) -> Option<usize> {
        if usize::BITS > 32 && bin >= BIN_COUNT {
            return None; // No 32-bit run is so long.
        }
        let candidates = self.nonempty >> bin;
        (candidates != 0).then(|| bin + candidates.trailing_zeros() as usize)
    }

    /// The first run of `bin`, or none.
    #[inline(always)]
    fn first(&self, bin: usize) -> HeaderId {
        debug_assert!(bin < BIN_COUNT);
        // SAFETY: a bin is made by `bin_of`, which keeps it below BIN_COUNT, or from a bit of `nonempty`
        // that `push` has set.
        unsafe { *self.bins.get_unchecked(bin) }
    }

    /// Makes `run`, which may be none, the first run of `bin`.
    #[inline(always)]
    fn put_first(&mut self, bin: usize, run: HeaderId) {
        debug_assert!(bin < BIN_COUNT);
        // SAFETY: as in `first`; a header's `previous` holds such a bin, too.
        *unsafe { self.bins.get_unchecked_mut(bin) } = run;
    }

    /// Takes `run`, the first of `bin`, out of it, keeps its lower `granules` and makes the rest free.
    #[inline(never)]
    fn split(&mut self, run: HeaderId, bin: usize, granules: usize) {
        let next = self.meta.header(run).next.get();
        self.meta.header(run).below.set(HeaderId::NONE);
        self.set_first(bin, next);
        self.keep(run, granules);
    }

    /// Keeps the lower `granules` of `run`, which is in no bin, as a used run, and makes the rest free.
    #[inline(never)]
    fn keep(&mut self, run: HeaderId, granules: usize) {
        let header = self.meta.header(run);
        let rest = header.run().granules.get() - granules;
        let above = header.run().above.get();
        let after = header.place.get() + bytes_of(granules);
        header.run().granules.set(granules);
        if after > self.untouched {
            self.untouched = after;
        }
        if rest == 0 {
            self.meta.header(above).below.set(HeaderId::NONE);
            return;
        }
        let rest_run = self.meta.id_at(after);
        self.meta.header(run).run().above.set(rest_run);
        self.meta.header(rest_run).place.set(after);
        self.set_extent(rest_run, rest, above);
        self.push(rest_run, bin_of(rest));
    }

    /// Makes the used run `run` exactly `granules` long where it is. False if it cannot be without growth,
    /// and then nothing has changed. *Time:* constant.
    #[inline(always)]
    fn resize(&mut self, run: HeaderId, granules: usize) -> bool {
        let header = self.meta.header(run);
        let old = header.run().granules.get();
        let above = header.run().above.get();
        if granules < old {
            let after = header.place.get() + bytes_of(granules);
            let rest_run = self.meta.id_at(after);
            let rest = self.meta.header(rest_run);
            rest.place.set(after);
            rest.below.set(HeaderId::NONE);
            header.run().granules.set(granules);
            header.run().above.set(rest_run);
            self.give_back(rest_run, old - granules, above);
            return true;
        }
        if granules == old {
            return true;
        }
        let above_header = self.meta.header(above);
        if !above_header.is_free() || above_header.run().granules.get() < granules - old {
            return false;
        }
        self.unlink(above);
        self.absorb(run, above, granules);
        true
    }

    /// Makes the used run `run` exactly `granules` long with the run `above` it, which is in no bin.
    #[inline(always)]
    fn absorb(&mut self, run: HeaderId, above: HeaderId, granules: usize) {
        let header = self.meta.header(run).run();
        let above_header = self.meta.header(above).run();
        let total = header.granules.get() + above_header.granules.get();
        header.granules.set(total);
        header.above.set(above_header.above.get());
        self.keep(run, granules);
    }

    /// A run of exactly `granules` for what the used run `run` holds: `run` itself, where it is, if that can
    /// be; another, to which the caller copies; or none. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn reallocate(&mut self, run: HeaderId, granules: usize) -> HeaderId {
        if self.resize(run, granules) {
            return run;
        }
        let other = self.take(granules);
        if other.is_some() {
            return other; // Moving costs a copy; growing would cost memory.
        }
        if self.grow_above(run, granules) {
            run
        } else {
            self.grow_and_take(granules)
        }
    }

    /// The address of the used run `run`, or zero for none.
    #[inline(always)]
    pub(crate) fn place_of(&self, run: HeaderId) -> usize {
        if run.is_some() {
            self.meta.header(run).place.get()
        } else {
            0
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
        self.put_first(bin, next);
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
        let first = self.first(bin);
        self.link_first(run, bin, first);
    }

    /// Makes `run` the first of `bin`, before `next`.
    #[inline(always)]
    fn link_first(&mut self, run: HeaderId, bin: usize, next: HeaderId) {
        self.put_first(bin, run);
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

    /// Gives back the used run `run`. *Time:* constant.
    #[inline(always)]
    pub(crate) fn free(&mut self, run: HeaderId) {
        let body = self.meta.header(run).run();
        let (granules, above) = (body.granules.get(), body.above.get());
        if !self.push_recent(run, granules) {
            self.give_back(run, granules, above);
        }
    }

    /// Gives back the used run `run` of `granules`, which ends below `above`; merges it with its free
    /// neighbours. *Time:* constant.
    #[inline(never)]
    pub(crate) fn give_back(
        &mut self,
        mut run: HeaderId,
        mut granules: usize,
        mut above: HeaderId,
    ) {
        let above_header = self.meta.header(above);
        if above_header.is_free() {
            granules += above_header.run().granules.get();
            self.unlink(above);
            above = self.meta.header(above).run().above.get();
        }
        let below = self.meta.header(run).below.get();
        if below.is_some() {
            run = below;
            granules += self.meta.header(below).run().granules.get();
            self.unlink(below);
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

//! Runs: neighbouring granules with one header, used or free; bins that find a free run; splitting and
//! merging. All in constant time, without a loop.
//!
//! Free runs are kept in 64 bins by length, four to a doubling, and never lie side by side. A request looks
//! at the first run of its own bin, then takes the first run of the next bin that is not empty: every run
//! there is long enough ("good fit"). A single granule comes from the first bin that is not empty. The free
//! part of a run is split off at its upper end, so low addresses are used first and the last block in a row
//! can grow; only from the heap's end long blocks are taken the other way round.
//!
//! *Source:* two-level segregated fit (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS 2004), with one bitmap,
//! the tags in MetaPages instead of beside the blocks, and a link to the free run below instead of an end
//! tag (Knuth, TAOCP 2.5, Algorithm C).

#[cfg(feature = "check")]
pub(crate) mod check;
mod grow;
mod hardened;

use core::cell::Cell;

use crate::fault::Fault;
use crate::meta_page::{FREE, HeaderId, MetaPages};
use crate::metrics::Recorder;
use crate::source::Source;
use crate::units::{
    GRANULE_SHIFT, HARDENED, KEEPS_FREED, PAGE_GRANULES, PAGE_SHIFT, bytes_of, round_up,
};

/// Bins for free runs.
const BIN_COUNT: usize = 64;
/// Binary logarithm of the bins per doubling of the length: fewer where runs can be longer.
const BINS_PER_DOUBLING_SHIFT: u32 = if usize::BITS > 32 { 1 } else { 2 };

/// MiniPages come and go most often, so those that become free are kept as single granules for the next ones
/// instead of merging with their neighbours: up to so many ..
const RECENT_MAX: usize = 16;
/// .. and of the granules of a heap that may grow, one in so many.
const GROWING_HEAP_SHARE: usize = 4;
/// The same where the memory there is must do: more of it is merged.
const FIXED_HEAP_SHARE: usize = 16;

/// From this length on, what comes from the free run at the heap's end is its upper end. Below that run there is
/// often the block which this one replaces: once it is given back, what both leave free is one run ..
const LONG_GRANULES: usize = 4 * PAGE_GRANULES;
/// .. unless more than one part in four of that run is as the host gave it: it shall stay so. Binary logarithm.
const UNTOUCHED_SHARE_SHIFT: u32 = 2;

/// What MiniPages were, not merged yet. To their neighbours these granules are used runs.
#[derive(Debug)]
struct Recent {
    /// The granule freed last, linked through `next`.
    first: HeaderId,
    /// Granules in the list.
    count: usize,
    /// How many there may be when one more is freed. Follows the heap's length.
    max: usize,
}

/// The bin of a run of `granules`: exact for the shortest, then four to a doubling, or two on 64 bits. Runs of
/// 224 MiB and more share the last, on 64 bits those of 3 TiB and more.
#[inline(always)]
fn bin_of(granules: usize) -> usize {
    let exact = granules | 1 << BINS_PER_DOUBLING_SHIFT;
    let shift = (usize::BITS - 1 - BINS_PER_DOUBLING_SHIFT) - exact.leading_zeros();
    let bin = (granules >> shift) + ((shift as usize) << BINS_PER_DOUBLING_SHIFT);
    bin.min(BIN_COUNT - 1)
}

/// All runs of a heap, and the memory they are made of.
#[derive(Debug)]
pub(crate) struct Runs<S> {
    /// Bit `b` is set when `bins[b]` is not empty.
    nonempty: u64,
    /// The first free run of each bin.
    bins: [HeaderId; BIN_COUNT],
    /// The single granules that were freed last.
    recent: Recent,
    /// The address after the heap's last granule. Zero before the first growth.
    end: usize,
    /// The header of the granule at `end`.
    end_id: HeaderId,
    /// From this address to `end`, nobody has touched the memory since the host gave it zeroed.
    untouched: usize,
    /// Four times the granules from `untouched` to `end` when the memory had grown last: a free run at the end that
    /// has more has been touched for the most part.
    touched_min: usize,
    /// The fault that has stopped this heap, and the address it was found at.
    stopped: Cell<Option<(Fault, usize)>>,
    /// Whether a fault ends the process now, where it could unwind.
    never_unwinds: bool,
    /// How often free runs were put into bins or taken out.
    #[cfg(feature = "check")]
    pub(crate) changes: usize,
    pub(crate) meta: MetaPages<S>,
    pub(crate) record: Recorder,
}

impl<S: Source> Runs<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self {
            nonempty: 0,
            bins: [HeaderId::NONE; BIN_COUNT],
            recent: Recent {
                first: HeaderId::NONE,
                count: 0,
                max: 0,
            },
            end: 0,
            end_id: HeaderId::NONE,
            untouched: 0,
            touched_min: 0,
            stopped: Cell::new(None),
            never_unwinds: false,
            #[cfg(feature = "check")]
            changes: 0,
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
            self.take_recent_or_grow(granules)
        }
    }

    /// Where no free run is long enough: takes a recent granule if that is, or grows the memory.
    #[cold]
    #[inline(never)]
    fn take_recent_or_grow(&mut self, granules: usize) -> HeaderId {
        if granules == 1 {
            let recent = self.pop_recent();
            if recent.is_some() {
                return recent;
            }
        }
        self.grow_and_take(granules)
    }

    /// Takes a recent granule, or none. *Time:* constant.
    #[inline(always)]
    fn pop_recent(&mut self) -> HeaderId {
        if !KEEPS_FREED {
            return HeaderId::NONE;
        }
        let run = self.recent.first;
        if run.is_some() {
            self.recent.count -= 1;
            self.recent.first = self.meta.header(run).next.get();
        }
        run
    }

    /// Remembers the used granule `run`, which nobody needs; false if there are enough. *Time:* constant.
    #[inline(always)]
    fn push_recent(&mut self, run: HeaderId) -> bool {
        let recent = &mut self.recent;
        if !KEEPS_FREED || recent.count >= recent.max {
            return false;
        }
        recent.count += 1;
        self.meta.header(run).next.set(recent.first);
        recent.first = run;
        true
    }

    /// [`allocate`](Self::allocate) for one granule: any free run will do, the first of the shortest bin. Calls
    /// `before_growth` where the memory is about to grow, which may free some. *Time:* as there, and the call's.
    #[inline(always)]
    pub(crate) fn allocate_granule(
        &mut self,
        before_growth: impl FnOnce(&mut Self),
    ) -> Option<HeaderId> {
        let recent = self.pop_recent();
        if recent.is_some() {
            return Some(recent);
        }
        if self.nonempty == 0 {
            if KEEPS_FREED && self.may_grow(false) {
                before_growth(self);
            }
            let run = self.grow_and_take(1);
            return run.is_some().then_some(run);
        }
        let run = self.first(self.nonempty.trailing_zeros() as usize);
        self.split(run, 1);
        Some(run)
    }

    /// Takes `granules`, at least one, from a multiple of `align` on, a power of two above a granule. The
    /// run may start lower, by less than `align`: it keeps what lies before, and the header of the granule
    /// at the address returned leads back to it. That address, or zero. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn allocate_aligned(&mut self, granules: usize, align: usize) -> usize {
        // Wherever a run of this length starts, an aligned one is in it.
        let longest = granules + (align >> GRANULE_SHIFT) - 1;
        let mut run = self.find(longest);
        if !run.is_some() {
            self.grow(longest, false);
            run = self.find(longest);
            if !run.is_some() {
                return 0;
            }
        }
        let place = self.meta.header(run).place.get();
        let address = round_up(place, align);
        self.split(run, granules + ((address - place) >> GRANULE_SHIFT));
        let header = self.meta.header(self.meta.id_at(address));
        header.next.set(run);
        header.place.set(place); // Not its own address: so a block is told apart by its address alone.
        if HARDENED {
            self.lead(run, self.meta.id_at(address));
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
        let run = self.find(granules);
        if run.is_some() {
            if granules >= LONG_GRANULES {
                let header = self.meta.header(run);
                let is_last = header.above.get() == self.end_id;
                if is_last && header.granules.get() > self.touched_min {
                    return self.split_last(run, granules);
                }
            }
            self.split(run, granules);
        }
        run
    }

    /// Makes sure that the next run of `granules` needs no growth. False if the source gives too little.
    pub(crate) fn reserve(&mut self, granules: usize) -> bool {
        let is_there = |runs: &Self| runs.find(granules).is_some();
        if !is_there(self) {
            self.grow(granules, true);
        }
        is_there(self)
    }

    /// A free run of at least `granules`: the first of its own bin, or else of the next bin that is not
    /// empty; none if neither is long enough. *Time:* constant.
    #[inline(always)]
    pub(crate) fn find(&self, granules: usize) -> HeaderId {
        let own = bin_of(granules);
        let first = self.first(own);
        if first.is_some() && self.meta.header(first).granules.get() >= granules {
            return first;
        }
        let wider = self.nonempty >> own & !1;
        if wider == 0 {
            return HeaderId::NONE;
        }
        self.first(own + wider.trailing_zeros() as usize)
    }

    /// The first run of `bin`, or none.
    #[inline(always)]
    fn first(&self, bin: usize) -> HeaderId {
        debug_assert!(bin < BIN_COUNT);
        // SAFETY: a bin is made by `bin_of`, which keeps it below BIN_COUNT, or from a bit of `nonempty`
        // that `put_in` has set.
        unsafe { *self.bins.get_unchecked(bin) }
    }

    /// Makes `run`, which may be none, the first run of `bin`.
    #[inline(always)]
    fn put_first(&mut self, bin: usize, run: HeaderId) {
        debug_assert!(bin < BIN_COUNT);
        // SAFETY: as in `first`; a header's `previous` holds such a bin, too.
        *unsafe { self.bins.get_unchecked_mut(bin) } = run;
    }

    /// Makes the lower `granules` of the free run `run` a used run; the rest stays free.
    #[inline(never)]
    pub(crate) fn split(&mut self, run: HeaderId, granules: usize) {
        if HARDENED {
            self.require_free(run);
            self.require_poison(run);
        }
        self.unlink(run);
        let header = self.meta.header(run);
        let rest = header.granules.get() - granules;
        let above = header.above.get();
        let after = header.place.get() + bytes_of(granules);
        header.below.set(HeaderId::NONE);
        header.granules.set(granules);
        if HARDENED {
            self.lead(run, run);
        }
        if after > self.untouched {
            self.untouched = after;
        }
        self.meta.header(above).below.set(HeaderId::NONE);
        if rest == 0 {
            return;
        }
        let rest_run = self.meta.id_at(after);
        self.meta.header(run).above.set(rest_run);
        self.meta.header(rest_run).place.set(after);
        self.put_in(rest_run, rest, above);
    }

    /// Makes the upper `granules` of `run`, the free run at the heap's end, a used run; the rest stays free.
    #[inline(always)]
    fn split_last(&mut self, run: HeaderId, granules: usize) -> HeaderId {
        if HARDENED {
            self.require_free(run);
            self.require_poison(run);
        }
        self.unlink(run);
        let above = self.end_id;
        self.meta.header(above).below.set(HeaderId::NONE);
        self.untouched = self.end;
        let header = self.meta.header(run);
        header.below.set(HeaderId::NONE);
        let rest = header.granules.get() - granules;
        let place = header.place.get() + bytes_of(rest);
        let used = self.meta.id_at(place);
        let used_header = self.meta.header(used);
        used_header.place.set(place);
        used_header.granules.set(granules);
        used_header.above.set(above);
        if HARDENED {
            self.lead(used, used);
        }
        if rest != 0 {
            self.put_in(run, rest, used);
        }
        used
    }

    /// Makes `run` a free run of `granules` that ends below `above`, the first of its bin.
    #[inline(never)]
    fn put_in(&mut self, run: HeaderId, granules: usize, above: HeaderId) {
        if HARDENED {
            self.poison(run);
        }
        let header = self.meta.header(run);
        header.granules.set(granules);
        header.above.set(above);
        header.below.set(FREE);
        self.meta.header(above).below.set(run);
        self.push(run, bin_of(granules));
    }

    /// Makes the used run `run` have exactly `granules`, where it is; false, and nothing is changed, if that cannot be
    /// without growth. *Time:* constant.
    #[inline(always)]
    pub(crate) fn resize(&mut self, run: HeaderId, granules: usize) -> bool {
        let old = self.meta.header(run).granules.get();
        if granules <= old {
            if granules < old {
                self.shrink(run, granules);
            }
            return true;
        }
        let is_room = self.has_above(run, granules - old);
        if is_room {
            self.extend(run, granules - old);
        }
        is_room
    }

    /// A run of exactly `granules`, more than it has, for what the used run `run` holds, after
    /// [`resize`](Self::resize): another, to which the caller copies; `run` itself, if growth makes room above it; or
    /// none. *Time:* constant, growth apart.
    #[inline(always)]
    pub(crate) fn move_or_grow(&mut self, run: HeaderId, granules: usize) -> HeaderId {
        let other = self.take(granules);
        if other.is_some() {
            return other; // Moving costs a copy; growing would cost memory.
        }
        self.grow_for(run, granules)
    }

    /// Gives back what the used run `run` has beyond its first `granules`, which are fewer than it has.
    #[inline(always)]
    fn shrink(&mut self, run: HeaderId, granules: usize) {
        let header = self.meta.header(run);
        let rest = header.granules.get() - granules;
        let above = header.above.get();
        let after = header.place.get() + bytes_of(granules);
        let rest_run = self.meta.id_at(after);
        header.granules.set(granules);
        header.above.set(rest_run);
        let rest_header = self.meta.header(rest_run);
        rest_header.place.set(after);
        rest_header.below.set(HeaderId::NONE);
        self.give_back(rest_run, rest, above);
    }

    /// Whether a free run of at least `granules` lies above the run `run`.
    #[inline(always)]
    fn has_above(&self, run: HeaderId, granules: usize) -> bool {
        let above = self.meta.header(self.meta.header(run).above.get());
        above.is_free() && above.granules.get() >= granules
    }

    /// Adds the lower `granules` of the free run above the used run `run` to it.
    #[inline(always)]
    fn extend(&mut self, run: HeaderId, granules: usize) {
        let above = self.meta.header(run).above.get();
        self.split(above, granules);
        if HARDENED {
            self.retire(above);
        }
        let header = self.meta.header(run);
        header.granules.set(header.granules.get() + granules);
        header.above.set(self.meta.header(above).above.get());
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

    /// The heap's length in bytes, from its first page to its end.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> usize {
        self.end.wrapping_sub(self.meta.origin())
    }

    /// The number of the heap's end in pages, which changes when it grows.
    #[inline(always)]
    pub(crate) fn end_page(&self) -> usize {
        self.end >> PAGE_SHIFT
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
        self.note_change();
        self.nonempty |= 1 << bin;
        let next = self.first(bin);
        self.put_first(bin, run);
        let header = self.meta.header(run);
        header.next.set(next);
        header.previous.set(HeaderId::from_raw(bin));
        if next.is_some() {
            self.meta.header(next).previous.set(run);
        }
    }

    /// Counts a change, for the walk.
    #[inline(always)]
    #[cfg_attr(
        not(feature = "check"),
        expect(clippy::unused_self, reason = "nobody walks")
    )]
    fn note_change(&mut self) {
        #[cfg(feature = "check")]
        {
            self.changes = self.changes.wrapping_add(1);
        }
    }

    /// Takes the free run `run` out of its bin.
    #[inline(never)]
    fn unlink(&mut self, run: HeaderId) {
        self.note_change();
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

    /// Gives back the used run `run`. Built for speed, all of its code is in place: that makes a program's function that
    /// gives back too long to be copied to each place where the size is not constant. *Time:* constant.
    #[inline(always)]
    pub(crate) fn free(&mut self, run: HeaderId) {
        let header = self.meta.header(run);
        let (granules, above) = (header.granules.get(), header.above.get());
        if cfg!(built_for_size) {
            self.give_back(run, granules, above);
        } else {
            self.give_back_in_place(run, granules, above);
        }
    }

    /// [`free`](Self::free) for a run that is known to have `granules`.
    #[inline(always)]
    pub(crate) fn free_exactly(&mut self, run: HeaderId, granules: usize) {
        let above = self.meta.header(run).above.get();
        self.give_back(run, granules, above);
    }

    /// [`free`](Self::free) for a MiniPage, which may become a recent granule.
    #[inline(always)]
    pub(crate) fn free_mini_page(&mut self, run: HeaderId) {
        if !self.push_recent(run) {
            self.free_exactly(run, 1);
        }
    }

    /// Makes the used run `run` of `granules`, which ends below `above`, a free one, with its free
    /// neighbours. *Time:* constant.
    #[inline(never)]
    pub(crate) fn give_back(&mut self, run: HeaderId, granules: usize, above: HeaderId) {
        self.give_back_in_place(run, granules, above);
    }

    /// [`give_back`](Self::give_back), in place.
    #[inline(always)]
    fn give_back_in_place(&mut self, mut run: HeaderId, mut granules: usize, mut above: HeaderId) {
        let above_header = self.meta.header(above);
        let below = self.meta.header(run).below.get();
        if HARDENED {
            // Both, before anything is changed.
            if above_header.is_free() {
                self.require_free(above);
            }
            if below.is_some() {
                self.require_free(below);
            }
        }
        if above_header.is_free() {
            if HARDENED {
                self.retire(above);
            }
            granules += above_header.granules.get();
            self.unlink(above);
            above = self.meta.header(above).above.get();
        }
        if below.is_some() {
            if HARDENED {
                self.retire(run);
            }
            run = below;
            granules += self.meta.header(below).granules.get();
            self.unlink(below);
        }
        self.put_in(run, granules, above);
    }
}

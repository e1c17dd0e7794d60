//! Runs: neighbouring granules, used or free, found by the record of their first; bins that find a free run;
//! splitting and merging. All in constant time, without a loop.
//!
//! Free runs are kept in bins by length, four to a doubling, and never lie side by side. A bin is a list that starts at a
//! record of its own and ends at record 0, which anybody may write to, so that taking out and putting in ask neither for
//! the first nor for the last. A request looks at the first run of its own bin, then takes the first run of the next bin
//! that is not empty: every run there is long enough ("good fit"). The free part of a run is split off at its upper end,
//! so low addresses are used first and the last block in a row can grow; only from the heap's end long blocks are taken
//! the other way round.
//!
//! *Source:* two-level segregated fit (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS 2004), with one bitmap,
//! the tags in records instead of beside the blocks, and a link to the free run below instead of an end
//! tag (Knuth, TAOCP 2.5, Algorithm C).

#![expect(
    clippy::cast_possible_truncation,
    reason = "no table is longer than a record can say"
)]

#[cfg(feature = "check")]
pub(crate) mod check;
mod grow;
mod hardened;

use core::cell::Cell;
use core::marker::PhantomData;

pub(crate) use self::grow::LOOKS_MAX;
use self::hardened::RETIRED;
use crate::fault::Fault;
use crate::metrics::Recorder;
use crate::policy::Policy;
use crate::records::{ALIGNED, BIN_LAST, GRANULE, Id, Length, Records, View, bin_of};
use crate::size_class::ClassInfo;
use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, PAGE_GRANULES, round_up};

/// The bit of `nonempty` for no bin: always set once there is a table.
const NO_BIN: u64 = 1 << (BIN_LAST + 1);

/// From this length on, what comes from the free run at the heap's end is its upper end. Below that run there is
/// often the block which this one replaces: once it is given back, what both leave free is one run ..
const LONG: Length = 4 * PAGE_GRANULES as Length * GRANULE;
/// .. unless more than one part in four of that run is as the host gave it: it shall stay so.
const UNTOUCHED_SHARE: u32 = 4;

/// The length of a run that holds `bytes`, at most [`REQUEST_BYTES_MAX`](crate::units::REQUEST_BYTES_MAX).
#[inline(always)]
pub(crate) const fn length_for(bytes: usize) -> Length {
    ((bytes + (GRANULE_BYTES - 1)) >> (GRANULE_SHIFT - GRANULE.ilog2())) as Length & !(GRANULE - 1)
}

/// All runs of a heap, and the memory they are made of.
#[derive(Debug)]
pub(crate) struct Runs<S, P> {
    /// Bit `b` is set when bin `b` is not empty. Zero before there is a table.
    nonempty: Cell<u64>,
    /// The record after the heap's last granule.
    end: Cell<Id>,
    /// The run that the table is in, the heap's last: none before there is one.
    pub(crate) table: Cell<Id>,
    /// From this record to the table, nobody has touched the memory since the host gave it zeroed.
    untouched: Cell<Id>,
    /// The fault that has stopped this heap, and the address it was found at.
    stopped: Cell<Option<(Fault, usize)>>,
    /// Whether a fault ends the process now, where it could unwind.
    never_unwinds: Cell<bool>,
    /// How often free runs were put into bins or taken out.
    #[cfg(feature = "check")]
    pub(crate) changes: Cell<usize>,
    pub(crate) records: Records<S>,
    pub(crate) recorder: Recorder,
    policy: PhantomData<P>,
}

impl<S: Source, P: Policy> Runs<S, P> {
    pub(crate) const fn new(source: S) -> Self {
        Self {
            nonempty: Cell::new(0),
            end: Cell::new(Id::NONE),
            table: Cell::new(Id::NONE),
            untouched: Cell::new(Id::NONE),
            stopped: Cell::new(None),
            never_unwinds: Cell::new(false),
            #[cfg(feature = "check")]
            changes: Cell::new(0),
            records: Records::new(source),
            recorder: Recorder::NEW,
            policy: PhantomData,
        }
    }

    /// A free run of at least `length`: the first of its own bin, or else of the next bin that is not empty; none if
    /// neither is long enough. *Time:* constant.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    pub(crate) fn find(&self, length: Length) -> Id {
        let bin = bin_of(length);
        let nonempty = self.nonempty.get() >> bin;
        if nonempty == 0 {
            return Id::NONE; // There is no table yet.
        }
        if P::HARDENED {
            self.require_intact();
        }
        let at = self.records.view();
        let first = |bin: u32| at.record(Id::start_of(bin)).next.get();
        let own = first(bin);
        if at.record(own).length.get() >= length {
            return own; // Record 0 has no length.
        }
        first(bin + (nonempty & !1).trailing_zeros())
    }

    /// [`find`](Self::find) for a length whose bin, `bin`, holds no other: any run of the first bin that is not empty will
    /// do.
    #[inline(always)]
    pub(crate) fn find_exact(&self, bin: u32) -> Id {
        let nonempty = self.nonempty.get() >> bin;
        if nonempty == 0 {
            return Id::NONE;
        }
        self.first(bin + nonempty.trailing_zeros())
    }

    /// The longest run that [`find`](Self::find) is sure to find: the first of the last bin that is not empty.
    pub(crate) fn longest_found(&self) -> Length {
        let nonempty = self.nonempty.get() & !NO_BIN;
        if nonempty == 0 {
            return 0;
        }
        if P::HARDENED {
            self.require_intact();
        }
        let run = self.first(nonempty.ilog2());
        self.records.record(run).length.get()
    }

    /// The first run of `bin`, or none.
    #[inline(always)]
    fn first(&self, bin: u32) -> Id {
        self.records.record(Id::start_of(bin)).next.get()
    }

    /// Makes `length` of the free run `run`, which is long enough, a used run, which is returned. *Time:* constant.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    pub(crate) fn cut(&self, run: Id, length: Length) -> Id {
        if cfg!(thread_caches) {
            return self.split_end(run, length, length >= LONG && self.is_for_long(run));
        }
        if length >= LONG && self.is_for_long(run) {
            return self.split_last(run, length);
        }
        self.split(run, length);
        run
    }

    /// Whether long blocks are to come from the upper end of the free run `run`.
    #[inline(always)]
    fn is_for_long(&self, run: Id) -> bool {
        let free = self.records.record(run).length.get();
        let top = self.table.get();
        let untouched = top.distance_from(self.untouched.get().min(top));
        run.above(free) == top && free / UNTOUCHED_SHARE > untouched
    }

    /// Makes what `length` from a multiple of `align` on, a power of two above a granule, takes of the free run `run`,
    /// which is long enough, a used run. It may start lower, by less than `align`: it keeps what lies before, and the
    /// record of the block's first granule leads back to it. That granule's address. *Time:* constant.
    #[cfg_attr(thread_caches, inline(always))]
    #[cfg_attr(not(thread_caches), inline(never))]
    pub(crate) fn cut_aligned(&self, run: Id, length: Length, align: usize) -> usize {
        let place = self.records.place(run);
        let address = round_up(place, align);
        let before = length_for(address - place);
        self.split(run, length + before);
        let record = self.records.record(run.above(before));
        if before != 0 {
            record.length.set(ALIGNED);
            if P::HARDENED {
                self.lead(run, run.above(before));
            }
        }
        record.next.set(run);
        address
    }

    /// Makes the lower `length` of the free run `run` a used run; the rest stays free.
    #[cfg_attr(any(built_for_size, thread_caches), inline(always))]
    #[cfg_attr(not(any(built_for_size, thread_caches)), inline(never))]
    pub(crate) fn split(&self, run: Id, length: Length) {
        self.split_end(run, length, false);
    }

    /// Makes the upper `length` of the highest free run `run` a used run, which is returned.
    #[cfg_attr(any(built_for_size, thread_caches), inline(always))]
    #[cfg_attr(not(any(built_for_size, thread_caches)), inline(never))]
    fn split_last(&self, run: Id, length: Length) -> Id {
        self.split_end(run, length, true)
    }

    /// Makes `length` of the free run `run`, its upper end or its lower one, a used run, which is returned.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    fn split_end(&self, run: Id, length: Length, is_upper: bool) -> Id {
        let at = self.records.view();
        if P::HARDENED {
            self.require_intact();
            self.require_poison(run);
        }
        let nonempty = self.unlink(at, run, self.nonempty.get());
        let record = at.record(run);
        record.below.set(Id::NONE);
        let rest = record.length.get() - length;
        let mut used = run;
        let mut left = run.above(length);
        if is_upper {
            (used, left) = (run.above(rest), run);
        }
        let record = at.record(used);
        record.length.set(length);
        if P::HARDENED {
            record.next.set(Id::NONE);
        }
        let above = used.above(length);
        if above > self.untouched.get() {
            self.untouched.set(above);
        }
        if is_upper || rest == 0 {
            at.record(above).below.set(Id::NONE);
        }
        if rest == 0 {
            self.nonempty.set(nonempty);
            return used;
        }
        if P::HARDENED {
            self.poison(left);
        }
        self.link(at, left, rest, nonempty);
        used
    }

    /// Makes the run `run` of `length`, which has no free neighbours, a free one, the first of its bin. `nonempty` is
    /// which bins are not empty so far.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    fn link(&self, at: View<'_, S>, run: Id, length: Length, nonempty: u64) {
        self.note_change();
        let record = at.record(run);
        record.below.set(Id::FREE);
        at.record(run.above(length)).below.set(run);
        let bin = bin_of(length);
        self.nonempty.set(nonempty | 1 << bin);
        let start = Id::start_of(bin);
        let first = &at.record(start).next;
        let next = first.get();
        first.set(run);
        at.record(next).previous.set(run);
        record.length.set(length);
        record.next.set(next);
        record.previous.set(start);
    }

    /// Takes the free run `run` out of its bin; `nonempty` without that bin if it is empty now: then what is before it, the
    /// record that tells the bin, and what is after it, record 0, are both no granule's.
    #[inline(always)]
    fn unlink(&self, at: View<'_, S>, run: Id, nonempty: u64) -> u64 {
        self.note_change();
        if P::HARDENED {
            self.require_linked(at, run);
        }
        let record = at.record(run);
        let (next, previous) = (record.next.get(), record.previous.get());
        at.record(previous).next.set(next);
        at.record(next).previous.set(previous);
        let was_alone = !next.or(previous).is_granule();
        nonempty ^ u64::from(was_alone).wrapping_shl(previous.bin())
    }

    /// Counts a change, for the walk.
    #[inline(always)]
    #[cfg_attr(
        not(feature = "check"),
        expect(clippy::unused_self, reason = "nobody walks")
    )]
    fn note_change(&self) {
        #[cfg(feature = "check")]
        self.changes.set(self.changes.get().wrapping_add(1));
    }

    /// Gives back the used run `run` of `length`, with its free neighbours. *Time:* constant.
    #[cfg_attr(thread_caches, inline(always))]
    #[cfg_attr(not(thread_caches), inline(never))]
    pub(crate) fn free(&self, mut run: Id, mut length: Length) {
        let at = self.records.view();
        let above = run.above(length);
        let is_above_free = at.record(above).is_free();
        let below = at.record(run).below.get();
        let mut nonempty = self.nonempty.get();
        if is_above_free {
            nonempty = self.unlink(at, above, nonempty);
            length += at.record(above).length.get();
            if P::HARDENED {
                at.record(above).length.set(RETIRED);
            }
        }
        if below.is_some() {
            nonempty = self.unlink(at, below, nonempty);
            length += at.record(below).length.get();
            if P::HARDENED {
                at.record(run).length.set(RETIRED);
            }
            run = below;
        } else if P::HARDENED {
            self.poison(run);
        }
        self.link(at, run, length, nonempty);
    }

    /// Makes the used run `run` of `old` one of `new` where it is; false, and nothing is changed, if that cannot be
    /// without growth. *Time:* constant.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    pub(crate) fn resize(&self, run: Id, old: Length, new: Length) -> bool {
        let at = self.records.view();
        if new > old {
            return self.extend(run, old, new);
        }
        if new < old {
            let rest = run.above(new);
            at.record(run).length.set(new);
            at.record(rest).below.set(Id::NONE);
            self.free(rest, old - new);
        }
        true
    }

    /// Takes what the used run `run` of `old` lacks of `new` from the free run above it, if that is long enough.
    #[cfg_attr(thread_caches, inline(always))]
    #[cfg_attr(not(thread_caches), inline(never))]
    pub(crate) fn extend(&self, run: Id, old: Length, new: Length) -> bool {
        let at = self.records.view();
        let above = run.above(old);
        let record = at.record(above);
        if !record.is_free() || record.length.get() < new - old {
            return false;
        }
        self.split(above, new - old);
        if P::HARDENED {
            self.retire(above);
        }
        at.record(run).length.set(new);
        true
    }

    /// Whether the used run `run` of `length` is the last below the table but for a free one.
    #[cold]
    #[inline(never)]
    pub(crate) fn is_last(&self, run: Id, length: Length) -> bool {
        let mut above = run.above(length);
        let record = self.records.record(above);
        if record.is_free() {
            above = above.above(record.length.get());
        }
        above == self.table.get()
    }

    /// Makes the first granules of the free run `run` a MiniPage of the class that `info` is of. Its word is zero.
    /// *Time:* constant.
    #[inline(always)]
    pub(crate) fn split_mini_page(&self, run: Id, info: &ClassInfo) {
        let granules = u32::from(info.granules);
        self.split(run, granules * GRANULE);
        let at = self.records.view();
        at.set_mini_page(run, info.class, 0);
        if granules > 1 {
            at.set_mini_page(run, info.class, 1);
            if granules > 2 {
                at.set_mini_page(run, info.class, 2);
                at.set_mini_page(run, info.class, 3);
            }
        }
    }

    /// Gives back the MiniPage that is the run `run`, none of whose slots is in use. *Time:* constant.
    #[inline(always)]
    pub(crate) fn free_mini_page(&self, run: Id, info: &ClassInfo) {
        let granules = u32::from(info.granules);
        if P::HARDENED {
            let at = self.records.view();
            for number in 1..4 {
                if number < granules {
                    at.record(run.above(number * GRANULE)).length.set(RETIRED);
                }
            }
        }
        self.free(run, granules * GRANULE);
    }

    /// The address from which on all below the table is as the host gave it, zero.
    #[inline(always)]
    pub(crate) fn untouched(&self) -> usize {
        self.records.place(self.untouched.get())
    }

    /// The granules that the heap has, from its first to its end, whoever owns those between.
    #[inline(always)]
    pub(crate) fn length(&self) -> Length {
        self.end.get().distance_from(self.records.first())
    }
}

/// Wherever a run of this length starts, `length` from a multiple of `align` on is in it.
#[inline(always)]
pub(crate) fn aligned_length(length: Length, align: usize) -> Length {
    length + length_for(align - GRANULE_BYTES)
}

//! Where no free run is long enough: what the heap keeps for itself is given back, or the memory grows. Who flushes whom
//! is decided here. All of it is off the real-time path.

use super::Heap;
use crate::policy::Policy;
use crate::records::{Id, Length};
use crate::runs::aligned_length;
use crate::source::Source;

/// A request for at least one part in so many of the heap makes it gather what it keeps before it grows: the longest
/// free run of a heap with no block in use is no shorter without that, if nothing but the table parts it.
const GATHERING_SHARE: Length = 2;

impl<S: Source, P: Policy> Heap<S, P> {
    /// A run of `length`, for which there is no free run; or none.
    #[cold]
    #[inline(never)]
    pub(super) fn take_run_elsewhere(&self, length: Length) -> Id {
        self.make_room(length, false);
        let run = self.runs.take_any(length);
        self.runs.note_untouched();
        run
    }

    /// As [`Runs::take_aligned`](crate::runs::Runs::take_aligned), where there is no free run for that.
    #[cold]
    #[inline(never)]
    pub(super) fn take_aligned_elsewhere(&self, length: Length, align: usize) -> usize {
        self.make_room(aligned_length(length, align), false);
        self.runs.take_aligned(length, align)
    }

    /// A run of `length` for what the used run `run` of `old`, fewer, holds: itself, if it is the heap's last and the
    /// memory grows; another; or none.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_run(&self, run: Id, old: Length, length: Length) -> Id {
        if self.runs.is_last(run, old) {
            self.make_room(length - old, false);
            if self.runs.extend(run, old, length) {
                self.runs.note_untouched();
                return run;
            }
        }
        self.take_run_elsewhere(length)
    }

    /// Makes sure that the next run of `length` needs no growth. False if the source gives too little.
    pub(super) fn reserve_run(&self, length: Length) -> bool {
        if !self.runs.finds(length) {
            self.make_room(length, true);
        }
        self.runs.finds(length)
    }

    /// Tries to make a free run of `length`, for which there is none.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self, length: Length, reservation: bool) {
        let gathers = length >= self.runs.length() / GATHERING_SHARE;
        if gathers && self.runs.may_grow(reservation) {
            self.gather(false);
            if self.runs.finds(length) {
                return;
            }
        }
        self.runs.grow(length, reservation, true);
        if !self.runs.finds(length) {
            self.gather(true);
            if !self.runs.finds(length) {
                self.runs.grow(length, reservation, false);
            }
        }
    }

    /// Gives back what is kept for the next request: magazines, and what classes work from; and moves the table of
    /// records to where it parts less free memory. If it `shrinks`, that is then no longer than it must be.
    ///
    /// *Time:* linear in the records, else constant.
    #[cold]
    #[inline(never)]
    pub(crate) fn gather(&self, shrinks: bool) {
        for state in &self.classes {
            state.flush(&self.runs);
        }
        self.runs.lower_table(shrinks);
    }
}

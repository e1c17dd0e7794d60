//! Where no free run is long enough: what the heap keeps for itself is given back, or the memory grows. Who flushes whom
//! is decided here. All of it is off the real-time path.

use super::Heap;
use crate::policy::Policy;
use crate::records::{Id, Length};
use crate::source::Source;

/// A request for at least one part in so many of the heap makes it gather what it keeps before it grows: the longest
/// free run of a heap with no block in use is no shorter without that, if nothing but the table parts it.
const GATHERING_SHARE: Length = 2;

impl<S: Source, P: Policy> Heap<S, P> {
    /// A free run of `length`, for which there is none; or none.
    #[cold]
    #[inline(never)]
    pub(super) fn find_elsewhere(&self, length: Length) -> Id {
        self.make_room(length, false, false);
        self.runs.find(length)
    }

    /// A run of `length` for what the used run `run` of `old`, fewer, holds: itself, if it is the heap's last and the
    /// memory grows; another; or none.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_run(&self, run: Id, old: Length, length: Length) -> Id {
        let lifts = self.runs.is_last_but_table(run, old, length);
        if lifts || self.runs.is_last(run, old) {
            self.make_room(length - old, false, lifts);
            if self.runs.extend(run, old, length) {
                return run;
            }
        }
        let free = self.find_elsewhere(length);
        if free.is_some() {
            self.runs.cut(free, length)
        } else {
            free
        }
    }

    /// Makes sure that the next run of `length` needs no growth. False if the source gives too little.
    pub(super) fn reserve_run(&self, length: Length) -> bool {
        if !self.runs.finds(length) {
            self.make_room(length, true, false);
        }
        self.runs.finds(length)
    }

    /// Tries to make a free run of `length`, for which there is none: at the heap's end with what is free below the table,
    /// if growth `lifts` that.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self, length: Length, reservation: bool, lifts: bool) {
        let is_large = length >= self.runs.length() / GATHERING_SHARE;
        if is_large && self.runs.records.is_there() && self.runs.may_grow(reservation) {
            self.gather();
            if self.runs.finds(length) {
                return;
            }
        }
        self.runs.grow(length, reservation, true, lifts);
        if !self.runs.finds(length) {
            self.gather();
            self.runs.fit_table(length);
            self.runs.bring_forward(length);
            if !self.runs.finds(length) {
                self.runs.grow(length, reservation, false, false);
            }
        }
    }

    /// Gives back what is kept for the next request: magazines, and what classes work from; and moves the table of
    /// records to where it parts less free memory.
    ///
    /// *Time:* linear in the records, else constant. Its name is known to `alligator bound`: calls that come here have a
    /// bound of their own.
    #[cold]
    #[inline(never)]
    pub(crate) fn gather(&self) {
        for state in &self.classes {
            state.flush(&self.runs);
        }
        self.runs.lower_table();
    }
}

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
        let free = self.make_room(length, false, false);
        if free.is_some() {
            self.runs.cut(free, length)
        } else {
            free
        }
    }

    /// Makes sure that the next run of `length` needs no growth. False if the source gives too little.
    pub(super) fn reserve_run(&self, length: Length) -> bool {
        self.runs.look(length).is_some() || self.make_room(length, true, false).is_some()
    }

    /// Tries to make a free run of `length`, for which there is none: at the heap's end with what is free below the table,
    /// if growth `lifts` that. The run, or none.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self, length: Length, reservation: bool, lifts: bool) -> Id {
        let share = self.runs.length() / GATHERING_SHARE;
        let is_large = self.runs.records.is_there() && length >= share;
        if !is_large {
            self.runs.grow(length, reservation, true, lifts);
            let run = self.runs.look(length);
            if run.is_some() {
                return run;
            }
        }
        self.gather();
        let run = self.runs.look_far(length);
        if run.is_some() {
            return run;
        }
        if is_large {
            self.runs.grow(length, reservation, true, lifts);
            let run = self.runs.look(length);
            if run.is_some() {
                return run;
            }
        }
        self.runs.fit_table(length, reservation);
        self.runs.grow(length, reservation, false, false);
        self.runs.look(length)
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

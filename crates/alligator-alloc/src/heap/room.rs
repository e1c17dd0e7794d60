//! Where no free run is long enough: what the heap keeps for itself is given back, or the memory grows. Who flushes whom
//! is decided here. All of it is off the real-time path.

use super::Heap;
use crate::policy::Policy;
use crate::records::{GRANULE, Id, Length};
use crate::size_class::CLASS_COUNT;
use crate::source::Source;
use crate::units::bytes_of;

/// A request for at least one part in so many of the heap makes it gather what it keeps before it grows: if no block is
/// in use, all the heap has is one free run then.
const GATHERING_SHARE: Length = 2;

/// Where this number stands in a module, a heap gathers. `alligator bound` knows it, whatever is left of names: calls that
/// come there have a bound of their own.
const GATHERING: u64 = 0x6A7B_1C5E_93D8_42F1;

impl<S: Source, P: Policy> Heap<S, P> {
    /// Room for `length`, if no free run is that long, for what the used run `run` of `old`, fewer, holds: itself, which is
    /// that long now, if it is the heap's last and the memory grows; a free run; or none.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_run(&self, run: Id, old: Length, length: Length) -> Id {
        if self.runs.is_last(run, old) {
            self.runs.grow(length - old, false);
            if self.runs.extend(run, old, length) {
                return run;
            }
        }
        self.make_room_for(run, old, length, false)
    }

    /// Makes sure that the next run of `length` needs no growth. False if the source gives too little.
    pub(super) fn reserve_run(&self, length: Length) -> bool {
        self.runs.look(length).is_some() || self.make_room(length, true).is_some()
    }

    /// Tries to make a free run of `length`, for which there is none. The run, or none.
    #[inline(always)]
    pub(super) fn make_room(&self, length: Length, reservation: bool) -> Id {
        self.make_room_for(Id::NONE, 0, length, reservation)
    }

    /// As [`make_room`](Self::make_room); or, if what the heap kept was in its way, makes the used run `used` of `old`, if
    /// there is one, that long where it is, and returns it.
    #[cold]
    #[inline(never)]
    fn make_room_for(&self, used: Id, old: Length, length: Length, reservation: bool) -> Id {
        if P::HARDENED && self.runs.records.is_there() {
            self.runs.require_intact(); // Growth puts another word before the table.
        }
        let is_small =
            length < self.runs.length() / GATHERING_SHARE || !self.runs.records.is_there();
        if is_small {
            self.runs.grow(length, reservation);
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
        let mut missing = length;
        if used.is_some() {
            if self.runs.extend(used, old, length) {
                return used;
            }
            if self.runs.is_last(used, old) {
                missing -= old;
            }
        }
        self.runs.grow(missing, reservation);
        if used.is_some() && self.runs.extend(used, old, length) {
            return used;
        }
        self.runs.look(length)
    }

    /// Gives back what is kept for the next request: magazines, and what classes work from.
    ///
    /// *Time:* constant.
    #[cold]
    #[inline(never)]
    pub(crate) fn gather(&self) {
        // SAFETY: it is a cell of this heap. Volatile, so that the number stays in the module.
        unsafe { self.gathered.as_ptr().write_volatile(GATHERING) };
        for state in &self.classes {
            state.flush(&self.runs);
        }
    }

    /// [`trim`](Self::trim).
    pub(crate) fn trim_classes(&self, classes: usize) -> bool {
        if P::HARDENED {
            self.runs.require_no_fault();
            if self.runs.records.is_there() {
                self.runs.require_intact();
            }
        }
        // A constant number of turns in the code, which a prover of bounds can see.
        for turn in 0..CLASS_COUNT {
            if turn == classes {
                break;
            }
            let class = self.next_trimmed.get();
            if let Some(state) = self.classes.get(class) {
                state.flush(&self.runs);
            }
            self.next_trimmed.set((class + 1) % CLASS_COUNT);
        }
        self.next_trimmed.get() == 0
    }

    /// [`heap_bytes`](Self::heap_bytes).
    pub(crate) fn bytes_in_all(&self) -> usize {
        bytes_of((self.runs.length() / GRANULE) as usize)
            * usize::from(self.runs.records.is_there())
    }

    /// [`largest_free`](Self::largest_free).
    pub(crate) fn bytes_of_largest_free(&self) -> usize {
        bytes_of((self.runs.longest_found() / GRANULE) as usize)
    }
}

//! Runs: neighbouring granules with one header, used or free; finding, splitting and merging. All in constant
//! time, without a loop.
//!
//! ```text
//! take    | free                 |     | used      | rest, free |
//! free    | free | used | free   |     | free                   |
//! ```
//!
//! *Source:* two-level segregated fit (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS 2004), with one bitmap, and a
//! link to the free run below instead of an end tag (Knuth, TAOCP 2.5, Algorithm C).

use super::Heap;
use super::headers::Id;
use super::sizes::list_of;
use crate::policy::Policy;
use crate::source::Source;

impl<S: Source, P: Policy> Heap<S, P> {
    /// A free run of at least `bytes`: the first of its own list, or else of the next list that is not empty;
    /// none if neither is long enough. *Time:* constant.
    pub(super) fn find(&self, bytes: usize) -> Id {
        let list = list_of(bytes);
        let first = self.first(list);
        if first.is_some() && self.header(first).bytes.get() >= bytes {
            return first;
        }
        let longer = self.nonempty & (!1 << list);
        self.first(longer.trailing_zeros() as usize) // If there is no such list, there is no run in list 64.
    }

    /// Makes sure that the next run of `bytes` needs no growth. False if the source gives too little.
    pub(super) fn reserve_run(&mut self, bytes: usize) -> bool {
        if !self.find(bytes).is_some() {
            self.grow(bytes, true);
        }
        self.find(bytes).is_some()
    }

    /// Takes a run of `bytes`, whole granules, or none; grows the memory if there is none and the source allows
    /// it. *Time:* constant, growth apart.
    pub(super) fn take(&mut self, bytes: usize) -> Id {
        let mut run = self.find(bytes);
        if !run.is_some() {
            self.grow(bytes, false);
            run = self.find(bytes);
            if !run.is_some() {
                return Id::NONE;
            }
        }
        let rest = self.unlink(run) - bytes;
        self.header(run).bytes.set(bytes);
        let above = run.above(bytes);
        self.header(above).below.set(Id::NONE);
        if rest != 0 {
            self.put_in(above, rest);
        }
        run
    }

    /// Makes the used run `run` of `bytes` a free one, with its free neighbours. *Time:* constant.
    pub(super) fn free_run(&mut self, mut run: Id, mut bytes: usize) {
        let above = run.above(bytes);
        if self.header(above).is_free() {
            bytes += self.unlink(above);
        }
        let below = self.header(run).below.get();
        if below.is_some() {
            bytes += self.unlink(below);
            run = below;
        }
        self.put_in(run, bytes);
    }

    /// Makes `run` a free run of `bytes`, whose neighbours are in use.
    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline(always))]
    fn put_in(&mut self, run: Id, bytes: usize) {
        self.header(run.above(bytes)).below.set(run);
        self.push(run, bytes);
    }
}

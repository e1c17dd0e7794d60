//! Path refinement: the longest path that can really be taken.
//!
//! A best-first search over paths, in the order of an upper limit: cost so far plus the plain
//! longest path from there on. Paths whose branches contradict each other are dropped. The first
//! path to end has a cost that no open path can exceed, so it bounds all. If the search is stopped
//! early, the limit of the best open path is reported instead, which is a bound as well.

mod facts;
mod liveness;
mod machine;
mod memory;
mod operators;
mod range;
mod term;

use core::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::rc::Rc;

use machine::{Advance, Machine, State};
pub use machine::{Event, Growth, Step};

use crate::path::Analysis;

/// Branches followed before a search stops, unless told otherwise.
pub const STEPS_DEFAULT: u64 = 200_000;

/// Open paths kept at most.
const OPEN_MAX: usize = 400_000;

/// What a search found.
#[derive(Debug, Clone)]
pub struct Refined {
    /// No path of the kind searched costs more.
    pub bound: u64,
    /// Whether the search ended: the bound is the cost of a path that could not be refuted.
    pub complete: bool,
    /// Branches followed.
    pub steps: u64,
    /// The longest path, or the longest open one, last step first.
    pub trail: Option<Rc<Step>>,
}

struct Open {
    limit: u64,
    order: u64,
    done: bool,
    state: State,
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equal limits the one further along goes first, then the newest: deterministic.
        (self.limit, self.done, self.state.cost, self.order).cmp(&(
            other.limit,
            other.done,
            other.state.cost,
            other.order,
        ))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

/// Searches the longest path of a function that can be taken; `None` when there is none.
pub fn longest_path(
    analysis: &Analysis<'_, '_>,
    function: u32,
    growth: Growth,
    steps_max: u64,
) -> Option<Refined> {
    search(analysis, function, growth, true, steps_max)
}

/// The longest path whether or not it can be taken: the one that makes the plain figure.
pub fn plain_path(
    analysis: &Analysis<'_, '_>,
    function: u32,
    growth: Growth,
    steps_max: u64,
) -> Option<Refined> {
    search(analysis, function, growth, false, steps_max)
}

fn search(
    analysis: &Analysis<'_, '_>,
    function: u32,
    growth: Growth,
    refutes: bool,
    steps_max: u64,
) -> Option<Refined> {
    let mut search = Search {
        machine: Machine::new(analysis, growth, refutes),
        open: BinaryHeap::new(),
        seen: HashSet::new(),
        order: 0,
    };
    let start = search.machine.start(function);
    search.add(start);
    search.run(steps_max)
}

struct Search<'s, 'm, 'a> {
    machine: Machine<'s, 'm, 'a>,
    open: BinaryHeap<Open>,
    seen: HashSet<Box<[u32]>>,
    order: u64,
}

impl Search<'_, '_, '_> {
    fn add(&mut self, state: State) {
        self.order += 1;
        let done = state.frame.at == usize::MAX;
        let limit = if done {
            Some(state.cost)
        } else {
            self.machine.limit(&state)
        };
        if let Some(limit) = limit {
            self.open.push(Open {
                limit,
                order: self.order,
                done,
                state,
            });
        }
    }

    fn run(&mut self, steps_max: u64) -> Option<Refined> {
        let mut steps = 0;
        while let Some(best) = self.open.pop() {
            let stopped = steps >= steps_max || self.open.len() >= OPEN_MAX;
            if best.done || stopped {
                return Some(Refined {
                    bound: best.limit,
                    complete: best.done,
                    steps,
                    trail: best.state.trail,
                });
            }
            let mut state = best.state;
            // A state met before was met at no lower cost: its continuations are covered.
            if !self.seen.insert(self.machine.condense(&mut state)) {
                continue;
            }
            steps += 1;
            match self.machine.advance(state) {
                Advance::Fork(states) => states.into_iter().for_each(|state| self.add(state)),
                Advance::Done(mut state) => {
                    state.frame.at = usize::MAX;
                    self.add(*state);
                }
            }
        }
        None
    }
}

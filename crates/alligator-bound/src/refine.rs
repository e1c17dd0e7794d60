//! Path refinement: the longest path that can really be taken.
//!
//! A best-first search over paths, in the order of an upper limit: cost so far plus the plain
//! longest path from there on. Paths whose branches contradict each other are dropped. The first
//! path to end has a cost that no open path can exceed, so it bounds all. If the search is stopped
//! early, the limit of the best open path is reported instead, which is a bound as well.
//!
//! A search ends for any input: it follows so many branches, does so much work and keeps so much
//! in memory at most. All three are counted, not timed, so that a report is the same everywhere.

mod facts;
mod liveness;
mod machine;
mod memory;
mod operators;
mod range;
mod term;

use core::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

use facts::Facts;
use machine::{Advance, Machine, State};
pub use machine::{Event, Step};

use crate::path::{Analysis, Growth};

/// Branches followed before a search stops, unless told otherwise.
pub const STEPS_DEFAULT: u64 = 50_000;

/// Work that goes with each branch that may be followed, in about one word looked at.
const EFFORT_PER_STEP: u64 = 2_000;

/// Memory kept at most, in words of 4 to 8 bytes.
const WORDS_MAX: usize = 1 << 25;

/// Sets of facts compared at one place. More only make the search longer.
const FACTS_COMPARED_MAX: usize = 64;

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

/// What became of a search.
#[derive(Debug, Clone)]
pub struct Searched {
    /// The longest path; `None` when there is none.
    pub longest: Option<Refined>,
    /// No path that was found to contradict itself had cost more when it was.
    pub refuted: u64,
    /// What the search took, in branches that it could have followed instead.
    pub spent: u64,
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

/// Searches the longest path of a function that can be taken.
pub fn longest_path(
    analysis: &Analysis<'_, '_>,
    function: u32,
    growth: Growth,
    steps_max: u64,
) -> Searched {
    search(analysis, function, growth, true, steps_max)
}

/// The longest path whether or not it can be taken: the one that makes the plain figure.
pub fn plain_path(
    analysis: &Analysis<'_, '_>,
    function: u32,
    growth: Growth,
    steps_max: u64,
) -> Option<Refined> {
    search(analysis, function, growth, false, steps_max).longest
}

fn search(
    analysis: &Analysis<'_, '_>,
    function: u32,
    growth: Growth,
    refutes: bool,
    steps_max: u64,
) -> Searched {
    let effort_max = steps_max.saturating_mul(EFFORT_PER_STEP);
    let mut search = Search {
        machine: Machine::new(analysis, growth, refutes, effort_max),
        open: BinaryHeap::new(),
        seen: HashMap::new(),
        words: 0,
        order: 0,
    };
    let start = search.machine.start(function);
    search.add(start);
    let longest = search.run(steps_max);
    Searched {
        longest,
        refuted: search.machine.refuted,
        spent: search.machine.effort().div_ceil(EFFORT_PER_STEP),
    }
}

struct Search<'s, 'm, 'a> {
    machine: Machine<'s, 'm, 'a>,
    open: BinaryHeap<Open>,
    /// States met, by all but their facts, with what they had cost.
    seen: HashMap<Box<[u32]>, Vec<(Facts, u64)>>,
    /// What `open` and `seen` take.
    words: usize,
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
            self.words += state.words();
            self.open.push(Open {
                limit,
                order: self.order,
                done,
                state,
            });
        }
    }

    /// Whether a state met before, at no lower cost, has all continuations of this one.
    fn is_covered(&mut self, state: &mut State) -> bool {
        let key = self.machine.condense(state);
        let words = key.len() + 12 * state.facts().count();
        let met = self.seen.entry(key).or_default();
        let compared = met.iter().rev().take(FACTS_COMPARED_MAX);
        if compared
            .into_iter()
            .any(|(weaker, cost)| state.cost <= *cost && state.facts().imply(weaker))
        {
            return true;
        }
        met.push((state.facts().clone(), state.cost));
        self.words += words;
        false
    }

    fn run(&mut self, steps_max: u64) -> Option<Refined> {
        let mut steps = 0;
        while let Some(best) = self.open.pop() {
            let spent = self.machine.is_spent() || self.words >= WORDS_MAX;
            if best.done || steps >= steps_max || spent {
                return Some(Refined {
                    bound: best.limit,
                    complete: best.done,
                    steps,
                    trail: best.state.trail,
                });
            }
            let mut state = best.state;
            self.words = self.words.saturating_sub(state.words());
            if self.is_covered(&mut state) {
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

//! Functions that look like an allocator's, where no name says so: what gives memory leads to where it grows; what
//! takes it back uses the same state; both are called from all over. Candidates are tried, and only what behaves as an
//! allocator is taken.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::Operator;

use crate::calls::Calls;
use crate::confirm::{Engine, Family};
use crate::heap::{HeapFunction, How};
use crate::module::Module;
use crate::names::{Parameter, Role};
use crate::trials::{Trials, tried};

use Parameter::{Align, Count, OldSize, Pointer, Size};

/// Candidates for one role that are tried, at most.
const CANDIDATES_MAX: usize = 24;

/// Calls from a function that gives memory to where it grows, at most.
const DISTANCE_MAX: usize = 5;

/// Calls from what was found to what does the same, at most.
const DEPTH_MAX: usize = 4;

/// Below this, a constant is no address of a state: linkers leave the first addresses free.
const ADDRESS_MIN: u64 = 1_024;

/// Imports by which a host grows the memory.
const GROWING_IMPORTS: [&str; 2] = ["emscripten_resize_heap", "sbrk"];

/// A function that may do something.
#[derive(Debug, Clone)]
struct Candidate {
    function: u32,
    parameters: &'static [Parameter],
}

/// What a search looks at.
pub(crate) struct Shapes<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) bytes: &'a [u8],
    pub(crate) module: &'a Module<'a>,
    pub(crate) calls: &'a Calls,
    /// Functions that are known to give memory: only what they call is looked at.
    pub(crate) within: BTreeSet<u32>,
}

/// Functions of an allocator, confirmed. Nothing if there are none.
pub(crate) fn search(shapes: &Shapes<'_>) -> Vec<HeapFunction> {
    shapes.run().unwrap_or_default()
}

impl Shapes<'_> {
    fn run(&self) -> Option<Vec<HeapFunction>> {
        let growing = self.leads_to_growth();
        let giving = self.giving(&self.allocs(&growing))?;
        let deallocs = self.with_state(false, DEALLOCS, &growing);
        let pair = giving.iter().find_map(|alloc| {
            let deallocs = self.sharing(alloc, &deallocs);
            let trials = self.trials([alloc].into_iter().chain(&deallocs))?;
            let pair = Self::pair(&trials, alloc, &deallocs)?;
            Some(self.inward(&trials, pair))
        });
        let (alloc, dealloc, calls) = pair?;
        let mut found = vec![
            self.found(Role::Alloc, &alloc, calls),
            self.found(Role::Dealloc, &dealloc, calls),
        ];
        for (role, types) in [(Role::Realloc, REALLOCS), (Role::AllocZeroed, ZEROED)] {
            let others = self.with_state(true, types, &BTreeSet::from([alloc.function]));
            let others = self.sharing(&alloc, &others);
            let trials = self.trials([&alloc, &dealloc].into_iter().chain(&others))?;
            let confirmed = others.iter().find_map(|candidate| {
                let mut family = family(&alloc, Some(&dealloc));
                let other = tried(candidate.function, role, candidate.parameters);
                match role {
                    Role::Realloc => family.realloc = Some(other),
                    _ => family.alloc_zeroed = Some(other),
                }
                Some((candidate, trials.run(&family).ok()?))
            });
            if let Some((candidate, calls)) = confirmed {
                found.push(self.found(role, candidate, calls));
            }
        }
        Some(found)
    }

    /// What runs some candidates, and what these call.
    fn trials<'c>(&self, candidates: impl Iterator<Item = &'c Candidate>) -> Option<Trials<'_>> {
        let mut functions: BTreeSet<u32> = candidates.map(|c| c.function).collect();
        for function in functions.clone() {
            functions.extend(self.nearby(function));
        }
        Trials::of(self.engine, self.bytes, self.module, self.calls, functions).ok()
    }

    fn found(&self, role: Role, candidate: &Candidate, calls: u32) -> HeapFunction {
        let parameters = candidate.parameters.to_vec();
        let function = candidate.function;
        let mut found = HeapFunction::new(self.module, function, role, parameters, How::Shape);
        found.confirmed = Some(calls);
        found
    }

    /// Candidates that give memory, the innermost first.
    fn giving(&self, allocs: &[Candidate]) -> Option<Vec<Candidate>> {
        let trials = self.trials(allocs.iter())?;
        let gives = |alloc: &&Candidate| trials.run(&family(alloc, None)).is_ok();
        let giving: Vec<&Candidate> = allocs.iter().filter(gives).collect();
        let mut inward: Vec<(usize, &Candidate)> = giving
            .iter()
            .map(|alloc| (self.calls_among(alloc, &giving), *alloc))
            .collect();
        inward.sort_by_key(|(calls, _)| *calls);
        Some(inward.into_iter().map(|(_, alloc)| alloc.clone()).collect())
    }

    /// A function that gives memory, and one that takes it back.
    fn pair(
        trials: &Trials<'_>,
        alloc: &Candidate,
        deallocs: &[Candidate],
    ) -> Option<(Candidate, Candidate, u32)> {
        deallocs.iter().find_map(|dealloc| {
            let calls = trials.run(&family(alloc, Some(dealloc))).ok()?;
            Some((alloc.clone(), dealloc.clone(), calls))
        })
    }

    /// The pair, or what it calls that does the same: C++'s operators call C's functions.
    fn inward(
        &self,
        trials: &Trials<'_>,
        pair: (Candidate, Candidate, u32),
    ) -> (Candidate, Candidate, u32) {
        let (mut alloc, mut dealloc, mut calls) = pair;
        for _ in 0..DEPTH_MAX {
            let inner = |one: &Candidate, gives, types| {
                let callees = self.calls.callees.get(&one.function).into_iter().flatten();
                let callees = callees.copied().filter(|callee| *callee != one.function);
                self.of_types(callees, gives, types)
            };
            let by_alloc = inner(&alloc, true, ALLOCS).into_iter();
            let by_alloc = by_alloc.map(|inner| (inner, dealloc.clone()));
            let by_dealloc = inner(&dealloc, false, DEALLOCS).into_iter();
            let by_dealloc = by_dealloc.map(|inner| (alloc.clone(), inner));
            let found = by_alloc.chain(by_dealloc).find_map(|(alloc, dealloc)| {
                let calls = trials.run(&family(&alloc, Some(&dealloc))).ok()?;
                Some((alloc, dealloc, calls))
            });
            match found {
                Some(found) => (alloc, dealloc, calls) = found,
                None => break,
            }
        }
        (alloc, dealloc, calls)
    }

    /// Functions that one calls, and those that these call.
    fn nearby(&self, function: u32) -> BTreeSet<u32> {
        let callees = |function: &u32| self.calls.callees.get(function).into_iter().flatten();
        let mut nearby: BTreeSet<u32> = callees(&function).copied().collect();
        for _ in 1..DEPTH_MAX {
            let more: BTreeSet<u32> = nearby.iter().flat_map(callees).copied().collect();
            nearby.extend(more);
        }
        let is_ours = |function: &u32| {
            [true, false].into_iter().any(|gives| {
                let count = self.module.integer_parameters(*function, gives);
                count.is_some_and(|count| (1..=3).contains(&count))
            })
        };
        nearby.retain(is_ours);
        nearby
    }

    /// How many of others a function leads to.
    fn calls_among(&self, one: &Candidate, others: &[&Candidate]) -> usize {
        let from = BTreeSet::from([one.function]);
        let reached = self.calls.reached(&from, &BTreeSet::new());
        let others = others.iter().filter(|other| other.function != one.function);
        others
            .filter(|other| reached.contains(&other.function))
            .count()
    }

    /// Functions from which few calls lead to where memory grows.
    fn leads_to_growth(&self) -> BTreeSet<u32> {
        let mut callers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (caller, callees) in &self.calls.callees {
            for callee in callees {
                callers.entry(*callee).or_default().push(*caller);
            }
        }
        let mut level: BTreeSet<u32> = self.calls.grow.keys().copied().collect();
        level.extend(growing_imports(self.module));
        let mut reached = level.clone();
        for _ in 0..DISTANCE_MAX {
            let next = level.iter().filter_map(|function| callers.get(function));
            level = next
                .flatten()
                .copied()
                .filter(|caller| !reached.contains(caller))
                .collect();
            reached.extend(&level);
        }
        reached
    }

    /// Candidates for giving memory, those first that are called from most places.
    fn allocs(&self, growing: &BTreeSet<u32>) -> Vec<Candidate> {
        let within = self.calls.reached(&self.within, &BTreeSet::new());
        let is_meant = |function: &u32| {
            self.within.is_empty() || (within.contains(function) && !self.within.contains(function))
        };
        let functions = growing.iter().copied().filter(is_meant);
        let mut candidates = self.of_types(functions, true, ALLOCS);
        candidates.sort_by_key(|candidate| core::cmp::Reverse(self.sites(candidate.function)));
        candidates.truncate(CANDIDATES_MAX);
        candidates
    }

    /// Candidates of some types with the state that they use.
    fn with_state(
        &self,
        gives: bool,
        types: &'static [&'static [Parameter]],
        but: &BTreeSet<u32>,
    ) -> Vec<(Candidate, BTreeSet<u64>)> {
        let functions = self.calls.callees.keys().copied();
        let functions = functions.filter(|function| !but.contains(function));
        let candidates = self.of_types(functions, gives, types).into_iter();
        candidates
            .map(|candidate| (candidate.clone(), self.state_near(candidate.function)))
            .collect()
    }

    /// Candidates that share state with a function that gives memory, those first that share most.
    fn sharing(
        &self,
        alloc: &Candidate,
        candidates: &[(Candidate, BTreeSet<u64>)],
    ) -> Vec<Candidate> {
        let state = self.state_near(alloc.function);
        let mut rated: Vec<(usize, u32, &Candidate)> = candidates
            .iter()
            .map(|(candidate, own)| {
                let shared = own.intersection(&state).count();
                (shared, self.sites(candidate.function), candidate)
            })
            .filter(|(shared, _, _)| *shared > 0)
            .collect();
        rated.sort_by_key(|(shared, sites, _)| core::cmp::Reverse((*shared, *sites)));
        rated.truncate(CANDIDATES_MAX);
        rated
            .into_iter()
            .map(|(_, _, candidate)| candidate.clone())
            .collect()
    }

    fn of_types(
        &self,
        functions: impl Iterator<Item = u32>,
        gives: bool,
        types: &'static [&'static [Parameter]],
    ) -> Vec<Candidate> {
        let defined = |function: &u32| self.module.functions[*function as usize].body.is_some();
        functions
            .filter(defined)
            .flat_map(|function| {
                let count = self.module.integer_parameters(function, gives);
                let fitting = types.iter().filter(move |types| Some(types.len()) == count);
                fitting.map(move |parameters| Candidate {
                    function,
                    parameters,
                })
            })
            .collect()
    }

    /// How often a function is called, and may be called from outside.
    fn sites(&self, function: u32) -> u32 {
        let calls = self.calls.sites.get(&function).copied().unwrap_or_default();
        calls + u32::from(self.calls.referred.contains(&function))
    }

    /// Addresses that a function uses, and what it calls.
    fn state_near(&self, function: u32) -> BTreeSet<u64> {
        let mut state = self.state(function);
        for callee in self.calls.callees.get(&function).into_iter().flatten() {
            state.extend(self.state(*callee));
        }
        state
    }

    /// Constants that are used as addresses, or near the start of one.
    fn state(&self, function: u32) -> BTreeSet<u64> {
        let mut state = BTreeSet::new();
        let Some(body) = &self.module.functions[function as usize].body else {
            return state;
        };
        let Ok(operators) = body.get_operators_reader() else {
            return state;
        };
        for operator in operators.into_iter().map_while(Result::ok) {
            let place = match operator {
                Operator::I32Const { value } => u64::try_from(value).ok(),
                Operator::I32Load { memarg } | Operator::I32Store { memarg } => Some(memarg.offset),
                _ => None,
            };
            state.extend(place.filter(|place| *place >= ADDRESS_MIN));
        }
        state
    }
}

/// Imports that may grow the memory: by name, or, where names are short, by type.
pub(crate) fn growing_imports(module: &Module<'_>) -> Vec<u32> {
    let imports = || {
        (0_u32..)
            .zip(&module.functions)
            .take_while(|(_, f)| f.body.is_none())
    };
    let is_named = |name: &Option<String>| {
        name.as_deref()
            .is_some_and(|name| GROWING_IMPORTS.contains(&name))
    };
    let by_name: Vec<u32> = imports()
        .filter(|(_, function)| is_named(&function.name))
        .map(|(index, _)| index)
        .collect();
    if !by_name.is_empty() {
        return by_name;
    }
    let is_short = |name: &Option<String>| name.as_deref().is_some_and(|name| name.len() <= 2);
    imports()
        .filter(|(index, function)| {
            is_short(&function.name) && module.integer_parameters(*index, true) == Some(1)
        })
        .map(|(index, _)| index)
        .collect()
}

fn family(alloc: &Candidate, dealloc: Option<&Candidate>) -> Family {
    let dealloc = dealloc.map(|c| tried(c.function, Role::Dealloc, c.parameters));
    Family {
        alloc: Some(tried(alloc.function, Role::Alloc, alloc.parameters)),
        dealloc,
        ..Family::default()
    }
}

const ALLOCS: &[&[Parameter]] = &[&[Size], &[Size, Align]];
const DEALLOCS: &[&[Parameter]] = &[&[Pointer], &[Pointer, OldSize, Align], &[Pointer, OldSize]];
const REALLOCS: &[&[Parameter]] = &[
    &[Pointer, Size],
    &[Pointer, OldSize, Align, Size],
    &[Pointer, OldSize, Size],
];
const ZEROED: &[&[Parameter]] = &[&[Count, Size], &[Size, Align]];

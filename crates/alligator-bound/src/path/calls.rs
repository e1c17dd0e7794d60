//! Who calls whom, and on which kinds of paths.
//!
//! A call that can only be reached after memory has grown makes no path without growth longer, and none
//! endless. So each call is known by the least kind of path that can make it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cfg::{Flow, Target};

use super::{Analysis, Callees, Growth, Plan};

/// Times that all functions are scanned to find how they end, at most. Beyond, any path may make any call.
const SCANS_MAX: usize = 64;

/// The calls of all functions with code: caller to callee, with the least kind of path on which it is made.
pub(super) struct Edges {
    callees: BTreeMap<u32, BTreeMap<u32, Growth>>,
}

/// The least kinds of path on which a function returns, and leaves by an exception.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    returns: Option<Growth>,
    throws: Option<Growth>,
}

impl Edges {
    pub(super) fn of(analysis: &Analysis<'_, '_>) -> Self {
        let mut edges = Self {
            callees: analysis
                .plans
                .iter()
                .map(|(function, plan)| (*function, all_callees(analysis, plan)))
                .collect(),
        };
        if edges.have_cycle() {
            edges.find_growth(analysis);
        }
        edges
    }

    /// Finds the least kind of path for each call. What is not known to end does not, until it is.
    fn find_growth(&mut self, analysis: &Analysis<'_, '_>) {
        let mut ends: BTreeMap<u32, Ends> = BTreeMap::new();
        let order: Vec<u32> = self.components(Growth::Gathering).concat();
        let mut scan_all = || {
            let mut changed = false;
            for function in &order {
                let found = Scan::of(analysis, &ends, *function).ends;
                changed |= ends.insert(*function, found) != Some(found);
            }
            changed
        };
        let settled = (0..SCANS_MAX).any(|_| !scan_all());
        for function in order {
            let made = Scan::of(analysis, &ends, function).calls;
            for (callee, growth) in self.callees.entry(function).or_default() {
                *growth = match made.get(callee) {
                    _ if !settled => Growth::Without,
                    Some(growth) => *growth,
                    None => Growth::Gathering,
                };
            }
        }
    }

    /// Functions that a function may call on paths of a kind.
    fn called(&self, function: u32, growth: Growth) -> impl Iterator<Item = u32> + '_ {
        let callees = self.callees.get(&function).into_iter().flatten();
        callees
            .filter(move |(_, made)| **made <= growth)
            .map(|(callee, _)| *callee)
    }

    /// Strongly connected sets of functions, callees before callers (Tarjan, without recursion).
    pub(super) fn components(&self, growth: Growth) -> Vec<Vec<u32>> {
        let mut search = Components::default();
        for function in self.callees.keys() {
            search.visit(*function, |from| self.called(from, growth).collect());
        }
        search.found
    }

    /// Whether functions of a component can call each other, or the only one itself.
    pub(super) fn is_recursive(&self, component: &[u32], growth: Growth) -> bool {
        let first = component[0];
        component.len() > 1 || self.called(first, growth).any(|callee| callee == first)
    }

    /// Whether any function can end up calling itself.
    pub(super) fn have_cycle(&self) -> bool {
        self.components(Growth::Gathering)
            .iter()
            .any(|component| self.is_recursive(component, Growth::Gathering))
    }
}

/// Callees with code, on any kind of path.
fn all_callees(analysis: &Analysis<'_, '_>, plan: &Plan<'_>) -> BTreeMap<u32, Growth> {
    let known = plan.callees.values().filter_map(|callees| match callees {
        Callees::Known(functions) => Some(functions),
        Callees::Unknown | Callees::Vouched(_) => None,
    });
    known
        .flatten()
        .filter(|callee| analysis.plans.contains_key(callee))
        .map(|callee| (*callee, Growth::Gathering))
        .collect()
}

/// One scan through a function, with what is known of how its callees end.
struct Scan<'s, 'm, 'a> {
    analysis: &'s Analysis<'m, 'a>,
    known: &'s BTreeMap<u32, Ends>,
    plan: &'s Plan<'a>,
    /// The least kind of path from the start to each instruction.
    reached: Vec<Option<Growth>>,
    ends: Ends,
    calls: BTreeMap<u32, Growth>,
}

impl<'s, 'm, 'a> Scan<'s, 'm, 'a> {
    /// Instructions are met after all that lead to them: what comes back to a loop has passed its start,
    /// and is no less.
    fn of(analysis: &'s Analysis<'m, 'a>, known: &'s BTreeMap<u32, Ends>, function: u32) -> Self {
        let plan = &analysis.plans[&function];
        let count = plan.code.operators.len();
        let mut scan = Self {
            analysis,
            known,
            plan,
            reached: vec![None; count + 1],
            ends: Ends::default(),
            calls: BTreeMap::new(),
        };
        scan.reached[0] = Some(Growth::Without);
        for at in 0..count {
            if let Some(growth) = scan.reached[at] {
                scan.follow(at, growth);
            }
        }
        scan
    }

    fn follow(&mut self, at: usize, growth: Growth) {
        let plan = self.plan;
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        let (mut ends, is_call) = match plan.callees.get(&index) {
            Some(callees) => {
                let grown = plan.after_growth.contains(&index);
                let growth = if grown { Growth::With } else { growth };
                (self.call(callees, growth), true)
            }
            None => (self.instruction(at, growth), false),
        };
        // The frame of a tail call has no handlers.
        if !(is_call && plan.cfg.flows[at] == Flow::Return) {
            for target in plan.cfg.handlers(at) {
                self.arrive(plan.cfg.position(target), ends.throws);
            }
        }
        lower(&mut self.ends.throws, ends.throws.take());
        for target in plan.cfg.successors(at) {
            match target {
                Target::Return => lower(&mut self.ends.returns, ends.returns),
                _ => self.arrive(plan.cfg.position(target), ends.returns),
            }
        }
    }

    fn instruction(&self, at: usize, growth: Growth) -> Ends {
        let grows = matches!(
            self.plan.code.operators[at],
            wasmparser::Operator::MemoryGrow { .. }
        );
        let growth = Some(if grows { Growth::With } else { growth });
        match self.plan.cfg.flows[at] {
            Flow::Trap => Ends::default(),
            Flow::Throw => Ends {
                returns: None,
                throws: growth,
            },
            _ => Ends {
                returns: growth,
                throws: None,
            },
        }
    }

    fn call(&mut self, callees: &Callees, growth: Growth) -> Ends {
        let Callees::Known(functions) = callees else {
            // Anybody may return, or throw, without growth.
            return Ends {
                returns: Some(growth),
                throws: Some(growth),
            };
        };
        let mut ends = Ends::default();
        for callee in functions {
            let growth = growth.max(self.analysis.entered(*callee));
            let made = self.calls.entry(*callee).or_insert(growth);
            *made = growth.min(*made);
            let nothing = Ends {
                returns: Some(Growth::Without),
                throws: Some(Growth::Without),
            };
            let of_callee = if self.analysis.plans.contains_key(callee) {
                self.known.get(callee).copied().unwrap_or_default()
            } else {
                nothing
            };
            lower(
                &mut ends.returns,
                of_callee.returns.map(|end| end.max(growth)),
            );
            lower(
                &mut ends.throws,
                of_callee.throws.map(|end| end.max(growth)),
            );
        }
        ends
    }

    fn arrive(&mut self, position: Option<usize>, growth: Option<Growth>) {
        if let Some(at) = position {
            lower(&mut self.reached[at], growth);
        }
    }
}

/// Takes the lesser kind, where there is one.
fn lower(known: &mut Option<Growth>, other: Option<Growth>) {
    *known = match (*known, other) {
        (Some(one), Some(two)) => Some(one.min(two)),
        (one, two) => one.or(two),
    };
}

/// Tarjan's algorithm with a stack of its own.
#[derive(Default)]
struct Components {
    order: BTreeMap<u32, (u32, u32)>,
    stack: Vec<u32>,
    on_stack: BTreeSet<u32>,
    found: Vec<Vec<u32>>,
}

impl Components {
    fn visit(&mut self, root: u32, successors: impl Fn(u32) -> Vec<u32>) {
        if self.order.contains_key(&root) {
            return;
        }
        let mut open = vec![(root, self.enter(root, &successors))];
        while let Some((function, rest)) = open.last_mut() {
            let function = *function;
            if let Some(next) = rest.pop() {
                if let Some((number, _)) = self.order.get(&next) {
                    if self.on_stack.contains(&next) {
                        let number = *number;
                        self.lower(function, number);
                    }
                } else {
                    let rest = self.enter(next, &successors);
                    open.push((next, rest));
                }
                continue;
            }
            open.pop();
            let (number, low) = self.order[&function];
            if let Some((parent, _)) = open.last() {
                self.lower(*parent, low);
            }
            if number == low {
                self.close(function);
            }
        }
    }

    fn enter(&mut self, function: u32, successors: &impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
        let number = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        self.order.insert(function, (number, number));
        self.stack.push(function);
        self.on_stack.insert(function);
        successors(function)
    }

    fn lower(&mut self, function: u32, number: u32) {
        if let Some((_, low)) = self.order.get_mut(&function) {
            *low = (*low).min(number);
        }
    }

    fn close(&mut self, root: u32) {
        let mut component = Vec::new();
        while let Some(function) = self.stack.pop() {
            self.on_stack.remove(&function);
            component.push(function);
            if function == root {
                break;
            }
        }
        self.found.push(component);
    }
}

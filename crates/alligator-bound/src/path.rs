//! Longest paths by plain dynamic programming: every branch is taken to be free to go either way.
//!
//! One scan per function from its end; functions in an order in which callees come first. What
//! the scan leaves at each instruction is also the admissible estimate that refinement searches by.

mod calls;

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use wasmparser::Operator;

use crate::cfg::{Cfg, Flow, Target};
use crate::cost::{BulkUnit, CostTable, operator_name};
use crate::counted::Counter;
use crate::loops::{self, Bounds};
use crate::module::{Code, InputError, Module};

/// The least cost of a path that has no bound. What such a path costs besides is added to it, so that of
/// two of them the dearer one has the higher figure.
pub const UNBOUNDED: u64 = 1 << 60;

/// Imports that grow memory for the module that calls them.
const GROWING_IMPORTS: [&str; 2] = ["emscripten_resize_heap", "sbrk"];

/// Instructions of all functions that entries reach, at most.
pub const OPERATORS_MAX: usize = 16_000_000;

/// Ways from the instructions of one function to the loops around them, at most.
const WAYS_MAX: usize = 8_000_000;

/// Possible callees of all indirect calls, at most. Beyond, a call may reach any function.
const INDIRECT_MAX: usize = 20_000_000;

/// Deepest nesting of loops that turn.
pub const LOOP_DEPTH_MAX: usize = 200;

/// What a path does about growth. Of several parts of a path, the greatest decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Growth {
    /// It enters no growing function, and grows nothing.
    Without,
    /// It enters a growing function, and grows nothing.
    Refused,
    /// It grows.
    With,
    /// It gathers what the allocator has kept, and then may grow or not.
    Gathering,
}

impl Growth {
    /// All kinds, the least first.
    pub const ALL: [Self; 4] = [Self::Without, Self::Refused, Self::With, Self::Gathering];
}

/// Longest path of each kind, in units of cost; `None` when there is no such path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Longest([Option<u64>; Growth::ALL.len()]);

impl Longest {
    /// No path at all.
    pub const NONE: Self = Self([None; Growth::ALL.len()]);
    /// The empty path.
    pub const ZERO: Self = Self::steady(0);
    /// A path of each kind, without a bound.
    const ENDLESS: Self = Self([Some(UNBOUNDED); Growth::ALL.len()]);

    /// One path without growth.
    pub const fn steady(cost: u64) -> Self {
        Self::one(Growth::Without, cost)
    }

    /// One path of a kind.
    pub const fn one(growth: Growth, cost: u64) -> Self {
        let mut kinds = [None; Growth::ALL.len()];
        kinds[growth as usize] = Some(cost);
        Self(kinds)
    }

    /// The longest path of a kind.
    pub const fn of(self, growth: Growth) -> Option<u64> {
        self.0[growth as usize]
    }

    const fn of_mut(&mut self, growth: Growth) -> &mut Option<u64> {
        &mut self.0[growth as usize]
    }

    /// What `figure` makes of each kind.
    fn each(figure: impl Fn(Growth) -> Option<u64>) -> Self {
        Self(Growth::ALL.map(figure))
    }

    /// Paths of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::each(|kind| self.of(kind).max(other.of(kind)))
    }

    /// Paths of one followed by paths of the other.
    #[must_use]
    pub fn then(self, other: Self) -> Self {
        let sum = |one: Option<u64>, two: Option<u64>| Some(one?.saturating_add(two?));
        Self::each(|kind| {
            let first = sum(self.of(kind), other.up_to(kind));
            first.max(sum(self.up_to(kind), other.of(kind)))
        })
    }

    /// The longest path of a kind or a lesser one.
    fn up_to(self, growth: Growth) -> Option<u64> {
        self.0[..=growth as usize].iter().copied().max().flatten()
    }

    /// The longest of all.
    pub fn any(self) -> Option<u64> {
        self.up_to(Growth::Gathering)
    }

    /// The longest path that continues one of a kind so that the whole is of another kind.
    pub fn after(self, before: Growth, whole: Growth) -> Option<u64> {
        Self::one(before, 0).then(self).of(whole)
    }

    /// Up to `turns` paths in a row, at least none.
    #[must_use]
    pub fn repeated(self, turns: u64) -> Self {
        let times = |cost: u64, count: u64| match count {
            0 => 0,
            _ => cost.saturating_mul(count),
        };
        let some_of = |kind: Option<u64>, any: Option<u64>| {
            let once = kind.filter(|_| turns > 0)?;
            let others = times(any.unwrap_or(0), turns.saturating_sub(1));
            Some(others.saturating_add(once))
        };
        Self::each(|kind| match kind {
            Growth::Without => Some(self.of(kind).map_or(0, |steady| times(steady, turns))),
            _ => some_of(self.of(kind), self.up_to(kind)),
        })
    }

    /// Any number of paths in a row.
    #[must_use]
    pub fn endless(self) -> Self {
        Self::each(|kind| match kind {
            Growth::Without => Some(self.of(kind).map_or(0, |_| UNBOUNDED)),
            _ => self.of(kind).map(|_| UNBOUNDED),
        })
    }
}

/// Longest paths by the way they end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Returning to the caller.
    pub returns: Longest,
    /// Ending the program at `unreachable`, here or in a callee.
    pub traps: Longest,
    /// Leaving by an exception.
    pub throws: Longest,
    /// Stopping after any instruction, as if it trapped.
    pub stops: Longest,
}

impl Outcome {
    /// No path.
    pub const NONE: Self = Self {
        returns: Longest::NONE,
        traps: Longest::NONE,
        throws: Longest::NONE,
        stops: Longest::NONE,
    };

    /// The same with another figure for one kind of path.
    fn with(mut self, growth: Growth, other: Self) -> Self {
        *self.returns.of_mut(growth) = other.returns.of(growth);
        *self.traps.of_mut(growth) = other.traps.of(growth);
        *self.throws.of_mut(growth) = other.throws.of(growth);
        *self.stops.of_mut(growth) = other.stops.of(growth);
        self
    }

    /// All ways of ending alike.
    const fn every(longest: Longest) -> Self {
        Self {
            returns: longest,
            traps: longest,
            throws: longest,
            stops: longest,
        }
    }

    /// Paths of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            returns: self.returns.or(other.returns),
            traps: self.traps.or(other.traps),
            throws: self.throws.or(other.throws),
            stops: self.stops.or(other.stops),
        }
    }

    /// These paths after a first part.
    #[must_use]
    pub fn after(self, first: Longest) -> Self {
        Self {
            returns: first.then(self.returns),
            traps: first.then(self.traps),
            throws: first.then(self.throws),
            stops: first.then(self.stops),
        }
    }

    /// All paths that end by returning, by an exception or at `unreachable`.
    pub fn longest(self) -> Longest {
        self.returns.or(self.traps).or(self.throws)
    }
}

/// Longest paths from an instruction on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// To the end of the function.
    pub exit: Outcome,
    /// To the next turn of each enclosing loop that can be reached, by loop number.
    again: Vec<(u32, Longest)>,
}

impl Node {
    fn or(&mut self, other: &Self) {
        self.exit = self.exit.or(other.exit);
        for (number, longest) in &other.again {
            self.or_again(*number, *longest);
        }
    }

    fn or_again(&mut self, number: u32, longest: Longest) {
        match self.again.binary_search_by_key(&number, |entry| entry.0) {
            Ok(found) => self.again[found].1 = self.again[found].1.or(longest),
            Err(place) => self.again.insert(place, (number, longest)),
        }
    }

    fn after(mut self, first: Longest) -> Self {
        self.exit = self.exit.after(first);
        for (_, longest) in &mut self.again {
            *longest = first.then(*longest);
        }
        self
    }

    fn take_again(&mut self, number: u32) -> Option<Longest> {
        let found = self
            .again
            .binary_search_by_key(&number, |entry| entry.0)
            .ok()?;
        Some(self.again.remove(found).1)
    }
}

/// What kind of thing stands in the way of a bound, or is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A loop without a bound.
    Loop,
    /// A function that can call itself, directly or not.
    Recursion,
    /// A call whose callees are not known.
    IndirectCall,
    /// A call of an imported function whose cost is not known.
    Import,
    /// An instruction that waits for another thread.
    Wait,
}

impl FindingKind {
    /// Whether a figure can still be given, on condition.
    pub fn is_condition(self) -> bool {
        matches!(self, Self::Import | Self::Wait)
    }
}

/// A finding and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Function it is in.
    pub function: u32,
    /// Byte offset of the instruction.
    pub offset: u64,
    /// The reason, in words.
    pub reason: String,
    /// Instruction index.
    pub at: u32,
}

/// A bulk operation whose units are not known before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BulkSite {
    /// Function it is in.
    pub function: u32,
    /// Byte offset.
    pub offset: u64,
    /// Operator.
    pub operator: &'static str,
    /// Cost per unit.
    pub cost_per_unit: u64,
    /// What is counted.
    pub unit: BulkUnit,
    at: u32,
}

/// Who may be called at an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callees {
    /// These functions.
    Known(Vec<u32>),
    /// Somebody who costs so much at most, grows nothing and does not call back: a person vouches for it.
    Vouched(u64),
    /// Nobody knows.
    Unknown,
}

/// One function, analysed.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that go together in any way"
)]
pub struct Plan<'a> {
    /// Its code.
    pub code: Code<'a>,
    /// Its control flow.
    pub cfg: Cfg,
    /// Longest paths from each instruction on, calls included.
    pub nodes: Vec<Node>,
    /// One turn of each loop that turns.
    pub turns: BTreeMap<u32, Longest>,
    /// How often the body of each loop that counts starts, at most, each time the loop is entered.
    pub counted: BTreeMap<u32, u64>,
    /// Who each call may reach.
    pub callees: BTreeMap<u32, Callees>,
    /// Calls that are only made after memory has grown: a person vouches for it.
    pub after_growth: BTreeSet<u32>,
    /// Whether each turn of its loops is one for some of the bytes of its length.
    pub bytewise: bool,
    /// What stands in the way, here.
    pub findings: Vec<Finding>,
    /// Bulk operations, here.
    pub bulk: Vec<BulkSite>,
    /// Whether its own code grows memory.
    grows: bool,
    /// Whether it gathers what the allocator has kept.
    gathers: bool,
    recursive: bool,
}

/// All functions that entries reach.
#[derive(Debug)]
pub struct Analysis<'m, 'a> {
    /// The module.
    pub module: &'m Module<'a>,
    /// Cost table.
    pub costs: &'m CostTable,
    /// What a person vouches for.
    pub bounds: &'m Bounds,
    /// Functions with code, by index.
    pub plans: BTreeMap<u32, Plan<'a>>,
    outcomes: BTreeMap<u32, Outcome>,
    bulk_counts: BTreeMap<u32, Outcome>,
    indirect: Cell<usize>,
    weight: Weight,
}

/// What the paths of an analysis are weighed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Cost.
    Cost,
    /// Cost, where what is a condition of a bound has none: calls of imports of unknown cost, and waits. What
    /// is still bounded does not depend on them.
    Strict,
    /// Number of bulk operations of unknown length.
    Bulk,
}

/// What an instruction is weighed by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Cost.
    Cost,
    /// Number of bulk operations of unknown length.
    Bulk,
}

impl<'m, 'a> Analysis<'m, 'a> {
    /// Whether a function here gathers: what a call of unknown functions costs counts as every kind.
    pub fn has_gathering(&self) -> bool {
        self.plans.values().any(|plan| plan.gathers)
    }

    /// Analyses everything reachable from the entries.
    ///
    /// # Errors
    /// When reachable code holds an operator without a cost, or exceeds a limit.
    pub fn new(
        module: &'m Module<'a>,
        costs: &'m CostTable,
        bounds: &'m Bounds,
        entries: &[u32],
    ) -> Result<Self, InputError> {
        Self::of(module, costs, bounds, entries, Weight::Cost)
    }

    /// The same code by another weight.
    ///
    /// # Errors
    /// As [`Analysis::new`].
    pub fn by(&self, weight: Weight, entries: &[u32]) -> Result<Self, InputError> {
        Self::of(self.module, self.costs, self.bounds, entries, weight)
    }

    fn of(
        module: &'m Module<'a>,
        costs: &'m CostTable,
        bounds: &'m Bounds,
        entries: &[u32],
        weight: Weight,
    ) -> Result<Self, InputError> {
        let mut analysis = Self {
            module,
            costs,
            bounds,
            plans: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            bulk_counts: BTreeMap::new(),
            indirect: Cell::new(0),
            weight,
        };
        analysis.load(entries)?;
        let edges = calls::Edges::of(&analysis);
        if edges.have_cycle() {
            // What calls itself only after growth has a bound without. So the figures of each kind are
            // found one after the other, each with the calls that its paths can make.
            for growth in Growth::ALL {
                for component in edges.components(growth) {
                    analysis.solve(&component, growth, &edges)?;
                }
            }
        } else {
            for component in edges.components(Growth::Gathering) {
                analysis.solve_all(component[0])?;
            }
        }
        Ok(analysis)
    }

    /// Whether anything found is a condition of a bound.
    pub fn has_conditions(&self) -> bool {
        let mut findings = self.plans.values().flat_map(|plan| &plan.findings);
        findings.any(|finding| finding.kind.is_condition())
    }

    /// Whether a function is there to grow memory: its own code does, and its name, or a person, says that this
    /// is what it is for. Without the second, an allocator that a compiler has made one function, growth and
    /// all, would have no call without growth.
    pub fn is_growing(&self, function: u32) -> bool {
        self.plans.get(&function).is_some_and(|plan| plan.grows)
            && (self.bounds.is_growing(self.module, function)
                || loops::has_name_of_growth(self.module, function))
    }

    /// What entering a function makes of a path.
    pub fn entered(&self, function: u32) -> Growth {
        if self.is_growing_import(function) {
            Growth::With
        } else if self.plans.get(&function).is_some_and(|plan| plan.gathers) {
            Growth::Gathering
        } else if self.is_growing(function) {
            Growth::Refused
        } else {
            Growth::Without
        }
    }

    /// Whether a function is an import that grows memory for the module.
    pub fn is_growing_import(&self, function: u32) -> bool {
        let import = self.module.functions[function as usize].import.as_ref();
        import.is_some_and(|(_, name)| GROWING_IMPORTS.contains(&name.as_str()))
    }

    /// Longest paths of one call, in units of cost; the caller's `call` instruction apart.
    pub fn outcome(&self, function: u32) -> Outcome {
        self.outcomes
            .get(&function)
            .copied()
            .unwrap_or(Outcome::NONE)
    }

    /// Most bulk operations of unknown length on one path of a call.
    pub fn bulk_count(&self, function: u32) -> Outcome {
        self.bulk_counts
            .get(&function)
            .copied()
            .unwrap_or(Outcome::NONE)
    }

    /// Whether a function may end up calling itself.
    pub fn is_recursive(&self, function: u32) -> bool {
        self.plans.get(&function).is_some_and(|plan| plan.recursive)
    }

    /// Functions with code that a call of one may reach, itself included, in order.
    pub fn reachable_from(&self, function: u32) -> BTreeSet<u32> {
        let mut reached = BTreeSet::new();
        let mut open = vec![function];
        while let Some(function) = open.pop() {
            let Some(plan) = self.plans.get(&function) else {
                continue;
            };
            if !reached.insert(function) {
                continue;
            }
            for callees in plan.callees.values() {
                if let Callees::Known(callees) = callees {
                    open.extend(callees);
                }
            }
        }
        reached
    }

    fn load(&mut self, entries: &[u32]) -> Result<(), InputError> {
        let mut open: Vec<u32> = entries.to_vec();
        let mut operators = 0;
        while let Some(function) = open.pop() {
            if self.plans.contains_key(&function) {
                continue;
            }
            let Some(code) = self.module.code(function)? else {
                continue;
            };
            operators += code.operators.len();
            if operators > OPERATORS_MAX {
                return Err(InputError::plain(format!(
                    "the entries reach more than {OPERATORS_MAX} instructions"
                )));
            }
            let plan = self.plan(function, code)?;
            for callees in plan.callees.values() {
                if let Callees::Known(callees) = callees {
                    open.extend(callees);
                }
            }
            self.plans.insert(function, plan);
        }
        Ok(())
    }

    fn plan(&self, function: u32, code: Code<'a>) -> Result<Plan<'a>, InputError> {
        let cfg = Cfg::build(&code)?;
        let mut plan = Plan {
            nodes: Vec::new(),
            turns: BTreeMap::new(),
            counted: BTreeMap::new(),
            callees: BTreeMap::new(),
            after_growth: BTreeSet::new(),
            bytewise: false,
            findings: Vec::new(),
            bulk: Vec::new(),
            grows: false,
            gathers: false,
            recursive: false,
            code,
            cfg,
        };
        for at in 0..plan.code.operators.len() {
            if plan.cfg.is_reachable(at) {
                self.inspect(function, &mut plan, at)?;
            }
        }
        plan.gathers = (plan.code.operators.iter()).any(|operator| {
            matches!(
                operator,
                Operator::I64Const {
                    value: loops::GATHERING
                }
            )
        });
        let mut counter = Counter::new(&plan.code, &plan.cfg);
        for number in (0_u32..).take(plan.cfg.loops.len()) {
            if let Some(turns) = counter.turns(number) {
                plan.counted.insert(number, turns);
            }
        }
        plan.bytewise = self.is_bytewise(function, &plan);
        Ok(plan)
    }

    /// Whether a function's loops are held to turn no more often than it has bytes to handle: by its
    /// name, or by a person. One that calls others is not: their bytes would be nobody's.
    fn is_bytewise(&self, function: u32, plan: &Plan<'_>) -> bool {
        let is_open = |number: u32| self.loop_turns(function, plan, number).is_none();
        plan.callees.is_empty()
            && (0..).take(plan.cfg.loops.len()).any(is_open)
            && (self.bounds.bytes(self.module, function).is_some()
                || loops::is_memory_function(self.module, function))
    }

    /// Notes calls, bulk operations and waits; refuses operators without a cost.
    fn inspect(&self, function: u32, plan: &mut Plan<'a>, at: usize) -> Result<(), InputError> {
        let operator = &plan.code.operators[at];
        let offset = plan.code.offsets[at];
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        if self.costs.operator(operator).is_none() {
            return Err(InputError::at(
                offset,
                format!(
                    "{}: no cost for `{}` in the table \"{}\"",
                    self.module.display_name(function),
                    operator_name(operator),
                    self.costs.name
                ),
            ));
        }
        let finding = |kind, reason| Finding {
            kind,
            function,
            offset,
            reason,
            at: index,
        };
        if self.is_bulk(&plan.code, at)
            && let Some((cost_per_unit, unit)) = self.costs.per_unit(operator)
        {
            plan.bulk.push(BulkSite {
                function,
                offset,
                operator: operator_name(operator),
                cost_per_unit,
                unit,
                at: index,
            });
        }
        plan.grows |= matches!(operator, Operator::MemoryGrow { .. });
        if is_wait(operator) {
            let reason = "waits for another thread".to_owned();
            plan.findings.push(finding(FindingKind::Wait, reason));
        }
        let Some(mut callees) = self.callees(operator) else {
            return Ok(());
        };
        if is_indirect(operator)
            && let Some(vouched) = self.bounds.indirect(self.module, function, offset)
        {
            if vouched.after_growth {
                plan.after_growth.insert(index);
            }
            if let Some(known) = vouched.callees(self.module)? {
                self.check_fit(operator, &known, offset)?;
                callees = known;
            }
        }
        match &callees {
            Callees::Vouched(_) => {}
            Callees::Unknown => {
                let reason = format!("`{}` may reach any function", operator_name(operator));
                plan.findings
                    .push(finding(FindingKind::IndirectCall, reason));
            }
            Callees::Known(functions) => {
                for callee in functions {
                    plan.grows |= self.is_growing_import(*callee);
                    if let Some((from, name)) = &self.module.functions[*callee as usize].import
                        && self.bounds.import(from, name).is_none()
                    {
                        let reason = format!("calls the import {from}.{name} of unknown cost");
                        plan.findings.push(finding(FindingKind::Import, reason));
                    }
                }
            }
        }
        plan.callees.insert(index, callees);
        Ok(())
    }

    /// Refuses callees that a person vouches for and that can have no such type.
    fn check_fit(
        &self,
        operator: &Operator<'_>,
        callees: &Callees,
        offset: u64,
    ) -> Result<(), InputError> {
        let (Callees::Known(functions), Some(wanted)) = (callees, called_type(operator)) else {
            return Ok(());
        };
        let fits = |function: &&u32| {
            let found = self.module.functions[**function as usize].type_index;
            self.module.may_fit(wanted, found)
        };
        match functions.iter().find(|function| !fits(function)) {
            None => Ok(()),
            Some(function) => Err(InputError::at(
                offset,
                format!(
                    "{} is of another type than what is called here",
                    self.module.display_name(*function)
                ),
            )),
        }
    }

    /// Functions a call instruction may reach; `None` for other instructions.
    fn callees(&self, operator: &Operator<'_>) -> Option<Callees> {
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                Some(Callees::Known(vec![*function_index]))
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            }
            | Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => Some(self.table_callees(*type_index, *table_index)),
            Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => Some(Callees::Unknown),
            _ => None,
        }
    }

    /// Functions of a signature in a table that nobody can write after instantiation.
    fn table_callees(&self, type_index: u32, table_index: u32) -> Callees {
        let table = &self.module.tables[table_index as usize];
        let looked_at = self.indirect.get().saturating_add(table.functions.len());
        if table.open || table.foreign_elements || looked_at > INDIRECT_MAX {
            return Callees::Unknown;
        }
        self.indirect.set(looked_at);
        let of_type = |function: &u32| {
            let found = self.module.functions[*function as usize].type_index;
            self.module.may_fit(type_index, found)
        };
        Callees::Known(table.functions.iter().copied().filter(of_type).collect())
    }

    /// Solves a function that cannot call itself, for all kinds of paths at once.
    fn solve_all(&mut self, function: u32) -> Result<(), InputError> {
        let bulk = self.solve_function(function, Measure::Bulk, false)?;
        let cost = self.solve_function(function, Measure::Cost, true)?;
        self.outcomes.insert(function, cost);
        self.bulk_counts.insert(function, bulk);
        Ok(())
    }

    /// Finds the figures of one kind of path for functions that may call each other on such paths. The
    /// figures of lesser kinds are there.
    fn solve(
        &mut self,
        component: &[u32],
        growth: Growth,
        edges: &calls::Edges,
    ) -> Result<(), InputError> {
        let recursive = edges.is_recursive(component, growth);
        if recursive {
            self.refuse_recursion(component, growth);
        }
        for function in component {
            for measure in [Measure::Bulk, Measure::Cost] {
                let is_last = growth == Growth::Gathering;
                let outcome = self.solve_function(*function, measure, is_last)?;
                if !recursive {
                    self.set(*function, measure, growth, outcome);
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, function: u32, measure: Measure, growth: Growth, outcome: Outcome) {
        let outcomes = match measure {
            Measure::Cost => &mut self.outcomes,
            Measure::Bulk => &mut self.bulk_counts,
        };
        let known = outcomes.entry(function).or_insert(Outcome::NONE);
        *known = known.with(growth, outcome);
    }

    /// First call in a function that may reach one of a set: instruction and callee.
    fn calls_any(&self, function: u32, members: &BTreeSet<u32>) -> Option<(u32, u32)> {
        self.plans[&function]
            .callees
            .iter()
            .find_map(|(at, callees)| {
                let Callees::Known(callees) = callees else {
                    return None;
                };
                let callee = callees.iter().find(|callee| members.contains(callee))?;
                Some((*at, *callee))
            })
    }

    /// Every call of a recursive function has no bound.
    fn refuse_recursion(&mut self, component: &[u32], growth: Growth) {
        let exists = growth == Growth::Without
            || component
                .iter()
                .any(|function| self.has_part(*function, growth));
        let mut endless = Longest::NONE;
        *endless.of_mut(growth) = exists.then_some(UNBOUNDED);
        let outcome = Outcome::every(endless);
        let members: BTreeSet<u32> = component.iter().copied().collect();
        for function in component {
            self.set(*function, Measure::Cost, growth, outcome);
            self.set(*function, Measure::Bulk, growth, outcome);
            let Some((at, callee)) = self.calls_any(*function, &members) else {
                continue;
            };
            let reason = format!(
                "may call itself through {}",
                self.module.display_name(callee)
            );
            let plan = self.plans.get_mut(function).expect("loaded");
            plan.recursive = true;
            if growth == Growth::Gathering {
                plan.findings.push(Finding {
                    kind: FindingKind::Recursion,
                    function: *function,
                    offset: plan.code.offsets[at as usize],
                    reason,
                    at,
                });
            }
        }
    }

    /// Whether an instruction of a function, or what it calls, makes a path one of a kind.
    fn has_part(&self, function: u32, growth: Growth) -> bool {
        let plan = &self.plans[&function];
        (growth == Growth::With && (plan.grows || !plan.after_growth.is_empty()))
            || plan.callees.values().any(|callees| match callees {
                Callees::Unknown => true,
                Callees::Vouched(_) => false,
                Callees::Known(functions) => functions.iter().any(|callee| {
                    self.entered(*callee) == growth
                        || self.outcome(*callee).longest().of(growth).is_some()
                }),
            })
    }

    /// Longest paths of a call by what is known of its callees; the last time, what was found on the way
    /// is kept.
    fn solve_function(
        &mut self,
        function: u32,
        measure: Measure,
        is_last: bool,
    ) -> Result<Outcome, InputError> {
        let plan = self.plans.remove(&function).expect("loaded");
        let solver = Solver {
            analysis: self,
            function,
            plan: &plan,
            measure,
            nodes: vec![Node::default(); plan.code.operators.len() + 1],
            turns: BTreeMap::new(),
            loops_without_bound: Vec::new(),
        };
        let result = solver.solve();
        let mut plan = plan;
        let (nodes, turns, loops_without_bound) = match result {
            Ok(parts) => parts,
            Err(error) => {
                self.plans.insert(function, plan);
                return Err(error);
            }
        };
        let entry = match measure {
            Measure::Cost => self.entry_cost(&plan),
            Measure::Bulk => 0,
        };
        let outcome = nodes[0].exit.after(Longest::steady(entry));
        if measure == Measure::Cost && is_last {
            plan.findings.extend(loops_without_bound);
            plan.findings.sort();
            if plan.bytewise {
                plan.bulk.insert(0, bytes_of_loops(function, &plan, &turns));
            }
            plan.nodes = nodes;
            plan.turns = turns;
        }
        self.plans.insert(function, plan);
        Ok(outcome)
    }

    /// Longest paths of a call to any of these.
    fn called(&self, callees: &Callees, measure: Measure) -> Outcome {
        match callees {
            Callees::Unknown => Outcome::every(Longest::ENDLESS),
            Callees::Vouched(cost) => {
                let cost = match measure {
                    Measure::Cost => self.vouched_cost(*cost),
                    Measure::Bulk => 0,
                };
                Outcome::every(Longest::steady(cost))
            }
            // A table without a function of the type: the call always traps.
            Callees::Known(functions) if functions.is_empty() => Outcome {
                traps: Longest::ZERO,
                stops: Longest::ZERO,
                ..Outcome::NONE
            },
            Callees::Known(functions) => functions
                .iter()
                .map(|callee| self.called_function(*callee, measure))
                .fold(Outcome::NONE, Outcome::or),
        }
    }

    fn called_function(&self, callee: u32, measure: Measure) -> Outcome {
        let is_import = self.module.functions[callee as usize].import.is_some();
        let outcome = match measure {
            Measure::Cost if is_import => Outcome::every(Longest::steady(self.import_cost(callee))),
            Measure::Bulk if is_import => Outcome::every(Longest::ZERO),
            Measure::Cost => self.outcome(callee),
            Measure::Bulk => self.bulk_count(callee),
        };
        outcome.after(Longest::one(self.entered(callee), 0))
    }

    /// What a call of an import costs, as far as is known.
    pub fn import_cost(&self, callee: u32) -> u64 {
        let import = self.module.functions[callee as usize].import.as_ref();
        let known = import.and_then(|(from, name)| self.bounds.import(from, name));
        match (known, self.weight) {
            (Some(import), _) => self.vouched_cost(import.cost),
            (None, Weight::Strict) => UNBOUNDED,
            (None, Weight::Cost | Weight::Bulk) => 0,
        }
    }

    /// What a call costs that somebody vouches for.
    pub fn vouched_cost(&self, cost: u64) -> u64 {
        if self.weight == Weight::Bulk { 0 } else { cost }
    }

    /// What it costs to enter a function.
    pub fn entry_cost(&self, plan: &Plan<'_>) -> u64 {
        match self.weight {
            Weight::Bulk => u64::from(plan.bytewise),
            Weight::Cost | Weight::Strict => self.costs.function_entry.cost,
        }
    }

    /// Whether an instruction is a bulk operation whose units are not known before it runs.
    fn is_bulk(&self, code: &Code<'_>, at: usize) -> bool {
        self.costs.per_unit(&code.operators[at]).is_some() && constant_operand(code, at).is_none()
    }

    /// Cost of an instruction without what it calls, units of known number included.
    pub fn cost_at(&self, code: &Code<'_>, at: usize) -> u64 {
        let operator = &code.operators[at];
        if self.weight == Weight::Bulk {
            return u64::from(self.is_bulk(code, at));
        }
        let base = self.costs.operator(operator).unwrap_or(UNBOUNDED);
        let units = self.costs.per_unit(operator).and_then(|(cost, _)| {
            let count = constant_operand(code, at)?;
            Some(cost.saturating_mul(count))
        });
        let wait = if self.weight == Weight::Strict && is_wait(operator) {
            UNBOUNDED
        } else {
            0
        };
        base.saturating_add(units.unwrap_or(0)).saturating_add(wait)
    }

    /// How often the body of a loop starts, at most, each time the loop is entered: what its code says, or a
    /// person who vouches for less.
    pub fn loop_turns(&self, function: u32, plan: &Plan<'_>, number: u32) -> Option<u64> {
        let offset = plan.code.offsets[plan.cfg.loops[number as usize].head as usize];
        let given = self.bounds.turns(self.module, function, offset);
        let given = given.map(|bound| bound.turns);
        let counted = plan.counted.get(&number).copied();
        let known = given.into_iter().chain(counted).min();
        // All turns but one of each loop are in the bytes term.
        known.or(plan.bytewise.then_some(1))
    }
}

fn is_wait(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryAtomicWait32 { .. } | Operator::MemoryAtomicWait64 { .. }
    )
}

/// The type of a function that an operator calls without naming it.
pub fn called_type(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::CallIndirect { type_index, .. }
        | Operator::ReturnCallIndirect { type_index, .. }
        | Operator::CallRef { type_index }
        | Operator::ReturnCallRef { type_index } => Some(*type_index),
        _ => None,
    }
}

/// Whether an operator calls a function that it does not name.
pub fn is_indirect(operator: &Operator<'_>) -> bool {
    called_type(operator).is_some()
}

/// The loops of a function whose turns are each for some of its bytes, as one bulk operation.
fn bytes_of_loops(function: u32, plan: &Plan<'_>, turns: &BTreeMap<u32, Longest>) -> BulkSite {
    BulkSite {
        function,
        offset: plan.code.offsets[0],
        operator: "loops",
        cost_per_unit: turns
            .values()
            .filter_map(|turn| turn.any())
            .max()
            .unwrap_or(0),
        unit: BulkUnit::Byte,
        at: 0,
    }
}

/// The constant on top of the stack at an instruction, when the instruction before pushed it.
fn constant_operand(code: &Code<'_>, at: usize) -> Option<u64> {
    match code.operators.get(at.checked_sub(1)?)? {
        #[expect(clippy::cast_sign_loss, reason = "lengths are unsigned in Wasm")]
        Operator::I32Const { value } => Some(u64::from(*value as u32)),
        #[expect(clippy::cast_sign_loss, reason = "lengths are unsigned in Wasm")]
        Operator::I64Const { value } => Some(*value as u64),
        _ => None,
    }
}

type Solved = (Vec<Node>, BTreeMap<u32, Longest>, Vec<Finding>);

struct Solver<'s, 'm, 'a> {
    analysis: &'s Analysis<'m, 'a>,
    function: u32,
    plan: &'s Plan<'a>,
    measure: Measure,
    nodes: Vec<Node>,
    turns: BTreeMap<u32, Longest>,
    loops_without_bound: Vec<Finding>,
}

impl Solver<'_, '_, '_> {
    fn solve(mut self) -> Result<Solved, InputError> {
        let mut ways = 0;
        for at in (0..self.plan.code.operators.len()).rev() {
            let mut node = self.follow(at);
            let refused = |reason| Err(InputError::at(self.plan.code.offsets[at], reason));
            if node.again.len() > LOOP_DEPTH_MAX {
                return refused(format!("loops nest deeper than {LOOP_DEPTH_MAX}"));
            }
            ways += node.again.len();
            if ways > WAYS_MAX {
                return refused("too many ways to the loops around".to_owned());
            }
            if let Some(number) = self.plan.cfg.loop_at_body(at)
                && let Some(turn) = node.take_again(number)
            {
                node = self.fold_loop(number, turn, node);
            }
            self.nodes[at] = node;
        }
        for node in &mut self.nodes {
            node.again = Vec::new();
        }
        Ok((self.nodes, self.turns, self.loops_without_bound))
    }

    /// Longest paths from an instruction on, itself included, loops that start here not yet turned.
    fn follow(&self, at: usize) -> Node {
        let weight = self.weight(at);
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        let operator = &self.plan.code.operators[at];
        if let Some(callees) = self.plan.callees.get(&index) {
            let called = self.analysis.called(callees, self.measure);
            let grown = self.plan.after_growth.contains(&index);
            let kind = if grown { Growth::With } else { Growth::Without };
            let weight = Longest::one(kind, weight);
            return self.follow_call(at, called).after(weight);
        }
        let weight = match operator {
            Operator::MemoryGrow { .. } => Longest::one(Growth::With, weight),
            _ => Longest::steady(weight),
        };
        let mut node = Node::default();
        node.exit.stops = Longest::ZERO;
        match self.plan.cfg.flows[at] {
            Flow::Return => node.exit.returns = Longest::ZERO,
            Flow::Trap => node.exit.traps = Longest::ZERO,
            Flow::Throw => self.land(at, Longest::ZERO, &mut node),
            _ => {
                for target in self.plan.cfg.successors(at) {
                    self.arrive(target, Longest::ZERO, &mut node);
                }
            }
        }
        node.after(weight)
    }

    fn follow_call(&self, at: usize, called: Outcome) -> Node {
        let mut node = Node::default();
        node.exit.stops = Longest::ZERO;
        if self.plan.cfg.flows[at] == Flow::Return {
            // A tail call: its frame replaces this one, handlers included.
            node.exit = called;
            node.exit.stops = called.stops.or(Longest::ZERO);
            return node;
        }
        for target in self.plan.cfg.successors(at) {
            self.arrive(target, called.returns, &mut node);
        }
        node.exit.traps = node.exit.traps.or(called.traps);
        node.exit.stops = node.exit.stops.or(called.stops);
        if called.throws != Longest::NONE {
            self.land(at, called.throws, &mut node);
        }
        node
    }

    /// Adds the paths that go on at a target after a first part.
    fn arrive(&self, target: Target, first: Longest, node: &mut Node) {
        match target {
            Target::Return => node.exit.returns = node.exit.returns.or(first),
            Target::Again(number) => node.or_again(number, first),
            Target::Ahead(at) => node.or(&self.nodes[at as usize].clone().after(first)),
        }
    }

    /// Adds the paths of an exception: every handler around, or out of the function.
    fn land(&self, at: usize, first: Longest, node: &mut Node) {
        for target in self.plan.cfg.handlers(at) {
            self.arrive(target, first, node);
        }
        node.exit.throws = node.exit.throws.or(first);
    }

    fn weight(&self, at: usize) -> u64 {
        match self.measure {
            Measure::Cost => self.analysis.cost_at(&self.plan.code, at),
            Measure::Bulk => {
                let index = u32::try_from(at).unwrap_or(u32::MAX);
                let found = self.plan.bulk.binary_search_by_key(&index, |site| site.at);
                let is_start = self.plan.bytewise && index == 0;
                u64::from(found.is_ok() || is_start)
            }
        }
    }

    /// Replaces the turns of a loop by their sum, before the last turn.
    fn fold_loop(&mut self, number: u32, turn: Longest, node: Node) -> Node {
        if turn == Longest::NONE {
            return node;
        }
        self.turns.insert(number, turn);
        let code = &self.plan.code;
        let cfg = &self.plan.cfg;
        let turns = self.analysis.loop_turns(self.function, self.plan, number);
        let before = match turns {
            Some(turns) => turn.repeated(turns - 1),
            None => turn.endless(),
        };
        let never_leaves = node.exit.longest() == Longest::NONE && node.again.is_empty();
        let mut node = node.after(before);
        if turns.is_none() || never_leaves {
            node.exit.traps = node.exit.traps.or(before);
            node.exit.stops = node.exit.stops.or(before);
        }
        if turns.is_none() && cfg.is_reachable(cfg.loops[number as usize].head as usize) {
            let head = cfg.loops[number as usize].head;
            self.loops_without_bound.push(Finding {
                kind: FindingKind::Loop,
                function: self.function,
                offset: code.offsets[head as usize],
                reason: "loop without a bound".to_owned(),
                at: head,
            });
        }
        node
    }
}

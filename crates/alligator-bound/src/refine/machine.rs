//! Executes code on terms, from one branch to the next.
//!
//! A state is one path so far: where it stands, what its variables hold as terms, what its
//! branches say of them, and what it has cost. Instructions that are not followed leave unknowns;
//! those that may write memory leave nothing known of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use wasmparser::{BlockType, Operator, ValType};

use crate::cfg::{Flow, Target};
use crate::cost::operator_name;
use crate::path::{Analysis, Callees, Growth, Longest, Plan, UNBOUNDED, called_type, is_indirect};

use super::facts::{Contradiction, Facts};
use super::liveness::Liveness;
use super::memory::{Cells, Place};
use super::operators::{self, Access};
use super::range::Range;
use super::term::{Binary, Origin, TermId, Terms, Unary};

/// Deepest chain of calls followed.
pub(super) const CALL_DEPTH_MAX: usize = 200;

/// Instructions executed in one go, so that the limit on steps limits time as well.
const STRETCH_MAX: usize = 1_000;

/// Most alternatives one `br_table` or indirect call is split into.
const ALTERNATIVES_MAX: usize = 512;

/// Slots of unknowns that stand for a loop's locals, its parameters and its globals.
const LOOP_PARAMETER_SLOT: u32 = 1 << 24;

/// An open block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Block {
    /// Operand stack below its parameters.
    height: usize,
    /// Values a branch to it carries.
    carried: usize,
    /// Whether a branch to it starts it again.
    is_loop: bool,
}

/// One call in progress.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Function.
    pub function: u32,
    /// Number of the chain of calls.
    context: u32,
    /// Next instruction.
    pub at: usize,
    locals: Vec<TermId>,
    stack: Vec<TermId>,
    blocks: Vec<Block>,
    /// Longest path from its return to the end of the entry.
    rest: Longest,
}

/// One step of a path that matters to a reader.
#[derive(Debug)]
pub struct Step {
    /// Function it is in.
    pub function: u32,
    /// Instruction.
    pub at: usize,
    /// Where it went.
    pub event: Event,
    /// Cost so far, this instruction included.
    pub cost: u64,
    /// Chain of calls above.
    pub depth: usize,
    /// The step before.
    pub previous: Option<Rc<Step>>,
}

impl Drop for Step {
    /// Drops a long path step by step: the default would recurse once per step.
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(step) = next {
            next = Rc::try_unwrap(step)
                .ok()
                .and_then(|mut step| step.previous.take());
        }
    }
}

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Branches to an instruction.
    Branch(usize),
    /// Goes on with the next instruction.
    Continue,
    /// Starts the branch to a function's end.
    Leave,
    /// Calls a function.
    Call(u32),
    /// Returns from the function.
    Return,
    /// Takes all turns of a loop but the last, at this cost.
    Turns(u64),
    /// Grows memory.
    Grow,
    /// Ends the program.
    Trap,
    /// Leaves by an exception.
    Throw,
}

/// One path so far.
#[derive(Debug, Clone)]
pub(super) struct State {
    callers: Vec<Rc<Frame>>,
    /// The innermost call.
    pub frame: Frame,
    globals: BTreeMap<u32, TermId>,
    pages: BTreeMap<u32, TermId>,
    cells: Cells,
    facts: Facts,
    /// What it did about growth.
    pub growth: Growth,
    /// Cost so far.
    pub cost: u64,
    /// Steps, last first.
    pub trail: Option<Rc<Step>>,
}

impl State {
    /// About how many words of memory it takes.
    pub(super) fn words(&self) -> usize {
        let frame = &self.frame;
        64 + self.callers.len()
            + frame.locals.len()
            + frame.stack.len()
            + 4 * frame.blocks.len()
            + 8 * (self.globals.len() + self.pages.len())
            + 8 * self.cells.cells.len()
            + 12 * self.facts.count()
    }

    /// What its branches say.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// What becomes of a state at its next branch.
#[derive(Debug)]
pub(super) enum Advance {
    /// It goes on in each of these ways.
    Fork(Vec<State>),
    /// It has ended.
    Done(Box<State>),
}

/// Executes one analysis' functions on terms.
#[derive(Debug)]
pub(super) struct Machine<'s, 'm, 'a> {
    analysis: &'s Analysis<'m, 'a>,
    growth: Growth,
    /// Whether paths whose branches contradict each other are dropped.
    refutes: bool,
    /// Cost of the costliest path at the point where it was found to contradict itself.
    pub refuted: u64,
    terms: Terms,
    contexts: HashMap<(u32, u32, usize), u32>,
    liveness: HashMap<u32, Liveness>,
}

enum Next {
    /// The state has moved on.
    Go,
    /// It has split, or turned out impossible.
    Split(Vec<State>),
    /// It has ended.
    End,
}

type Stepped = Result<Next, Contradiction>;

impl<'s, 'm, 'a> Machine<'s, 'm, 'a> {
    /// A machine for one search, which may do so much work.
    pub(super) fn new(
        analysis: &'s Analysis<'m, 'a>,
        growth: Growth,
        refutes: bool,
        effort_max: u64,
    ) -> Self {
        Self {
            analysis,
            growth,
            refutes,
            refuted: 0,
            terms: Terms::new(effort_max),
            contexts: HashMap::new(),
            liveness: HashMap::new(),
        }
    }

    /// The state in which a function is entered, with any arguments.
    pub(super) fn start(&mut self, function: u32) -> State {
        let context = self.context(u32::MAX, function, 0);
        let plan = self.plan(function);
        let types = &plan.code.locals[..plan.code.params];
        let arguments = (0..).zip(types).map(|(slot, value_type)| {
            let origin = Origin {
                context,
                at: u32::MAX,
                slot,
            };
            unknown_of(&mut self.terms, origin, *value_type)
        });
        let arguments: Vec<TermId> = arguments.collect();
        let frame = self.enter(function, context, arguments, Longest::ZERO);
        State {
            callers: Vec::new(),
            frame,
            globals: BTreeMap::new(),
            pages: BTreeMap::new(),
            cells: Cells::default(),
            facts: Facts::default(),
            growth: Growth::Without,
            cost: self.analysis.entry_cost(plan),
            trail: None,
        }
    }

    fn plan(&self, function: u32) -> &'s Plan<'a> {
        &self.analysis.plans[&function]
    }

    fn context(&mut self, from: u32, function: u32, at: usize) -> u32 {
        let number = u32::try_from(self.contexts.len()).unwrap_or(u32::MAX);
        *self.contexts.entry((from, function, at)).or_insert(number)
    }

    fn enter(
        &mut self,
        function: u32,
        context: u32,
        arguments: Vec<TermId>,
        rest: Longest,
    ) -> Frame {
        let plan = self.plan(function);
        let mut locals = arguments;
        for value_type in &plan.code.locals[plan.code.params..] {
            locals.push(match value_type {
                ValType::I32 => self.terms.constant(0, 32),
                ValType::I64 => self.terms.constant(0, 64),
                _ => self.terms.opaque(Origin {
                    context,
                    at: u32::MAX,
                    slot: u32::MAX,
                }),
            });
        }
        Frame {
            function,
            context,
            at: 0,
            locals,
            stack: Vec::new(),
            blocks: Vec::new(),
            rest,
        }
    }

    /// An upper limit of the cost of every path that continues a state; `None` when no path of the
    /// wanted kind does.
    pub(super) fn limit(&self, state: &State) -> Option<u64> {
        let node = &self.plan(state.frame.function).nodes[state.frame.at];
        let exit = node.exit;
        let all = exit
            .returns
            .then(state.frame.rest)
            .or(exit.traps)
            .or(exit.throws);
        let rest = all.after(state.growth, self.growth)?;
        Some(state.cost.saturating_add(rest))
    }

    /// Work done.
    pub(super) fn effort(&self) -> u64 {
        self.terms.effort()
    }

    /// Whether the limit of work is reached.
    pub(super) fn is_spent(&self) -> bool {
        self.terms.is_spent()
    }

    /// Runs a state up to its next branch, or for so many instructions that others may go first.
    pub(super) fn advance(&mut self, mut state: State) -> Advance {
        for _ in 0..STRETCH_MAX {
            self.terms.spend(1);
            match self.step(&mut state) {
                Ok(Next::Go) => {}
                Ok(Next::Split(states)) => {
                    self.terms
                        .spend(states.iter().map(|state| state.words() as u64).sum());
                    return Advance::Fork(states);
                }
                Ok(Next::End) => return Advance::Done(Box::new(state)),
                Err(Contradiction) => {
                    self.refuted = self.refuted.max(state.cost);
                    return Advance::Fork(Vec::new());
                }
            }
        }
        Advance::Fork(vec![state])
    }

    fn step(&mut self, state: &mut State) -> Stepped {
        let plan = self.plan(state.frame.function);
        let at = state.frame.at;
        let operator = &plan.code.operators[at];
        state.cost = state
            .cost
            .saturating_add(self.analysis.cost_at(&plan.code, at));
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(callees) = plan.callees.get(&index) {
            if plan.after_growth.contains(&index) && state.growth < Growth::With {
                return Err(Contradiction);
            }
            return Ok(self.call(state, operator, callees));
        }
        match &plan.cfg.flows[at] {
            Flow::Next => {
                state.frame.at += 1;
                self.straight(state, plan, at)
            }
            Flow::Jump(target) => {
                self.jump(state, operator, *target);
                match operator {
                    Operator::Br { .. } => Ok(self.land(state, *target)),
                    _ => Ok(Next::Go),
                }
            }
            Flow::Branch(target) => Ok(self.branch(state, operator, *target)),
            Flow::If(target) => Ok(self.branch_if(state, plan, *target)),
            Flow::Table(targets) => self.branch_table(state, operator, targets),
            Flow::Return => Ok(self.leave(state)),
            Flow::Trap => {
                Self::note(state, at, Event::Trap);
                Ok(Next::End)
            }
            Flow::Throw => {
                Self::note(state, at, Event::Throw);
                Ok(Next::End)
            }
        }
    }

    fn note(state: &mut State, at: usize, event: Event) {
        state.trail = Some(Rc::new(Step {
            function: state.frame.function,
            at,
            event,
            cost: state.cost,
            depth: state.callers.len(),
            previous: state.trail.take(),
        }));
    }

    fn origin(state: &State, at: usize, slot: u32) -> Origin {
        Origin {
            context: state.frame.context,
            at: u32::try_from(at).unwrap_or(u32::MAX),
            slot,
        }
    }

    fn pop(state: &mut State) -> TermId {
        state
            .frame
            .stack
            .pop()
            .expect("validated: the operand is there")
    }

    /// Takes an operand as an integer, by its value where a fact leaves only one.
    fn pop_integer(&mut self, state: &mut State, bits: u32) -> TermId {
        let id = Self::pop(state);
        let id = self.terms.integer(id, bits);
        match state.facts.known_value(id) {
            Some(value) => self.terms.constant(value, bits),
            None => id,
        }
    }

    // Straight-line code.

    fn straight(&mut self, state: &mut State, plan: &'s Plan<'a>, at: usize) -> Stepped {
        let operator = &plan.code.operators[at];
        match operator {
            Operator::Nop | Operator::AtomicFence { .. } => {}
            Operator::TryTable { try_table } => self.open(state, try_table.ty, false),
            Operator::Block { blockty } | Operator::Try { blockty } => {
                self.open(state, *blockty, false);
            }
            Operator::Loop { blockty } => {
                self.open(state, *blockty, true);
                return Ok(self.take_turns(state, plan, at, *blockty));
            }
            Operator::End | Operator::Delegate { .. } => {
                state.frame.blocks.pop();
            }
            Operator::Drop => {
                Self::pop(state);
            }
            Operator::LocalGet { local_index } => {
                let value = state.frame.locals[*local_index as usize];
                state.frame.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                state.frame.locals[*local_index as usize] = Self::pop(state);
            }
            Operator::LocalTee { local_index } => {
                let value = *state
                    .frame
                    .stack
                    .last()
                    .expect("validated: the operand is there");
                state.frame.locals[*local_index as usize] = value;
            }
            Operator::I32Const { value } => {
                let id = self.terms.constant(u64::from(value.cast_unsigned()), 32);
                state.frame.stack.push(id);
            }
            Operator::I64Const { value } => {
                let id = self.terms.constant(value.cast_unsigned(), 64);
                state.frame.stack.push(id);
            }
            Operator::GlobalGet { global_index } => self.global_get(state, at, *global_index),
            Operator::GlobalSet { global_index } => {
                let value = Self::pop(state);
                self.forget_aliases_of_global(state, *global_index);
                state.globals.insert(*global_index, value);
            }
            Operator::Select | Operator::TypedSelect { .. } => self.select(state)?,
            Operator::MemorySize { mem } => {
                let pages = self.pages(state, at, *mem);
                state.frame.stack.push(pages);
            }
            Operator::MemoryGrow { mem } => {
                self.goes_on_with(state, Growth::With)?;
                Self::note(state, at, Event::Grow);
                self.grow(state, at, *mem);
            }
            _ => self.compute(state, at, operator),
        }
        Ok(Next::Go)
    }

    /// Goes on as a path of a kind, if paths of that kind are searched.
    fn goes_on_with(&self, state: &mut State, growth: Growth) -> Result<(), Contradiction> {
        if growth > self.growth {
            return Err(Contradiction);
        }
        state.growth = state.growth.max(growth);
        Ok(())
    }

    fn open(&mut self, state: &mut State, block: BlockType, is_loop: bool) {
        let (params, results) = self.analysis.module.block_arity(block);
        state.frame.blocks.push(Block {
            height: state.frame.stack.len() - params,
            carried: if is_loop { params } else { results },
            is_loop,
        });
    }

    fn global_get(&mut self, state: &mut State, at: usize, index: u32) {
        let global = self.analysis.module.globals[index as usize];
        let value = match (global.constant, global.value_type) {
            (Some(value), ValType::I32) => self.terms.constant(value.cast_unsigned(), 32),
            (Some(value), ValType::I64) => self.terms.constant(value.cast_unsigned(), 64),
            _ => match state.globals.get(&index) {
                Some(value) => *value,
                None => unknown_of(
                    &mut self.terms,
                    Self::origin(state, at, 0),
                    global.value_type,
                ),
            },
        };
        state.globals.insert(index, value);
        state.frame.stack.push(value);
    }

    /// Two imported globals may be one.
    fn forget_aliases_of_global(&self, state: &mut State, index: u32) {
        let globals = &self.analysis.module.globals;
        if globals[index as usize].imported {
            state
                .globals
                .retain(|other, _| !globals[*other as usize].imported);
        }
    }

    fn select(&mut self, state: &mut State) -> Result<(), Contradiction> {
        let condition = self.pop_integer(state, 32);
        let (second, first) = (Self::pop(state), Self::pop(state));
        let chosen = match state.facts.range(&self.terms, condition)?.as_truth() {
            Some(true) => first,
            Some(false) => second,
            None => {
                let bits = self.terms.bits(first).max(self.terms.bits(second));
                let first = self.terms.integer(first, bits);
                let second = self.terms.integer(second, bits);
                self.terms.select(condition, first, second)
            }
        };
        state.frame.stack.push(chosen);
        Ok(())
    }

    fn pages(&mut self, state: &mut State, at: usize, memory: u32) -> TermId {
        let kind = self.analysis.module.memories[memory as usize];
        let origin = Self::origin(state, at, 0);
        let possible = match (kind.is_64, kind.odd_pages) {
            // At most 65,536 pages of 64 KiB.
            (false, false) => 17,
            _ => kind.address_bits(),
        };
        let fresh = self.terms.unknown(origin, possible, kind.address_bits());
        if kind.shared {
            return fresh;
        }
        *state.pages.entry(memory).or_insert(fresh)
    }

    /// `memory.grow` gives the old number of pages, or -1 and changes nothing.
    fn grow(&mut self, state: &mut State, at: usize, memory: u32) {
        let kind = self.analysis.module.memories[memory as usize];
        let bits = kind.address_bits();
        let delta = self.pop_integer(state, bits);
        if kind.shared {
            let result = self.terms.unknown(Self::origin(state, at, 0), bits, bits);
            state.frame.stack.push(result);
            return;
        }
        let before = self.pages(state, at, memory);
        let granted = self.terms.unknown(Self::origin(state, at, 1), 1, 32);
        let refused = self.terms.constant(u64::MAX, bits);
        let after = self.terms.binary(Binary::Add, before, delta);
        let after = self.terms.select(granted, after, before);
        let result = self.terms.select(granted, before, refused);
        // Two imported memories may be one.
        let memories = &self.analysis.module.memories;
        if kind.imported {
            state
                .pages
                .retain(|other, _| !memories[*other as usize].imported);
        }
        state.pages.insert(memory, after);
        state.frame.stack.push(result);
    }

    fn compute(&mut self, state: &mut State, at: usize, operator: &Operator<'_>) {
        if let Some((unary, bits)) = operators::unary(operator) {
            let x = self.pop_integer(state, bits);
            let result = self.terms.unary(unary, x);
            state.frame.stack.push(result);
        } else if let Some(form) = operators::binary(operator) {
            let y = self.pop_integer(state, form.bits);
            let x = self.pop_integer(state, form.bits);
            let (x, y) = if form.swapped { (y, x) } else { (x, y) };
            let mut result = self.terms.binary(form.operator, x, y);
            if form.negated {
                result = self.terms.unary(Unary::Eqz, result);
            }
            state.frame.stack.push(result);
        } else if let Some(access) = operators::load(operator) {
            self.load(state, at, &access);
        } else if let Some(access) = operators::store(operator) {
            self.store(state, at, &access);
        } else {
            self.unfollowed(state, at, operator);
        }
    }

    fn load(&mut self, state: &mut State, at: usize, access: &Access) {
        let memory = self.analysis.module.memories[access.memory as usize];
        let address = self.pop_integer(state, memory.address_bits());
        let origin = Self::origin(state, at, 0);
        if access.bits == 0 {
            let value = self.terms.opaque(origin);
            state.frame.stack.push(value);
            return;
        }
        let place = Place::of(&self.terms, &state.facts, access, memory.imported, address);
        let cell_bits = if access.bytes == 8 { 64 } else { 32 };
        let known = state.cells.content(&place).filter(|_| !memory.shared);
        let content = known.unwrap_or_else(|| {
            let content = self.terms.unknown(origin, access.bytes * 8, cell_bits);
            state.cells.learn(place, content);
            content
        });
        let value = self.widened(content, access);
        state.frame.stack.push(value);
    }

    /// A cell's content as a load of its width gives it.
    fn widened(&mut self, content: TermId, access: &Access) -> TermId {
        let narrow = match (access.signed, access.bytes) {
            (true, 1) => self.terms.unary(Unary::Extend8S, content),
            (true, 2) => self.terms.unary(Unary::Extend16S, content),
            _ => content,
        };
        match (access.bits, self.terms.bits(narrow), access.signed) {
            (64, 32, true) => self.terms.unary(Unary::ExtendS, narrow),
            (64, 32, false) => self.terms.unary(Unary::ExtendU, narrow),
            _ => narrow,
        }
    }

    fn store(&mut self, state: &mut State, at: usize, access: &Access) {
        let memory = self.analysis.module.memories[access.memory as usize];
        let bits = if access.bits == 0 {
            access.bytes * 8
        } else {
            access.bits
        };
        let value = self.pop_integer(state, bits);
        let address = self.pop_integer(state, memory.address_bits());
        let place = Place::of(&self.terms, &state.facts, access, memory.imported, address);
        let mut content = value;
        if bits == 64 && access.bytes < 8 {
            content = self.terms.unary(Unary::Wrap, content);
        }
        if access.bytes < 4 {
            let kept = self.terms.constant((1 << (access.bytes * 8)) - 1, 32);
            content = self.terms.binary(Binary::And, content, kept);
        }
        if memory.shared {
            // Another thread may write at any time: nothing is known of what is read next.
            content = self.terms.unknown(
                Self::origin(state, at, 0),
                access.bytes * 8,
                self.terms.bits(content),
            );
        }
        let bits = memory.address_bits();
        state
            .cells
            .write(place, content, &self.terms, &state.facts, bits);
    }

    /// Any other operator: its results are unknown, and so is memory if it may write it.
    fn unfollowed(&mut self, state: &mut State, at: usize, operator: &Operator<'_>) {
        let (taken, given) = self.analysis.module.arity(operator).unwrap_or((0, 0));
        let height = state.frame.stack.len().saturating_sub(taken);
        state.frame.stack.truncate(height);
        for slot in 0..given {
            let origin = Self::origin(state, at, u32::try_from(slot).unwrap_or(u32::MAX));
            let value = self.terms.opaque(origin);
            state.frame.stack.push(value);
        }
        let name = operator_name(operator);
        if ["store", "atomic", "memory_"]
            .iter()
            .any(|part| name.contains(part))
        {
            state.cells.clear();
        }
    }

    /// All turns of a loop but the last: their cost, and nothing known of what they may change.
    fn take_turns(
        &mut self,
        state: &mut State,
        plan: &'s Plan<'a>,
        at: usize,
        block: BlockType,
    ) -> Next {
        let number = plan.cfg.loop_at_body(at + 1).unwrap_or(u32::MAX);
        let Some(turn) = plan.turns.get(&number).copied() else {
            return Next::Go;
        };
        let function = state.frame.function;
        let turns = self.analysis.loop_turns(function, plan, number);
        let before = match turns {
            Some(turns) => turn.repeated(turns - 1),
            None => turn.endless(),
        };
        self.forget_loop(state, plan, at, number, block);
        let mut states = Vec::new();
        for growth in Growth::ALL {
            let Some(cost) = before.of(growth).filter(|_| growth <= self.growth) else {
                continue;
            };
            let mut state = state.clone();
            state.cost = state.cost.saturating_add(cost);
            state.growth = state.growth.max(growth);
            Self::note(&mut state, at, Event::Turns(cost));
            states.push(state);
        }
        if let Some(endless) = states.iter().find(|state| state.cost >= UNBOUNDED) {
            *state = endless.clone();
            return Next::End;
        }
        Next::Split(states)
    }

    fn forget_loop(
        &mut self,
        state: &mut State,
        plan: &'s Plan<'a>,
        at: usize,
        number: u32,
        block: BlockType,
    ) {
        let end = plan.cfg.loops[number as usize].end as usize;
        self.terms.spend((end - at) as u64);
        let assigned: BTreeSet<u32> = plan.code.operators[at..end]
            .iter()
            .filter_map(|operator| match operator {
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    Some(*local_index)
                }
                _ => None,
            })
            .collect();
        for local in assigned {
            let origin = Self::origin(state, at, local);
            let value_type = plan.code.locals[local as usize];
            state.frame.locals[local as usize] = unknown_of(&mut self.terms, origin, value_type);
        }
        let (params, _) = self.analysis.module.block_arity(block);
        let height = state.frame.stack.len() - params;
        for (slot, value) in (LOOP_PARAMETER_SLOT..).zip(&mut state.frame.stack[height..]) {
            *value = self.terms.opaque(Origin {
                context: state.frame.context,
                at: u32::try_from(at).unwrap_or(u32::MAX),
                slot,
            });
        }
        state.globals.clear();
        state.pages.clear();
        state.cells.clear();
    }

    // Branches.

    /// Leaves the blocks that a branch leaves, with the values it carries.
    fn jump(&mut self, state: &mut State, operator: &Operator<'_>, target: Target) {
        match operator {
            Operator::Br { relative_depth } => Self::unwind(state, *relative_depth),
            // `else` and `catch` end the part before them.
            _ => {
                state.frame.blocks.pop();
            }
        }
        self.go(state, target);
    }

    fn go(&mut self, state: &mut State, target: Target) {
        let plan = self.plan(state.frame.function);
        if let Some(position) = plan.cfg.position(target) {
            state.frame.at = position;
        }
    }

    fn unwind(state: &mut State, depth: u32) {
        let frame = &mut state.frame;
        let Some(index) = frame.blocks.len().checked_sub(1 + depth as usize) else {
            return; // Out of the function: `leave` takes the results.
        };
        let block = frame.blocks[index];
        let kept = frame.stack.len() - block.carried;
        frame.stack.drain(block.height..kept);
        frame.blocks.truncate(index + usize::from(block.is_loop));
    }

    /// After a branch was taken: back in a loop, out of the function, or ahead.
    fn land(&mut self, state: &mut State, target: Target) -> Next {
        match target {
            // Turns but the last are paid for where the loop starts.
            Target::Again(_) => Next::Split(Vec::new()),
            Target::Return => self.leave(state),
            Target::Ahead(_) => Next::Go,
        }
    }

    /// Makes the states in which alternatives are taken; impossible ones are left out.
    fn split(&mut self, alternatives: Vec<(State, Option<Target>)>) -> Vec<State> {
        let mut states = Vec::new();
        for (mut state, target) in alternatives {
            match target.map_or(Next::Go, |target| self.land(&mut state, target)) {
                Next::Go => states.push(state),
                Next::Split(more) => states.extend(more),
                Next::End => {
                    // The entry has returned: one more step would find it at its end.
                    state.frame.at = usize::MAX;
                    states.push(state);
                }
            }
        }
        states
    }

    fn take(&mut self, state: &State, operator: &Operator<'_>, target: Target) -> State {
        let at = state.frame.at;
        let mut taken = state.clone();
        if let Operator::BrIf { relative_depth }
        | Operator::BrOnNull { relative_depth }
        | Operator::BrOnNonNull { relative_depth }
        | Operator::BrOnCast { relative_depth, .. }
        | Operator::BrOnCastFail { relative_depth, .. } = operator
        {
            Self::unwind(&mut taken, *relative_depth);
        }
        self.go(&mut taken, target);
        let event = match target {
            Target::Return => Event::Leave,
            _ => Event::Branch(taken.frame.at),
        };
        Self::note(&mut taken, at, event);
        taken
    }

    fn fall(state: &State) -> State {
        let at = state.frame.at;
        let mut fallen = state.clone();
        fallen.frame.at += 1;
        Self::note(&mut fallen, at, Event::Continue);
        fallen
    }

    fn may_assume(&mut self, state: &mut State, condition: TermId, truth: bool) -> bool {
        let assumed = !self.refutes
            || state
                .facts
                .assume(&mut self.terms, condition, truth)
                .is_ok();
        if !assumed {
            self.refuted = self.refuted.max(state.cost);
        }
        assumed
    }

    fn branch(&mut self, state: &mut State, operator: &Operator<'_>, target: Target) -> Next {
        let mut alternatives = Vec::new();
        match operator {
            Operator::BrIf { .. } => {
                let condition = self.pop_integer(state, 32);
                let mut taken = self.take(state, operator, target);
                if self.may_assume(&mut taken, condition, true) {
                    alternatives.push((taken, Some(target)));
                }
                let mut fallen = Self::fall(state);
                if self.may_assume(&mut fallen, condition, false) {
                    alternatives.push((fallen, None));
                }
            }
            // The reference goes with the branch that found it not null.
            Operator::BrOnNull { .. } => {
                alternatives.push((Self::fall(state), None));
                Self::pop(state);
                alternatives.push((self.take(state, operator, target), Some(target)));
            }
            Operator::BrOnNonNull { .. } => {
                alternatives.push((self.take(state, operator, target), Some(target)));
                Self::pop(state);
                alternatives.push((Self::fall(state), None));
            }
            _ => {
                alternatives.push((self.take(state, operator, target), Some(target)));
                alternatives.push((Self::fall(state), None));
            }
        }
        Next::Split(self.split(alternatives))
    }

    fn branch_if(&mut self, state: &mut State, plan: &'s Plan<'a>, target: Target) -> Next {
        let operator = &plan.code.operators[state.frame.at];
        let condition = self.pop_integer(state, 32);
        if let Operator::If { blockty } = operator {
            self.open(state, *blockty, false);
        }
        let mut states = Vec::new();
        let mut then = Self::fall(state);
        if self.may_assume(&mut then, condition, true) {
            states.push(then);
        }
        let mut otherwise = self.take(state, operator, target);
        if self.may_assume(&mut otherwise, condition, false) {
            states.push(otherwise);
        }
        Next::Split(states)
    }

    fn branch_table(
        &mut self,
        state: &mut State,
        operator: &Operator<'_>,
        targets: &[Target],
    ) -> Stepped {
        let index = self.pop_integer(state, 32);
        let Operator::BrTable { targets: table } = operator else {
            return Ok(Next::Split(Vec::new()));
        };
        let depths: Vec<u32> = table
            .targets()
            .map_while(Result::ok)
            .chain([table.default()])
            .collect();
        let known = state.facts.range(&self.terms, index)?;
        let mut alternatives = Vec::new();
        for (first, last) in runs(&depths) {
            let hi = if last + 1 == depths.len() {
                u64::from(u32::MAX)
            } else {
                last as u64
            };
            let Some(range) = Range::between(first as u64, hi) else {
                continue;
            };
            if self.refutes && range.meet(known).is_none() {
                self.refuted = self.refuted.max(state.cost);
                continue;
            }
            let at = state.frame.at;
            let mut taken = state.clone();
            Self::unwind(&mut taken, depths[first]);
            self.go(&mut taken, targets[first]);
            let event = match targets[first] {
                Target::Return => Event::Leave,
                _ => Event::Branch(taken.frame.at),
            };
            Self::note(&mut taken, at, event);
            // Beyond some number of alternatives, which index it was is not followed.
            let narrowed = !self.refutes
                || alternatives.len() >= ALTERNATIVES_MAX
                || taken
                    .facts
                    .assume_range(&mut self.terms, index, range)
                    .is_ok();
            if narrowed {
                alternatives.push((taken, Some(targets[first])));
            } else {
                self.refuted = self.refuted.max(state.cost);
            }
        }
        Ok(Next::Split(self.split(alternatives)))
    }

    // Calls.

    fn call(&mut self, state: &mut State, operator: &Operator<'_>, callees: &Callees) -> Next {
        let functions = match callees {
            Callees::Known(functions) if functions.len() <= ALTERNATIVES_MAX => functions,
            Callees::Vouched(cost) => return self.call_vouched(state, operator, *cost),
            _ => return Self::endless(state),
        };
        if functions.is_empty() {
            let at = state.frame.at;
            Self::note(state, at, Event::Trap);
            return Next::End;
        }
        let indirect = is_indirect(operator);
        if indirect {
            Self::pop(state);
        }
        let tail = is_tail(operator);
        if let ([callee], false) = (functions.as_slice(), indirect) {
            return self.call_one(state, *callee, tail);
        }
        let mut states = Vec::new();
        for callee in functions {
            let mut state = state.clone();
            match self.call_one(&mut state, *callee, tail) {
                Next::Go => states.push(state),
                Next::Split(more) => states.extend(more),
                Next::End => {
                    state.frame.at = usize::MAX;
                    states.push(state);
                }
            }
        }
        Next::Split(states)
    }

    /// A path that has no bound from here on.
    fn endless(state: &mut State) -> Next {
        state.cost = state.cost.saturating_add(UNBOUNDED);
        Next::End
    }

    /// A call of somebody for whom a person vouches.
    fn call_vouched(&mut self, state: &mut State, operator: &Operator<'_>, cost: u64) -> Next {
        Self::pop(state);
        let signature =
            called_type(operator).and_then(|index| self.analysis.module.signature(index));
        let params = signature.map_or(0, |signature| signature.params().len());
        let results: Vec<ValType> = signature.map_or_else(Vec::new, |s| s.results().to_vec());
        state.frame.stack.truncate(state.frame.stack.len() - params);
        let cost = self.analysis.vouched_cost(cost);
        state.cost = state.cost.saturating_add(cost);
        self.come_back(state, is_tail(operator), &results)
    }

    fn call_one(&mut self, state: &mut State, callee: u32, tail: bool) -> Next {
        let at = state.frame.at;
        let module = self.analysis.module;
        let signature = module.signature(module.functions[callee as usize].type_index);
        let params = signature.map_or(0, |signature| signature.params().len());
        let arguments = state
            .frame
            .stack
            .split_off(state.frame.stack.len() - params);
        Self::note(state, at, Event::Call(callee));
        if module.functions[callee as usize].import.is_some() {
            let results: Vec<ValType> = signature.map_or_else(Vec::new, |s| s.results().to_vec());
            return self.call_import(state, callee, tail, &results);
        }
        let entered = self.analysis.entered(callee);
        if self.goes_on_with(state, entered).is_err() {
            self.refuted = self.refuted.max(state.cost);
            return Next::Split(Vec::new());
        }
        // A recursive function is followed until it comes again; a tail call leaves no trace of who called.
        let comes_again = self.analysis.is_recursive(callee)
            && (tail || state.frame.function == callee || is_in_progress(state, callee));
        if comes_again || state.callers.len() >= CALL_DEPTH_MAX {
            return Self::endless(state);
        }
        let mut rest = state.frame.rest;
        let context = self.context(state.frame.context, callee, at);
        if !tail {
            let after = self.plan(state.frame.function).nodes[at + 1].exit;
            rest = after.returns.then(rest).or(after.traps).or(after.throws);
            state.frame.at = at + 1;
            self.drop_dead_locals(state);
        }
        let frame = self.enter(callee, context, arguments, rest);
        let suspended = core::mem::replace(&mut state.frame, frame);
        if !tail {
            state.callers.push(Rc::new(suspended));
        }
        let entry = self.analysis.entry_cost(self.plan(callee));
        state.cost = state.cost.saturating_add(entry);
        Next::Go
    }

    fn call_import(
        &mut self,
        state: &mut State,
        callee: u32,
        tail: bool,
        results: &[ValType],
    ) -> Next {
        if self.analysis.is_growing_import(callee)
            && self.goes_on_with(state, Growth::With).is_err()
        {
            self.refuted = self.refuted.max(state.cost);
            return Next::Split(Vec::new());
        }
        let cost = self.analysis.import_cost(callee);
        state.cost = state.cost.saturating_add(cost);
        if cost >= UNBOUNDED {
            return Next::End;
        }
        self.come_back(state, tail, results)
    }

    /// Comes back from code that is not here: nothing is known of what it left.
    fn come_back(&mut self, state: &mut State, tail: bool, results: &[ValType]) -> Next {
        let at = state.frame.at;
        state.cells.clear();
        state.globals.clear();
        state.pages.clear();
        for (slot, value_type) in (0..).zip(results) {
            let value = unknown_of(&mut self.terms, Self::origin(state, at, slot), *value_type);
            state.frame.stack.push(value);
        }
        state.frame.at = at + 1;
        if tail { self.leave(state) } else { Next::Go }
    }

    /// Returns to the caller, or ends the entry.
    fn leave(&mut self, state: &mut State) -> Next {
        let results = self.plan(state.frame.function).code.results;
        let Some(caller) = state.callers.pop() else {
            return Next::End;
        };
        let kept = state.frame.stack.len().saturating_sub(results);
        let results = state.frame.stack.split_off(kept);
        let at = state.frame.at;
        Self::note(state, at, Event::Return);
        state.frame = Rc::unwrap_or_clone(caller);
        state.frame.stack.extend(results);
        Next::Go
    }

    // States that stand for the same future.

    /// Forgets what no later instruction can depend on, and writes the rest, facts apart, as a key:
    /// of two states with equal keys, the one with weaker facts has all continuations of the other.
    pub(super) fn condense(&mut self, state: &mut State) -> Box<[u32]> {
        self.drop_dead_locals(state);
        let mut wanted = self.wanted(state);
        let terms = &self.terms;
        let mut cells = core::mem::take(&mut state.cells);
        // A cell matters if its address can still be formed; its content then matters, too.
        let mut kept = vec![false; cells.cells.len()];
        loop {
            let mut changed = false;
            for (cell, keep) in cells.cells.iter().zip(&mut kept) {
                let reachable = cell
                    .place
                    .base
                    .is_none_or(|base| all_atoms_in(terms, base, &wanted));
                if !*keep && reachable {
                    *keep = true;
                    changed = true;
                    wanted.extend(terms.atoms(cell.content));
                }
            }
            if !changed {
                break;
            }
        }
        let mut keep = kept.into_iter();
        cells.cells.retain(|_| keep.next().unwrap_or(true));
        state.cells = cells;
        state
            .facts
            .retain(terms, |id| all_atoms_in(terms, id, &wanted));
        let key = key_of(state);
        terms.spend((key.len() + wanted.len() + state.facts.count()) as u64);
        key
    }

    fn drop_dead_locals(&mut self, state: &mut State) {
        let analysis = self.analysis;
        let function = state.frame.function;
        let liveness = self
            .liveness
            .entry(function)
            .or_insert_with(|| Liveness::of(&analysis.plans[&function]));
        let dead = self.terms.constant(0, 0);
        for (local, value) in state.frame.locals.iter_mut().enumerate() {
            if !liveness.is_live(state.frame.at, local) {
                *value = dead;
            }
        }
    }

    fn wanted(&self, state: &State) -> BTreeSet<TermId> {
        let mut atoms = BTreeSet::new();
        let frames = state.callers.iter().map(Rc::as_ref).chain([&state.frame]);
        let variables = frames.flat_map(|frame| frame.locals.iter().chain(&frame.stack));
        for id in variables
            .chain(state.globals.values())
            .chain(state.pages.values())
        {
            atoms.extend(self.terms.atoms(*id));
        }
        atoms
    }
}

fn is_tail(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
    )
}

/// Whether a call of a function waits for the innermost one to return.
fn is_in_progress(state: &State, function: u32) -> bool {
    let mut callers = state.callers.iter();
    callers.any(|caller| caller.function == function)
}

fn all_atoms_in(terms: &Terms, id: TermId, wanted: &BTreeSet<TermId>) -> bool {
    terms.atoms(id).iter().all(|atom| wanted.contains(atom))
}

fn key_of(state: &State) -> Box<[u32]> {
    let mut key = vec![state.growth as u32];
    let mut number = |value: usize| key.push(u32::try_from(value).unwrap_or(u32::MAX));
    for frame in state.callers.iter().map(Rc::as_ref).chain([&state.frame]) {
        number(frame.context as usize);
        number(frame.function as usize);
        number(frame.at);
        number(frame.stack.len());
        frame
            .locals
            .iter()
            .chain(&frame.stack)
            .for_each(|id| number(*id as usize));
    }
    for map in [&state.globals, &state.pages] {
        number(map.len());
        for (index, id) in map {
            number(*index as usize);
            number(*id as usize);
        }
    }
    let mut cells: Vec<_> = state.cells.cells.iter().collect();
    cells.sort_by_key(|cell| {
        (
            cell.place.memory,
            cell.place.base,
            cell.place.offset,
            cell.place.bytes,
        )
    });
    number(cells.len());
    let halves = |key: &mut Vec<u32>, value: u64| {
        let low = value & u64::from(u32::MAX);
        key.extend([low, value >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX)));
    };
    for cell in cells {
        key.extend([
            cell.place.memory,
            cell.place.base.unwrap_or(u32::MAX),
            cell.place.bytes,
            cell.content,
        ]);
        halves(&mut key, cell.place.offset);
    }
    key.into_boxed_slice()
}

/// Maximal runs of equal entries before the default, and the default with its run: first, last.
fn runs(depths: &[u32]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, depth) in depths.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if depths[run.0] == *depth => run.1 = index,
            _ => runs.push((index, index)),
        }
    }
    runs
}

fn unknown_of(terms: &mut Terms, origin: Origin, value_type: ValType) -> TermId {
    match value_type {
        ValType::I32 => terms.unknown(origin, 32, 32),
        ValType::I64 => terms.unknown(origin, 64, 64),
        _ => terms.opaque(origin),
    }
}

//! A function's control flow, instruction by instruction.
//!
//! Structured code makes the graph simple: every branch but those to a `loop` goes to a later
//! instruction, so that one scan from the end meets each instruction after all that follow it.

use wasmparser::{Catch, Operator};

use crate::module::{Code, InputError};

/// Deepest nesting of blocks analysed. Deeper code is refused, so that work stays near linear.
pub const BLOCK_DEPTH_MAX: usize = 10_000;

/// Longest list of branch targets kept for one function, all its instructions together.
pub const TARGETS_MAX: usize = 8_000_000;

/// Where control goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To a later instruction.
    Ahead(u32),
    /// Back to the first instruction of a loop's body, by loop number.
    Again(u32),
    /// Out of the function.
    Return,
}

/// What follows an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// The next instruction.
    Next,
    /// Always elsewhere.
    Jump(Target),
    /// `br_if` and its kin: taken, or the next instruction.
    Branch(Target),
    /// `if`: the next instruction, or this one.
    If(Target),
    /// `br_table`: targets by operand value, the default last.
    Table(Vec<Target>),
    /// Leaves the function with its results.
    Return,
    /// Ends the program.
    Trap,
    /// Leaves with an exception.
    Throw,
}

/// A `loop` and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loop {
    /// Index of the `loop` instruction.
    pub head: u32,
    /// Index of its `end`.
    pub end: u32,
}

/// A `try` scope: where exceptions from within may land.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    targets: Vec<Target>,
    outer: Option<u32>,
}

/// Control flow of one function.
#[derive(Debug)]
pub struct Cfg {
    /// What follows each instruction.
    pub flows: Vec<Flow>,
    /// Loops in the order of their heads.
    pub loops: Vec<Loop>,
    scopes: Vec<Scope>,
    scope_of: Vec<Option<u32>>,
    reachable: Vec<bool>,
}

struct Frame {
    /// Target of a branch to this block, if it is a loop's head.
    again: Option<u32>,
    /// Instructions whose targets wait for this block's end: (instruction, slot).
    waiting: Vec<(u32, Slot)>,
    /// The `if` whose alternative is not placed yet.
    alternative_of: Option<u32>,
    /// Scope that holds outside this block.
    scope: Option<u32>,
    /// Legacy `try`: the scope its handlers are added to.
    handlers: Option<u32>,
}

#[derive(Clone, Copy)]
enum Slot {
    Single,
    Entry(u32),
    Handler(u32),
}

/// Placeholder until the block's end is known.
const UNKNOWN: Target = Target::Ahead(u32::MAX);

struct Builder {
    cfg: Cfg,
    frames: Vec<Frame>,
    scope: Option<u32>,
    target_count: usize,
}

impl Cfg {
    /// Builds the graph of a function's code.
    ///
    /// # Errors
    /// When the code exceeds a limit of this module.
    pub fn build(code: &Code<'_>) -> Result<Self, InputError> {
        let count = code.operators.len();
        let mut builder = Builder {
            cfg: Self {
                flows: vec![Flow::Next; count],
                loops: Vec::new(),
                scopes: Vec::new(),
                scope_of: vec![None; count],
                reachable: vec![false; count],
            },
            frames: Vec::new(),
            scope: None,
            target_count: 0,
        };
        builder.open(None);
        for (index, operator) in code.operators.iter().enumerate() {
            let at = u32::try_from(index).unwrap_or(u32::MAX);
            builder
                .place(at, operator)
                .map_err(|reason| InputError::at(code.offsets[index], reason))?;
        }
        let mut cfg = builder.cfg;
        cfg.mark_reachable();
        Ok(cfg)
    }

    /// Whether any path from the function's start leads here.
    pub fn is_reachable(&self, at: usize) -> bool {
        self.reachable[at]
    }

    /// Whether exceptions may land anywhere in this function.
    pub fn has_handlers(&self) -> bool {
        self.scopes.iter().any(|scope| !scope.targets.is_empty())
    }

    /// Where an exception raised at an instruction may land in this function.
    pub fn handlers(&self, at: usize) -> impl Iterator<Item = Target> + '_ {
        let innermost = self.scope_of[at];
        core::iter::successors(innermost, |scope| self.scopes[*scope as usize].outer)
            .flat_map(|scope| self.scopes[scope as usize].targets.iter().copied())
    }

    /// Where control may go after an instruction, exceptions apart.
    pub fn successors(&self, at: usize) -> Vec<Target> {
        let next = Target::Ahead(u32::try_from(at + 1).unwrap_or(u32::MAX));
        match &self.flows[at] {
            Flow::Next => vec![next],
            Flow::Jump(target) => vec![*target],
            Flow::Branch(target) | Flow::If(target) => vec![next, *target],
            Flow::Table(targets) => {
                let mut targets = targets.clone();
                targets.sort_unstable();
                targets.dedup();
                targets
            }
            Flow::Return => vec![Target::Return],
            Flow::Trap | Flow::Throw => Vec::new(),
        }
    }

    /// First instruction at a target inside the function.
    pub fn position(&self, target: Target) -> Option<usize> {
        match target {
            Target::Ahead(at) => Some(at as usize),
            Target::Again(number) => Some(self.loops[number as usize].head as usize + 1),
            Target::Return => None,
        }
    }

    /// The loop whose body starts at an instruction. Two `loop`s in a row start at different ones.
    pub fn loop_at_body(&self, at: usize) -> Option<u32> {
        let head = u32::try_from(at).ok()?.checked_sub(1)?;
        let found = self.loops.binary_search_by_key(&head, |l| l.head).ok()?;
        u32::try_from(found).ok()
    }

    fn mark_reachable(&mut self) {
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if at >= self.reachable.len() || core::mem::replace(&mut self.reachable[at], true) {
                continue;
            }
            let mut targets = self.successors(at);
            targets.extend(self.handlers(at));
            open.extend(
                targets
                    .into_iter()
                    .filter_map(|target| self.position(target)),
            );
        }
    }
}

impl Builder {
    fn open(&mut self, again: Option<u32>) {
        self.frames.push(Frame {
            again,
            waiting: Vec::new(),
            alternative_of: None,
            scope: self.scope,
            handlers: None,
        });
    }

    /// The target of a branch out of `depth` blocks, noted for later when it is not placed yet.
    fn target(&mut self, at: u32, depth: u32, slot: Slot) -> Target {
        let Some(index) = self.frames.len().checked_sub(1 + depth as usize) else {
            return Target::Return;
        };
        if index == 0 {
            return Target::Return;
        }
        let frame = &mut self.frames[index];
        if let Some(number) = frame.again {
            return Target::Again(number);
        }
        frame.waiting.push((at, slot));
        UNKNOWN
    }

    fn place(&mut self, at: u32, operator: &Operator<'_>) -> Result<(), String> {
        self.cfg.scope_of[at as usize] = self.scope;
        match operator {
            Operator::Block { .. } => self.open(None),
            Operator::Loop { .. } => {
                let number = u32::try_from(self.cfg.loops.len()).unwrap_or(u32::MAX);
                self.cfg.loops.push(Loop { head: at, end: at });
                self.open(Some(number));
            }
            Operator::If { .. } => {
                self.open(None);
                self.frame().alternative_of = Some(at);
                self.cfg.flows[at as usize] = Flow::If(UNKNOWN);
            }
            Operator::Else => {
                let condition = self.frame().alternative_of.take();
                if let Some(condition) = condition {
                    self.cfg.flows[condition as usize] = Flow::If(Target::Ahead(at + 1));
                }
                self.cfg.flows[at as usize] = Flow::Jump(UNKNOWN);
                self.frame().waiting.push((at, Slot::Single));
            }
            Operator::TryTable { try_table } => self.open_try_table(&try_table.catches),
            Operator::Try { .. } => self.open_try(),
            Operator::Catch { .. } | Operator::CatchAll => self.open_handler(at),
            Operator::Delegate { .. } | Operator::End => self.close(at),
            Operator::Br { relative_depth } => {
                let target = self.target(at, *relative_depth, Slot::Single);
                self.cfg.flows[at as usize] = Flow::Jump(target);
            }
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => {
                let target = self.target(at, *relative_depth, Slot::Single);
                self.cfg.flows[at as usize] = Flow::Branch(target);
            }
            Operator::BrTable { targets } => self.place_table(at, targets)?,
            Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => self.cfg.flows[at as usize] = Flow::Return,
            Operator::Unreachable => self.cfg.flows[at as usize] = Flow::Trap,
            Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
                self.cfg.flows[at as usize] = Flow::Throw;
            }
            _ => {}
        }
        if self.frames.len() > BLOCK_DEPTH_MAX {
            return Err(format!("blocks nest deeper than {BLOCK_DEPTH_MAX}"));
        }
        Ok(())
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("validated: a block is open")
    }

    fn place_table(&mut self, at: u32, table: &wasmparser::BrTable<'_>) -> Result<(), String> {
        let depths: Vec<u32> = table
            .targets()
            .collect::<Result<_, _>>()
            .map_err(|error| error.message().to_owned())?;
        self.target_count += depths.len() + 1;
        if self.target_count > TARGETS_MAX {
            return Err(format!(
                "more than {TARGETS_MAX} branch targets in one function"
            ));
        }
        let targets = depths
            .into_iter()
            .chain([table.default()])
            .enumerate()
            .map(|(entry, depth)| {
                let entry = u32::try_from(entry).unwrap_or(u32::MAX);
                self.target(at, depth, Slot::Entry(entry))
            })
            .collect();
        self.cfg.flows[at as usize] = Flow::Table(targets);
        Ok(())
    }

    fn new_scope(&mut self, targets: Vec<Target>) -> u32 {
        let number = u32::try_from(self.cfg.scopes.len()).unwrap_or(u32::MAX);
        self.cfg.scopes.push(Scope {
            targets,
            outer: self.scope,
        });
        number
    }

    fn open_try_table(&mut self, catches: &[Catch]) {
        let number = u32::try_from(self.cfg.scopes.len()).unwrap_or(u32::MAX);
        let mut targets = Vec::with_capacity(catches.len());
        for catch in catches {
            let (Catch::One { label, .. }
            | Catch::OneRef { label, .. }
            | Catch::All { label }
            | Catch::AllRef { label }) = catch;
            let entry = u32::try_from(targets.len()).unwrap_or(u32::MAX);
            // The scope's number stands for the instruction in what waits.
            let target = self.target(number, *label, Slot::Handler(entry));
            targets.push(target);
        }
        self.new_scope(targets);
        self.open(None);
        self.scope = Some(number);
    }

    fn open_try(&mut self) {
        let number = self.new_scope(Vec::new());
        self.open(None);
        self.frame().handlers = Some(number);
        self.scope = Some(number);
    }

    /// A legacy handler: the body before it jumps to the end; exceptions land after it.
    fn open_handler(&mut self, at: u32) {
        let frame = self.frames.last_mut().expect("validated: a try is open");
        frame.waiting.push((at, Slot::Single));
        self.scope = frame.scope;
        if let Some(number) = frame.handlers {
            self.cfg.scopes[number as usize]
                .targets
                .push(Target::Ahead(at + 1));
        }
        self.cfg.flows[at as usize] = Flow::Jump(UNKNOWN);
    }

    fn close(&mut self, at: u32) {
        let frame = self.frames.pop().expect("validated: a block is open");
        self.scope = frame.scope;
        if self.frames.is_empty() {
            self.cfg.flows[at as usize] = Flow::Return;
            return;
        }
        if let Some(number) = frame.again {
            self.cfg.loops[number as usize].end = at;
        }
        // A branch to the block's end lands behind `end`: only those who fall into it execute it.
        let after = Target::Ahead(at + 1);
        if let Some(condition) = frame.alternative_of {
            self.cfg.flows[condition as usize] = Flow::If(Target::Ahead(at));
        }
        for (instruction, slot) in frame.waiting {
            match slot {
                Slot::Single => match &mut self.cfg.flows[instruction as usize] {
                    Flow::Jump(target) | Flow::Branch(target) => *target = after,
                    _ => {}
                },
                Slot::Entry(entry) => {
                    if let Flow::Table(targets) = &mut self.cfg.flows[instruction as usize] {
                        targets[entry as usize] = after;
                    }
                }
                Slot::Handler(entry) => {
                    self.cfg.scopes[instruction as usize].targets[entry as usize] = after;
                }
            }
        }
    }
}

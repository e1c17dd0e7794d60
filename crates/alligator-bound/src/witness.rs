//! The longest path, written so that a second person can follow it in a disassembly.

use serde::Serialize;

use crate::path::{Analysis, UNBOUNDED};
use crate::refine::{Event, Refined, Step};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WitnessStep {
    /// Cost so far, this instruction included.
    pub cost: u64,
    /// Calls above this one.
    pub depth: usize,
    /// Function.
    pub function: String,
    /// Byte offset of the instruction.
    pub offset: u64,
    /// What happens, in words.
    pub event: String,
}

/// The steps of a path found by a search, first to last.
pub fn steps(analysis: &Analysis<'_, '_>, found: &Refined) -> Vec<WitnessStep> {
    let mut steps = Vec::new();
    let mut next = found.trail.as_deref();
    while let Some(step) = next {
        steps.push(describe(analysis, step));
        next = step.previous.as_deref();
    }
    steps.reverse();
    steps
}

/// A cost as it is shown: one without a bound is the largest number there is.
fn shown(cost: u64) -> u64 {
    if cost < UNBOUNDED { cost } else { u64::MAX }
}

fn describe(analysis: &Analysis<'_, '_>, step: &Step) -> WitnessStep {
    let code = &analysis.plans[&step.function].code;
    let offset_of = |at: usize| code.offsets.get(at).copied().unwrap_or_default();
    let operator = crate::cost::operator_name(&code.operators[step.at]);
    let event = match step.event {
        Event::Branch(to) => format!("{operator}: to {:#x}", offset_of(to)),
        Event::Continue => format!("{operator}: goes on"),
        Event::Leave => format!("{operator}: to the end"),
        Event::Call(callee) => format!("calls {}", analysis.module.display_name(callee)),
        Event::Return => "returns".to_owned(),
        Event::Turns(cost) => format!("loop: all turns but the last, {} in all", shown(cost)),
        Event::Grow => "memory.grow".to_owned(),
        Event::Trap => format!("{operator}: ends the program"),
        Event::Throw => format!("{operator}: leaves by an exception"),
    };
    WitnessStep {
        cost: shown(step.cost),
        depth: step.depth,
        function: analysis.module.display_name(step.function),
        offset: offset_of(step.at),
        event,
    }
}

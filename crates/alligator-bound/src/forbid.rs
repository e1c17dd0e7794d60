//! What a function cannot reach: growth, waiting, loops without a bound.
//!
//! The graph of calls is searched from the function on, over all code that control flow reaches, every branch taken to
//! be free. What is not found there is in no execution; what is found comes with the shortest chain of calls to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;
use wasmparser::Operator;

use crate::Options;
use crate::cost::operator_name;
use crate::module::{InputError, Module};
use crate::path::{Analysis, Callees, FindingKind, Plan, called_type};
use crate::report::{self, Assumption};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "alligator-bound/forbid-1";

/// Times that what a table may hold is added to the functions looked at, at most.
const ROUNDS_MAX: usize = 64;

/// What may be forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forbidden {
    /// `memory.grow`, or a call of an import that grows memory.
    Grow,
    /// `memory.atomic.wait`, or a loop without a bound, or recursion, with an atomic operation in it.
    Wait,
    /// A loop without a bound, or recursion.
    Loop,
}

/// What is known of one forbidden thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// No execution reaches it.
    Never,
    /// It is not found, but code that is not known may do it: an import, or a table that somebody else may write.
    Conditional,
    /// A chain of calls leads to it.
    Reached,
}

/// One place on a chain of calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// The function.
    pub function: String,
    /// Byte offset of the instruction.
    pub offset: u64,
    /// What is there, in words.
    pub event: String,
}

/// A chain of calls, from the function asked about to what is forbidden or not known.
pub type Chain = Vec<Stop>;

/// What is proved of one forbidden thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub forbidden: Forbidden,
    /// What is known.
    pub answer: Answer,
    /// Chains to it, the shortest first, one for each place.
    pub reached: Vec<Chain>,
}

/// What is proved of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its index.
    pub function: u32,
    /// Each thing that is forbidden.
    pub findings: Vec<Finding>,
    /// Chains to code that is not known, one for each place: they are conditions of every `Never`.
    pub conditions: Vec<Chain>,
    /// Functions that were looked at.
    pub functions: usize,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name and version of this form.
    pub schema: &'static str,
    /// What is proved of each function.
    pub from: Vec<Origin>,
    /// What a person vouches for.
    pub assumptions: Vec<Assumption>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl Report {
    /// The worst answer of all.
    pub fn answer(&self) -> Answer {
        let findings = self.from.iter().flat_map(|origin| &origin.findings);
        let worst = findings.map(|finding| finding.answer).max();
        worst.unwrap_or(Answer::Never)
    }

    /// The report as JSON, with a line end.
    pub fn to_json(&self) -> String {
        // No map with keys that are no text, so it cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// What must not be reached.
    pub forbidden: Vec<Forbidden>,
    /// Functions that must not reach it, by export, symbol or index.
    pub from: Vec<String>,
    /// Functions whose readable names have one of these texts in them are taken not to be called.
    pub except: Vec<String>,
}

/// Searches the code that functions of a module reach.
///
/// # Errors
/// As [`analyze`](crate::analyze()); and when an exception is no function's.
pub fn forbid(bytes: &[u8], demand: &Demand, options: &Options) -> Result<Report, InputError> {
    let module = Module::parse(bytes)?;
    let named = demand.from.iter().map(|name| module.function_called(name));
    let origins: Vec<u32> = named.collect::<Result<_, _>>()?;
    let excepted = exceptions(&module, &demand.except)?;
    let analysis = loaded(&module, options, &origins)?;
    let (mut assumptions, notes) = report::assumptions(&analysis);
    assumptions.extend(demand.except.iter().map(|text| Assumption {
        what: format!("no function with {text:?} in its name is called"),
        because: "it is excepted".to_owned(),
    }));
    let atomic = with_atomics(&analysis);
    let from = demand.from.iter().zip(&origins);
    let from = from.map(|(name, function)| {
        let search = Search::new(&analysis, *function, &excepted, &atomic);
        search.origin(name, &demand.forbidden)
    });
    Ok(Report {
        schema: SCHEMA,
        from: from.collect(),
        assumptions,
        notes,
    })
}

/// The functions that are taken not to be called.
fn exceptions(module: &Module<'_>, texts: &[String]) -> Result<BTreeSet<u32>, InputError> {
    let mut excepted = BTreeSet::new();
    for text in texts {
        let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
        let before = excepted.len();
        let has_text = |function: &u32| module.display_name(*function).contains(text.as_str());
        excepted.extend((0..count).filter(has_text));
        if excepted.len() == before {
            return Err(InputError::plain(format!(
                "no further function has {text:?} in its name"
            )));
        }
    }
    Ok(excepted)
}

/// Everything that the functions may reach, functions that an open table has from the start among them.
fn loaded<'m, 'a>(
    module: &'m Module<'a>,
    options: &'m Options,
    origins: &[u32],
) -> Result<Analysis<'m, 'a>, InputError> {
    let mut entries = origins.to_vec();
    let mut analysis = Analysis::new(module, &options.costs, &options.bounds, &entries)?;
    for _ in 0..ROUNDS_MAX {
        let more: BTreeSet<u32> = analysis
            .plans
            .values()
            .flat_map(|plan| unknown_calls(plan).flat_map(|at| in_table(module, plan, at)))
            .filter(|function| module.functions[*function as usize].body.is_some())
            .filter(|function| !analysis.plans.contains_key(function))
            .collect();
        if more.is_empty() {
            return Ok(analysis);
        }
        entries.extend(more);
        analysis = Analysis::new(module, &options.costs, &options.bounds, &entries)?;
    }
    Err(InputError::plain(
        "tables lead to more functions again and again".to_owned(),
    ))
}

/// Calls of whom nobody knows.
fn unknown_calls<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = u32> + 'p {
    let unknown = plan.callees.iter();
    unknown.filter_map(|(at, callees)| (*callees == Callees::Unknown).then_some(*at))
}

/// The functions that the table of an indirect call has from the start, if their type fits.
fn in_table(module: &Module<'_>, plan: &Plan<'_>, at: u32) -> Vec<u32> {
    let operator = &plan.code.operators[at as usize];
    let table = match operator {
        Operator::CallIndirect { table_index, .. }
        | Operator::ReturnCallIndirect { table_index, .. } => *table_index,
        _ => return Vec::new(),
    };
    let functions = module.tables[table as usize].functions.iter().copied();
    let fits = |function: &u32| {
        let found = module.functions[*function as usize].type_index;
        called_type(operator).is_some_and(|wanted| module.may_fit(wanted, found))
    };
    functions.filter(fits).collect()
}

/// Functions that have an atomic operation, or may call one that has.
fn with_atomics(analysis: &Analysis<'_, '_>) -> BTreeSet<u32> {
    let mut callers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut open = Vec::new();
    for (function, plan) in &analysis.plans {
        for callee in all_callees(analysis.module, plan) {
            callers.entry(callee).or_default().push(*function);
        }
        if (0..plan.code.operators.len()).any(|at| is_atomic(plan, at)) {
            open.push(*function);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(function) = open.pop() {
        if found.insert(function) {
            open.extend(callers.get(&function).into_iter().flatten());
        }
    }
    found
}

fn all_callees(module: &Module<'_>, plan: &Plan<'_>) -> Vec<u32> {
    let each = plan.callees.iter().map(|(at, callees)| match callees {
        Callees::Known(functions) => functions.clone(),
        Callees::Unknown => in_table(module, plan, *at),
        Callees::Vouched(_) => Vec::new(),
    });
    each.flatten().collect()
}

fn is_atomic(plan: &Plan<'_>, at: usize) -> bool {
    let name = operator_name(&plan.code.operators[at]);
    plan.cfg.is_reachable(at) && name.contains("atomic")
}

/// How a function was reached.
#[derive(Clone, Copy)]
struct Step {
    caller: u32,
    at: u32,
    is_direct: bool,
}

/// The functions that one reaches, each by the shortest chain of calls.
struct Search<'s, 'm, 'a> {
    analysis: &'s Analysis<'m, 'a>,
    atomic: &'s BTreeSet<u32>,
    origin: u32,
    /// In the order in which they were reached.
    functions: Vec<u32>,
    reached_by: BTreeMap<u32, Step>,
}

impl<'s, 'm, 'a> Search<'s, 'm, 'a> {
    fn new(
        analysis: &'s Analysis<'m, 'a>,
        origin: u32,
        excepted: &BTreeSet<u32>,
        atomic: &'s BTreeSet<u32>,
    ) -> Self {
        let mut search = Self {
            analysis,
            atomic,
            origin,
            functions: Vec::new(),
            reached_by: BTreeMap::new(),
        };
        let mut seen = BTreeSet::from([origin]);
        let mut open = VecDeque::from([origin]);
        while let Some(caller) = open.pop_front() {
            search.functions.push(caller);
            let Some(plan) = analysis.plans.get(&caller) else {
                continue;
            };
            for (at, callees) in &plan.callees {
                let operator = &plan.code.operators[*at as usize];
                let is_direct = called_type(operator).is_none();
                let callees = match callees {
                    Callees::Known(functions) => functions.clone(),
                    Callees::Unknown => in_table(analysis.module, plan, *at),
                    Callees::Vouched(_) => continue,
                };
                for callee in callees {
                    if !excepted.contains(&callee) && seen.insert(callee) {
                        let at = *at;
                        let step = Step {
                            caller,
                            at,
                            is_direct,
                        };
                        search.reached_by.insert(callee, step);
                        open.push_back(callee);
                    }
                }
            }
        }
        search
    }

    fn origin(&self, name: &str, forbidden: &[Forbidden]) -> Origin {
        let conditions = self.chains(|function| self.conditions(function));
        let findings = forbidden.iter().map(|forbidden| {
            let reached = self.chains(|function| self.places(function, *forbidden));
            let answer = match (reached.is_empty(), conditions.is_empty()) {
                (false, _) => Answer::Reached,
                (true, false) => Answer::Conditional,
                (true, true) => Answer::Never,
            };
            Finding {
                forbidden: *forbidden,
                answer,
                reached,
            }
        });
        Origin {
            name: name.to_owned(),
            function: self.origin,
            findings: findings.collect(),
            functions: self.functions.len(),
            conditions,
        }
    }

    /// A chain for each place, in the order in which their functions were reached.
    fn chains(&self, places: impl Fn(u32) -> Vec<(u64, String)>) -> Vec<Chain> {
        let found = self.functions.iter().flat_map(|function| {
            let places = places(*function).into_iter();
            places.map(|(offset, event)| {
                let mut chain = self.chain_to(*function);
                chain.push(self.stop(*function, offset, event));
                chain
            })
        });
        found.collect()
    }

    /// The calls that lead to a function.
    fn chain_to(&self, function: u32) -> Chain {
        let steps = core::iter::successors(
            self.reached_by.get(&function).map(|step| (function, step)),
            |(_, step)| {
                let next = self.reached_by.get(&step.caller)?;
                Some((step.caller, next))
            },
        );
        let mut chain: Chain = steps
            .map(|(callee, step)| {
                let plan = &self.analysis.plans[&step.caller];
                let name = self.analysis.module.display_name(callee);
                let event = if step.is_direct {
                    format!("calls {name}")
                } else {
                    format!("may call {name}, by its type and what the table has")
                };
                self.stop(step.caller, plan.code.offsets[step.at as usize], event)
            })
            .collect();
        chain.reverse();
        chain
    }

    fn stop(&self, function: u32, offset: u64, event: String) -> Stop {
        Stop {
            function: self.analysis.module.display_name(function),
            offset,
            event,
        }
    }

    /// Where a function does something, itself.
    fn places(&self, function: u32, forbidden: Forbidden) -> Vec<(u64, String)> {
        let Some(plan) = self.analysis.plans.get(&function) else {
            return Vec::new();
        };
        match forbidden {
            Forbidden::Grow => self.growths(plan),
            Forbidden::Wait => self.waits(function, plan),
            Forbidden::Loop => {
                let findings = plan.findings.iter();
                let kinds = [FindingKind::Loop, FindingKind::Recursion];
                findings
                    .filter(|finding| kinds.contains(&finding.kind))
                    .map(|finding| (finding.offset, finding.reason.clone()))
                    .collect()
            }
        }
    }

    fn growths(&self, plan: &Plan<'_>) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        for (at, operator) in plan.code.operators.iter().enumerate() {
            let offset = plan.code.offsets[at];
            if matches!(operator, Operator::MemoryGrow { .. }) && plan.cfg.is_reachable(at) {
                found.push((offset, "memory.grow".to_owned()));
            }
        }
        for (at, callees) in &plan.callees {
            let Callees::Known(functions) = callees else {
                continue;
            };
            let mut growing = functions.iter();
            if let Some(callee) = growing.find(|callee| self.analysis.is_growing_import(**callee)) {
                let name = self.analysis.module.display_name(*callee);
                let offset = plan.code.offsets[*at as usize];
                found.push((offset, format!("calls {name}, which grows the memory")));
            }
        }
        found
    }

    fn waits(&self, function: u32, plan: &Plan<'_>) -> Vec<(u64, String)> {
        let findings = plan.findings.iter();
        findings
            .filter_map(|finding| {
                let reason = match finding.kind {
                    FindingKind::Wait => finding.reason.clone(),
                    FindingKind::Loop if self.has_atomics(plan, finding.at) => {
                        format!("{} around an atomic operation", finding.reason)
                    }
                    FindingKind::Recursion if self.atomic.contains(&function) => {
                        format!("{}, with an atomic operation", finding.reason)
                    }
                    _ => return None,
                };
                Some((finding.offset, reason))
            })
            .collect()
    }

    /// Whether the loop with this head has an atomic operation in it, or calls one.
    fn has_atomics(&self, plan: &Plan<'_>, head: u32) -> bool {
        let Some(found) = plan.cfg.loops.iter().find(|it| it.head == head) else {
            return true;
        };
        let body = found.head..=found.end;
        body.clone().any(|at| is_atomic(plan, at as usize))
            || plan.callees.range(body).any(|(at, callees)| {
                let called = match callees {
                    Callees::Known(functions) => functions.clone(),
                    Callees::Unknown => in_table(self.analysis.module, plan, *at),
                    Callees::Vouched(_) => Vec::new(),
                };
                called.iter().any(|callee| self.atomic.contains(callee))
            })
    }

    /// Where a function runs code that is not known.
    fn conditions(&self, function: u32) -> Vec<(u64, String)> {
        let Some(plan) = self.analysis.plans.get(&function) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for finding in &plan.findings {
            if finding.kind == FindingKind::IndirectCall {
                found.push((finding.offset, finding.reason.clone()));
            }
        }
        for (at, callees) in &plan.callees {
            let functions = match callees {
                Callees::Known(functions) => functions.clone(),
                Callees::Unknown => in_table(self.analysis.module, plan, *at),
                Callees::Vouched(_) => continue,
            };
            for callee in functions {
                let import = self.analysis.module.functions[callee as usize]
                    .import
                    .as_ref();
                let Some((from, name)) = import else { continue };
                let is_known = self.analysis.is_growing_import(callee)
                    || self.analysis.bounds.import(from, name).is_some();
                if !is_known && self.reached_by.contains_key(&callee) {
                    let offset = plan.code.offsets[*at as usize];
                    found.push((offset, format!("calls the import {from}.{name}")));
                }
            }
        }
        found
    }
}

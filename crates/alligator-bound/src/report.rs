//! The result of an analysis, as data. Its JSON form is documented in `docs/bounds.md`.

use core::cell::Cell;

use serde::Serialize;

use crate::Options;
use crate::cost::BulkUnit;
use crate::entries::{Entry, Found};
use crate::inlined::Inlined;
use crate::loops;
use crate::module::{Module, names};
use crate::path::{
    Analysis, BulkSite, Finding, FindingKind, Growth, Plan, UNBOUNDED, Weight, is_indirect,
};
use crate::refine::{self, Refined};
use crate::witness::{self, WitnessStep};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "alligator-bound/1";

/// Full searches that go into one report, at most.
const SEARCHES_MAX: u64 = 32;

/// Obstacles, and bulk operations, that one entry lists at most.
const LISTED_MAX: usize = 1_000;

/// Steps within which the plain longest path is always found: it is followed without search.
const PLAIN_STEPS_MAX: u64 = 1_000_000;

/// Branches that the searches of one report may still follow.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<u64>,
    each: u64,
}

impl Budget {
    pub(crate) fn new(steps_max: u64) -> Self {
        Self {
            left: Cell::new(steps_max.saturating_mul(SEARCHES_MAX)),
            each: steps_max,
        }
    }

    fn next(&self) -> u64 {
        self.each.min(self.left.get())
    }

    fn spend(&self, steps: u64) {
        self.left.set(self.left.get().saturating_sub(steps));
    }
}

/// What is proved of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every path without growth has a bound.
    Bounded,
    /// It has one on a condition that is listed.
    Conditional,
    /// It has none.
    Unbounded,
}

/// Longest path of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The bound, in units of the cost table; `None` when there is none.
    pub bound: Option<u64>,
    /// The bound without refinement.
    pub plain: Option<u64>,
    /// Whether the refined search ended, so that the bound is the cost of a path not refuted.
    pub exact: bool,
    /// Branches that the search followed.
    pub steps: u64,
    /// Most bulk operations of unknown length on one path; `None` when there is no limit.
    pub bulk_operations: Option<u64>,
    /// The longest path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witness: Vec<WitnessStep>,
}

/// A bulk operation: each of its units costs on top of the bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bulk {
    /// Function it is in.
    pub function: String,
    /// Byte offset.
    pub offset: u64,
    /// Operator, `.` written `_`; or `loops`: all loops of the function.
    pub operator: String,
    /// Cost of each unit.
    pub cost_per_unit: u64,
    /// `byte`, `element` (of a table) or `page`.
    pub unit: &'static str,
}

/// Something that stands in the way of a bound, or is a condition of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// `loop`, `recursion`, `indirect_call`, `import` or `wait`.
    pub kind: &'static str,
    /// Function it is in.
    pub function: String,
    /// Byte offset.
    pub offset: u64,
    /// The reason, in words.
    pub reason: String,
    /// Whether it makes the figure without growth unbounded or conditional.
    pub matters_without_growth: bool,
}

/// A bound that a person vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// What is assumed.
    pub what: String,
    /// The argument given.
    pub because: String,
}

/// Everything about one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryReport {
    /// Name.
    pub name: String,
    /// `alloc`, `dealloc`, `realloc` or `alloc_zeroed`, when known.
    pub role: Option<&'static str>,
    /// Function index.
    pub function: u32,
    /// `given`, `export`, `symbol`, `out_of_line`, `glue` or `shape`.
    pub found: &'static str,
    /// What is proved.
    pub verdict: Verdict,
    /// What surrounds its calls, when it is an out-of-line part of an inlined operation.
    pub inlined: Option<Inlined>,
    /// Longest path without growth; `None` when every path grows, or is refused it.
    pub without_growth: Option<Figure>,
    /// Longest path that enters a growing function and grows nothing; `None` when there is none.
    pub refused: Option<Figure>,
    /// Longest path with growth, the host's time apart; `None` when no path grows.
    pub with_growth: Option<Figure>,
    /// Longest path that gathers what an Alligator heap has kept, growing or not; `None` when there is none.
    pub gathering: Option<Figure>,
    /// Most that a call costs which a trap other than `unreachable` ends; `None`: unbounded.
    pub trap_bound: Option<u64>,
    /// Bulk operations of unknown length that may run.
    pub bulk: Vec<Bulk>,
    /// Loops, recursion, indirect calls, imports, waits.
    pub obstacles: Vec<Obstacle>,
    /// How many more of both there are.
    pub not_listed: usize,
}

/// Everything about one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Name of the cost table.
    pub costs: String,
    /// Bounds that a person vouches for and that were used.
    pub assumptions: Vec<Assumption>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Entries.
    pub entries: Vec<EntryReport>,
}

impl Report {
    /// The worst verdict among the entries.
    pub fn verdict(&self) -> Verdict {
        self.entries
            .iter()
            .map(|entry| entry.verdict)
            .max()
            .unwrap_or(Verdict::Unbounded)
    }

    /// Whether an entry's main figure is above a limit, or has none. Where no path goes without asking for
    /// growth, that is the figure of those that are refused it.
    pub fn exceeds(&self, max: u64) -> bool {
        self.entries.iter().any(|entry| {
            entry
                .without_growth
                .as_ref()
                .or(entry.refused.as_ref())
                .is_some_and(|figure| figure.bound.is_none_or(|bound| bound > max))
        })
    }

    /// The JSON form, with a newline at its end.
    ///
    /// # Panics
    /// Never: the report holds only strings, numbers and lists.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report has a JSON form");
        text.push('\n');
        text
    }
}

impl EntryReport {
    /// What is proved of an entry. `strict` is the same analysis in which conditions have no bound, where
    /// there are any.
    pub(crate) fn of(
        analysis: &Analysis<'_, '_>,
        strict: Option<&Analysis<'_, '_>>,
        entry: &Entry,
        inlined: Option<Inlined>,
        options: &Options,
        budget: &Budget,
    ) -> Self {
        let reached = analysis.reachable_from(entry.function);
        let catches = reached.iter().any(|f| analysis.plans[f].cfg.has_handlers());
        let refines = options.refine && !catches;
        let figures = Figures {
            analysis,
            function: entry.function,
            refines,
            options,
            budget,
        };
        let found = Growth::ALL.map(|growth| figures.figure(growth));
        let dropped = found.each_ref().map(|(_, refuted)| *refuted);
        let turns = reached.iter().any(|f| !analysis.plans[f].turns.is_empty());
        let searched = (refines && !turns).then(|| {
            let longest = found.iter().filter_map(|(figure, _)| figure.as_ref());
            let longest = longest.map(|figure| figure.bound.unwrap_or(UNBOUNDED));
            longest.chain(dropped).max().unwrap_or(0)
        });
        let stops = analysis.outcome(entry.function).stops.any();
        let trap_bound = searched
            .unwrap_or(UNBOUNDED)
            .min(stops.unwrap_or(UNBOUNDED));
        // An entry whose every path grows is judged by those that do.
        let kinds = Growth::ALL.into_iter().zip(&found);
        let main = kinds
            .into_iter()
            .find_map(|(growth, (figure, _))| Some((growth, figure.as_ref()?)));
        let bounded = main.is_none_or(|(_, figure)| figure.bound.is_some());
        let meets_condition = main
            .zip(strict)
            .is_some_and(|((growth, _), strict)| figures.depends_on_conditions(strict, growth));
        let matters = |finding: &Finding| {
            if finding.kind.is_condition() {
                meets_condition
            } else {
                !bounded
            }
        };
        let findings = reached.iter().flat_map(|f| &analysis.plans[f].findings);
        let sites = reached.iter().flat_map(|f| &analysis.plans[f].bulk);
        let more = |count: usize| count.saturating_sub(LISTED_MAX);
        let not_listed = more(findings.clone().count()) + more(sites.clone().count());
        let conditional = findings.clone().any(matters);
        let obstacles = findings
            .take(LISTED_MAX)
            .map(|finding| obstacle(analysis, finding, matters(finding)));
        let verdict = match (bounded, conditional) {
            (false, _) => Verdict::Unbounded,
            (true, true) => Verdict::Conditional,
            (true, false) => Verdict::Bounded,
        };
        let [without_growth, refused, with_growth, gathering] = found.map(|(figure, _)| figure);
        Self {
            name: entry.name.clone(),
            role: entry.role.map(alligator_find::names::Role::as_str),
            function: entry.function,
            found: match entry.found {
                Found::Given => "given",
                Found::Export => "export",
                Found::Symbol => "symbol",
                Found::OutOfLine => "out_of_line",
                Found::Glue => "glue",
                Found::Shape => "shape",
            },
            verdict,
            inlined,
            without_growth,
            refused,
            with_growth,
            gathering: gathering.filter(|_| analysis.has_gathering()),
            trap_bound: finite(trap_bound),
            bulk: sites
                .take(LISTED_MAX)
                .map(|site| bulk(analysis, site))
                .collect(),
            obstacles: obstacles.collect(),
            not_listed,
        }
    }
}

fn finite(cost: u64) -> Option<u64> {
    (cost < UNBOUNDED).then_some(cost)
}

/// What the figures of one entry are computed from.
struct Figures<'s, 'm, 'a> {
    analysis: &'s Analysis<'m, 'a>,
    function: u32,
    refines: bool,
    options: &'s Options,
    budget: &'s Budget,
}

impl Figures<'_, '_, '_> {
    /// The longest path of a kind, if there is one, and the cost of the costliest path refuted.
    fn figure(&self, growth: Growth) -> (Option<Figure>, u64) {
        let outcome = self.analysis.outcome(self.function).longest();
        let Some(plain) = outcome.of(growth) else {
            return (None, 0);
        };
        let (analysis, function) = (self.analysis, self.function);
        if self.refines {
            let steps = self.budget.next();
            let searched = refine::longest_path(analysis, function, growth, steps);
            self.budget.spend(searched.spent);
            // No path left means that none of this kind can be taken.
            let found = searched.longest.as_ref();
            let figure = found.map(|found| self.of_path(plain, growth, Some(found)));
            return (figure, searched.refuted);
        }
        let found = self
            .options
            .witness
            .then(|| refine::plain_path(analysis, function, growth, PLAIN_STEPS_MAX));
        let figure = self.of_path(plain, growth, found.flatten().as_ref());
        (Some(figure), 0)
    }

    /// Whether what a path of a kind costs depends on something that is a condition: whether one can be taken
    /// that meets it.
    fn depends_on_conditions(&self, strict: &Analysis<'_, '_>, growth: Growth) -> bool {
        let figures = Figures {
            analysis: strict,
            function: self.function,
            refines: self.refines,
            options: self.options,
            budget: self.budget,
        };
        let plain = strict.outcome(self.function).longest().of(growth);
        plain.is_some_and(|plain| finite(plain).is_none())
            && figures
                .figure(growth)
                .0
                .is_some_and(|figure| figure.bound.is_none())
    }

    /// Most bulk operations on a path of a kind. Where only paths that cannot be taken have any number of them,
    /// those that can are searched.
    fn bulk_operations(&self, growth: Growth, bounded: bool) -> Option<u64> {
        let plain = self.analysis.bulk_count(self.function).longest().of(growth);
        let plain = plain.map_or(Some(0), finite);
        if plain.is_some() || !bounded || !self.refines {
            return plain;
        }
        let by_number = self.analysis.by(Weight::Bulk, &[self.function]).ok()?;
        let steps = self.budget.next();
        let searched = refine::longest_path(&by_number, self.function, growth, steps);
        self.budget.spend(searched.spent);
        searched
            .longest
            .map_or(Some(0), |found| finite(found.bound))
    }

    fn of_path(&self, plain: u64, growth: Growth, found: Option<&Refined>) -> Figure {
        let bound = found
            .filter(|_| self.refines)
            .map_or(plain, |found| found.bound.min(plain));
        let witness = found.filter(|_| self.options.witness);
        Figure {
            bound: finite(bound),
            plain: finite(plain),
            exact: self.refines && found.is_some_and(|found| found.complete),
            steps: found.map_or(0, |found| found.steps),
            bulk_operations: self.bulk_operations(growth, finite(bound).is_some()),
            witness: witness.map_or_else(Vec::new, |found| witness::steps(self.analysis, found)),
        }
    }
}

fn obstacle(analysis: &Analysis<'_, '_>, finding: &Finding, matters: bool) -> Obstacle {
    Obstacle {
        kind: match finding.kind {
            FindingKind::Loop => "loop",
            FindingKind::Recursion => "recursion",
            FindingKind::IndirectCall => "indirect_call",
            FindingKind::Import => "import",
            FindingKind::Wait => "wait",
        },
        function: analysis.module.display_name(finding.function),
        offset: finding.offset,
        reason: finding.reason.clone(),
        matters_without_growth: matters,
    }
}

fn bulk(analysis: &Analysis<'_, '_>, site: &BulkSite) -> Bulk {
    Bulk {
        function: analysis.module.display_name(site.function),
        offset: site.offset,
        operator: site.operator.to_owned(),
        cost_per_unit: site.cost_per_unit,
        unit: match site.unit {
            BulkUnit::Byte => "byte",
            BulkUnit::Element => "element",
            BulkUnit::Page => "page",
        },
    }
}

/// Assumptions that matter to what was analysed, and remarks on those that do not.
pub(crate) fn assumptions(analysis: &Analysis<'_, '_>) -> (Vec<Assumption>, Vec<String>) {
    let (mut used, mut notes) = (Vec::new(), Vec::new());
    for bound in &analysis.bounds.loops {
        let what = format!(
            "{} {:#x}: the loop starts at most {} turns each time it is entered",
            bound.function, bound.offset, bound.turns
        );
        let meant = analysis.plans.iter().find_map(|(function, plan)| {
            let is_named = names(analysis.module, *function, &bound.function);
            let mut turning = plan.turns.keys().filter(|_| is_named);
            let number = turning.find(|number| {
                let head = plan.cfg.loops[**number as usize].head;
                plan.code.offsets[head as usize] == bound.offset
            })?;
            Some(plan.counted.get(number).copied())
        });
        match meant {
            None => notes.push(format!(
                "unused bound: no loop that turns is reached at {what}"
            )),
            Some(Some(counted)) if counted <= bound.turns => notes.push(format!(
                "unused bound: the code counts {counted} turns at {what}"
            )),
            Some(_) => used.push(Assumption {
                what,
                because: bound.because.clone(),
            }),
        }
    }
    for import in &analysis.bounds.imports {
        let what = format!(
            "{}.{}: a call costs at most {} and does not grow memory",
            import.module, import.name, import.cost
        );
        if imports(analysis.module, &import.module, &import.name) {
            used.push(Assumption {
                what,
                because: import.because.clone(),
            });
        } else {
            notes.push(format!("unused bound: the module has no import {what}"));
        }
    }
    for call in &analysis.bounds.indirect {
        let what = call.describe();
        let is_meant = |function: u32, plan: &Plan<'_>| {
            names(analysis.module, function, &call.function)
                && plan.callees.keys().any(|at| {
                    let at = *at as usize;
                    plan.code.offsets[at] == call.offset && is_indirect(&plan.code.operators[at])
                })
        };
        let mut plans = analysis.plans.iter();
        if plans.any(|(function, plan)| is_meant(*function, plan)) {
            let because = call.because.clone();
            used.push(Assumption { what, because });
        } else {
            notes.push(format!(
                "unused bound: no indirect call is reached at {what}"
            ));
        }
    }
    bytes_of_loops(analysis, &mut used, &mut notes);
    (used, notes)
}

/// Memories whose pages are not what an allocator takes them to be, one line each.
pub(crate) fn odd_pages(module: &Module<'_>) -> Vec<String> {
    let memories = module.memories.iter().enumerate();
    memories
        .filter(|(_, memory)| memory.odd_pages)
        .map(|(index, memory)| {
            format!(
                "memory {index} has pages of {} bytes: the figures hold, with growth counted in such pages; \
                 Alligator serves 64 KiB pages only and refuses this memory",
                1_u64 << memory.page_size_log2.min(63)
            )
        })
        .collect()
}

/// The functions whose calls make a call one that is refused growth, if there is any such figure; and names of
/// such that are none.
pub(crate) fn growing(analysis: &Analysis<'_, '_>, entries: &[EntryReport]) -> Vec<String> {
    let mut notes = Vec::new();
    let names_of = |function: &u32| analysis.module.display_name(*function);
    let growing: Vec<String> = analysis
        .plans
        .keys()
        .filter(|function| analysis.is_growing(**function))
        .map(names_of)
        .collect();
    if entries.iter().any(|entry| entry.refused.is_some()) && !growing.is_empty() {
        notes.push(format!(
            "calls that enter {} and do not grow have a figure of their own, \"refused\"",
            growing.join(", ")
        ));
    }
    for given in &analysis.bounds.growing {
        let is_meant = |function: &u32| {
            analysis.is_growing(*function) && names(analysis.module, *function, &given.function)
        };
        if !analysis.plans.keys().any(is_meant) {
            notes.push(format!(
                "unused: no function that is reached and grows memory is {}",
                given.function
            ));
        }
    }
    notes
}

/// What is assumed of functions whose loops handle bytes: by a person, or by their names.
fn bytes_of_loops(
    analysis: &Analysis<'_, '_>,
    used: &mut Vec<Assumption>,
    notes: &mut Vec<String>,
) {
    let plans = || analysis.plans.iter().filter(|(_, plan)| plan.bytewise);
    for (function, _) in plans() {
        let given = analysis.bounds.bytes(analysis.module, *function);
        used.push(Assumption {
            what: loops::describe_bytes(&analysis.module.display_name(*function)),
            because: given.map_or_else(
                || "it has the name and the type of C's function".to_owned(),
                |given| given.because.clone(),
            ),
        });
    }
    for bytes in &analysis.bounds.bytes {
        if !plans().any(|(function, _)| names(analysis.module, *function, &bytes.function)) {
            notes.push(format!(
                "unused bound: no function with a loop without a bound, and without calls, is reached: {}",
                loops::describe_bytes(&bytes.function)
            ));
        }
    }
}

fn imports(module: &Module<'_>, from: &str, name: &str) -> bool {
    module
        .functions
        .iter()
        .filter_map(|function| function.import.as_ref())
        .any(|import| import.0 == from && import.1 == name)
}

//! Proves worst-case instruction bounds on compiled WebAssembly modules.
//!
//! [`analyze`] reads a core module, finds an allocator's entry points in it and bounds the cost of
//! one call of each: the longest path that does not grow memory, and the longest that does. The
//! layers, each using only those before it:
//!
//! | Module | Answers |
//! |---|---|
//! | [`module`] (of `alligator-find`) | What is in the file? |
//! | [`cost`] | What does an instruction cost, and who says so? |
//! | [`mod@cfg`] | What may follow an instruction? |
//! | `counted` | How often does a loop turn whose code counts? |
//! | [`loops`] | What does a person vouch for? |
//! | [`entries`] (of `alligator-find`) | Which functions are asked about? |
//! | [`inlined`] | What surrounds a call of an out-of-line part? |
//! | [`path`] | How long is the longest path, all branches free? |
//! | [`refine`] | How long is the longest path that can be taken? |
//! | [`mod@forbid`] | What cannot be reached? |
//! | [`witness`], [`report`] | How is that said? |
//!
//! What is proved, under which assumptions, is stated in `docs/bounds.md`.
#![forbid(unsafe_code)]

pub mod cfg;
pub mod cost;
mod counted;
pub mod forbid;
pub mod inlined;
pub mod loops;
pub mod path;
pub mod refine;
pub mod report;
pub mod witness;

pub use alligator_find::{entries, module};

use cost::CostTable;
use entries::Entry;
use loops::Bounds;
use module::{InputError, Module};
use path::{Analysis, Weight};
use report::{Budget, EntryReport, Report, SCHEMA};

/// What to analyse, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Entries by export, symbol or index; those known by name when empty.
    pub entries: Vec<String>,
    /// Crates whose functions are an allocator's, besides those known.
    pub allocators: Vec<String>,
    /// Entries that were found in other ways than by name; taken where no entries are asked for.
    pub found: Vec<Entry>,
    /// Cost table.
    pub costs: CostTable,
    /// What a person vouches for.
    pub bounds: Bounds,
    /// Whether paths that contradict themselves are dropped.
    pub refine: bool,
    /// Branches that one search follows at most, and all together 32 times as many. A search that
    /// stops gives a looser bound.
    pub steps_max: u64,
    /// Whether the longest paths are reported step by step.
    pub witness: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            allocators: Vec::new(),
            found: Vec::new(),
            costs: CostTable::default(),
            bounds: Bounds::default(),
            refine: true,
            steps_max: refine::STEPS_DEFAULT,
            witness: false,
        }
    }
}

/// Bounds the entries of a module.
///
/// # Errors
/// When the bytes are no valid module, an entry does not exist, or reachable code holds an operator
/// without a cost. What has no bound is no error: the report says so.
pub fn analyze(bytes: &[u8], options: &Options) -> Result<Report, InputError> {
    let module = Module::parse(bytes)?;
    let found = entries::find(
        &module,
        &options.entries,
        &options.allocators,
        &options.found,
    )?;
    let functions: Vec<u32> = found.entries.iter().map(|entry| entry.function).collect();
    let analysis = Analysis::new(&module, &options.costs, &options.bounds, &functions)?;
    let (assumptions, unused) = report::assumptions(&analysis);
    let mut notes = found.notes;
    notes.extend(unused);
    notes.extend(report::odd_pages(&module));
    let around = inlined::around(&module, &options.costs, &found.entries)?;
    let budget = Budget::new(options.steps_max);
    let strict = analysis
        .has_conditions()
        .then(|| analysis.by(Weight::Strict, &functions))
        .transpose()?;
    let entries = found.entries.iter().zip(around);
    let entries: Vec<EntryReport> = entries
        .map(|(entry, around)| {
            EntryReport::of(&analysis, strict.as_ref(), entry, around, options, &budget)
        })
        .collect();
    notes.extend(report::growing(&analysis, &entries));
    Ok(Report {
        schema: SCHEMA,
        costs: options.costs.name.clone(),
        entries,
        assumptions,
        notes,
    })
}

//! What the page asks, answered as the commands `find`, `bound`, `record` and `report` do.

use alligator_bound::report::Report;
use alligator_bound::{Options as BoundOptions, analyze};
use alligator_find::confirm::Engine;
use alligator_find::heap::Outcome;
use alligator_find::module::Module;
use alligator_find::{Heap, Options, core_of, find};
use alligator_record::{Mode, add_behind};
use alligator_report::Options as ReportOptions;
use serde::Serialize;

use crate::imports;
use crate::page::{Browser, Stage, say};

/// What is proved of this allocator: the repository's record.
const OURS: &str = include_str!("../../../bounds.txt");

/// Branches that one search of the prover follows at most: a tenth of the command's, so that an answer takes seconds. A
/// bound whose search was stopped holds, and is looser.
const STEPS_MAX: u64 = 5_000;

/// Blocks on the map, at most: a browser has less memory than a command.
const BLOCKS_MAX: u64 = 200_000;

/// What the page has given.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) name: Vec<u8>,
    pub(crate) module: Vec<u8>,
    pub(crate) scripts: Vec<Vec<u8>>,
    pub(crate) trace: Vec<u8>,
    /// What was found in the module, for the question after that.
    pub(crate) found: Option<Heap>,
}

impl Files {
    pub(crate) const fn new() -> Self {
        Self {
            name: Vec::new(),
            module: Vec::new(),
            scripts: Vec::new(),
            trace: Vec::new(),
            found: None,
        }
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// A fault with the file's name, as the command has it.
    fn located(&self, error: &dyn core::fmt::Display) -> String {
        format!("{}: {error}", self.name())
    }
}

/// What is proved of a module.
#[derive(Debug, Serialize)]
struct Proved {
    /// None, if there is nothing to bound; `why_not` says why.
    bound: Option<Report>,
    why_not: Option<String>,
    ours: Vec<Ours>,
}

/// A bound of this allocator.
#[derive(Debug, Serialize)]
struct Ours {
    operation: &'static str,
    bound: &'static str,
    with_growth: &'static str,
}

pub(crate) fn look_only(files: &mut Files) -> Result<Vec<u8>, String> {
    look(files, None)
}

pub(crate) fn look_and_run(files: &mut Files) -> Result<Vec<u8>, String> {
    look(files, Some(&Browser))
}

fn heap(files: &Files, engine: Option<&dyn Engine>) -> Result<Heap, String> {
    say(Stage::Finding);
    let scripts = files.scripts.iter();
    let options = Options {
        glue: scripts
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect(),
        engine,
        ..Options::default()
    };
    find(&files.module, &options).map_err(|error| files.located(&error))
}

fn look(files: &mut Files, engine: Option<&dyn Engine>) -> Result<Vec<u8>, String> {
    let heap = heap(files, engine)?;
    let text = heap.to_json().into_bytes();
    files.found = Some(heap);
    Ok(text)
}

/// What can be proved of what was found. A question of its own, since it may take more memory than there is.
pub(crate) fn prove(files: &mut Files) -> Result<Vec<u8>, String> {
    say(Stage::Proving);
    let heap = files.found.take().ok_or("nothing was looked for")?;
    let (core, _) = core_of(&files.module).map_err(|error| files.located(&error))?;
    let options = BoundOptions {
        found: heap.entries(),
        witness: true,
        steps_max: STEPS_MAX,
        ..BoundOptions::default()
    };
    let bound = if heap.outcome == Outcome::Found {
        analyze(core, &options).map_err(|error| error.to_string())
    } else {
        Err("no allocator was found".to_owned())
    };
    let (bound, why_not) = match bound {
        Ok(report) => (Some(report), None),
        Err(reason) => (None, Some(reason)),
    };
    let proved = Proved {
        bound,
        why_not,
        ours: ours(),
    };
    serde_json::to_vec(&proved).map_err(|error| error.to_string())
}

/// The bounds of this allocator as it is by default.
fn ours() -> Vec<Ours> {
    let lines = OURS.lines().filter_map(|line| {
        let cells: Vec<&'static str> = line.split_whitespace().collect();
        match cells.as_slice() {
            ["alligator", operation, bound, _, with_growth, ..] => Some(Ours {
                operation,
                bound,
                with_growth,
            }),
            _ => None,
        }
    });
    lines.collect()
}

pub(crate) fn record_only(files: &mut Files) -> Result<Vec<u8>, String> {
    record(files, None)
}

pub(crate) fn record_all(files: &mut Files) -> Result<Vec<u8>, String> {
    record(files, Some(&Browser))
}

fn record(files: &Files, engine: Option<&dyn Engine>) -> Result<Vec<u8>, String> {
    let mut heap = heap(files, engine)?;
    if heap.module.is_some() {
        return Err(files.located(&"a component; only core modules can be made to record"));
    }
    if heap.outcome != Outcome::Found {
        return Err(files.located(&"no allocator found, so nothing to record"));
    }
    let fault = |error| files.located(&error);
    if engine.is_some() {
        // What lies behind the functions that have names: the program may call that.
        let options = Options {
            without_names: true,
            engine,
            ..Options::default()
        };
        let by_shape = find(&files.module, &options).map_err(fault)?;
        let module = Module::parse(&files.module).map_err(fault)?;
        add_behind(&module, &mut heap, &by_shape);
    }
    say(Stage::Rewriting);
    let options = alligator_record::Options {
        name: files.name(),
        mode: Mode::Import,
        stacks: true,
        sample_bytes: 0,
    };
    let recorded = alligator_record::record(&files.module, &heap, &options);
    Ok(recorded.map_err(fault)?.module)
}

pub(crate) fn interface(files: &mut Files) -> Result<Vec<u8>, String> {
    let interface = imports::interface(&files.module).map_err(|error| files.located(&error))?;
    serde_json::to_vec(&interface).map_err(|error| error.to_string())
}

pub(crate) fn report(files: &mut Files) -> Result<Vec<u8>, String> {
    say(Stage::Reporting);
    let options = ReportOptions {
        blocks_max: BLOCKS_MAX,
        ..ReportOptions::default()
    };
    let analysis = alligator_report::analyse(&files.name(), || Ok(&files.trace[..]), &options);
    let analysis = analysis.map_err(|error| files.located(&error))?;
    let page = alligator_report::page(&analysis, None).map_err(|error| error.to_string())?;
    Ok(page.into_bytes())
}

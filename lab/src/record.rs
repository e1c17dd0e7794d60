//! The record that holds us honest: exact figures, committed, and the check against them. And the
//! checksums in the workloads' files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use wasmtime::Module;

use crate::engines::Engine;
use crate::fuel::{self, Figures};
use crate::options::{Choice, Part};
use crate::probe::Probe;
use crate::report;
use crate::run::{self, Plan, Preset, Results};
use crate::size::OPT_LEVELS;
use crate::special::{self, HOLE_COUNTS};
use crate::stats::float;
use crate::workloads::Synthetic;
use crate::{oracle, programs, size, workloads};
use alligator_meter::counting_engine;
use alligator_tools::allocator::{self, Allocator, Exports, Kind};
use alligator_tools::guest;

/// How much worse than recorded a figure of ours may be: compilers change, too.
const MARGIN: f64 = 1.02;

/// What is recorded of an allocator. Exact: the same commit and compiler give the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) version: Option<String>,
    /// By workload, quick traces and programs alike.
    pub(crate) workloads: BTreeMap<String, Counted>,
    /// Bytes that the compiler adds to the empty module, by optimisation level.
    pub(crate) code_bytes: BTreeMap<String, u64>,
    /// Instructions of the dearest allocation, by the number of holes; nothing if it cannot do that.
    #[serde(default)]
    pub(crate) holes_fuel: BTreeMap<u32, u64>,
}

/// One workload's exact figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Instructions of all operations.
    pub(crate) fuel: u64,
    /// The dearest of those that did not grow the heap.
    pub(crate) worst_alloc: u64,
    pub(crate) worst_dealloc: u64,
    pub(crate) worst_realloc: u64,
    /// Pages added to the initial memory.
    pub(crate) pages: u64,
}

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The compiler that built the guests.
    pub(crate) compiler: String,
    pub(crate) allocators: BTreeMap<String, Recorded>,
}

impl Counted {
    fn of(figures: &Figures) -> Self {
        let [alloc, dealloc, realloc] = figures.operations().map(|one| one.steady.worst_fuel());
        Self {
            fuel: figures.fuel(),
            worst_alloc: alloc,
            worst_dealloc: dealloc,
            worst_realloc: realloc,
            pages: figures.grown_pages,
        }
    }

    /// The figures by name, of which less is better.
    fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("instructions", self.fuel),
            ("worst alloc", self.worst_alloc),
            ("worst dealloc", self.worst_dealloc),
            ("worst realloc", self.worst_realloc),
            ("pages", self.pages),
        ]
    }
}

/// What is recorded.
pub(crate) fn read() -> Result<Record> {
    let text = std::fs::read_to_string(record_path())
        .context("no record: `cargo xtask bench --record` writes it")?;
    serde_json::from_str(&text).context("lab/record.json")
}

fn record_path() -> PathBuf {
    crate::dir().join("record.json")
}

/// Writes the record and `docs/lab.md`. The exact figures are counted on quick traces, as the
/// check counts them; what the page shows is the whole run's. If the run `has_just_counted`, its
/// figures of quick traces are taken.
pub(crate) fn write(results: &Results, has_just_counted: bool) -> Result<()> {
    let mut allocators = BTreeMap::new();
    for allocator in allocator::known()? {
        eprintln!("recording {}", allocator.name);
        let known = (has_just_counted && results.setup.quick).then_some(results);
        let recorded = count(&allocator, known)?;
        allocators.insert(allocator.name.clone(), recorded);
    }
    let record = Record {
        compiler: results.setup.compiler.clone(),
        allocators,
    };
    let text = serde_json::to_string_pretty(&record)? + "\n";
    std::fs::write(record_path(), text).context("cannot write lab/record.json")?;
    let page = guest::root().join("docs").join("lab.md");
    let text = report::summary(results, &report::read_c_programs()?);
    std::fs::write(page, text).context("cannot write docs/lab.md")
}

/// An allocator's exact figures on quick traces, those that are `known` without counting again. A
/// workload it cannot do is left out.
fn count(allocator: &Allocator, known: Option<&Results>) -> Result<Recorded> {
    let mut recorded = Recorded {
        version: allocator.version.clone(),
        workloads: BTreeMap::new(),
        code_bytes: BTreeMap::new(),
        holes_fuel: BTreeMap::new(),
    };
    let known_counts = known.and_then(|known| known.counts.get(&allocator.name));
    let known_sizes = known.and_then(|known| known.sizes.get(&allocator.name));
    let mut counter = None;
    for workload in workloads::synthetic()? {
        let known = known_counts.and_then(|counts| counts.get(&workload.name));
        let figures = if let Some(figures) = known {
            Some(figures.clone())
        } else {
            // It is built only if something is to be counted.
            let made = match counter.take() {
                Some(counter) => counter,
                None => Counter::new(allocator)?,
            };
            count_one(counter.insert(made), &workload)
        };
        if let Some(figures) = figures.filter(|figures| figures.fuel() <= FUEL_MAX) {
            let name = workload.name;
            recorded.workloads.insert(name, Counted::of(&figures));
        }
    }
    for level in OPT_LEVELS {
        let size = match known_sizes.and_then(|sizes| sizes.get(level)) {
            Some(size) => *size,
            None => size::added(allocator, level, false)?,
        };
        recorded.code_bytes.insert(level.to_owned(), size.compiled);
    }
    let holes = match known {
        Some(known) => known
            .special
            .get(&allocator.name)
            .map(|special| special.holes_fuel.clone()),
        None => counter.map_or_else(|| Counter::new(allocator), Ok)?.holes(),
    };
    let counts = HOLE_COUNTS.into_iter();
    recorded.holes_fuel = counts.zip(holes.unwrap_or_default()).collect();
    Ok(recorded)
}

/// What counts one allocator's instructions.
struct Counter {
    engine: wasmtime::Engine,
    module: Module,
    initial_pages: u64,
}

impl Counter {
    fn new(allocator: &Allocator) -> Result<Self> {
        let engine = counting_engine()?;
        let control = Module::from_file(&engine, allocator::control()?.build(Exports::Probe)?)?;
        Ok(Self {
            initial_pages: Probe::new(&engine, &control)?.pages(),
            module: Module::from_file(&engine, allocator.build(Exports::Probe)?)?,
            engine,
        })
    }

    /// The dearest allocation among more and more holes; none if the allocator cannot do that.
    fn holes(&self) -> Option<Vec<u64>> {
        special::holes(&self.engine, &self.module).ok()
    }
}

/// The figures of a quick trace; none if the allocator cannot do it.
fn count_one(counter: &Counter, workload: &Synthetic) -> Option<Figures> {
    let (engine, module) = (&counter.engine, &counter.module);
    let trace = workload.trace(true);
    fuel::run_within(engine, module, &trace, counter.initial_pages, FUEL_MAX).ok()
}

/// More instructions than this for a quick trace are too many.
const FUEL_MAX: u64 = 1_000_000_000;

/// Contracts on quick traces; the programs take too long to build for every day.
const CHECK: Preset = Preset {
    output: "target/lab/check",
    engines: &[Engine::Wasmtime, Engine::V8],
    parts: &[Part::Check],
    is_of_targets: false,
    replays_programs: true,
    is_demo: false,
};

/// What CI runs: contracts of every allocator that reclaims, in wasmtime and, if it is there, in
/// V8; our exact figures against the record.
pub(crate) fn check() -> Result<()> {
    let choice = Choice {
        quick: true,
        ..Choice::default()
    };
    let mut plan = Plan::new(&choice, &CHECK)?;
    plan.programs.clear();
    plan.allocators.retain(|one| one.reclaims);
    let results = plan.nothing_measured()?;
    let (results, outcome) = run::measure(&plan, results, &CHECK.output_of(&choice))?;
    outcome?;
    let mut failures = Vec::new();
    for (engine, found) in &plan.engines {
        match found {
            Ok(_) => check_contracts(&plan, &results, *engine, &mut failures),
            Err(why) => println!("{} is left out: {why}", engine.name()),
        }
    }
    check_record(&allocator::known()?, &mut failures)?;
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Every allocator on every trace; a failure of ours counts, a peer's is said.
fn check_contracts(plan: &Plan, results: &Results, engine: Engine, failures: &mut Vec<String>) {
    let is_ours = |name: &str| {
        let mut allocators = plan.allocators.iter();
        allocators.any(|one| one.name == name && one.kind == Kind::Ours)
    };
    let checks = results.checks.iter().filter(|check| check.engine == engine);
    let (mut known, mut held) = (0, 0);
    for check in checks {
        known += 1;
        let Some(why) = &check.failure else {
            held += 1;
            continue;
        };
        let (workload, allocator) = (&check.workload, &check.allocator);
        let what = format!("{}, {workload}, {allocator}: {why}", engine.name());
        if is_ours(allocator) {
            failures.push(what);
        } else {
            println!("a peer fails: {what}");
        }
    }
    let all = plan.allocators.len() * plan.synthetic.len();
    if known < all {
        let name = engine.name();
        failures.push(format!("{name}: of {all} contracts, {known} were checked"));
    }
    println!("{}: {held} contracts held", engine.name());
}

/// Our figures against the record.
fn check_record(allocators: &[Allocator], failures: &mut Vec<String>) -> Result<()> {
    let record = read()?;
    for allocator in allocators.iter().filter(|one| one.kind == Kind::Ours) {
        let Some(recorded) = record.allocators.get(&allocator.name) else {
            failures.push(format!("{} is not in the record", allocator.name));
            continue;
        };
        let now = count(allocator, None)?;
        let worse = worse(&allocator.name, recorded, &now);
        println!(
            "{}: {} workloads against the record, {} figures worse",
            allocator.name,
            now.workloads.len(),
            worse.len()
        );
        failures.extend(worse);
    }
    Ok(())
}

/// The figures that are worse than recorded by more than the margin.
fn worse(name: &str, recorded: &Recorded, now: &Recorded) -> Vec<String> {
    let mut worse = Vec::new();
    let mut compare = |what: String, recorded: u64, now: u64| {
        if is_worse(recorded, now) {
            worse.push(format!("{name}, {what}: {now}, recorded {recorded}"));
        }
    };
    for (workload, before) in &recorded.workloads {
        let Some(after) = now.workloads.get(workload) else {
            compare(format!("{workload} fails"), 0, 1);
            continue;
        };
        for ((figure, before), (_, after)) in before.named().into_iter().zip(after.named()) {
            compare(format!("{workload}, {figure}"), before, after);
        }
    }
    for (level, before) in &recorded.code_bytes {
        let after = now.code_bytes.get(level).copied().unwrap_or(0);
        compare(format!("code at opt-level={level}"), *before, after);
    }
    for (count, before) in &recorded.holes_fuel {
        let after = now.holes_fuel.get(count).copied().unwrap_or(u64::MAX);
        compare(format!("alloc among {count} holes"), *before, after);
    }
    worse
}

fn is_worse(recorded: u64, now: u64) -> bool {
    float(now) > float(recorded) * MARGIN
}

/// Writes the checksums into the workloads' files.
pub(crate) fn bless() -> Result<()> {
    let dir = crate::dir().join("workloads");
    let mut lines = BTreeMap::new();
    for workload in workloads::synthetic()? {
        let [full, quick] = [false, true].map(|quick| oracle::checksum(&workload.trace(quick)));
        let line = format!("checksum = {{ full = {full}, quick = {quick} }}");
        lines.insert(workload.name, line);
    }
    set_lines(&dir.join("synthetic.toml"), &lines)?;
    let list = workloads::programs()?;
    let recorded = programs::record(&counting_engine()?, &list)?;
    let lines = list.iter().zip(recorded);
    let lines = lines.map(|(program, recorded)| {
        let line = format!("checksum = {}", recorded.checksum);
        (program.name.clone(), line)
    });
    set_lines(&dir.join("programs.toml"), &lines.collect())
}

/// Sets the line that begins with `checksum` of every table, by its name. The rest of the file
/// stays as it is written.
fn set_lines(path: &Path, lines: &BTreeMap<String, String>) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut written = Vec::new();
    for line in text.lines() {
        if line.starts_with("checksum = ") {
            continue;
        }
        written.push(line);
        if let Some(name) = line.strip_prefix("name = ") {
            let Some(checksum) = lines.get(name.trim_matches('"')) else {
                bail!("{}: {name} is not known", path.display());
            };
            written.push(checksum);
        }
    }
    std::fs::write(path, written.join("\n") + "\n").with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: Counted = Counted {
        fuel: 1_000,
        worst_alloc: 100,
        worst_dealloc: 100,
        worst_realloc: 100,
        pages: 50,
    };

    fn recorded(counted: Counted) -> Recorded {
        Recorded {
            version: None,
            workloads: BTreeMap::from([("small".to_owned(), counted)]),
            code_bytes: BTreeMap::from([("z".to_owned(), 1_000)]),
            holes_fuel: BTreeMap::from([(1_000, 300)]),
        }
    }

    #[test]
    fn the_same_is_not_worse() {
        let both = recorded(COUNTED);
        assert!(worse("ours", &both, &both).is_empty());
    }

    #[test]
    fn within_the_margin_is_not_worse_and_beyond_it_is() {
        let with_fuel = |fuel| recorded(Counted { fuel, ..COUNTED });
        assert!(worse("ours", &with_fuel(1_000), &with_fuel(1_020)).is_empty());
        assert_eq!(worse("ours", &with_fuel(1_000), &with_fuel(1_021)).len(), 1);
    }

    #[test]
    fn holes_that_cost_more_are_worse() {
        let mut now = recorded(COUNTED);
        now.holes_fuel.insert(1_000, 307);
        assert_eq!(worse("ours", &recorded(COUNTED), &now).len(), 1);
    }

    #[test]
    fn a_workload_that_fails_now_is_worse() {
        let mut now = recorded(COUNTED);
        now.workloads.clear();
        assert_eq!(worse("ours", &recorded(COUNTED), &now).len(), 1);
    }
}

//! `cargo xtask measure`: ours and the peers, side by side, on the same traces.

pub(crate) mod allocator;
mod check;
mod fuel;
mod probe;
mod programs;
mod random;
mod report;
mod size;
mod special;
mod targets;
mod time;
mod trace;
mod workloads;

use anyhow::{Result, ensure};
use clap::Args;
use wasmtime::{Engine, Module};

use crate::engine::counting_engine;
use crate::guest;
use allocator::{Allocator, Exports};
use probe::Probe;
use report::{Report, Row};
use size::OPT_LEVELS;
use time::Times;
use trace::Trace;

/// What to measure.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Workloads to run, by name; all by default
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD")]
    only: Vec<String>,
    /// Allocators to measure, by name
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    allocators: Vec<String>,
    /// One more allocator: a crate with a unit struct `Alligator` or with `AlligatorAlloc::new()`
    #[arg(long, value_name = "NAME=DIR[:FEATURE,FEATURE]")]
    allocator: Vec<Allocator>,
    /// Traces of a quarter of their length
    #[arg(long)]
    quick: bool,
    /// No code size
    #[arg(long)]
    no_size: bool,
    /// No times in V8
    #[arg(long)]
    no_time: bool,
    /// The targets of issue 2 and what of them is reached, instead of all tables; for the first
    /// allocator measured, with all workloads
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    targets: bool,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let engine = counting_engine()?;
    let wanted = |name: &str| is_wanted(name, &options.only);
    let mut traces = workloads::generate(wanted, options.quick);
    traces.extend(programs::record(&engine, wanted)?);
    ensure!(
        !traces.is_empty(),
        "no workload is called {:?}",
        options.only
    );
    let report = measure(options, &engine, &traces)?;
    if options.json {
        println!("{:#}", report.json());
    } else if options.targets {
        targets::print(&report);
    } else {
        report.print();
    }
    report.print_failures()
}

fn is_wanted(name: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|wanted| wanted == name)
}

fn measure(options: &Options, engine: &Engine, traces: &[Trace]) -> Result<Report> {
    let control = load(engine, &allocator::control())?;
    let initial_pages = Probe::new(engine, &control)?.pages();
    let empty_bytes = empty_module_bytes(options)?;
    let mut report = Report {
        workloads: traces.iter().map(|trace| trace.name.clone()).collect(),
        ..Report::default()
    };
    let allocators = chosen(options)?;
    let mut measured = Vec::new();
    for allocator in &allocators {
        eprintln!("measuring {}", allocator.name);
        match load(engine, allocator) {
            Ok(module) => {
                let mut row = measure_one(engine, &module, traces, initial_pages);
                row.name.clone_from(&allocator.name);
                if let Some(empty) = empty_bytes {
                    row.code_bytes = Some(size::code_bytes(allocator, empty)?);
                }
                if row.failures.is_empty() {
                    measured.push(allocator);
                }
                report.rows.push(row);
            }
            Err(error) => {
                let why = format!("{error:#}");
                let reason = why.lines().next().unwrap_or_default();
                eprintln!(
                    "skipping {}, which does not build: {reason}",
                    allocator.name
                );
                report.skipped.push(format!("{}: {why}", allocator.name));
            }
        }
    }
    report.times = times(options, &measured, traces)?;
    Ok(report)
}

/// Builds an allocator's guest for the fuel measurements and compiles it.
fn load(engine: &Engine, allocator: &Allocator) -> Result<Module> {
    let path = allocator.build(Exports::Probe)?;
    Ok(Module::new(engine, std::fs::read(path)?)?)
}

/// `None`, with a line that says why, when time is not measured.
fn times(options: &Options, allocators: &[&Allocator], traces: &[Trace]) -> Result<Option<Times>> {
    if options.no_time {
        return Ok(None);
    }
    if !time::node_exists() {
        eprintln!("no times: node (Debian package nodejs) is not installed");
        return Ok(None);
    }
    let rounds = if options.quick { 3 } else { 9 };
    time::run(allocators, traces, rounds).map(Some)
}

/// The allocators that the options ask for.
fn chosen(options: &Options) -> Result<Vec<Allocator>> {
    let known = allocator::known();
    for name in &options.allocators {
        let exists = known.iter().any(|allocator| allocator.name == *name);
        ensure!(exists, "no allocator is called {name}");
    }
    let listed = known.into_iter().filter(|allocator| {
        if options.allocators.is_empty() {
            allocator::is_default(&allocator.name)
        } else {
            options.allocators.contains(&allocator.name)
        }
    });
    Ok(options.allocator.iter().cloned().chain(listed).collect())
}

/// Runs all traces and the special figures; what fails is noted in the row.
fn measure_one(engine: &Engine, module: &Module, traces: &[Trace], initial_pages: u64) -> Row {
    let mut row = Row::default();
    for trace in traces {
        let figures = fuel::run(engine, module, trace, initial_pages);
        let figures =
            figures.map_err(|error| row.failures.push(format!("{}: {error:#}", trace.name)));
        row.figures.push(figures.ok());
    }
    match special::run(engine, module) {
        Ok(special) => row.special = Some(special),
        Err(error) => row.failures.push(format!("special figures: {error:#}")),
    }
    row
}

/// `None`, with a line that says why, when code size is not measured.
fn empty_module_bytes(options: &Options) -> Result<Option<[u64; OPT_LEVELS.len()]>> {
    if options.no_size {
        return Ok(None);
    }
    if !size::optimizer_exists() {
        eprintln!("no code size: wasm-opt (Debian package binaryen) is not installed");
        return Ok(None);
    }
    size::empty_bytes().map(Some)
}

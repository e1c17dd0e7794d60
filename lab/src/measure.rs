//! `cargo xtask measure`: ours and the peers, side by side, on the same traces. The short way
//! to the figures that the project's targets name; `cargo xtask bench` is the whole lab.

mod report;
mod starts;
mod targets;
mod time;

use anyhow::{Result, ensure};
use clap::Args;
use wasmtime::{Engine, Module};

use crate::probe::Probe;
use crate::trace::Trace;
use crate::{engines, fuel, programs, size, special, workloads};
use alligator_meter::counting_engine;
use alligator_tools::allocator::{self, Allocator, Exports};
use alligator_tools::guest;
use report::{Report, Row};
use time::Times;

/// The compiler's levels under which modules are measured: what a program that wants small code
/// sets, and what one that wants speed does.
pub(crate) const OPT_LEVELS: [&str; 2] = ["z", "3"];

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
    /// Rounds of which each time is the median; 9, or 3 with `--quick`. Take more where noise
    /// decides: 20 ms for each allocator and workload
    #[arg(long, value_name = "COUNT", conflicts_with = "no_time")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: Option<u32>,
    /// The targets and what of them is reached, instead of all tables; for the first
    /// allocator measured, with all workloads
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    targets: bool,
    /// Only the memory, from so many places in a page where the heap may start: which of them
    /// it is is luck
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["targets", "json", "rounds"])]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    starts: Option<u8>,
    /// The calls of the program of `cargo xtask demo` instead of the workloads
    #[arg(long, conflicts_with_all = ["only", "quick", "targets"])]
    demo: bool,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let engine = counting_engine()?;
    let wanted = |name: &str| is_wanted(name, &options.only);
    let traces = if options.demo {
        eprintln!("recording the demo's program");
        vec![programs::record_demo(&engine)?]
    } else {
        traces(&engine, wanted, options.quick)?
    };
    ensure!(
        !traces.is_empty(),
        "no workload is called {:?}",
        options.only
    );
    if let Some(count) = options.starts {
        return starts::run(&engine, &chosen(options)?, &traces, count.into());
    }
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

/// The workloads that the targets name, and `wanted` of them.
fn traces(engine: &Engine, wanted: impl Fn(&str) -> bool, quick: bool) -> Result<Vec<Trace>> {
    let mut synthetic = workloads::synthetic()?;
    synthetic.retain(|workload| workload.targets && wanted(&workload.name));
    let mut traces: Vec<Trace> = synthetic
        .iter()
        .map(|workload| workload.trace(quick))
        .collect();
    let mut programs = workloads::programs()?;
    programs.retain(|program| program.targets && wanted(&program.name));
    let programs: Vec<_> = programs.iter().collect();
    if !programs.is_empty() {
        eprintln!("recording the programs");
    }
    let recorded = programs::record(engine, &programs)?;
    traces.extend(recorded.into_iter().map(|recorded| recorded.trace));
    Ok(traces)
}

fn is_wanted(name: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|wanted| wanted == name)
}

fn measure(options: &Options, engine: &Engine, traces: &[Trace]) -> Result<Report> {
    let control = load(engine, &allocator::control()?)?;
    let initial_pages = Probe::new(engine, &control)?.pages();
    let sizes = !options.no_size && size_is_measurable();
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
                if sizes {
                    row.code_bytes = code_bytes(allocator)?;
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
    if let Err(reason) = engines::Engine::V8.find() {
        eprintln!("no times: {reason:#}");
        return Ok(None);
    }
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 9 });
    time::run(allocators, traces, rounds).map(Some)
}

/// The allocators that the options ask for.
fn chosen(options: &Options) -> Result<Vec<Allocator>> {
    let known = allocator::known()?;
    for name in &options.allocators {
        let exists = known.iter().any(|allocator| allocator.name == *name);
        ensure!(exists, "no allocator is called {name}");
    }
    let listed = known.into_iter().filter(|allocator| {
        if options.allocators.is_empty() {
            allocator.is_in_targets
        } else {
            options.allocators.contains(&allocator.name)
        }
    });
    Ok(options.allocator.iter().cloned().chain(listed).collect())
}

/// Runs all traces and the special figures; what fails is noted in the row.
fn measure_one(engine: &Engine, module: &Module, traces: &[Trace], initial_pages: u64) -> Row {
    let mut row = run_traces(engine, module, traces, initial_pages);
    match special::run(engine, module) {
        Ok(special) => row.special = Some(special),
        Err(error) => row.failures.push(format!("special figures: {error:#}")),
    }
    row
}

/// Runs all traces; what fails is noted in the row.
fn run_traces(engine: &Engine, module: &Module, traces: &[Trace], initial_pages: u64) -> Row {
    let mut row = Row::default();
    for trace in traces {
        let figures = fuel::run(engine, module, trace, initial_pages);
        let figures =
            figures.map_err(|error| row.failures.push(format!("{}: {error:#}", trace.name)));
        row.figures.push(figures.ok());
    }
    row
}

/// False, with a line that says why, if code size cannot be measured.
fn size_is_measurable() -> bool {
    let exists = size::optimizer_exists();
    if !exists {
        eprintln!("no code size: wasm-opt (Debian package binaryen) is not installed");
    }
    exists
}

/// Bytes over the empty module, after `wasm-opt`, one per level.
fn code_bytes(allocator: &Allocator) -> Result<Option<[u64; OPT_LEVELS.len()]>> {
    let mut bytes = [0; OPT_LEVELS.len()];
    for (bytes, level) in bytes.iter_mut().zip(OPT_LEVELS) {
        let Some(optimized) = size::added(allocator, level, true)?.optimized else {
            return Ok(None);
        };
        *bytes = optimized;
    }
    Ok(Some(bytes))
}

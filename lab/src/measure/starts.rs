//! Memory from several heap starts. Where the heap starts in its first page decides how much the initial memory has to
//! spare, and where everything comes to lie: the figure of one start may be luck.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Engine, Module};

use super::tables::MEAN;
use crate::fuel::{self, PAGE_BYTES};
use crate::probe::Probe;
use crate::report::allocator_mean;
use crate::run::{Plan, Results, Workload, workloads_of};
use crate::stats::geometric_mean;
use crate::table::Table;
use alligator_meter::counting_engine;
use alligator_tools::allocator::{self, Allocator, Exports};
use alligator_tools::guest;

/// The stack of a guest that says nothing of it.
const STACK_BYTES: u64 = 1 << 20;
/// What the linker wants a stack to be a multiple of.
const STACK_ALIGN: u64 = 16;

/// Measures the plan's memory from `count` starts and prints the means, the least and the most.
pub(super) fn run(plan: &Plan, count: u64) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let engine = counting_engine()?;
    let workloads = workloads_of(plan)?;
    let mut runs = Vec::new();
    let mut failures = Vec::new();
    for start in 0..count {
        eprintln!("start {} of {count}", start + 1);
        let mut results = plan.nothing_measured()?;
        let shift = start * PAGE_BYTES / count / STACK_ALIGN * STACK_ALIGN;
        let stack_bytes = STACK_BYTES + shift;
        count_all(&engine, plan, &workloads, stack_bytes, &mut results)?;
        failures.append(&mut results.missing);
        runs.push(results);
    }
    println!("{}", table(&runs).plain());
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Counts every workload of every allocator.
fn count_all(
    engine: &Engine,
    plan: &Plan,
    workloads: &[Workload],
    stack_bytes: u64,
    results: &mut Results,
) -> Result<()> {
    let control = load(engine, &allocator::control()?, stack_bytes)?;
    let initial_pages = Probe::new(engine, &control)?.pages();
    for allocator in &plan.allocators {
        let module = load(engine, allocator, stack_bytes)?;
        let mut counts = BTreeMap::new();
        for Workload { trace, .. } in workloads {
            match fuel::run(engine, &module, trace, initial_pages) {
                Ok(figures) => drop(counts.insert(trace.name.clone(), figures)),
                Err(error) => {
                    let (allocator, workload) = (&allocator.name, &trace.name);
                    results
                        .missing
                        .push(format!("{allocator}: {workload}: {error:#}"));
                }
            }
        }
        results.counts.insert(allocator.name.clone(), counts);
    }
    Ok(())
}

/// Builds an allocator's probe with a stack of `stack_bytes` below its statics and its heap, and compiles it.
fn load(engine: &Engine, allocator: &Allocator, stack_bytes: u64) -> Result<Module> {
    let path = allocator.build(Exports::ProbeAbove { stack_bytes })?;
    let module = std::fs::read(&path)?;
    // Cargo does not look at the setting where the environment has flags of its own.
    ensure!(
        stack_end(&module)? == i32::try_from(stack_bytes).ok(),
        "{}: the stack does not end at {stack_bytes}; is RUSTFLAGS set?",
        path.display()
    );
    Ok(Module::new(engine, module)?)
}

/// Where a module's stack starts from, downwards: its first global says that.
fn stack_end(module: &[u8]) -> Result<Option<i32>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::GlobalSection(globals) = payload? {
            let Some(global) = globals.into_iter().next() else {
                break;
            };
            if let Operator::I32Const { value } = global?.init_expr.get_operators_reader().read()? {
                return Ok(Some(value));
            }
        }
    }
    Ok(None)
}

/// A line for each workload, and one for the mean of all.
fn table(runs: &[Results]) -> Table {
    let infos = runs.iter().take(1);
    let names: Vec<&String> = infos
        .clone()
        .flat_map(|results| results.allocators.iter().map(|info| &info.name))
        .collect();
    let title = format!("memory added / peak live bytes, {} starts", runs.len());
    let mut table = Table::new(core::iter::once(&title).chain(names.iter().copied()));
    let mut line = |label: &str, value: &dyn Fn(&Results, &str) -> Option<f64>| {
        let cell = |name: &&String| cell(runs.iter().map(|run| value(run, name)).collect());
        table.labelled(label, names.iter().map(cell));
    };
    for workload in infos.flat_map(|results| &results.workloads) {
        line(&workload.name, &|results, name| {
            Some(results.figures(name, &workload.name)?.footprint())
        });
    }
    line(MEAN, &|results, name| {
        allocator_mean(results, name, |figures| {
            Some(figures.footprint()).filter(|footprint| *footprint > 0.0)
        })
    });
    table
}

/// The mean of some values, the least and the most of them; a dash if one is missing.
fn cell(values: Option<Vec<f64>>) -> String {
    let values = values.unwrap_or_default();
    let least = values.iter().copied().reduce(f64::min);
    let most = values.iter().copied().reduce(f64::max);
    match (geometric_mean(&values), least, most) {
        (Some(mean), Some(least), Some(most)) => format!("{mean:.3} ({least:.2} to {most:.2})"),
        _ => "-".to_owned(),
    }
}

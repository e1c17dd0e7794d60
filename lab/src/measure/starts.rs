//! Memory from several heap starts. Where the heap starts in its first page decides how much the initial memory has to
//! spare, and where everything comes to lie: the figure of one start may be luck.

use anyhow::{Result, ensure};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Engine, Module};

use super::report::{Report, geometric_mean, print_table};
use super::run_traces;
use crate::fuel::{Figures, PAGE_BYTES};
use crate::probe::Probe;
use crate::trace::Trace;
use alligator_tools::allocator::{self, Allocator, Exports};

/// The stack of a guest that says nothing of it.
const STACK_BYTES: u64 = 1 << 20;
/// What the linker wants a stack to be a multiple of.
const STACK_ALIGN: u64 = 16;

/// Measures `allocators` from `count` starts and prints the means, the least and the most.
pub(crate) fn run(
    engine: &Engine,
    allocators: &[Allocator],
    traces: &[Trace],
    count: u64,
) -> Result<()> {
    let control = allocator::control()?;
    let mut reports = Vec::new();
    for start in 0..count {
        eprintln!("start {} of {count}", start + 1);
        let shift = start * PAGE_BYTES / count / STACK_ALIGN * STACK_ALIGN;
        let stack_bytes = STACK_BYTES + shift;
        let initial_pages = Probe::new(engine, &load(engine, &control, stack_bytes)?)?.pages();
        let mut report = Report {
            workloads: traces.iter().map(|trace| trace.name.clone()).collect(),
            ..Report::default()
        };
        for allocator in allocators {
            let module = load(engine, allocator, stack_bytes)?;
            let mut row = run_traces(engine, &module, traces, initial_pages);
            row.name.clone_from(&allocator.name);
            report.rows.push(row);
        }
        reports.push(report);
    }
    print_table(&table(&reports, allocators));
    reports.iter().try_for_each(Report::print_failures)
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
fn table(reports: &[Report], allocators: &[Allocator]) -> Vec<Vec<String>> {
    let names = || allocators.iter().map(|allocator| &allocator.name);
    let line = |label: &str, value: &dyn Fn(&Report, &str) -> Option<f64>| {
        let cell = |name: &String| cell(reports.iter().map(|report| value(report, name)).collect());
        let label = core::iter::once(label.to_owned());
        label.chain(names().map(cell)).collect()
    };
    let footprint = |report: &Report, name: &str, workload: &str| {
        let figures = report.figures(report.row(name)?, workload);
        figures.map(Figures::footprint)
    };
    let title = format!("memory added / peak live bytes, {} starts", reports.len());
    let heading = core::iter::once(title).chain(names().cloned()).collect();
    let mut table = vec![heading];
    for workload in reports.iter().take(1).flat_map(|report| &report.workloads) {
        table.push(line(workload, &|report, name| {
            footprint(report, name, workload)
        }));
    }
    table.push(line(
        "mean (geometric, without ratchets)",
        &|report, name| report.mean(|workload| footprint(report, name, workload)),
    ));
    table
}

/// The mean of some values, the least and the most of them; a dash if one is missing.
fn cell(values: Option<Vec<f64>>) -> String {
    let values = values.unwrap_or_default();
    let least = values.iter().copied().reduce(f64::min);
    let most = values.iter().copied().reduce(f64::max);
    match (geometric_mean(values.into_iter()), least, most) {
        (Some(mean), Some(least), Some(most)) => format!("{mean:.3} ({least:.2} to {most:.2})"),
        _ => "-".to_owned(),
    }
}

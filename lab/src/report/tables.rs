//! The tables that the page and the Markdown share.

use std::collections::BTreeMap;

use super::c_programs::CPrograms;
use super::derived::{Derived, Loss, OURS};
use crate::engines::{Engine, Latency};
use crate::fuel::{Calls, Figures, Operation, Request};
use crate::run::{Results, WorkloadInfo};
use crate::stats;
use crate::table::{Cell, Table};
use alligator_tools::allocator::Kind;

/// The calls of one kind.
type OperationOf = fn(&Figures) -> &Operation;

/// What an allocator is.
pub(super) fn kind(results: &Results, allocator: &str) -> Option<Kind> {
    let mut infos = results.allocators.iter();
    Some(infos.find(|info| info.name == allocator)?.kind)
}

/// Workloads by allocators; rows without any figure are left out.
pub(super) fn by_workload(results: &Results, cell: impl Fn(&WorkloadInfo, &str) -> Cell) -> Table {
    let names = || results.allocators.iter().map(|info| info.name.as_str());
    let mut table = Table::new(core::iter::once("workload").chain(names()));
    for workload in &results.workloads {
        let cells: Vec<Cell> = names().map(|name| cell(workload, name)).collect();
        if cells.iter().any(|cell| cell.value().is_some()) {
            table.labelled(&workload.name, cells);
        }
    }
    table
}

/// A figure of the counts, by workload.
pub(super) fn figures(results: &Results, digits: usize, value: fn(&Figures) -> f64) -> Table {
    by_workload(results, |workload, name| {
        Cell::Number(results.figures(name, &workload.name).map(value), digits)
    })
}

/// Ratios of times to the reference's, on one engine.
pub(super) fn ratios(results: &Results, derived: &Derived, engine: Engine) -> Table {
    by_workload(results, |workload, name| {
        let ratio = derived.ratio(engine, &workload.name, name);
        Cell::Spread(ratio.map(|ratio| ratio.spread))
    })
}

/// The mean ratios of times with their intervals.
pub(super) fn intervals(results: &Results, derived: &Derived) -> Table {
    let engines = derived.timed_engines(results);
    let headings = engines.iter().flat_map(|engine| {
        [
            engine.name().to_owned(),
            format!("{}, programs", engine.name()),
        ]
    });
    let mut table = Table::new(core::iter::once("allocator".to_owned()).chain(headings));
    for row in &derived.rows {
        let means = engines
            .iter()
            .flat_map(|engine| row.times.get(engine).copied().unwrap_or_default());
        let cells = means.map(|mean| match mean {
            Some(mean) => Cell::from(mean.to_string()),
            None => Cell::Number(None, 2),
        });
        let name = core::iter::once(row.allocator.as_str().into());
        table.row_of(Some(row.kind), name.chain(cells));
    }
    table
}

/// Figures that a peer betters.
pub(super) fn losses(losses: &[Loss]) -> Table {
    let mut table = Table::new(["figure", OURS, "best", "peer", "ratio"]);
    for loss in losses {
        table.row([
            loss.figure.as_str().into(),
            Cell::Number(Some(loss.ours), 2),
            Cell::Number(Some(loss.best), 2),
            loss.peer.as_str().into(),
            Cell::Number(Some(loss.ours / loss.best), 2),
        ]);
    }
    table
}

/// A column of the single operations.
type LatencyColumn = (&'static str, fn(&Latency) -> Option<f64>);

/// Whose operations a column is of, and where it is in these.
const LATENCY_COLUMNS: [LatencyColumn; 9] = [
    ("p50", |one| one.steady.map(|all| all.p50)),
    ("p99", |one| one.steady.map(|all| all.p99)),
    ("p99.9", |one| one.steady.map(|all| all.p999)),
    ("p99.99", |one| one.steady.map(|all| all.p9999)),
    ("max", |one| one.steady.map(|all| all.max)),
    ("growing, p50", |one| one.growing.map(|all| all.p50)),
    ("growing, max", |one| one.growing.map(|all| all.max)),
    ("raw, p99.9", |one| one.raw.map(|all| all.p999)),
    ("raw, max", |one| one.raw.map(|all| all.max)),
];

/// Columns that are for the page alone.
const DETAILS: [&str; 2] = ["growing, p50", "raw, p99.9"];

/// Quantiles of the single operations, in nanoseconds.
pub(super) fn latencies(
    results: &Results,
    latencies: &BTreeMap<String, Latency>,
    with_details: bool,
) -> Table {
    let columns = LATENCY_COLUMNS.iter();
    let columns = columns.filter(|(name, _)| with_details || !DETAILS.contains(name));
    let headings = columns.clone().map(|(name, _)| *name);
    let mut table = Table::new(core::iter::once("allocator").chain(headings));
    for (name, latency) in latencies {
        let cells = columns
            .clone()
            .map(|(_, value)| Cell::Number(value(latency), 0));
        let cells = core::iter::once(name.as_str().into()).chain(cells);
        table.row_of(kind(results, name), cells);
    }
    table
}

/// Cold starts: medians of the processes.
pub(super) fn starts(results: &Results) -> Table {
    let mut table = Table::new(["allocator", "engine", "compile, ms", "first run, ms"]);
    for start in &results.starts {
        let cells = [
            start.allocator.as_str().into(),
            start.engine.name().into(),
            Cell::Number(stats::median(&start.ready), 1),
            Cell::Number(stats::median(&start.first_run), 1),
        ];
        table.row_of(kind(results, &start.allocator), cells);
    }
    table
}

/// C programs, as they were recorded.
pub(super) fn with_c_library(c_programs: &CPrograms) -> Table {
    let mut table = Table::default();
    for row in c_programs {
        table.row(row);
    }
    table
}

/// What the allocators are.
pub(super) fn abouts(results: &Results) -> Table {
    let heading = [
        "allocator".into(),
        Cell::Left("about".to_owned()),
        "kind".into(),
    ];
    let mut table = Table::new(heading);
    for info in &results.allocators {
        let lost = if info.reclaims {
            ""
        } else {
            " (freed memory is lost)"
        };
        let cells = [
            info.name.as_str().into(),
            Cell::Left(format!("{}{lost}", info.about)),
            format!("{:?}", info.kind).to_lowercase().into(),
        ];
        table.row_of(Some(info.kind), cells);
    }
    table
}

/// The dearest call of each kind over all workloads, with the request that did it.
pub(super) fn worst(results: &Results) -> Table {
    let request = || Cell::Left("request".to_owned());
    let [operation, mean, worst, growing] =
        ["operation", "mean", "worst", "growing"].map(Cell::from);
    let mut table = Table::new([operation, mean, worst, request(), growing, request()]);
    let kinds: [(&str, OperationOf); 3] = [
        ("alloc", |figures| &figures.alloc),
        ("dealloc", |figures| &figures.dealloc),
        ("realloc", |figures| &figures.realloc),
    ];
    for info in &results.allocators {
        let Some(counts) = results.counts.get(&info.name) else {
            continue;
        };
        for (kind, operation) in kinds {
            let steady = counts.values().map(|figures| &operation(figures).steady);
            let (count, fuel) = steady.fold((0, 0), |(count, fuel), calls| {
                (count + calls.count, fuel + calls.fuel)
            });
            let [steady, growing] = [
                dearest(counts, operation, |one| &one.steady),
                dearest(counts, operation, |one| &one.growing),
            ];
            let label = format!("{}, {kind}", info.name);
            let cells = [label.into(), Cell::Number(mean_of(fuel, count), 1)];
            table.row_of(
                Some(info.kind),
                cells.into_iter().chain(steady).chain(growing),
            );
        }
    }
    table
}

/// The dearest call, of several the one of the first workload: its instructions and its request.
fn dearest(
    counts: &BTreeMap<String, Figures>,
    operation: OperationOf,
    part: fn(&Operation) -> &Calls,
) -> [Cell; 2] {
    let worst = counts
        .iter()
        .filter_map(|(workload, figures)| Some((part(operation(figures)).worst?, workload)));
    let worst = worst.rev().max_by_key(|(request, _)| request.fuel);
    let text = worst.map(|(request, workload)| request_text(request, workload));
    [
        Cell::count(worst.map(|(request, _)| request.fuel)),
        Cell::Left(text.unwrap_or_else(|| "–".to_owned())),
    ]
}

/// What was asked of the allocator.
fn request_text(request: Request, workload: &str) -> String {
    let new = match request.new_size {
        0 => String::new(),
        size => format!(" → {}", super::html::number(size.into(), 0)),
    };
    let align = match request.align {
        align if align > 8 => format!(", align {align}"),
        _ => String::new(),
    };
    let zeroed = if request.zeroed { ", zeroed" } else { "" };
    let size = super::html::number(request.size.into(), 0);
    format!("{size}{new} B{align}{zeroed} in {workload}")
}

fn mean_of(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| stats::ratio(sum, count))
}

/// Instructions of whole programs, in millions.
pub(super) fn programs(results: &Results) -> Table {
    by_workload(results, |workload, name| {
        let programs = results.programs.get(name);
        let fuel = programs.and_then(|programs| programs.get(&workload.name));
        Cell::Number(fuel.and_then(|fuel| mean_of(*fuel, 1_000_000)), 2)
    })
}

/// Code size at every level, as compiled and after `wasm-opt`.
pub(super) fn sizes(results: &Results) -> Table {
    let levels = results
        .sizes
        .values()
        .next()
        .into_iter()
        .flat_map(BTreeMap::keys);
    let levels: Vec<&String> = levels.collect();
    let headings = levels
        .iter()
        .flat_map(|level| [(*level).clone(), format!("{level}, wasm-opt")]);
    let mut table = Table::new(core::iter::once("allocator".to_owned()).chain(headings));
    for info in &results.allocators {
        let Some(sizes) = results.sizes.get(&info.name) else {
            continue;
        };
        let cells = levels.iter().flat_map(|level| {
            let size = sizes.get(*level);
            [
                size.map(|size| size.compiled),
                size.and_then(|size| size.optimized),
            ]
        });
        let name = core::iter::once(info.name.as_str().into());
        table.row_of(Some(info.kind), name.chain(cells.map(Cell::count)));
    }
    table
}

/// Contracts that were broken.
pub(super) fn broken(results: &Results) -> Table {
    let failure = Cell::Left("failure".to_owned());
    let mut table = Table::new([
        "allocator".into(),
        "workload".into(),
        "engine".into(),
        failure,
    ]);
    for check in &results.checks {
        if let Some(why) = &check.failure {
            let cells = [
                check.allocator.as_str().into(),
                check.workload.as_str().into(),
                check.engine.name().into(),
                Cell::Left(why.clone()),
            ];
            table.row_of(kind(results, &check.allocator), cells);
        }
    }
    table
}

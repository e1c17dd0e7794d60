//! The results as Markdown: printed, in `report.md`, and in `docs/lab.md`.

use core::fmt::Write as _;

use super::c_programs::CPrograms;
use super::derived::{Derived, OURS};
use super::results::Results;
use crate::engines::{Engine, Quantiles};
use crate::fuel::Figures;
use alligator_tools::allocator::Kind;

/// A table, the first column to the left, the others to the right.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(heading: impl IntoIterator<Item = String>) -> Self {
        Self {
            rows: vec![heading.into_iter().collect()],
        }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl core::fmt::Display for Table {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
                .max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                if column == 0 {
                    write!(to, "| {cell:<width$} ")?;
                } else {
                    write!(to, "| {cell:>width$} ")?;
                }
            }
            writeln!(to, "|")?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let end = if column == 0 { "-" } else { ":" };
                    write!(to, "| {}{end} ", "-".repeat(width - 1))?;
                }
                writeln!(to, "|")?;
            }
        }
        Ok(())
    }
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// What is printed when a run has ended.
pub(crate) fn tables(results: &Results) -> String {
    let derived = Derived::of(results);
    let mut text = String::new();
    let _ = write!(text, "\n{}", overview(results, &derived));
    text += &lost(&derived, 12);
    text += &missing(results, 12);
    text + "\n"
}

/// The whole report.
pub(crate) fn report(results: &Results, c_programs: &CPrograms) -> String {
    let derived = Derived::of(results);
    let mut text = String::from("# The lab's report\n\n");
    text += &setup(results);
    let _ = write!(text, "\n## In short\n\n{}", overview(results, &derived));
    text += &lost(&derived, usize::MAX);
    text += &details(results, &derived);
    text += &with_c_library(c_programs);
    text += &missing(results, usize::MAX);
    text
}

/// `docs/lab.md`.
pub(crate) fn summary(results: &Results, c_programs: &CPrograms) -> String {
    let derived = Derived::of(results);
    let mut text = String::from(
        "# The lab: every allocator side by side\n\n\
         Written by `cargo xtask bench --record`; do not edit. What the lab is and how to run it: \
         [lab/README.md](../lab/README.md). What in it favours us and what does not: \
         [lab/BIAS.md](../lab/BIAS.md).\n\n",
    );
    text += &setup(results);
    let _ = write!(text, "\n## In short\n\n{}", overview(results, &derived));
    text += NOTES;
    text += &lost(&derived, 40);
    text += &details(results, &derived);
    text += &with_c_library(c_programs);
    text += &missing(results, usize::MAX);
    text
}

const NOTES: &str = "\nInstructions are wasmtime's fuel, exact: the geometric mean over the \
    workloads of `measure --targets`, and the dearest alloc / dealloc / realloc of all workloads \
    that did not grow the heap; a copy or a fill is one instruction. *Growing* is the dearest of \
    those that did, the first call of all among them. *Memory* is pages added over peak live bytes. *Holes* is the dearest alloc among 16,000 near-fit holes over that among \
    1,000. *Code* is what is added to an empty module at `opt-level = \"z\"`. Times are medians of \
    ratios to the reference in the same round, the driver's time subtracted: first the geometric \
    mean of the synthetic workloads, then of the real programs, which run whole, with the parser or \
    interpreter that they are. `-`: not measured, or a workload of the mean is missing.\n";

fn setup(results: &Results) -> String {
    let setup = &results.setup;
    let mut text = format!(
        "{}; {}, {} cores, {}; load when it began {}. Commit {}, {}{}. Repeat with `{}`.\n\n",
        setup.date,
        setup.processor,
        setup.cores,
        setup.system,
        setup.load,
        setup.commit,
        setup.compiler,
        setup
            .wasm_opt
            .as_ref()
            .map_or_else(String::new, |version| format!(", {version}")),
        setup.command,
    );
    if setup.quick {
        text += "A quick run: synthetic traces of a quarter of their length, a third of them timed, \
                 programs timed in V8 only.\n\n";
    }
    for engine in &results.engines {
        let _ = match (&engine.version, &engine.absent) {
            (Some(version), _) => writeln!(
                text,
                "- {}: {version}; {}; clock in steps of {} ns",
                engine.name,
                engine.tiers.as_deref().unwrap_or_default(),
                cell(engine.resolution, 0),
            ),
            (None, why) => writeln!(
                text,
                "- {}: not measured: {}",
                engine.name,
                why.as_deref().unwrap_or_default()
            ),
        };
    }
    text
}

fn overview(results: &Results, derived: &Derived) -> Table {
    let engines: Vec<Engine> = results
        .engines
        .iter()
        .map(|info| info.engine)
        .filter(|engine| {
            derived
                .rows
                .iter()
                .any(|row| row.times.contains_key(engine))
        })
        .collect();
    let heading = [
        "allocator",
        "instr./op",
        "worst a / d / r",
        "growing",
        "memory",
        "holes",
        "code",
    ];
    let heading = heading.map(str::to_owned).into_iter();
    let times = engines.iter().map(|engine| engine.name().to_owned());
    let contracts = core::iter::once("contracts".to_owned());
    let mut table = Table::new(heading.chain(times).chain(contracts));
    for row in &derived.rows {
        let [alloc, dealloc, realloc] = row.worst;
        let name = row.version.as_ref().map_or_else(
            || row.allocator.clone(),
            |version| format!("{} {version}", row.allocator),
        );
        let mut cells = vec![
            name,
            cell(row.mean_fuel, 1),
            format!("{alloc} / {dealloc} / {realloc}"),
            row.worst_growing.to_string(),
            cell(row.footprint, 2),
            cell(row.holes, 2),
            row.code_bytes
                .map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
        ];
        for engine in &engines {
            let [synthetic, programs] = row.times.get(engine).copied().unwrap_or_default();
            cells.push(format!("{} {}", cell(synthetic, 2), cell(programs, 2)));
        }
        cells.push(match row.contracts_broken {
            None => "-".to_owned(),
            Some(0) => "kept".to_owned(),
            Some(count) => format!("{count} broken"),
        });
        table.row(cells);
    }
    table
}

/// Where we lose.
fn lost(derived: &Derived, most: usize) -> String {
    if derived.losses.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["figure", OURS, "best", "peer", "ratio"].map(str::to_owned));
    for loss in derived.losses.iter().take(most) {
        table.row([
            loss.figure.clone(),
            format!("{:.2}", loss.ours),
            format!("{:.2}", loss.best),
            loss.peer.clone(),
            cell(
                Some(loss.ours / loss.best).filter(|ratio| ratio.is_finite()),
                2,
            ),
        ]);
    }
    let all = derived.losses.len();
    let more = if all > most {
        format!("\n{} more in the report.\n", all - most)
    } else {
        String::new()
    };
    format!(
        "\n## Where we lose\n\nFigures of `{OURS}` that the best of the peers which reclaim memory \
         betters, times by more than 5 %; the worst first.\n\n{table}{more}"
    )
}

fn details(results: &Results, derived: &Derived) -> String {
    let mut text = String::new();
    let figures = |title: &str, digits: usize, value: fn(&Figures) -> f64| {
        let table = by_workload(results, |workload, allocator| {
            let figures = results.counts.get(allocator)?.get(workload)?;
            Some(format!("{:.digits$}", value(figures)))
        });
        format!("\n## {title}\n\n{table}")
    };
    text += &figures("Instructions per operation", 1, Figures::mean_fuel);
    text += &figures("Memory added / peak live bytes", 2, Figures::footprint);
    for info in &results.engines {
        let table = by_workload(results, |workload, allocator| {
            let ratio = derived.ratio(info.engine, workload, allocator)?;
            let half = (ratio.spread.high - ratio.spread.low) / 2.0;
            Some(format!("{:.2} ±{half:.2}", ratio.spread.median))
        });
        if table.rows.len() > 1 {
            let _ = write!(
                text,
                "\n## Time / {}'s, {}\n\nMedian of the rounds, ± half of the middle half.\n\n{table}",
                results.setup.reference, info.name
            );
        }
    }
    text += &latencies(results);
    text += &starts(results);
    text
}

/// The C library, which these guests do not have.
fn with_c_library(c_programs: &CPrograms) -> String {
    let table = Table {
        rows: c_programs.clone(),
    };
    format!(
        "\n## C programs\n\nOn wasi-libc's malloc, which is dlmalloc, and on the C library, as `cargo xtask clib \
         --compare` has recorded it (`docs/c-programs.md` says what each column is).\n\n{table}"
    )
}

/// A table of workloads by allocators; rows without any value are left out.
fn by_workload(results: &Results, value: impl Fn(&str, &str) -> Option<String>) -> Table {
    let shown: Vec<&str> = results
        .allocators
        .iter()
        .map(|info| info.name.as_str())
        .collect();
    let heading = core::iter::once("workload").chain(shown.iter().copied());
    let mut table = Table::new(heading.map(str::to_owned));
    for workload in &results.workloads {
        let cells: Vec<Option<String>> = shown
            .iter()
            .map(|allocator| value(&workload.name, allocator))
            .collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            table.row(core::iter::once(workload.name.clone()).chain(cells));
        }
    }
    table
}

fn latencies(results: &Results) -> String {
    let mut text = String::new();
    for latencies in &results.latencies {
        let engine = latencies.engine.name();
        let heading = [
            "allocator",
            "p50",
            "p99",
            "p99.9",
            "p99.99",
            "max",
            "growing, max",
            "raw, max",
        ];
        let mut table = Table::new(heading.map(str::to_owned));
        for (name, latency) in &latencies.by_allocator {
            let steady = |value: fn(&Quantiles) -> f64| cell(latency.steady.as_ref().map(value), 0);
            table.row([
                name.clone(),
                steady(|one| one.p50),
                steady(|one| one.p99),
                steady(|one| one.p999),
                steady(|one| one.p9999),
                steady(|one| one.max),
                cell(latency.growing.as_ref().map(|one| one.max), 0),
                cell(latency.raw.as_ref().map(|one| one.max), 0),
            ]);
        }
        let _ = write!(
            text,
            "\n## Single operations, {engine}, {}\n\nNanoseconds, the call from outside and two \
             looks at the clock included; `control` is the empty call. Each operation's fastest \
             time of several fresh instances; *raw* is without that.\n\n{table}",
            latencies.workload
        );
    }
    text
}

fn starts(results: &Results) -> String {
    if results.starts.is_empty() {
        return String::new();
    }
    let heading = ["allocator", "engine", "compile, ms", "first run, ms"];
    let mut table = Table::new(heading.map(str::to_owned));
    for start in &results.starts {
        let median = |samples: &[f64]| super::stats::spread(samples.to_vec()).map(|one| one.median);
        table.row([
            start.allocator.clone(),
            start.engine.name().to_owned(),
            cell(median(&start.ready), 1),
            cell(median(&start.first_run), 1),
        ]);
    }
    format!(
        "\n## Cold start\n\nA module with all programs, compiled in a fresh process with the \
         engine's tiers as they are, and the first run of `{}`.\n\n{table}",
        super::plan::START
    )
}

fn missing(results: &Results, most: usize) -> String {
    let broken: Vec<String> = results
        .allocators
        .iter()
        .filter(|info| info.kind != Kind::Control)
        .filter_map(|info| {
            let checks = results.checks.iter();
            let mut broken = checks
                .filter(|check| check.allocator == info.name)
                .filter_map(|check| Some((check, check.failure.as_ref()?)));
            let (first, why) = broken.next()?;
            let engine = first.engine.name();
            Some(format!(
                "{} breaks its contract: {}, {engine}: {why}",
                info.name, first.workload
            ))
        })
        .collect();
    let all: Vec<&String> = broken.iter().chain(&results.missing).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## What is missing or failed\n\n");
    for line in all.iter().take(most) {
        let _ = writeln!(text, "- {line}");
    }
    if all.len() > most {
        let _ = writeln!(text, "- and {} more, in the report", all.len() - most);
    }
    text
}

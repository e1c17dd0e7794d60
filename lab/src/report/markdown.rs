//! The results as Markdown: printed, in `report.md`, and in `docs/lab.md`.

use core::fmt::Write as _;

use super::c_programs::CPrograms;
use super::derived::{Derived, OURS};
use super::tables;
use crate::fuel::Figures;
use crate::run::{Results, START};
use crate::stats::Mean;
use crate::table::Table;
use alligator_tools::allocator::Kind;

/// What is printed when a run has ended.
pub(crate) fn short(results: &Results) -> String {
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

/// A figure with so many digits, or a dash.
fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

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
                figure(engine.resolution, 0),
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
    let engines = derived.timed_engines(results);
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
        let mut cells = vec![
            row.title(),
            figure(row.mean_fuel, 1),
            format!("{alloc} / {dealloc} / {realloc}"),
            row.worst_growing.to_string(),
            figure(row.footprint, 2),
            figure(row.holes, 2),
            row.code_bytes
                .map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
        ];
        for engine in &engines {
            let [synthetic, programs] = row.times.get(engine).copied().unwrap_or_default();
            let mean = |mean: Option<Mean>| figure(mean.map(|mean| mean.value), 2);
            cells.push(format!("{} {}", mean(synthetic), mean(programs)));
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
    let losses = &derived.losses;
    if losses.is_empty() {
        return String::new();
    }
    let table = tables::losses(&losses[..losses.len().min(most)]);
    let more = match losses.len().saturating_sub(most) {
        0 => String::new(),
        more => format!("\n{more} more in the report.\n"),
    };
    format!(
        "\n## Where we lose\n\nFigures of `{OURS}` that the best of the peers which reclaim memory \
         betters, times by more than 5 %; the worst first.\n\n{table}{more}"
    )
}

/// A section, if there is something in its table.
fn section(title: &str, note: &str, table: &Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    let note = if note.is_empty() {
        String::new()
    } else {
        format!("{note}\n\n")
    };
    format!("\n## {title}\n\n{note}{table}")
}

fn details(results: &Results, derived: &Derived) -> String {
    let reference = &results.setup.reference;
    let mut text = format!(
        "\n## Instructions per operation\n\n{}\n## Memory added / peak live bytes\n\n{}",
        tables::figures(results, 1, Figures::mean_fuel),
        tables::figures(results, 2, Figures::footprint),
    );
    if !derived.timed_engines(results).is_empty() {
        text += &section(
            &format!("Mean time / {reference}'s, with intervals"),
            "The intervals of 95 of 100 repetitions have the true mean in them.",
            &tables::intervals(results, derived),
        );
    }
    for info in &results.engines {
        text += &section(
            &format!("Time / {reference}'s, {}", info.name),
            "Median of the rounds, ± half of the middle half.",
            &tables::ratios(results, derived, info.engine),
        );
    }
    for one in &results.latencies {
        text += &section(
            &format!("Single operations, {}, {}", one.engine.name(), one.workload),
            "Nanoseconds, the call from outside and two looks at the clock included; `control` is \
             the empty call. Each operation's fastest time of several fresh instances; *raw* is \
             without that.",
            &tables::latencies(results, &one.by_allocator, false),
        );
    }
    text + &section(
        "Cold start",
        &format!(
            "A module with all programs, compiled in a fresh process with the engine's tiers as \
             they are, and the first run of `{START}`."
        ),
        &tables::starts(results),
    )
}

/// The C library, which these guests do not have.
fn with_c_library(c_programs: &CPrograms) -> String {
    section(
        "C programs",
        "On wasi-libc's malloc, which is dlmalloc, and on the C library, as `cargo xtask clib \
         --compare` has recorded it (`docs/c-programs.md` says what each column is).",
        &tables::with_c_library(c_programs),
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

//! What replays found, as tables.

use core::fmt::Write as _;

use alligator_replay::fuel::{Operation, PAGE_BYTES};
use alligator_replay::v8::Timings;
use alligator_replay::{Allocator, Allocators, Kind, Replayed};
use alligator_report::Report;
use alligator_report::format::{bytes, count, times};
use comfy_table::{CellAlignment, Table, presets};

use super::Outcome;

/// What is shown.
pub(super) struct Shown<'a> {
    pub(super) report: &'a Report,
    pub(super) allocators: &'a [&'a Allocator],
    pub(super) outcomes: &'a [Outcome],
    pub(super) timings: Option<&'a Timings>,
    pub(super) reserve_bytes: u64,
}

/// The allocators that there are.
pub(super) fn list(allocators: &Allocators) -> String {
    let mut table = new(["allocator", "", "bytes of the module"]);
    for allocator in allocators.all() {
        let info = &allocator.info;
        table.add_row([allocator.title(), info.about.clone(), count(info.bytes)]);
    }
    finish(table, 2)
}

/// All of it.
pub(super) fn text(shown: &Shown<'_>) -> String {
    let mut text = head(shown);
    let _ = writeln!(text, "{}", calls(shown));
    let frames = frames(shown);
    if !frames.is_empty() {
        let _ = writeln!(text, "\nBetween marks\n{frames}");
    }
    for (allocator, outcome) in shown.allocators.iter().zip(shown.outcomes) {
        if let Err(reason) = outcome {
            let _ = writeln!(text, "{}: {reason}", allocator.title());
        }
    }
    let _ = write!(
        text,
        "\nInstructions are wasmtime's fuel: exact, the call of the exported function included, a copy or a fill one each.\n\
         Growing: calls that grew the memory, and the first. Pages: added for the heap. Holes: between live blocks at the\n\
         trace's peak. {}",
        shown.timings.map_or_else(
            || "Each replay made the trace's calls and had its live bytes at the peak and at the end.".to_owned(),
            |timings| format!(
                "V8: nanoseconds of a call, the median of rounds and their middle half, {}.",
                timings.version
            ),
        )
    );
    text
}

/// What was replayed, and what the trace says of its own memory.
fn head(shown: &Shown<'_>) -> String {
    let Report {
        name,
        header,
        counts,
        peak,
        end,
        growths,
        ..
    } = shown.report;
    let mut text = name.clone();
    if !header.allocator.is_empty() {
        let _ = write!(text, ", recorded on {}", header.allocator);
    }
    let _ = writeln!(
        text,
        "\n{} blocks taken, {} given back, {} of these resized; {} live at the peak, after event {} of {}",
        count(counts.taken),
        count(counts.given_back),
        count(counts.resized),
        bytes(peak.bytes),
        count(peak.events),
        count(shown.report.events),
    );
    let _ = writeln!(
        text,
        "as recorded: {} pages when it began, {} at the end, {} growths",
        count(growths.first_pages),
        count(end.pages),
        count(growths.count),
    );
    if shown.reserve_bytes > 0 {
        let reserved = bytes(shown.reserve_bytes);
        let _ = writeln!(text, "{reserved} brought in before the first call");
    }
    text
}

fn calls(shown: &Shown<'_>) -> String {
    let mut table = new([
        "allocator",
        "instr./call",
        "worst alloc",
        "dealloc",
        "realloc",
        "growing",
        "worst",
        "pages",
        "/ peak",
        "holes",
    ]);
    if shown.timings.is_some() {
        let mut header = table.header().cloned().unwrap_or_default();
        header.add_cell("V8 ns/call".into());
        table.set_header(header);
    }
    for (index, allocator) in shown.allocators.iter().enumerate() {
        let Some(Ok(replayed)) = shown.outcomes.get(index) else {
            continue;
        };
        let mut row = row(allocator, replayed);
        if let Some(timings) = shown.timings {
            row.push(match timings.times.get(index) {
                Some(Ok(timing)) => {
                    let [median, low, high] = [timing.median, timing.low, timing.high];
                    format!("{median:.1} ({low:.1} to {high:.1})")
                }
                _ => "-".to_owned(),
            });
        }
        table.add_row(row);
    }
    finish(table, 1)
}

fn row(allocator: &Allocator, replayed: &Replayed) -> Vec<String> {
    let figures = &replayed.figures;
    let worst = |operation: &Operation| match operation.steady.worst {
        Some(worst) => count(worst.fuel),
        None => "-".to_owned(),
    };
    let operations = figures.operations();
    let growing: u64 = operations.iter().map(|one| one.growing.count).sum();
    let growing_worst = operations.iter().map(|one| one.growing.worst_fuel()).max();
    vec![
        allocator.title(),
        if figures.calls() == 0 {
            "-".to_owned()
        } else {
            format!("{:.1}", figures.mean_fuel())
        },
        worst(&figures.alloc),
        worst(&figures.dealloc),
        worst(&figures.realloc),
        count(growing),
        count(growing_worst.unwrap_or(0)),
        count(figures.grown_pages),
        times(figures.grown_pages * PAGE_BYTES, figures.peak_live_bytes),
        bytes(replayed.peak.hole_bytes),
    ]
}

/// Frames: only those of allocators that a program may have.
fn frames(shown: &Shown<'_>) -> String {
    let mut table = new([
        "allocator",
        "mark",
        "frames",
        "instr./frame",
        "worst",
        "that grew",
        "the last of them",
    ]);
    let mut is_empty = true;
    for (allocator, outcome) in shown.allocators.iter().zip(shown.outcomes) {
        let frames = outcome.iter().flat_map(|replayed| &replayed.frames);
        for frame in frames.filter(|frame| frame.frames > 0) {
            if allocator.info.kind == Kind::Yardstick {
                continue;
            }
            is_empty = false;
            table.add_row([
                allocator.title(),
                frame.name.clone(),
                count(frame.frames),
                count(frame.fuel / frame.frames),
                count(frame.fuel_max),
                count(frame.grown),
                count(frame.last_grown),
            ]);
        }
    }
    if is_empty {
        String::new()
    } else {
        finish(table, 2)
    }
}

fn new<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header);
    table
}

/// The table, numbers from column `texts` on.
fn finish(mut table: Table, texts: usize) -> String {
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

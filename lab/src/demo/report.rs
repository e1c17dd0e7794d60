//! The figures of both heaps side by side, as a table for people.

use comfy_table::{Attribute, Cell, CellAlignment, Color};
use indicatif::HumanCount;

use super::figures::{Allocator, Figures};
use crate::stats::float;
use crate::table::{framed, header, number_cell};

/// Ratios that differ from 1 by less are neither good nor bad.
const INDIFFERENT: f64 = 0.005;

/// One figure of both heaps. Lower is better, always.
struct Row {
    name: &'static str,
    std: String,
    alligator: String,
    ratio: Option<f64>,
}

impl Row {
    fn count(name: &'static str, pair: [u64; 2]) -> Self {
        let [std, alligator] = pair.map(|count| HumanCount(count).to_string());
        Self {
            name,
            std,
            alligator,
            ratio: ratio(pair.map(float)),
        }
    }

    fn decimal(name: &'static str, pair: [f64; 2]) -> Self {
        let [std, alligator] = pair.map(|number| format!("{number:.2}"));
        Self {
            name,
            std,
            alligator,
            ratio: ratio(pair),
        }
    }
}

/// Prints the table and what it was measured on.
pub(super) fn print(opt_level: &str, std: &Figures, alligator: &Figures) {
    let mut table = framed();
    table.set_header([
        header(""),
        header(Allocator::Std.name()).set_alignment(CellAlignment::Right),
        header(Allocator::Alligator.name()).set_alignment(CellAlignment::Right),
        header("ratio").set_alignment(CellAlignment::Right),
    ]);
    for row in rows([std, alligator]) {
        table.add_row([
            Cell::new(row.name),
            number_cell(&row.std),
            number_cell(&row.alligator).add_attribute(Attribute::Bold),
            ratio_cell(row.ratio),
        ]);
    }
    println!();
    println!("A script engine and a JSON, Markdown and HTML pipeline, on two heaps, both built");
    println!("with opt-level = \"{opt_level}\"");
    println!("{table}");
    println!("Counted: executed Wasm instructions, a copy or fill of memory as one. A call's");
    println!(
        "include its arguments. Calls that grow the memory, and the first, are in no other line."
    );
    println!("{}", output_line(std, alligator));
}

fn rows(both: [&Figures; 2]) -> Vec<Row> {
    let count = |name, figure: fn(&Figures) -> u64| Row::count(name, both.map(figure));
    let decimal = |name, figure: fn(&Figures) -> f64| Row::decimal(name, both.map(figure));
    vec![
        count("instructions, whole program", |f| f.instructions),
        count("calls of the allocator", |f| f.trace.count()),
        decimal("instructions per call, mean", |f| f.trace.mean()),
        count("  99.9 % of the calls within", |f| f.trace.quantile(999)),
        count("  worst alloc", |f| f.trace.alloc.worst),
        count("  worst dealloc", |f| f.trace.dealloc.worst),
        count("  worst realloc", |f| f.trace.realloc.worst),
        count("calls that grew the memory", |f| f.trace.growing.count),
        count("  worst of them", |f| f.trace.growing.worst),
        count("heap, pages of 64 KiB", Figures::heap_pages),
        count("live at the peak, bytes", |f| f.trace.peak_live_bytes()),
        decimal("heap bytes / peak live bytes", Figures::footprint),
        count("code of the program, bytes", |f| f.code_bytes),
    ]
}

fn output_line(std: &Figures, alligator: &Figures) -> String {
    let lines = alligator.output.lines().count();
    if std.output == alligator.output {
        let mark = console::style("✓").green();
        format!("{mark} Both heaps gave the same output, {lines} lines.")
    } else {
        let mark = console::style("✗").red();
        format!("{mark} The outputs differ.")
    }
}

fn ratio_cell(ratio: Option<f64>) -> Cell {
    let Some(ratio) = ratio else {
        return Cell::new("");
    };
    let cell = number_cell(&format!("{ratio:.3}"));
    if ratio < 1.0 - INDIFFERENT {
        cell.fg(Color::Green)
    } else if ratio > 1.0 + INDIFFERENT {
        cell.fg(Color::Red)
    } else {
        cell
    }
}

/// The second figure in units of the first.
fn ratio([std, alligator]: [f64; 2]) -> Option<f64> {
    (std != 0.0).then(|| alligator / std)
}

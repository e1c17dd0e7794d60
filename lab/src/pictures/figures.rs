//! What the README and the book show: three pictures and two tables.

use core::fmt::Write as _;

use anyhow::{Context, Result};

use super::draw::{Axis, Series, Theme, lines, points};
use super::source::Recorded;
use crate::special::HOLE_COUNTS;
use crate::stats::float;

/// Whose single operations are shown, and whose cost among holes.
const FEW: [&str; 4] = ["alligator", "talc", "dlmalloc", "wasmalloc"];
const HOLES: [&str; 6] = [
    "alligator",
    "talc",
    "dlmalloc",
    "rlsf",
    "wasmalloc",
    "lol_alloc",
];

/// Who is compared by speed and memory: those that take memory back and let it grow.
const ALL: [&str; 8] = [
    "alligator",
    "alligator-small",
    "alligator-hardened",
    "talc",
    "dlmalloc",
    "rlsf",
    "wasmalloc",
    "lol_alloc",
];

/// The tiers: the allocator of the lab, the feature, and whom it is for.
const TIERS: [(&str, &str, &str); 3] = [
    ("alligator", "the default", "any program; time matters"),
    (
        "alligator-small",
        "`small`",
        "a small module, in which every kilobyte is downloaded",
    ),
    (
        "alligator-hardened",
        "`hardened`",
        "code that may be wrong, or reads what strangers send",
    ),
];

/// What the columns of the short table of bounds are called, and the allocators they show.
const BOUNDED: [(&str, &str); 7] = [
    ("Alligator", "alligator"),
    ("`small`", "alligator-small"),
    ("`hardened`", "alligator-hardened"),
    ("", "rlsf"),
    ("", "talc"),
    ("", "dlmalloc"),
    ("", "wasmalloc"),
];

/// All pictures of this theme, by name.
pub(super) fn pictures(recorded: &Recorded, theme: Theme) -> Result<[(&'static str, String); 3]> {
    Ok([
        ("latency", latency(recorded, theme)?),
        ("memory", memory(recorded, theme)?),
        ("holes", holes(recorded, theme)?),
    ])
}

fn same(value: f64) -> f64 {
    value
}

/// Single operations, from the usual one to the slowest.
fn latency(recorded: &Recorded, theme: Theme) -> Result<String> {
    let x = Axis {
        title: "share of the operations that are as fast",
        range: -0.15..4.0,
        ticks: ["50 %", "99 %", "99.9 %", "99.99 %", "all"]
            .iter()
            .zip([0.0, 1.0, 2.0, 3.0, 4.0])
            .map(|(name, place)| (place, (*name).to_owned()))
            .collect(),
        scale: same,
    };
    let y = Axis {
        title: "nanoseconds of one operation that does not grow the memory, logarithmic",
        range: 30.0..10_000.0,
        ticks: decades(&[100.0, 1_000.0, 10_000.0]),
        scale: f64::log10,
    };
    let all = FEW.iter().map(|name| {
        let figures = recorded.latencies.get(*name);
        let figures = figures.with_context(|| format!("no latencies of {name}"))?;
        let places = [0.0, 1.0, 2.0, 3.0, 4.0].into_iter();
        Ok(Series {
            name: (*name).to_owned(),
            points: places.zip(figures.iter().copied()).collect(),
        })
    });
    let all: Vec<Series> = all.collect::<Result<_>>()?;
    lines(
        theme,
        "How long a single operation takes: the server workload, wasmtime",
        &[x, y],
        &all,
    )
}

/// Time beside memory.
fn memory(recorded: &Recorded, theme: Theme) -> Result<String> {
    let x = Axis {
        title: "time of the workloads in V8, divided by talc's, logarithmic: left is faster",
        range: 0.6..5.0,
        ticks: [0.75, 1.0, 1.5, 2.0, 3.0, 4.0]
            .map(|value| (value, value.to_string()))
            .into(),
        scale: f64::log10,
    };
    let y = Axis {
        title: "memory added / bytes live at the peak, logarithmic: lower is less",
        range: 1.1..3.2,
        ticks: [1.25, 1.5, 2.0, 2.5, 3.0]
            .map(|value| (value, value.to_string()))
            .into(),
        scale: f64::log10,
    };
    let mut all = Vec::new();
    for name in ALL {
        let short = recorded.short.get(name);
        let short = short.with_context(|| format!("{name} is not recorded"))?;
        // Who cannot do all workloads has no mean.
        if let Some(time) = short.time {
            all.push(Series {
                name: name.to_owned(),
                points: vec![(time, short.memory)],
            });
        }
    }
    points(
        theme,
        "Speed and memory of the allocators that take memory back",
        &[x, y],
        &all,
    )
}

/// The dearest allocation among more and more holes.
fn holes(recorded: &Recorded, theme: Theme) -> Result<String> {
    let counts = HOLE_COUNTS.map(f64::from);
    let x = Axis {
        title: "holes in the heap that are a little too small for the request, logarithmic",
        range: counts[0]..counts[counts.len() - 1],
        ticks: HOLE_COUNTS
            .map(|count| (f64::from(count), thousands(u64::from(count))))
            .into(),
        scale: f64::log10,
    };
    let y = Axis {
        title: "instructions of the dearest allocation, logarithmic",
        range: 100.0..1_000_000.0,
        ticks: decades(&[100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0]),
        scale: f64::log10,
    };
    let all = HOLES.iter().map(|name| {
        let figures = recorded
            .holes
            .get(*name)
            .filter(|figures| !figures.is_empty());
        let figures = figures.with_context(|| format!("no holes of {name} are recorded"))?;
        let figures = figures.iter();
        Ok(Series {
            name: (*name).to_owned(),
            points: figures
                .map(|(count, fuel)| (f64::from(*count), float(*fuel)))
                .collect(),
        })
    });
    let all: Vec<Series> = all.collect::<Result<_>>()?;
    lines(
        theme,
        "What one allocation costs when the heap is full of holes",
        &[x, y],
        &all,
    )
}

/// Round values with their names.
fn decades(values: &[f64]) -> Vec<(f64, String)> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "powers of ten, and few"
    )]
    let named = values
        .iter()
        .map(|value| (*value, thousands(*value as u64)));
    named.collect()
}

/// A number with a comma before each three digits.
fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The proved bounds, and who has none.
pub(super) fn bounds(recorded: &Recorded) -> Result<String> {
    let mut text = String::from("| instructions of one call, at most |");
    for (title, name) in BOUNDED {
        let title = if title.is_empty() {
            recorded.titles.get(name).map(String::as_str)
        } else {
            Some(title)
        };
        let _ = write!(text, " {} |", title.with_context(|| name.to_owned())?);
    }
    let _ = write!(text, "\n| --- |{}\n", " --: |".repeat(BOUNDED.len()));
    for operation in ["alloc", "dealloc", "realloc", "alloc_zeroed"] {
        let _ = write!(text, "| `{operation}` |");
        for (_, name) in BOUNDED {
            let key = (name.to_owned(), operation.to_owned());
            let bound = recorded.bounds.get(&key);
            let bound =
                bound.with_context(|| format!("no bound of {name}'s {operation} is recorded"))?;
            let bound = bound.map_or_else(|| "none".to_owned(), thousands);
            let _ = write!(text, " {bound} |");
        }
        text.push('\n');
    }
    Ok(text)
}

/// What each tier costs, and whom it is for.
pub(super) fn tiers(recorded: &Recorded) -> Result<String> {
    let mut text = String::from(
        "| tier | for | instructions | at most | memory | code, bytes |\n| --- | --- | --: | --: | --: | --: |\n",
    );
    for (name, tier, whom) in TIERS {
        let short = recorded.short.get(name).with_context(|| name.to_owned())?;
        let key = (name.to_owned(), "alloc".to_owned());
        let bound = recorded.bounds.get(&key).copied().flatten();
        let bound = bound.with_context(|| format!("{name} has no bound"))?;
        let _ = writeln!(
            text,
            "| {tier} | {whom} | {:.0} | {} | {:.2} | {} |",
            short.instructions,
            thousands(bound),
            short.memory,
            thousands(short.code),
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        let numbers = [7, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(numbers, ["7", "999", "1,000", "1,234,567"]);
    }
}

//! What is recorded, read from where it is committed: `lab/record.json`, and the tables of `docs/lab.md`, which the same
//! run wrote; `bounds.txt` and `docs/verdicts.md`, which `cargo xtask bounds` wrote.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use alligator_tools::guest;

use crate::record;

/// The engine, and the workload, whose single operations are shown: it has the finest clock and the fewest interruptions.
const LATENCIES: &str = "Single operations, wasmtime, server";

/// What is recorded of an allocator in short.
#[derive(Clone, Debug, Default)]
pub(super) struct Short {
    /// Instructions of one operation, mean.
    pub(super) instructions: f64,
    /// Pages added over peak live bytes.
    pub(super) memory: f64,
    /// Bytes of code.
    pub(super) code: u64,
    /// Time in V8 over talc's; none if a workload is missing.
    pub(super) time: Option<f64>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Recorded {
    /// By allocator.
    pub(super) short: BTreeMap<String, Short>,
    /// Nanoseconds by allocator: p50, p99, p99.9, p99.99, max.
    pub(super) latencies: BTreeMap<String, Vec<f64>>,
    /// Instructions of the dearest allocation, by allocator and number of holes.
    pub(super) holes: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Proved bounds, by allocator and operation; none if there is no bound.
    pub(super) bounds: BTreeMap<(String, String), Option<u64>>,
    /// Allocators with their versions.
    pub(super) titles: BTreeMap<String, String>,
}

impl Recorded {
    /// Reads it.
    pub(super) fn read() -> Result<Self> {
        let record = record::read()?;
        let lab = document("docs/lab.md")?;
        let allocators = record.allocators.into_iter();
        let mut recorded = Self {
            short: BTreeMap::new(),
            latencies: BTreeMap::new(),
            holes: allocators
                .map(|(name, one)| (name, one.holes_fuel))
                .collect(),
            bounds: BTreeMap::new(),
            titles: BTreeMap::new(),
        };
        for row in table(&lab, "In short")? {
            recorded
                .add_short(&row)
                .with_context(|| format!("docs/lab.md: {row:?}"))?;
        }
        for row in table(&lab, LATENCIES)? {
            let (name, figures) = row.split_first().context("an empty row")?;
            let figures = figures.iter().take(5).map(|cell| number(cell));
            let figures = figures.collect::<Option<_>>().context("no number")?;
            recorded.latencies.insert(name.clone(), figures);
        }
        recorded.add_bounds(&document("bounds.txt")?);
        for row in table(
            &document("docs/verdicts.md")?,
            "What is proved of other allocators",
        )? {
            let [title, operation, bound, ..] = row.as_slice() else {
                continue;
            };
            let name = title.split(' ').next().unwrap_or_default();
            let key = (name.to_owned(), operation.clone());
            recorded.bounds.insert(key, bound.parse().ok());
        }
        Ok(recorded)
    }

    fn add_short(&mut self, row: &[String]) -> Option<()> {
        let [title, instructions, _, _, memory, _, code, _, v8, ..] = row else {
            return None;
        };
        let name = title.split(' ').next()?;
        let short = Short {
            instructions: number(instructions)?,
            memory: number(memory)?,
            code: code.parse().ok()?,
            time: v8.split(' ').next().and_then(number),
        };
        self.short.insert(name.to_owned(), short);
        self.titles.insert(name.to_owned(), title.clone());
        Some(())
    }

    /// The rows of the first table of `bounds.txt`; others have other names.
    fn add_bounds(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split_whitespace().collect();
            if let [name, operation, bound, ..] = cells.as_slice() {
                let key = ((*name).to_owned(), (*operation).to_owned());
                let bound = bound.trim_start_matches("<=").parse().ok();
                self.bounds.entry(key).or_insert(bound);
            }
        }
    }
}

fn document(name: &str) -> Result<String> {
    std::fs::read_to_string(guest::root().join(name)).with_context(|| name.to_owned())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// The cells of the first table below a heading, without its head.
fn table(text: &str, heading: &str) -> Result<Vec<Vec<String>>> {
    let lines = text
        .lines()
        .skip_while(|line| line.trim_start_matches(['#', ' ']) != heading);
    let lines = lines.skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let rows: Vec<Vec<String>> = rows
        .map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    rows.first()
        .with_context(|| format!("no table below \"{heading}\""))?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_below_its_heading() -> Result<()> {
        let text = "## A\n\n| x |\n| - |\n| 1 |\n\n## B\n\ntext\n\n| y | z |\n| - | - |\n| 2 | 3 |\n| 4 | 5 |\n\n| 6 |\n";
        assert_eq!(table(text, "B")?, [["2", "3"], ["4", "5"]]);
        assert!(table(text, "C").is_err());
        Ok(())
    }

    #[test]
    fn what_is_recorded_has_what_the_pictures_show() -> Result<()> {
        let recorded = Recorded::read()?;
        for name in ["alligator", "talc", "dlmalloc", "wasmalloc"] {
            assert!(recorded.short[name].time.is_some(), "{name}");
            assert_eq!(recorded.latencies[name].len(), 5, "{name}");
        }
        let bound = |name: &str| recorded.bounds[&(name.to_owned(), "alloc".to_owned())];
        assert!(bound("alligator").is_some_and(|bound| bound > 100));
        assert_eq!(bound("dlmalloc"), None);
        Ok(())
    }
}

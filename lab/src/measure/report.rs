//! What was measured, as tables and as JSON.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::OPT_LEVELS;
use super::time::Times;
use crate::fuel::{Calls, Figures, Operation};
use crate::special::{HOLE_COUNTS, Special};

/// Everything known of one allocator. What was not measured, or failed, is `None`.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// One per workload.
    pub(crate) figures: Vec<Option<Figures>>,
    pub(crate) special: Option<Special>,
    /// Bytes over the empty module, one per level of `OPT_LEVELS`.
    pub(crate) code_bytes: Option<[u64; OPT_LEVELS.len()]>,
    /// Where it broke its contract.
    pub(crate) failures: Vec<String>,
}

/// All rows over the same workloads.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) workloads: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) times: Option<Times>,
    /// Allocators left out, and why.
    pub(crate) skipped: Vec<String>,
}

/// The geometric mean, or `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a few values")]
pub(crate) fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

impl Report {
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// What `row` needed for a workload.
    pub(crate) fn figures<'a>(&self, row: &'a Row, workload: &str) -> Option<&'a Figures> {
        let index = self.workloads.iter().position(|name| name == workload)?;
        row.figures.get(index)?.as_ref()
    }

    /// Nanoseconds per operation in V8.
    pub(crate) fn time(&self, row: &Row, workload: &str) -> Option<f64> {
        Some(*self.times.as_ref()?.get(workload)?.get(&row.name)?)
    }

    /// V8's time against that of another allocator.
    pub(crate) fn time_ratio(&self, row: &Row, workload: &str, peer: &str) -> Option<f64> {
        Some(self.time(row, workload)? / self.time(self.row(peer)?, workload)?)
    }

    /// Geometric mean of a figure over the workloads, or `None` if one of them has none. The
    /// ratchets have targets of their own and are left out, as is a footprint of 0, when the
    /// initial memory was enough.
    pub(crate) fn mean(&self, figure: impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let workloads = self.workloads.iter();
        let averaged = workloads.filter(|workload| !workload.ends_with("ratchet"));
        let values: Option<Vec<f64>> = averaged.map(|workload| figure(workload)).collect();
        geometric_mean(values?.into_iter().filter(|&value| value > 0.0))
    }

    /// Prints where allocators broke their contract.
    ///
    /// # Errors
    /// One did.
    pub(crate) fn print_failures(&self) -> Result<()> {
        for row in &self.rows {
            for failure in &row.failures {
                eprintln!("FAILED {}: {failure}", row.name);
            }
        }
        let failed = self.rows.iter().any(|row| !row.failures.is_empty());
        ensure!(!failed, "an allocator broke its contract");
        Ok(())
    }

    pub(crate) fn print(&self) {
        self.means("instructions per operation", 1, |row, workload| {
            self.figures(row, workload).map(Figures::mean_fuel)
        });
        self.means("memory added / peak live bytes", 2, |row, workload| {
            self.figures(row, workload).map(Figures::footprint)
        });
        self.counts("pages added", |figures| figures.grown_pages.to_string());
        self.counts("worst alloc / dealloc / realloc, memory not growing", |f| {
            worst(f, |operation| &operation.steady)
        });
        self.counts("worst alloc / dealloc / realloc, memory growing", |f| {
            worst(f, |operation| &operation.growing)
        });
        self.specials();
        self.times();
    }

    /// A table of numbers with their geometric means.
    fn means(&self, title: &str, digits: usize, figure: impl Fn(&Row, &str) -> Option<f64>) {
        let cell = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let mut table = vec![self.heading(title)];
        for workload in &self.workloads {
            let cells = self.rows.iter().map(|row| cell(figure(row, workload)));
            table.push(labelled(workload, cells));
        }
        let means = self.rows.iter();
        let means = means.map(|row| cell(self.mean(|workload| figure(row, workload))));
        table.push(labelled("mean (geometric, without ratchets)", means));
        print_table(&table);
    }

    fn counts(&self, title: &str, figure: impl Fn(&Figures) -> String) {
        let mut table = self.table(title, figure);
        if title.starts_with("worst") {
            table.push(self.worst_of_all(title.ends_with("not growing")));
        }
        print_table(&table);
    }

    fn worst_of_all(&self, steady: bool) -> Vec<String> {
        let pick = |operation: &Operation| {
            let calls = if steady {
                &operation.steady
            } else {
                &operation.growing
            };
            calls.worst_fuel()
        };
        let rows = self.rows.iter().map(|row| {
            let all = row.figures.iter().flatten();
            let worst = all.fold([0; 3], |most, f| {
                let these = f.operations();
                core::array::from_fn(|kind| most[kind].max(pick(these[kind])))
            });
            let [alloc, dealloc, realloc] = worst;
            format!("{alloc}/{dealloc}/{realloc}")
        });
        labelled("worst of all", rows)
    }

    fn table(&self, title: &str, figure: impl Fn(&Figures) -> String) -> Vec<Vec<String>> {
        let mut table = vec![self.heading(title)];
        for (index, workload) in self.workloads.iter().enumerate() {
            let cells = self.rows.iter().map(|row| {
                let figures = row.figures.get(index).and_then(Option::as_ref);
                figures.map_or_else(|| "-".to_owned(), &figure)
            });
            table.push(labelled(workload, cells));
        }
        table
    }

    fn heading(&self, title: &str) -> Vec<String> {
        let names = self.rows.iter().map(|row| row.name.clone());
        labelled(title, names)
    }

    fn specials(&self) {
        let mut table = vec![self.heading("special figures")];
        table.push(self.special_row("tiny heap, pages", |s| s.tiny_pages.to_string()));
        table.push(self.special_row("box of 24 bytes, instructions", |s| {
            s.box24_fuel.to_string()
        }));
        for (index, count) in HOLE_COUNTS.iter().enumerate() {
            table.push(
                self.special_row(&format!("dearest alloc against {count} holes"), |special| {
                    special.holes_fuel[index].to_string()
                }),
            );
        }
        for (index, level) in OPT_LEVELS.iter().enumerate() {
            let sizes = self.rows.iter().map(|row| {
                let bytes = row.code_bytes.map(|bytes| bytes[index].to_string());
                bytes.unwrap_or_else(|| "-".to_owned())
            });
            let label = format!("code at opt-level={level}, bytes");
            table.push(labelled(&label, sizes));
        }
        print_table(&table);
    }

    fn times(&self) {
        if self.times.is_none() {
            return;
        }
        self.means("V8, ns per operation", 1, |row, workload| {
            self.time(row, workload)
        });
        self.means("V8, time / talc's", 2, |row, workload| {
            self.time_ratio(row, workload, "talc")
        });
    }

    fn special_row(&self, label: &str, figure: impl Fn(&Special) -> String) -> Vec<String> {
        let cells = self.rows.iter().map(|row| {
            let special = row.special.as_ref();
            special.map_or_else(|| "-".to_owned(), &figure)
        });
        labelled(label, cells)
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let workloads = self.workloads.iter().zip(&row.figures);
            let workloads: serde_json::Map<String, Value> = workloads
                .map(|(name, figures)| {
                    let figures = figures.as_ref().map_or(Value::Null, figures_json);
                    (name.clone(), figures)
                })
                .collect();
            json!({
                "allocator": row.name,
                "workloads": workloads,
                "special": row.special.as_ref().map(special_json),
                "code_bytes": row.code_bytes,
                "failures": row.failures,
            })
        });
        json!({
            "allocators": rows.collect::<Vec<_>>(),
            "nanoseconds": self.times,
            "skipped": self.skipped,
        })
    }
}

fn worst(figures: &Figures, pick: impl Fn(&Operation) -> &Calls) -> String {
    let [alloc, dealloc, realloc] = figures.operations().map(|one| pick(one).worst_fuel());
    format!("{alloc}/{dealloc}/{realloc}")
}

fn figures_json(figures: &Figures) -> Value {
    let worst = |operation: &Operation| {
        json!({
            "steady": operation.steady.worst_fuel(),
            "growing": operation.growing.worst_fuel(),
        })
    };
    json!({
        "calls": figures.calls(),
        "fuel": figures.fuel(),
        "mean_fuel": figures.mean_fuel(),
        "worst_alloc": worst(&figures.alloc),
        "worst_dealloc": worst(&figures.dealloc),
        "worst_realloc": worst(&figures.realloc),
        "growths": figures.growths(),
        "grown_pages": figures.grown_pages,
        "heap_pages": figures.heap_pages,
        "peak_live_bytes": figures.peak_live_bytes,
        "footprint": figures.footprint(),
    })
}

fn special_json(special: &Special) -> Value {
    json!({
        "tiny_pages": special.tiny_pages,
        "box24_fuel": special.box24_fuel,
        "hole_counts": HOLE_COUNTS,
        "holes_fuel": special.holes_fuel,
    })
}

/// A row of a table: its label and its cells.
fn labelled(label: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    core::iter::once(label.to_owned()).chain(cells).collect()
}

/// Prints rows of cells, the first column to the left, the others to the right.
pub(crate) fn print_table(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).skip(1);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("  {cell:>width$}"))
            .collect();
        let line = format!("{:<1$}{2}", row[0], widths[0], cells.concat());
        println!("{line}");
        if number == 0 {
            println!("{}", "-".repeat(line.len()));
        }
    }
    println!();
}

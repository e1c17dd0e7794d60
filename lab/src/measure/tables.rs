//! What was measured, as tables: a line per workload, a column per allocator.

use crate::engines::Engine;
use crate::fuel::{Calls, Figures, Operation};
use crate::report::{allocator_mean, median_nanoseconds, ratio_mean, ratios_to};
use crate::run::{Results, WorkloadInfo};
use crate::size::OPT_LEVELS;
use crate::special::{HOLE_COUNTS, Special};
use crate::stats;
use crate::table::{Cell, Table};

/// What means are labelled.
pub(super) const MEAN: &str = "mean (geometric, without ratchets)";

/// Prints every table of which something was measured.
pub(super) fn print(results: &Results) {
    let tables = Tables(results);
    if !results.counts.is_empty() {
        tables.counted();
    }
    if !results.special.is_empty() || !results.sizes.is_empty() {
        tables.specials();
    }
    for info in &results.engines {
        if results
            .times
            .iter()
            .any(|times| times.engine == info.engine)
        {
            tables.times(info.engine);
        }
    }
}

struct Tables<'a>(&'a Results);

impl<'a> Tables<'a> {
    /// Instructions and memory.
    fn counted(&self) {
        self.means("instructions per operation", 1, Figures::mean_fuel);
        self.means("memory added / peak live bytes", 2, Figures::footprint);
        self.counts("pages added", |figures| figures.grown_pages.to_string());
        self.worst(
            "worst alloc / dealloc / realloc, memory not growing",
            |operation| &operation.steady,
        );
        self.worst(
            "worst alloc / dealloc / realloc, memory growing",
            |operation| &operation.growing,
        );
    }

    fn allocators(&self) -> impl Iterator<Item = &'a str> {
        self.0.allocators.iter().map(|info| info.name.as_str())
    }

    fn workloads(&self) -> impl Iterator<Item = &'a WorkloadInfo> {
        self.0.workloads.iter()
    }

    /// A table with this title and a column for each allocator.
    fn table(&self, title: &str) -> Table {
        Table::new(core::iter::once(title).chain(self.allocators()))
    }

    /// Adds a line of a figure of each allocator.
    fn line<T: Into<Cell>>(
        &self,
        table: &mut Table,
        label: &str,
        cell: impl Fn(&str) -> Option<T>,
    ) {
        let cell = |name| cell(name).map_or(Cell::Number(None, 0), Into::into);
        table.labelled(label, self.allocators().map(cell));
    }

    /// A table of something that each workload cost.
    fn by_workload<T: Into<Cell>>(
        &self,
        title: &str,
        cell: impl Fn(&str, &str) -> Option<T>,
    ) -> Table {
        let mut table = self.table(title);
        for workload in self.workloads() {
            self.line(&mut table, &workload.name, |name| {
                cell(name, &workload.name)
            });
        }
        table
    }

    /// Numbers with their means. A footprint of 0, when the initial memory was enough, is not in them.
    fn means(&self, title: &str, digits: usize, value: fn(&Figures) -> f64) {
        let mut table = self.by_workload(title, |name, workload| {
            let value = self.0.figures(name, workload).map(value);
            Some(Cell::Number(value, digits))
        });
        self.line(&mut table, MEAN, |name| {
            let mean = allocator_mean(self.0, name, |figures| {
                Some(value(figures)).filter(|value| *value > 0.0)
            });
            Some(Cell::Number(mean, digits))
        });
        println!("{}", table.plain());
    }

    fn counts(&self, title: &str, cell: impl Fn(&Figures) -> String) {
        let cell = |name: &str, workload: &str| self.0.figures(name, workload).map(&cell);
        println!("{}", self.by_workload(title, cell).plain());
    }

    fn worst(&self, title: &str, pick: fn(&Operation) -> &Calls) {
        let worst = |figures: &Figures| figures.operations().map(|one| pick(one).worst_fuel());
        let text = |[alloc, dealloc, realloc]: [u64; 3]| format!("{alloc}/{dealloc}/{realloc}");
        let mut table = self.by_workload(title, |name, workload| {
            Some(text(worst(self.0.figures(name, workload)?)))
        });
        self.line(&mut table, "worst of all", |name| {
            let all = self.0.counts.get(name)?.values().map(worst);
            Some(text(all.fold([0; 3], |most, one| {
                core::array::from_fn(|kind| most[kind].max(one[kind]))
            })))
        });
        println!("{}", table.plain());
    }

    fn specials(&self) {
        let mut table = self.table("special figures");
        let mut line = |label: &str, value: &dyn Fn(&Special) -> u64| {
            self.line(&mut table, label, |name| {
                Some(value(self.0.special.get(name)?).to_string())
            });
        };
        line("tiny heap, pages", &|special| special.tiny_pages);
        line("box of 24 bytes, instructions", &|special| {
            special.box24_fuel
        });
        for (place, count) in HOLE_COUNTS.iter().enumerate() {
            let label = format!("dearest alloc against {count} holes");
            line(&label, &|special| special.holes_fuel[place]);
        }
        for level in OPT_LEVELS {
            self.line(
                &mut table,
                &format!("code at opt-level={level}, bytes"),
                |name| Some(self.0.sizes.get(name)?.get(level)?.optimized?.to_string()),
            );
        }
        println!("{}", table.plain());
    }

    fn times(&self, engine: Engine) {
        let (results, reference) = (self.0, self.0.setup.reference.as_str());
        let engine_name = engine.name();
        let time = |name: &str, workload: &str| median_nanoseconds(results, engine, workload, name);
        let title = format!("{engine_name}, ns per operation");
        let mut table = self.by_workload(&title, |name, workload| {
            Some(Cell::Number(time(name, workload), 1))
        });
        self.line(&mut table, MEAN, |name| {
            let averaged = self.workloads().filter(|info| info.is_averaged());
            let times: Option<Vec<f64>> = averaged.map(|info| time(name, &info.name)).collect();
            let times: Vec<f64> = times?.into_iter().filter(|time| *time > 0.0).collect();
            Some(Cell::Number(stats::geometric_mean(&times), 1))
        });
        println!("{}", table.plain());
        let title = format!("{engine_name}, time / {reference}'s");
        let mut table = self.by_workload(&title, |name, workload| {
            let ratios = ratios_to(results, engine, workload, name, reference)?;
            Some(Cell::Number(stats::median(&ratios), 2))
        });
        let mean =
            |name: &str| ratio_mean(results, engine, name, reference, WorkloadInfo::is_averaged);
        self.line(&mut table, MEAN, |name| {
            Some(Cell::Number(Some(mean(name)?.value), 2))
        });
        self.line(&mut table, "its interval (95 %)", |name| {
            let mean = mean(name)?;
            Some(format!("{:.2}-{:.2}", mean.low, mean.high))
        });
        println!("{}", table.plain());
    }
}

//! The report to look at: one page with its styles, scripts and data inside.

use indicatif::HumanCount;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotly::Plot;

use super::c_programs::CPrograms;
use super::derived::{Derived, Loss, OURS, Row};
use super::html::{self, Compared, folded, number, plot, select};
use super::plots::{self, HOLES, LATENCIES, MEMORY, Plots, RATIOS};
use super::tables;
use crate::fuel::Figures;
use crate::run::{Latencies, Results};
use crate::stats::float;
use crate::table::{Cell, Table};

const STYLE: &str = include_str!("../../report/style.css");
const SCRIPT: &str = include_str!("../../report/page.js");

/// Losses that are shown without being asked for.
const LOSSES_SHOWN: usize = 15;

/// A section: what it is called in links, its title, and what is in it.
type Section = (&'static str, String, Markup);

/// The page.
pub(crate) fn page(results: &Results, c_programs: &CPrograms) -> String {
    let derived = Derived::of(results);
    let plots = plots::all(results, &derived);
    let page = Page {
        results,
        derived: &derived,
        plots: &plots,
    };
    let [worst, size, start, c] = page.single_tables(c_programs);
    let sections = [
        Some(page.overview()),
        page.losses(),
        page.ratios(),
        page.latencies(),
        worst,
        page.instructions(),
        page.holes(),
        page.memory(),
        size,
        start,
        c,
        Some(page.contracts()),
    ];
    let sections: Vec<Section> = sections.into_iter().flatten().collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Alligator: the lab's report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (page.header())
                nav aria-label="Contents" {
                    @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } }
                }
                main {
                    @for (id, title, content) in &sections {
                        section id=(id) { h2 { (title) } (content) }
                    }
                }
                footer {
                    "Written by " code { "cargo xtask bench" } ". The same figures are in "
                    "results.json, its schema in lab/schema.json; what favours us and what does "
                    "not, in lab/BIAS.md."
                }
                noscript { "The plots are drawn by a script, which also sorts the tables." }
                script type="application/json" id="figures" { (PreEscaped(json(&plots))) }
                script { (PreEscaped(plotly_script())) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The plots for the script. In a script element `</` would end it, wherever it stands.
fn json(plots: &Plots) -> String {
    serde_json::to_string(plots)
        .unwrap_or_default()
        .replace("</", "<\\/")
}

/// The library that draws; what it would typeset formulas with is left out.
fn plotly_script() -> String {
    let sources = Plot::offline_js_sources();
    let (script, _) = sources.split_once("</script>").unwrap_or_default();
    script.split_once('>').unwrap_or_default().1.to_owned()
}

/// A paragraph that explains.
fn note(text: &str) -> Markup {
    html! { p.note { (text) } }
}

/// A figure of the overview: its heading, its digits, and where it is in a row.
type Figure = (&'static str, usize, fn(&Row) -> Option<f64>);

fn above_none(count: u64) -> Option<f64> {
    (count > 0).then(|| float(count))
}

const FIGURES: [Figure; 8] = [
    ("instr./op", 1, |row| row.mean_fuel),
    ("worst alloc", 0, |row| above_none(row.worst[0])),
    ("dealloc", 0, |row| above_none(row.worst[1])),
    ("realloc", 0, |row| above_none(row.worst[2])),
    ("growing", 0, |row| above_none(row.worst_growing)),
    ("memory", 2, |row| row.footprint),
    ("holes", 2, |row| row.holes),
    ("code, bytes", 0, |row| above_none(row.code_bytes?)),
];

struct Page<'a> {
    results: &'a Results,
    derived: &'a Derived,
    plots: &'a Plots,
}

impl Page<'_> {
    fn header(&self) -> Markup {
        let setup = &self.results.setup;
        let with = |text: &str, more: &Option<String>| {
            more.as_ref()
                .map_or_else(String::new, |more| format!("{text}{more}"))
        };
        let quick = if setup.quick { " · a quick run" } else { "" };
        html! {
            header {
                h1 { "Allocators for WebAssembly, side by side" }
                p {
                    (setup.date) " · " (setup.processor) ", " (setup.cores) " cores · "
                    (setup.system) " · load " (setup.load) " when it began · commit "
                    (setup.commit) " · " (setup.compiler) (with(" · ", &setup.wasm_opt)) (quick)
                    ". Repeat it with " code { (setup.command) } "."
                }
                ul {
                    @for engine in &self.results.engines {
                        li {
                            (engine.name) ": "
                            @if let Some(version) = &engine.version {
                                (version) (with("; ", &engine.tiers))
                                @if let Some(step) = engine.resolution {
                                    "; clock in steps of " (number(step, 0)) " ns"
                                }
                            } @else {
                                "not measured" (with(": ", &engine.absent))
                            }
                        }
                    }
                }
            }
        }
    }

    fn table(&self, table: &Table, compared: Compared) -> Markup {
        html::table(self.results, table, compared)
    }

    /// A section that is a table; none if there is nothing in it.
    fn section(
        &self,
        id: &'static str,
        title: &str,
        text: &str,
        table: &Table,
        compared: Compared,
    ) -> Option<Section> {
        let content = html! { (note(text)) (self.table(table, compared)) };
        (!table.is_empty()).then(|| (id, title.to_owned(), content))
    }

    fn overview(&self) -> Section {
        let engines = self.derived.timed_engines(self.results);
        let headings = FIGURES.iter().map(|(name, ..)| (*name).to_owned());
        let times = engines
            .iter()
            .flat_map(|one| [one.name().to_owned(), format!("{}, programs", one.name())]);
        let headings = core::iter::once("allocator".to_owned()).chain(headings);
        let mut table = Table::new(headings.chain(times).chain(["contracts".to_owned()]));
        for row in &self.derived.rows {
            let figures = FIGURES.iter();
            let figures = figures.map(|(_, digits, value)| Cell::Number(value(row), *digits));
            let means = engines
                .iter()
                .flat_map(|engine| row.times.get(engine).copied().unwrap_or_default());
            let means = means.map(|mean| Cell::Number(mean.map(|mean| mean.value), 2));
            let contracts = match row.contracts_broken {
                None => Cell::Number(None, 0),
                Some(0) => "kept".into(),
                Some(count) => format!("{count} broken").into(),
            };
            let cells = core::iter::once(row.title().into()).chain(figures);
            table.row_of(Some(row.kind), cells.chain(means).chain([contracts]));
        }
        let abouts = self.table(&tables::abouts(self.results), Compared::Never);
        let intervals = self.table(
            &tables::intervals(self.results, self.derived),
            Compared::Never,
        );
        let content = html! {
            (note(&format!(
                "Instructions are exact (wasmtime's fuel): geometric mean per operation, and the \
                 dearest call of all workloads that did not grow the heap; the first call counts \
                 as growth. Memory is pages added over peak live bytes. Holes: the dearest \
                 allocation among 16,000 near-fit holes over that among 1,000. Times are geometric \
                 means of ratios to {}, less is better. The best of those that reclaim memory is \
                 bold; a click on a heading sorts.",
                self.results.setup.reference
            )))
            (self.table(&table, Compared::Columns))
            (folded("What they are", false, &abouts))
            @if !engines.is_empty() {
                (folded("The mean ratios of times with their intervals (95 %)", false, &intervals))
            }
        };
        ("short", "In short".to_owned(), content)
    }

    fn losses(&self) -> Option<Section> {
        let losses = &self.derived.losses;
        let table = |losses: &[Loss]| self.table(&tables::losses(losses), Compared::Never);
        let (shown, rest) = losses.split_at(losses.len().min(LOSSES_SHOWN));
        let content = html! {
            (note(&format!(
                "Figures of {OURS} that the best of the peers which reclaim memory betters; times \
                 by more than 5 %."
            )))
            (table(shown))
            @if !rest.is_empty() { (folded(&format!("{} more", rest.len()), false, &table(rest))) }
        };
        (!losses.is_empty()).then(|| ("lose", "Where we lose".to_owned(), content))
    }

    /// Workloads that a plot can be of, with what they are.
    fn workload_options(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let workloads = self
            .results
            .workloads
            .iter()
            .filter(|info| wanted(&info.name));
        workloads
            .map(|info| (info.name.clone(), format!("{}: {}", info.name, info.about)))
            .collect()
    }

    fn ratios(&self) -> Option<Section> {
        self.plots.get(RATIOS)?;
        let engines = self.derived.timed_engines(self.results);
        let names = engines.iter().map(|engine| engine.name().to_owned());
        let options: Vec<_> = names.map(|name| (name.clone(), name)).collect();
        let is_timed = |name: &str| {
            self.derived
                .ratios
                .iter()
                .any(|ratio| ratio.workload == name)
        };
        let mut workloads = self.workload_options(is_timed);
        workloads.insert(0, (String::new(), "mean of the synthetic ones".to_owned()));
        let content = html! {
            (note(
                "Medians of ratios within a round, ± half of the middle half of the rounds. One \
                 process runs all allocators, in another order in each round. For traces the \
                 driver's own time is subtracted; programs run whole, with all the work that is \
                 not the heap's."
            ))
            div.controls { (select("Engine", &options, "")) (select("Workload", &workloads, "")) }
            (plot(RATIOS, "The grey line is the middle half, or the interval of a mean (95 %)."))
            @for (place, engine) in engines.iter().enumerate() {
                (folded(&format!("{}, all workloads", engine.name()), place == 0, &self.table(
                    &tables::ratios(self.results, self.derived, *engine), Compared::Rows,
                )))
            }
        };
        let title = format!("Time, compared with {}", self.results.setup.reference);
        Some(("time", title, content))
    }

    fn latencies(&self) -> Option<Section> {
        self.plots.get(LATENCIES)?;
        let measured = &self.results.latencies;
        let title = |one: &Latencies| format!("{}, {}", one.engine.name(), one.workload);
        let options = measured.iter().enumerate();
        let options: Vec<_> = options
            .map(|(place, one)| (place.to_string(), title(one)))
            .collect();
        let content = html! {
            (note(
                "Nanoseconds of one call from outside, two looks at the clock included: compare \
                 with control, the empty call. Each operation was timed in several fresh instances \
                 and its fastest time counts; “raw” is without that, with everything else the \
                 machine did. Operations that grew memory are apart."
            ))
            div.controls { (select("Measured on", &options, "")) }
            (plot(LATENCIES, "The share of operations that took at least so long, both axes \
                logarithmic. A line that falls early and steeply is what real time needs; the \
                dashed one is the empty call."))
            @for (place, one) in measured.iter().enumerate() {
                (folded(&title(one), place == 0, &self.table(
                    &tables::latencies(self.results, &one.by_allocator, true), Compared::Never,
                )))
            }
        };
        Some(("latency", "Single operations".to_owned(), content))
    }

    fn instructions(&self) -> Option<Section> {
        let table = tables::figures(self.results, 1, Figures::mean_fuel);
        let programs = tables::programs(self.results);
        let content = html! {
            (note("By workload; programs by their heap operations, replayed from a recording."))
            (self.table(&table, Compared::Rows))
            @if !programs.is_empty() {
                h3 { "Whole programs, millions of instructions" }
                (self.table(&programs, Compared::Rows))
            }
        };
        let title = "Instructions per operation".to_owned();
        (!table.is_empty()).then_some(("instructions", title, content))
    }

    fn holes(&self) -> Option<Section> {
        self.plots.get(HOLES)?;
        let content = html! {
            (note(
                "Instructions of the dearest of 200 allocations after so many blocks, each a \
                 little too small, were freed between pinned ones. An allocator that searches its \
                 free lists pays per hole."
            ))
            (plot(HOLES, "Both axes are logarithmic."))
        };
        Some(("holes", "Cost against holes".to_owned(), content))
    }

    fn memory(&self) -> Option<Section> {
        let plots = self.plots.get(MEMORY)?;
        let options = self.workload_options(|name| plots.contains_key(name));
        let table = tables::figures(self.results, 2, Figures::footprint);
        let content = html! {
            (note(
                "Memory added to the module while a workload runs, and what was live (dashed). \
                 Wasm memory never shrinks."
            ))
            div.controls { (select("Workload", &options, "saw")) }
            (plot(MEMORY, "A name in the legend shows or hides its line."))
            h3 { "Memory added / peak live bytes" }
            (self.table(&table, Compared::Rows))
        };
        Some(("memory", "Memory over time".to_owned(), content))
    }

    fn contracts(&self) -> Section {
        let (checks, table) = (self.results.checks.len(), tables::broken(self.results));
        let broken = match table.parts().1.len() {
            0 => "None".to_owned(),
            count => count.to_string(),
        };
        let content = html! {
            (note(&format!(
                "{} checks: every block aligned, zero where asked for, filled with a pattern of \
                 its own that is still there when it is resized and given back. {broken} failed.",
                HumanCount(checks as u64)
            )))
            @if !table.is_empty() { (self.table(&table, Compared::Never)) }
            @if !self.results.missing.is_empty() {
                h3 { "What is missing" }
                ul.missing { @for line in &self.results.missing { li { (line) } } }
            }
        };
        ("contracts", "Contracts".to_owned(), content)
    }

    /// The sections that are one table.
    fn single_tables(&self, c_programs: &CPrograms) -> [Option<Section>; 4] {
        [
            self.section(
                "worst",
                "The worst calls, in instructions",
                "The dearest single call of each kind over all workloads, with the request that \
                 did it. Copies and fills count as one instruction each; calls that grew the heap, \
                 the first one among them, are in the last columns.",
                &tables::worst(self.results),
                Compared::Never,
            ),
            self.section(
                "size",
                "Code size",
                "Bytes added to an empty module that exports alloc, dealloc and realloc, by the \
                 compiler's optimisation level: as compiled, and after wasm-opt -Oz where that is \
                 installed.",
                &tables::sizes(self.results),
                Compared::Columns,
            ),
            self.section(
                "start",
                "Cold start",
                "In a fresh process, with the engine's tiers as they are: from the bytes of a \
                 module with all nine programs to an instance, and its first run. Medians.",
                &tables::starts(self.results),
                Compared::Never,
            ),
            self.section(
                "c",
                "C programs",
                "On wasi-libc's malloc, which is dlmalloc, and on Alligator's C library: recorded \
                 by cargo xtask clib --compare; docs/c-programs.md says what each column is.",
                &tables::with_c_library(c_programs),
                Compared::Never,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::sample;

    #[test]
    fn the_page_has_every_section_and_loads_nothing() {
        let page = page(
            &sample(),
            &vec![vec!["program".to_owned()], vec!["lua".to_owned()]],
        );
        for id in [
            "short",
            "time",
            "latency",
            "worst",
            "instructions",
            "holes",
            "memory",
            "size",
            "start",
            "c",
            "contracts",
        ] {
            assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
        }
        assert!(!page.contains("<script src") && !page.contains("<link"));
    }

    #[test]
    fn what_is_text_does_not_become_markup() {
        let mut results = sample();
        results.missing = vec!["<b>bold</b>".to_owned()];
        results.allocators[0].name = "</script><b>".to_owned();
        let page = page(&results, &Vec::new());
        assert!(page.contains("&lt;b&gt;bold&lt;/b&gt;"));
        assert!(!page.contains("</script><b>"));
    }
}

//! The report as one page, which needs nothing else.

mod data;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::Error;
use crate::analysis::Analysis;
use crate::compare::Comparison;
use crate::format::{bytes, count};
use crate::report::Report;
use crate::sections::{self, Section};
use crate::text;

/// Rows of a table of sites.
const ROWS: usize = 20;

/// Nothing from elsewhere is loaded, whatever a trace says.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

const STYLES: [&str; 2] = [
    include_str!("../html/vendor/uPlot.min.css"),
    include_str!("../html/style.css"),
];

const PLOT: &str = include_str!("../html/vendor/uPlot.iife.min.js");

/// One script, whose parts use each other.
const SCRIPTS: [&str; 8] = [
    include_str!("../html/format.js"),
    include_str!("../html/data.js"),
    include_str!("../html/heap.js"),
    include_str!("../html/timeline.js"),
    include_str!("../html/map.js"),
    include_str!("../html/flame.js"),
    include_str!("../html/sites.js"),
    include_str!("../html/main.js"),
];

/// The page of a trace; beside another, if there is one.
///
/// # Errors
///
/// None is known: what the library that writes JSON may say.
pub fn page(analysis: &Analysis, before: Option<&Report>) -> Result<String, Error> {
    let report = &analysis.report;
    let data = data::Data::of(analysis, before)?;
    let title = format!("Heap of {}", report.name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                @for style in STYLES {
                    style { (PreEscaped(style)) }
                }
            }
            body {
                header {
                    h1 { (title) }
                    (about(report))
                }
                main {
                    (figures(report))
                    noscript { p.note { "The time line, the map, the flame graph and the sites need JavaScript; the tables below do not." } }
                    p #failed .note role="alert" hidden {}
                    (controls(report))
                    (views(before))
                    @if let Some(before) = before {
                        (beside(&Comparison { before, after: report }))
                    }
                    div.sections {
                        @for section in sections::sections_of_page(report, ROWS) {
                            (self::section(&section))
                        }
                    }
                }
                footer { p { "Made by alligator report. Sizes are as the program asked for them; 1 KiB is 1,024 bytes." } }
                script #figures type="text/plain" { (PreEscaped(&data.figures)) }
                script #blocks type="text/plain" { (PreEscaped(&data.blocks)) }
                script { (PreEscaped(PLOT)) }
                script type="module" { (PreEscaped(SCRIPTS.concat())) }
            }
        }
    };
    Ok(page.into_string())
}

/// What was recorded, and what a reader has to know.
fn about(report: &Report) -> Markup {
    let header = &report.header;
    let known = [
        ("module", header.module.name.as_str()),
        ("allocator", &header.allocator),
        ("engine", &header.engine),
        ("recorder", &header.recorder),
        ("ended with", report.ending.as_deref().unwrap_or_default()),
    ];
    html! {
        p.about {
            @for (what, name) in known.into_iter().filter(|(_, name)| !name.is_empty()) {
                span { (what) " " b { (name) } } " "
            }
        }
        @for note in text::notes(report) {
            p.note { (note) }
        }
    }
}

/// The figures that people look for first.
fn figures(report: &Report) -> Markup {
    let memory = report.end.pages.saturating_mul(report.header.page_bytes);
    let figures = [
        (
            "live at the peak",
            bytes(report.peak.bytes),
            format!("{} blocks", count(report.peak.blocks)),
        ),
        (
            "live at the end",
            bytes(report.end.bytes),
            format!("{} blocks", count(report.end.blocks)),
        ),
        (
            "memory",
            bytes(memory),
            format!(
                "{} pages, {} growths",
                count(report.end.pages),
                count(report.growths.count)
            ),
        ),
        (
            "taken in all",
            bytes(report.counts.taken_bytes),
            format!("{} blocks", count(report.counts.taken)),
        ),
        (
            "resized",
            count(report.resizes.count),
            format!("{} copied", bytes(report.resizes.copied)),
        ),
        ("sites", count(report.sites.len() as u64), growing(report)),
    ];
    html! {
        dl.figures {
            @for (name, figure, more) in figures {
                div { dt { (name) } dd { b { (figure) } span { (more) } } }
            }
        }
    }
}

fn growing(report: &Report) -> String {
    let growing = report.sites.iter().filter(|site| site.is_growing()).count();
    format!("{growing} growing")
}

/// What chooses the moment, and stays in sight.
fn controls(report: &Report) -> Markup {
    let button = |id: &str, label: &str, text: &str| html! { button id=(id) type="button" aria-label=(label) title=(label) { (text) } };
    html! {
        section.controls aria-label="Moment" {
            div.slider {
                label for="moment" { "Moment" }
                input #moment type="range" min="0" max=(report.events) value="0" step="1" aria-describedby="keys";
            }
            p.now { span #when {} " · " span #now aria-live="polite" {} }
            div.buttons {
                (button("go-first", "To the start", "Start"))
                (button("go-back", "One event back", "− 1"))
                (button("go-next", "One event on", "+ 1"))
                (button("go-last", "To the end", "End"))
                button #go-peak type="button" { "Peak" }
                button #keep type="button" title="Then go elsewhere: the map and the table show the difference" { "Keep as A" }
                button #forget type="button" hidden { "Forget A" }
                span #base .hint {}
                span #keys .hint.wide { "Arrow keys: one event; with Shift or Page keys: a fiftieth." }
            }
        }
    }
}

/// Time line, map, flame graph and table: filled by the script.
fn views(before: Option<&Report>) -> Markup {
    let modes = [
        ("size", "size"),
        ("site", "site"),
        ("stays", "what is never given back"),
        ("difference", "difference to A"),
        ("one", "the chosen site"),
    ];
    let values = [
        ("now", "bytes live at this moment"),
        ("peak", "bytes live at the peak"),
        ("end", "bytes live at the end"),
        ("bytes", "bytes taken"),
        ("blocks", "blocks taken"),
    ];
    html! {
        section.view {
            div.title {
                h2 { "Time line" }
                ul.legend {
                    li { span.swatch.live {} "live bytes" }
                    li { span.swatch.memory {} "memory" }
                    @if before.is_some() { li { span.swatch.other {} "live bytes, before" } }
                    li { span.swatch.peak {} "peak" }
                    li { span.swatch.mark {} "marks" }
                }
                label.switch hidden { input #by-time type="checkbox"; " by time" }
            }
            div #timeline role="img" aria-label="Live bytes and memory over the trace. The slider above chooses the moment." {}
        }
        section.view {
            div.title {
                h2 #map-title { "The heap" }
                label { "colours by " select #mode { @for (value, name) in modes { option value=(value) { (name) } } } }
                button #all-pages type="button" hidden { "All pages" }
            }
            div.map { canvas #map tabindex="0" role="img" aria-describedby="map-note" aria-label="Map of the memory. Arrow keys move over its cells, Enter opens a page, Escape closes it." {} }
            p #map-note .note.said aria-live="polite" {}
            ul #legend .legend {}
        }
        section.view {
            div.title {
                h2 { "Flame graph" }
                label { "of " select #flame-value { @for (value, name) in values { option value=(value) { (name) } } } }
            }
            p #flame-note .note.said aria-live="polite" {}
            div #flame role="group" aria-label="Flame graph" {}
        }
        section.view {
            div.title {
                h2 { "Sites" }
                label { "with " input #filter type="search" placeholder="function" aria-label="Only sites whose call stack contains"; }
            }
            p.hint { "Choose a site to see its call stack, and its blocks on the map." }
            div.scroll tabindex="0" role="region" aria-label="Sites, a table that scrolls" {
                table #sites {}
            }
            button #more type="button" hidden {}
        }
    }
}

/// The other trace.
fn beside(comparison: &Comparison<'_>) -> Markup {
    html! {
        h2 { "Beside " (comparison.before.name) }
        div.sections #beside {
            @for section in sections::sections_of_two(comparison, ROWS) {
                (self::section(&section))
            }
        }
    }
}

fn section(section: &Section) -> Markup {
    html! {
        section.part {
            h2 { (section.title) }
            @for line in &section.before { p { (line) } }
            @if !section.header.is_empty() {
                div.scroll tabindex="0" role="region" aria-label={ (section.title) ", a table that scrolls" } {
                    table {
                        thead { tr { @for (column, name) in section.header.iter().enumerate() { th scope="col" .number[column >= section.texts] { (name) } } } }
                        tbody {
                            @for row in &section.rows {
                                tr { @for (column, cell) in row.iter().enumerate() { td .number[column >= section.texts] .name[column < section.texts] { (cell) } } }
                            }
                        }
                    }
                }
            }
            @if section.rest > 0 { p.hint { "and " (count(section.rest as u64)) " more" } }
        }
    }
}

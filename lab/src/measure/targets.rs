//! The targets, the best peer's figure, and what the allocator measured first reaches.

use super::report::{Report, Row, print_table};

/// Peers that the targets name.
const PEERS: [&str; 4] = ["talc", "rlsf", "dlmalloc", "wasmalloc"];

/// As much slower as noise may make a workload in V8 that is not slower.
const NOISE: f64 = 1.05;

/// A figure that should not exceed two limits.
struct Target {
    figure: &'static str,
    digits: usize,
    must: Option<f64>,
    stretch: Option<f64>,
    /// The figure of one allocator.
    value: fn(&Report, &Row) -> Option<f64>,
    /// True if the figure is a comparison, of which peers have none.
    is_relative: bool,
}

const TARGETS: &[Target] = &[
    target("mean instructions per operation", 1, 72.0, 56.0, mean_fuel),
    target("V8, time / talc's", 2, 0.75, 0.60, mean_time),
    Target {
        stretch: None,
        is_relative: true,
        ..target(
            "V8, slowest workload / talc, rlsf",
            2,
            NOISE,
            0.0,
            |report, row| Some(slowest(report, row, &PEERS[..2])?.ratio),
        )
    },
    Target {
        must: None,
        is_relative: true,
        ..target(
            "V8, slowest workload / all peers",
            2,
            0.0,
            NOISE,
            |report, row| Some(slowest(report, row, &PEERS)?.ratio),
        )
    },
    target("memory added / peak live bytes", 2, 1.32, 1.20, footprint),
    target(
        "dearest alloc, 16,000 holes / 1,000",
        2,
        1.05,
        1.05,
        hole_growth,
    ),
    target(
        "code at opt-level=z, bytes",
        0,
        4_500.0,
        3_000.0,
        code_bytes,
    ),
    target("tiny heap, pages", 0, 2.0, 1.0, tiny_pages),
    target(
        "ratchet to 200 pages, pages",
        0,
        640.0,
        450.0,
        |report, row| grown_pages(report, row, "ratchet"),
    ),
    target("realloc ratchet, pages", 0, 213.0, 205.0, |report, row| {
        grown_pages(report, row, "realloc-ratchet")
    }),
    target("box of 24 bytes, instructions", 0, 45.0, 30.0, box24_fuel),
];

/// The feature `small` has one target of its own.
const SMALL: Target = target("code with `small`, bytes", 0, 1_700.0, 1_100.0, code_bytes);

const fn target(
    figure: &'static str,
    digits: usize,
    must: f64,
    stretch: f64,
    value: fn(&Report, &Row) -> Option<f64>,
) -> Target {
    Target {
        figure,
        digits,
        must: Some(must),
        stretch: Some(stretch),
        value,
        is_relative: false,
    }
}

/// A workload whose time is the longest beside a peer's.
struct Slowest<'report> {
    workload: &'report str,
    peer: &'static str,
    ratio: f64,
}

/// Prints the table for the first allocator of the report, and which workloads are its slowest.
pub(crate) fn print(report: &Report) {
    let Some(ours) = report.rows.first() else {
        return;
    };
    let heading = [
        "figure",
        "best peer",
        "must",
        "stretch",
        ours.name.as_str(),
        "",
    ];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    table.extend(TARGETS.iter().map(|target| target.line(report, ours)));
    if let Some(small) = report.row("alligator-small") {
        table.push(SMALL.line(report, small));
    }
    print_table(&table);
    for peers in [&PEERS[..2], &PEERS] {
        if let Some(slowest) = slowest(report, ours, peers) {
            let (workload, peer) = (slowest.workload, slowest.peer);
            println!(
                "slowest in V8, beside {}: {workload}, {:.2} times {peer}'s",
                peers.join(", "),
                slowest.ratio,
            );
        }
    }
}

impl Target {
    fn line(&self, report: &Report, row: &Row) -> Vec<String> {
        let value = (self.value)(report, row);
        let verdict = match value {
            None => "not measured",
            Some(value) if self.stretch.is_some_and(|limit| value <= limit) => "stretch",
            Some(value) if self.must.is_some_and(|limit| value <= limit) => "must",
            Some(_) => "missed",
        };
        vec![
            self.figure.to_owned(),
            self.cell(self.best_peer(report)),
            self.cell(self.must),
            self.cell(self.stretch),
            self.cell(value),
            verdict.to_owned(),
        ]
    }

    fn best_peer(&self, report: &Report) -> Option<f64> {
        if self.is_relative {
            return None;
        }
        let peers = PEERS.iter().filter_map(|name| report.row(name));
        let values = peers.filter_map(|row| (self.value)(report, row));
        values.min_by(f64::total_cmp)
    }

    fn cell(&self, value: Option<f64>) -> String {
        let digits = self.digits;
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    }
}

fn mean_fuel(report: &Report, row: &Row) -> Option<f64> {
    report.mean(|workload| Some(report.figures(row, workload)?.mean_fuel()))
}

fn mean_time(report: &Report, row: &Row) -> Option<f64> {
    report.mean(|workload| report.time_ratio(row, workload, "talc"))
}

/// Over all workloads and `peers`, the highest ratio of times.
fn slowest<'report>(
    report: &'report Report,
    row: &Row,
    peers: &[&'static str],
) -> Option<Slowest<'report>> {
    let workloads = report.workloads.iter();
    let pairs = workloads.flat_map(|workload| peers.iter().map(move |peer| (workload, *peer)));
    let ratios = pairs.filter_map(|(workload, peer)| {
        let ratio = report.time_ratio(row, workload, peer)?;
        Some(Slowest {
            workload,
            peer,
            ratio,
        })
    });
    ratios.max_by(|left, right| left.ratio.total_cmp(&right.ratio))
}

fn footprint(report: &Report, row: &Row) -> Option<f64> {
    report.mean(|workload| Some(report.figures(row, workload)?.footprint()))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn hole_growth(_: &Report, row: &Row) -> Option<f64> {
    let holes = &row.special.as_ref()?.holes_fuel;
    Some(*holes.last()? as f64 / *holes.first()? as f64)
}

#[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
fn code_bytes(_: &Report, row: &Row) -> Option<f64> {
    row.code_bytes.map(|bytes| bytes[0] as f64)
}

#[expect(clippy::cast_precision_loss, reason = "pages far below 2^52")]
fn tiny_pages(_: &Report, row: &Row) -> Option<f64> {
    row.special
        .as_ref()
        .map(|special| special.tiny_pages as f64)
}

#[expect(clippy::cast_precision_loss, reason = "pages far below 2^52")]
fn grown_pages(report: &Report, row: &Row, workload: &str) -> Option<f64> {
    Some(report.figures(row, workload)?.grown_pages as f64)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn box24_fuel(_: &Report, row: &Row) -> Option<f64> {
    row.special
        .as_ref()
        .map(|special| special.box24_fuel as f64)
}

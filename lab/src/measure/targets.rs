//! The targets, the best peer's figure, and what the allocator measured first reaches.

use crate::engines::Engine;
use crate::report::{allocator_mean, ratio_mean, ratios_to};
use crate::run::{Results, WorkloadInfo};
use crate::size::OPT_LEVELS;
use crate::special::Special;
use crate::stats::{self, Mean, float};
use crate::table::{Cell, Table};

/// Peers that the targets name.
const PEERS: [&str; 4] = ["talc", "rlsf", "dlmalloc", "wasmalloc"];

/// The allocator that times are divided by.
const REFERENCE: &str = PEERS[0];

/// As much slower as noise may make a workload in V8 that is not slower.
const NOISE: f64 = 1.05;

/// A figure that should not exceed two limits.
struct Target {
    figure: &'static str,
    digits: usize,
    must: Option<f64>,
    stretch: Option<f64>,
    /// The figure of one allocator.
    value: fn(&Results, &str) -> Option<f64>,
    /// The same with its interval, if it is a mean of times.
    interval: fn(&Results, &str) -> Option<Mean>,
    /// True if the figure is a comparison, of which peers have none.
    is_relative: bool,
}

const TARGETS: &[Target] = &[
    target("mean instructions per operation", 1, 72.0, 56.0, mean_fuel),
    Target {
        interval: mean_time,
        ..target("V8, time / talc's", 2, 0.75, 0.60, |results, name| {
            Some(mean_time(results, name)?.value)
        })
    },
    Target {
        stretch: None,
        is_relative: true,
        ..target(
            "V8, slowest workload / talc, rlsf",
            2,
            NOISE,
            0.0,
            |results, name| Some(slowest(results, name, &PEERS[..2])?.ratio),
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
            |results, name| Some(slowest(results, name, &PEERS)?.ratio),
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
        |results, name| grown_pages(results, name, "ratchet"),
    ),
    target(
        "realloc ratchet, pages",
        0,
        213.0,
        205.0,
        |results, name| grown_pages(results, name, "realloc-ratchet"),
    ),
    target("box of 24 bytes, instructions", 0, 45.0, 30.0, box24_fuel),
];

/// The feature `small` has one target of its own.
const SMALL: Target = target("code with `small`, bytes", 0, 1_700.0, 1_100.0, code_bytes);

const fn target(
    figure: &'static str,
    digits: usize,
    must: f64,
    stretch: f64,
    value: fn(&Results, &str) -> Option<f64>,
) -> Target {
    Target {
        figure,
        digits,
        must: Some(must),
        stretch: Some(stretch),
        value,
        interval: |_, _| None,
        is_relative: false,
    }
}

/// A workload whose time is the longest beside a peer's.
struct Slowest<'a> {
    workload: &'a str,
    peer: &'static str,
    ratio: f64,
}

/// Prints the table for the first allocator measured, and which workloads are its slowest.
pub(super) fn print(results: &Results) {
    let Some(ours) = results.allocators.first() else {
        return;
    };
    let ours = ours.name.as_str();
    let mut table = Table::new(["figure", "best peer", "must", "stretch", ours, "95 %", ""]);
    for target in TARGETS {
        table.row(target.line(results, ours));
    }
    let small = "alligator-small";
    if results.counts.contains_key(small) {
        table.row(SMALL.line(results, small));
    }
    println!("{}", table.plain());
    for peers in [&PEERS[..2], &PEERS] {
        if let Some(slowest) = slowest(results, ours, peers) {
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
    fn line(&self, results: &Results, name: &str) -> [Cell; 7] {
        let value = (self.value)(results, name);
        let verdict = match value {
            None => "not measured",
            Some(value) if self.stretch.is_some_and(|limit| value <= limit) => "stretch",
            Some(value) if self.must.is_some_and(|limit| value <= limit) => "must",
            Some(_) => "missed",
        };
        let interval = (self.interval)(results, name);
        let interval = interval.map(|mean| format!("{:.2}-{:.2}", mean.low, mean.high));
        let cell = |value| Cell::Number(value, self.digits);
        [
            self.figure.into(),
            cell(self.best_peer(results)),
            cell(self.must),
            cell(self.stretch),
            cell(value),
            interval.unwrap_or_default().into(),
            verdict.into(),
        ]
    }

    fn best_peer(&self, results: &Results) -> Option<f64> {
        if self.is_relative {
            return None;
        }
        let values = PEERS.iter().filter_map(|name| (self.value)(results, name));
        values.min_by(f64::total_cmp)
    }
}

fn mean_fuel(results: &Results, name: &str) -> Option<f64> {
    allocator_mean(results, name, |figures| Some(figures.mean_fuel()))
}

fn mean_time(results: &Results, name: &str) -> Option<Mean> {
    ratio_mean(
        results,
        Engine::V8,
        name,
        REFERENCE,
        WorkloadInfo::is_averaged,
    )
}

/// Over all workloads and `peers`, the highest ratio of times.
fn slowest<'a>(results: &'a Results, name: &str, peers: &[&'static str]) -> Option<Slowest<'a>> {
    let workloads = results.workloads.iter();
    let pairs = workloads.flat_map(|info| peers.iter().map(|peer| (info.name.as_str(), *peer)));
    let ratios = pairs.filter_map(|(workload, peer)| {
        let ratios = ratios_to(results, Engine::V8, workload, name, peer)?;
        Some(Slowest {
            workload,
            peer,
            ratio: stats::median(&ratios)?,
        })
    });
    ratios.max_by(|left, right| left.ratio.total_cmp(&right.ratio))
}

fn footprint(results: &Results, name: &str) -> Option<f64> {
    allocator_mean(results, name, |figures| {
        Some(figures.footprint()).filter(|footprint| *footprint > 0.0)
    })
}

fn hole_growth(results: &Results, name: &str) -> Option<f64> {
    results.special.get(name).and_then(Special::hole_growth)
}

fn code_bytes(results: &Results, name: &str) -> Option<f64> {
    let size = results.sizes.get(name)?.get(OPT_LEVELS[0])?;
    Some(float(size.optimized?))
}

fn tiny_pages(results: &Results, name: &str) -> Option<f64> {
    Some(float(results.special.get(name)?.tiny_pages))
}

fn grown_pages(results: &Results, name: &str, workload: &str) -> Option<f64> {
    Some(float(results.figures(name, workload)?.grown_pages))
}

fn box24_fuel(results: &Results, name: &str) -> Option<f64> {
    Some(float(results.special.get(name)?.box24_fuel))
}

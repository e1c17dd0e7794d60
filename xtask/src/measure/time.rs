//! Time per operation in V8: traces replayed inside the guest, run by node.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::allocator::{Allocator, Exports, control};
use super::trace::Trace;
use crate::guest::guests_dir;

const DRIVER: &str = include_str!("v8.js");

/// V8's optimising compiler compiles every function at once: nothing has to warm up.
const NODE_FLAGS: [&str; 3] = ["--no-liftoff", "--no-wasm-lazy-compilation", "--expose-gc"];

/// A measurement lasts at least this long.
const MILLISECONDS_MIN: u32 = 20;

/// Nanoseconds per operation by workload, then by allocator: the median of the rounds, the
/// driver's subtracted.
pub(crate) type Times = HashMap<String, HashMap<String, f64>>;

/// One per round, or why there are none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Samples {
    Nanoseconds(Vec<f64>),
    Failure(String),
}

/// True if node can be run.
pub(crate) fn node_exists() -> bool {
    let version = Command::new("node")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// Times all `traces` with all `allocators`, in rounds of shuffled order.
pub(crate) fn run(allocators: &[&Allocator], traces: &[Trace], rounds: u32) -> Result<Times> {
    let job = write_job(allocators, traces, rounds)?;
    let driver = guests_dir().join("v8.js");
    std::fs::write(&driver, DRIVER)?;
    let output = Command::new("node")
        .args(NODE_FLAGS)
        .arg(&driver)
        .arg(&job)
        .stderr(Stdio::inherit())
        .output()
        .context("node does not start")?;
    if !output.status.success() {
        bail!("node failed");
    }
    let report: HashMap<String, HashMap<String, Samples>> = serde_json::from_slice(&output.stdout)?;
    Ok(report
        .into_iter()
        .map(|(trace, samples)| {
            let times = without_driver(&trace, samples);
            (trace, times)
        })
        .collect())
}

/// Writes the modules, the traces and the job file; returns the job file.
fn write_job(allocators: &[&Allocator], traces: &[Trace], rounds: u32) -> Result<PathBuf> {
    let dir = guests_dir();
    let control = control();
    let mut modules = Vec::new();
    for allocator in core::iter::once(&control).chain(allocators.iter().copied()) {
        allocator.build(Exports::Replay)?;
        let path = dir.join(format!("{}-replay.wasm", allocator.name));
        modules.push(json!({ "name": allocator.name, "path": path }));
    }
    let mut files = Vec::new();
    for trace in traces {
        let path = dir.join(format!("{}.trace", trace.name));
        std::fs::write(&path, trace.encode())?;
        files.push(json!({
            "name": trace.name,
            "path": path,
            "ops": trace.ops.len(),
            "blocks": trace.block_count,
        }));
    }
    let job = json!({
        "modules": modules,
        "traces": files,
        "rounds": rounds,
        "milliseconds_min": MILLISECONDS_MIN,
    });
    let path = dir.join("v8-job.json");
    std::fs::write(&path, job.to_string())?;
    Ok(path)
}

/// The medians of one workload, less that of control. A failure is printed and left out.
fn without_driver(trace: &str, samples: HashMap<String, Samples>) -> HashMap<String, f64> {
    let mut medians = HashMap::new();
    for (name, samples) in samples {
        match samples {
            Samples::Nanoseconds(values) => drop(medians.insert(name, median(values))),
            Samples::Failure(why) => eprintln!("{name} failed in {trace}: {why}"),
        }
    }
    let driver = medians.remove("control").unwrap_or(0.0);
    for time in medians.values_mut() {
        *time -= driver;
    }
    medians
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

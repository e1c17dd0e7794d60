//! The time of the calls in V8, by Node.js, where that is installed.
//!
//! All modules replay the whole trace, one call from JavaScript for each operation, in rounds: each round has each module
//! once, on a fresh instance, and begins with another one. What the module takes that gives no memory out is subtracted:
//! it is the time of the calls themselves.

use core::sync::atomic::{AtomicU32, Ordering};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::allocators::Allocator;
use crate::ops::Trace;

/// What Node.js runs.
const SCRIPT: &str = include_str!("v8.js");

/// How V8 is told to use its optimising compiler at once.
const FLAGS: [&str; 2] = ["--no-liftoff", "--no-wasm-lazy-compilation"];

/// How long an operation takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// Nanoseconds of an operation, of the calls apart: the median of all rounds. Below 0 where the clock is too coarse.
    pub median: f64,
    /// The first quartile of the rounds.
    pub low: f64,
    /// The third.
    pub high: f64,
}

/// What the script prints.
#[derive(Deserialize)]
struct Output {
    version: String,
    /// Nanoseconds of an operation by module and round, or why there are none.
    times: Vec<Times>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Times {
    Samples(Vec<f64>),
    Failed(String),
}

/// Times by allocator, in their order, or why one has none; and the version of V8.
#[derive(Debug, Clone)]
pub struct Timings {
    /// `node 20.1.0, V8 11.3`.
    pub version: String,
    /// As many as there were allocators.
    pub times: Vec<Result<Timing, String>>,
}

/// Times the allocators on a trace. At least one round.
///
/// # Errors
/// Node.js is not there, or does not do what it is told.
pub fn time(
    allocators: &[&Allocator],
    control: &[u8],
    trace: &Trace,
    rounds: u32,
) -> Result<Timings> {
    ensure!(!trace.ops.is_empty(), "the trace has no calls to time");
    let folder = Folder::new()?;
    let modules = core::iter::once(control).chain(allocators.iter().map(|it| &it.module[..]));
    for (index, module) in modules.enumerate() {
        folder.write(&format!("{index}.wasm"), module)?;
    }
    folder.write("trace", &trace.encode())?;
    folder.write("v8.js", SCRIPT.as_bytes())?;
    let output = Command::new("node")
        .args(FLAGS)
        .arg(folder.0.join("v8.js"))
        .arg((allocators.len() + 1).to_string())
        .arg(trace.block_count.to_string())
        .arg(rounds.max(1).to_string())
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .output()
        .context("Node.js does not start (node)")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "Node.js: {}",
            text.lines()
                .find(|line| !line.is_empty())
                .unwrap_or("failed")
        );
    }
    let output: Output = serde_json::from_slice(&output.stdout)?;
    let mut times = output.times.into_iter();
    let Some(Times::Samples(calls)) = times.next() else {
        bail!("Node.js did not time the calls");
    };
    let times = times.map(|times| match times {
        Times::Failed(why) => Err(why),
        Times::Samples(samples) => {
            let own = samples.iter().zip(&calls).map(|(all, call)| all - call);
            timing(own.collect()).ok_or_else(|| "no samples".to_owned())
        }
    });
    Ok(Timings {
        version: output.version,
        times: times.collect(),
    })
}

fn timing(mut samples: Vec<f64>) -> Option<Timing> {
    samples.sort_by(f64::total_cmp);
    let at = |quarter: usize| samples.get((samples.len().checked_sub(1)?) * quarter / 4);
    Some(Timing {
        low: *at(1)?,
        median: *at(2)?,
        high: *at(3)?,
    })
}

/// A folder that is there as long as this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("alligator-replay-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path: &Path = &self.0.join(name);
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_between_the_quartiles() {
        let timing = timing(vec![5.0, 1.0, 3.0, 2.0, 4.0]).expect("samples");
        assert_eq!((timing.low, timing.median, timing.high), (2.0, 3.0, 4.0));
        assert_eq!(super::timing(Vec::new()), None);
    }
}

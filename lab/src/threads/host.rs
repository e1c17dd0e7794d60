//! The programs under Node.js: the modules, one for each allocator, and what a run of them was like.

use core::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use alligator_tools::command::node_version;
use alligator_tools::guest::{self, Guest, WASI, WASI_THREADS};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Pages of a module's memory before anybody asks for some, as lab/threads/host.mjs has it.
pub(super) const INITIAL_PAGES: u64 = 21;

/// Bytes that are there before threads start, where what is measured is not the memory.
const RESERVED: u32 = 32 << 20;

/// Attempts at a run that traps while the memory grows, as V8 does now and then.
const ATTEMPTS: u32 = 5;

/// An allocator of which threads ask all, or each its own.
pub(super) struct Subject {
    pub(super) name: &'static str,
    features: &'static [&'static str],
    target: &'static str,
}

/// With a cache for each thread.
pub(super) const THREADS: usize = 0;
/// The same heap without that.
pub(super) const SPIN: usize = 1;
pub(super) const DLMALLOC: usize = 2;
/// A heap of its own for each thread, which has no lock.
pub(super) const OWN: usize = 5;

/// All allocators.
pub(super) const SUBJECTS: [Subject; 6] = [
    subject("threads", &["alligator-threads"], WASI_THREADS),
    subject("spin lock", &[], WASI_THREADS),
    subject("dlmalloc", &["dlmalloc"], WASI_THREADS),
    subject("talc", &["talc"], WASI_THREADS),
    subject("rlsf", &["rlsf"], WASI_THREADS),
    subject("own heaps", &[], WASI),
];

const fn subject(
    name: &'static str,
    features: &'static [&'static str],
    target: &'static str,
) -> Subject {
    Subject {
        name,
        features,
        target,
    }
}

/// What a run took.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Outcome {
    /// Of all threads: allocations, and blocks given back.
    pub(super) operations: u64,
    pub(super) milliseconds: f64,
    /// Of all memories.
    pub(super) pages: u64,
    /// How often the lock was taken or tried, where that is counted.
    #[serde(default)]
    visits: u64,
    pub(super) bursts: Option<Bursts>,
}

/// How long bursts take, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Bursts {
    p50: u32,
    p99: u32,
    p999: u32,
    max: u32,
}

impl Bursts {
    pub(super) const NAMES: [&'static str; 4] = ["p50", "p99", "p99.9", "max"];

    pub(super) fn microseconds(self) -> [f64; 4] {
        [self.p50, self.p99, self.p999, self.max].map(|time| f64::from(time) / 1e3)
    }
}

impl Outcome {
    pub(super) fn visits_per_thousand(&self) -> f64 {
        crate::stats::ratio(self.visits * 1000, self.operations)
    }
}

/// What Node.js is called with: a run of a program by so many threads, with so many steps.
pub(super) fn words(program: &str, threads: u32, steps: u32) -> String {
    format!("{program}:{threads}:{steps}")
}

/// Whether there is memory beforehand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Reserved,
    Counted,
}

/// The built modules.
pub(super) struct Host {
    modules: BTreeMap<usize, PathBuf>,
    /// Runs that were tried again.
    repeated: Cell<u32>,
}

impl Host {
    /// Builds the modules of these `subjects`.
    pub(super) fn new(subjects: &[usize]) -> Result<Self> {
        for target in [WASI, WASI_THREADS] {
            guest::ensure_target(target)?;
        }
        let modules = subjects.iter().map(|&place| {
            let subject = &SUBJECTS[place];
            let guest = Guest {
                crate_dir: &crate::dir().join("threads/guest"),
                library: "guest_threads",
                features: subject.features,
                output: &format!("threads-{}", subject.name.replace(' ', "-")),
                profile: Some(&crate::dir().join("profile.toml")),
                overrides: Vec::new(),
            };
            Ok((place, guest::build_for(&guest, subject.target)?))
        });
        Ok(Self {
            modules: modules.collect::<Result<_>>()?,
            repeated: Cell::new(0),
        })
    }

    /// Runs in one memory, one after the other, on `SUBJECTS[subject]`.
    pub(super) fn run(
        &self,
        subject: usize,
        memory: Memory,
        seed: u32,
        runs: &[String],
    ) -> Result<Vec<Outcome>> {
        let is_shared = SUBJECTS[subject].target == WASI_THREADS;
        let reserved = if memory == Memory::Reserved {
            RESERVED
        } else {
            0
        };
        for attempt in 1.. {
            let output = Command::new("node")
                .args(["--no-warnings", "--no-liftoff", "--wasm-lazy-compilation"])
                .arg(crate::dir().join("threads/host.mjs"))
                .arg(&self.modules[&subject])
                .arg(if is_shared { "shared" } else { "own" })
                .args([reserved.to_string(), seed.to_string()])
                .args(runs)
                .stdin(Stdio::null())
                .output()
                .context("node does not start")?;
            if output.status.success() {
                let text = String::from_utf8(output.stdout)?;
                let outcomes: Vec<Outcome> = text
                    .lines()
                    .map(serde_json::from_str)
                    .collect::<Result<_, _>>()?;
                ensure!(outcomes.len() == runs.len(), "not all runs have ended");
                return Ok(outcomes);
            }
            let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let has_trapped = error.contains("RuntimeError: memory access out of bounds");
            ensure!(
                has_trapped && is_shared && memory == Memory::Counted && attempt < ATTEMPTS,
                "{}, seed {seed}, {runs:?}: {error}",
                SUBJECTS[subject].name,
            );
            self.repeated.set(self.repeated.get() + 1);
        }
        unreachable!("the last attempt is an outcome or an error")
    }

    /// Where the runs were made, and whether some were made again.
    pub(super) fn about(&self, rounds: u32) -> Result<String> {
        let cores = std::thread::available_parallelism()?;
        let mut text = format!(
            "Node.js {} on {cores} processors, {rounds} rounds.",
            node_version()?
        );
        if self.repeated.get() > 0 {
            let again = format!(
                " V8 trapped {} times while threads grew the memory; these runs were made again.",
                self.repeated.get()
            );
            text.push_str(&again);
        }
        Ok(text)
    }
}

//! Everything a run measured, as it is written to `results.json`. The schema is `lab/schema.json`,
//! which a test compares with these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engines::{Engine, Latency};
use crate::fuel::Figures;
use crate::size::Size;
use crate::special::Special;
use alligator_tools::allocator::Kind;

/// Increased when a field changes its meaning or goes.
pub(crate) const SCHEMA: u32 = 1;

/// A run of the lab. What is not there was not measured; `missing` says why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Results {
    /// Version of this format.
    pub(crate) schema: u32,
    pub(crate) setup: Setup,
    pub(crate) engines: Vec<EngineInfo>,
    pub(crate) allocators: Vec<AllocatorInfo>,
    pub(crate) workloads: Vec<WorkloadInfo>,
    /// Exact counts in wasmtime, by allocator, then by workload. A program's are those of its
    /// heap operations, replayed from a recording.
    pub(crate) counts: BTreeMap<String, BTreeMap<String, Figures>>,
    /// Instructions of whole programs, by allocator, then by program.
    pub(crate) programs: BTreeMap<String, BTreeMap<String, u64>>,
    /// Smallest heap, holes, a box; by allocator.
    pub(crate) special: BTreeMap<String, Special>,
    /// Code size, by allocator, then by the compiler's optimisation level.
    pub(crate) sizes: BTreeMap<String, BTreeMap<String, Size>>,
    /// Contracts held, or not: by engine, workload, allocator.
    pub(crate) checks: Vec<Check>,
    /// Samples of time.
    pub(crate) times: Vec<Times>,
    /// Single operations.
    pub(crate) latencies: Vec<Latencies>,
    /// From bytes to the end of the first run.
    pub(crate) starts: Vec<Start>,
    /// What could not be measured, and why.
    pub(crate) missing: Vec<String>,
}

/// Where and how the run was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Setup {
    /// The command that repeats it.
    pub(crate) command: String,
    /// Of the repository; with `+` if files differed from it.
    pub(crate) commit: String,
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    /// Processes that wanted to run, averaged over a minute, when the run began.
    pub(crate) load: String,
    pub(crate) compiler: String,
    pub(crate) wasm_opt: Option<String>,
    pub(crate) quick: bool,
    /// Rounds of which times are medians.
    pub(crate) rounds: u32,
    /// The allocator whose times the others are divided by.
    pub(crate) reference: String,
    /// Holes of `special.holes_fuel`.
    pub(crate) hole_counts: Vec<u32>,
}

/// An engine, there or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EngineInfo {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// What makes its optimising compiler compile everything.
    pub(crate) tiers: Option<String>,
    /// Why it was not used.
    pub(crate) absent: Option<String>,
    /// The smallest step of its clock, in nanoseconds.
    pub(crate) resolution: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AllocatorInfo {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) version: Option<String>,
    pub(crate) about: String,
    /// False if freed memory never serves again.
    pub(crate) reclaims: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WorkloadInfo {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) is_program: bool,
    /// One of those over which the project's targets are computed.
    pub(crate) is_in_targets: bool,
    /// Heap operations.
    pub(crate) operations: usize,
    pub(crate) peak_live_bytes: u64,
}

/// Whether one allocator kept its contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Check {
    pub(crate) engine: Engine,
    pub(crate) workload: String,
    pub(crate) allocator: String,
    /// What went wrong, if something did.
    pub(crate) failure: Option<String>,
}

/// Times of one workload on one engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Times {
    pub(crate) engine: Engine,
    pub(crate) workload: String,
    /// Nanoseconds per heap operation, the driver's included, or per run of a program: one per
    /// round, in the order of the rounds, by allocator. `control` is the driver alone.
    pub(crate) nanoseconds: BTreeMap<String, Vec<f64>>,
    /// Why an allocator has none.
    pub(crate) failures: BTreeMap<String, String>,
}

/// Latencies of one workload on one engine, by allocator. `control` is the empty call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Latencies {
    pub(crate) engine: Engine,
    pub(crate) workload: String,
    pub(crate) by_allocator: BTreeMap<String, Latency>,
    pub(crate) failures: BTreeMap<String, String>,
}

/// A program's cold start on one engine, with its tiers as they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Start {
    pub(crate) engine: Engine,
    pub(crate) workload: String,
    pub(crate) allocator: String,
    /// Milliseconds to compile and instantiate, one per process.
    pub(crate) ready: Vec<f64>,
    /// Milliseconds of the first run.
    pub(crate) first_run: Vec<f64>,
}

impl WorkloadInfo {
    /// Is it one of those whose figures the targets' means are of? The ratchets have targets of
    /// their own.
    pub(crate) fn is_averaged(&self) -> bool {
        self.is_in_targets && !self.name.ends_with("ratchet")
    }
}

impl Results {
    /// Are a workload's contracts known on an engine?
    pub(crate) fn is_checked(&self, engine: Engine, workload: &str) -> bool {
        let mut checks = self.checks.iter();
        checks.any(|check| check.engine == engine && check.workload == workload)
    }

    /// Puts the checks in the order of engines, workloads and allocators.
    pub(crate) fn sort_checks(&mut self) {
        let place = |names: Vec<String>| -> BTreeMap<String, usize> {
            names.into_iter().zip(0..).collect()
        };
        let workloads = place(names(&self.workloads, |info| &info.name));
        let allocators = place(names(&self.allocators, |info| &info.name));
        self.checks.sort_by_key(|check| {
            let workload = workloads.get(&check.workload).copied();
            let allocator = allocators.get(&check.allocator).copied();
            (check.engine, workload, allocator)
        });
    }

    /// Are a workload's single operations known on an engine?
    pub(crate) fn has_latencies(&self, engine: Engine, workload: &str) -> bool {
        let mut latencies = self.latencies.iter();
        latencies.any(|one| one.engine == engine && one.workload == workload)
    }

    /// Is an allocator's cold start known on an engine?
    pub(crate) fn has_start(&self, engine: Engine, allocator: &str) -> bool {
        let mut starts = self.starts.iter();
        starts.any(|start| start.engine == engine && start.allocator == allocator)
    }

    /// Times of a workload on an engine.
    pub(crate) fn times(&self, engine: Engine, workload: &str) -> Option<&Times> {
        let mut times = self.times.iter();
        times.find(|times| times.engine == engine && times.workload == workload)
    }

    /// What an allocator needed for a workload.
    pub(crate) fn figures(&self, allocator: &str, workload: &str) -> Option<&Figures> {
        self.counts.get(allocator)?.get(workload)
    }
}

/// What they are called.
pub(super) fn names<T>(infos: &[T], name: fn(&T) -> &String) -> Vec<String> {
    infos.iter().map(name).cloned().collect()
}

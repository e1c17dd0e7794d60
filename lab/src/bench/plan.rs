//! What a run measures: allocators, workloads, engines and parts, chosen by the options.

use core::time::Duration;

use anyhow::{Result, ensure};

use super::Options;
use super::results::{AllocatorInfo, EngineInfo, WorkloadInfo};
use crate::engines::{ENGINES, Engine, Found, Job, Task, Tier};
use crate::workloads::{self, Program, Synthetic};
use alligator_tools::allocator::{self, Allocator};

/// The allocator whose times the others are divided by, if it is measured.
const REFERENCE: &str = "talc";

/// What a quick run times, of the synthetic workloads.
const QUICK_TIMES: [&str; 8] = [
    "random", "small", "lifo", "server", "vec", "frag", "worklet", "game",
];

/// Workloads whose single operations are timed.
const LATENCY: [&str; 5] = [
    "random-realloc",
    "server",
    "frag",
    "worklet",
    "near-fit-16k",
];

/// The program whose cold start is timed.
pub(crate) const START: &str = "json";

/// A part of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Part {
    /// Is every allocator correct?
    Check,
    /// Exact instructions and memory
    Counts,
    /// Code size
    Size,
    /// Time per operation and per program
    Time,
    /// Single operations
    Latency,
    /// Cold start
    Start,
}

impl Part {
    /// As it is shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Check => "contracts",
            Self::Counts => "instructions",
            Self::Size => "code size",
            Self::Time => "times",
            Self::Latency => "single operations",
            Self::Start => "cold starts",
        }
    }
}

/// A run, chosen.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) allocators: Vec<Allocator>,
    pub(crate) synthetic: Vec<Synthetic>,
    pub(crate) programs: Vec<Program>,
    /// All that were asked for; those that are not there with the reason.
    pub(crate) engines: Vec<(Engine, Result<Found, String>)>,
    pub(crate) reference: String,
    parts: Vec<Part>,
}

impl Plan {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let mut allocators = allocator::known()?;
        for name in &options.allocator {
            let exists = allocators.iter().any(|allocator| allocator.name == *name);
            ensure!(exists, "no allocator is called {name}");
        }
        allocators
            .retain(|one| options.allocator.is_empty() || options.allocator.contains(&one.name));
        let (mut synthetic, mut programs) = (workloads::synthetic()?, workloads::programs()?);
        for name in &options.only {
            let exists = synthetic.iter().any(|workload| workload.name == *name)
                || programs.iter().any(|program| program.name == *name);
            ensure!(exists, "no workload is called {name}");
        }
        let wanted = |name: &String| options.only.is_empty() || options.only.contains(name);
        synthetic.retain(|workload| wanted(&workload.name));
        programs.retain(|program| wanted(&program.name));
        let has_reference = allocators.iter().any(|one| one.name == REFERENCE);
        let reference = if has_reference {
            REFERENCE.to_owned()
        } else {
            allocators[0].name.clone()
        };
        let engines = ENGINES
            .into_iter()
            .filter(|engine| options.engine.is_empty() || options.engine.contains(engine));
        Ok(Self {
            quick: options.quick,
            allocators,
            synthetic,
            programs,
            engines: engines
                .map(|engine| (engine, engine.find().map_err(|why| format!("{why:#}"))))
                .collect(),
            reference,
            parts: options.measure.clone(),
        })
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Engines that are there.
    pub(crate) fn found(&self) -> impl Iterator<Item = Engine> {
        let found = self.engines.iter().filter(|(_, found)| found.is_ok());
        found.map(|(engine, _)| *engine)
    }

    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 5 } else { 9 }
    }

    /// A sample lasts at least this long.
    pub(crate) fn milliseconds_min(&self) -> u32 {
        if self.quick { 5 } else { 20 }
    }

    /// Without a result for so long, an engine is taken to hang.
    fn patience(&self) -> Duration {
        Duration::from_mins(if self.quick { 5 } else { 15 })
    }

    /// Tasks for one process of an engine.
    pub(crate) fn job(&self, engine: Engine, tier: Tier, tasks: Vec<Task>) -> Job {
        Job {
            tasks,
            milliseconds_min: self.milliseconds_min(),
            milliseconds_warm: engine.milliseconds_warm(),
            tier,
            patience: self.patience(),
        }
    }

    /// Is this synthetic workload timed?
    pub(crate) fn is_timed(&self, workload: &str) -> bool {
        !self.quick || QUICK_TIMES.contains(&workload)
    }

    /// Are programs timed on this engine? A quick run does not wait for the others' compilers.
    pub(crate) fn times_programs(&self, engine: Engine) -> bool {
        !self.quick || engine == Engine::V8
    }

    /// Are single operations of this workload timed?
    pub(crate) fn is_latency(&self, workload: &str) -> bool {
        let chosen = if self.quick {
            &LATENCY[1..2]
        } else {
            &LATENCY[..]
        };
        chosen.contains(&workload)
    }

    /// The command that repeats the run.
    pub(crate) fn command() -> String {
        let arguments = std::env::args().skip(1).collect::<Vec<_>>();
        format!("cargo xtask {}", arguments.join(" "))
    }

    pub(crate) fn engine_infos(&self) -> Vec<EngineInfo> {
        let infos = self.engines.iter().map(|(engine, found)| EngineInfo {
            engine: *engine,
            name: engine.name().to_owned(),
            version: found.as_ref().ok().map(|found| found.version.clone()),
            tiers: found.as_ref().ok().map(|found| found.tiers.clone()),
            absent: found.as_ref().err().cloned(),
            resolution: None,
        });
        infos.collect()
    }

    pub(crate) fn allocator_infos(&self) -> Vec<AllocatorInfo> {
        let infos = self.allocators.iter().map(|allocator| AllocatorInfo {
            name: allocator.name.clone(),
            kind: allocator.kind,
            version: allocator.version.clone(),
            about: allocator.about.clone(),
            reclaims: allocator.reclaims,
        });
        infos.collect()
    }

    /// Synthetic workloads first; what only a trace tells is filled in later.
    pub(crate) fn workload_infos(&self) -> Vec<WorkloadInfo> {
        let synthetic = self.synthetic.iter().map(|workload| WorkloadInfo {
            name: workload.name.clone(),
            about: workload.about.clone(),
            is_program: false,
            is_in_targets: workload.targets,
            operations: 0,
            peak_live_bytes: 0,
        });
        let programs = self.programs.iter().map(|program| WorkloadInfo {
            name: program.name.clone(),
            about: program.about.clone(),
            is_program: true,
            is_in_targets: program.targets,
            operations: 0,
            peak_live_bytes: 0,
        });
        synthetic.chain(programs).collect()
    }
}

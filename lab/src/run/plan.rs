//! What a run measures: allocators, workloads, engines and parts, chosen by a preset and the
//! options.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::results::{AllocatorInfo, EngineInfo, Results, SCHEMA, Setup, WorkloadInfo};
use crate::engines::{Engine, Found, Job, Task, Tier};
use crate::options::{Choice, Part};
use crate::workloads::{self, Program, Synthetic};
use alligator_tools::allocator::Allocator;
use alligator_tools::guest;

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

/// What a command measures if it is not told otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preset {
    /// Where its results are kept.
    pub(crate) output: &'static str,
    pub(crate) engines: &'static [Engine],
    pub(crate) parts: &'static [Part],
    /// Only allocators and workloads that the project's targets name.
    pub(crate) is_of_targets: bool,
    /// Programs are traces, replayed from recordings, instead of running whole.
    pub(crate) replays_programs: bool,
    /// The program of `cargo lab demo` instead of all workloads.
    pub(crate) is_demo: bool,
}

impl Preset {
    /// The directory of the results.
    pub(crate) fn output_of(&self, choice: &Choice) -> PathBuf {
        let chosen = choice.output.clone();
        guest::root().join(chosen.unwrap_or_else(|| PathBuf::from(self.output)))
    }
}

/// A run, chosen.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) allocators: Vec<Allocator>,
    pub(crate) synthetic: Vec<Synthetic>,
    pub(crate) programs: Vec<Program>,
    pub(crate) replays_programs: bool,
    pub(crate) is_demo: bool,
    /// All that were asked for; those that are not there with the reason.
    pub(crate) engines: Vec<(Engine, Result<Found, String>)>,
    pub(crate) reference: String,
    /// Of which times are medians.
    pub(crate) rounds: u32,
    parts: Vec<Part>,
}

impl Plan {
    /// # Errors
    /// Something has a name that is not known, or nothing is left.
    pub(crate) fn new(choice: &Choice, preset: &Preset) -> Result<Self> {
        let targets = preset.is_of_targets;
        let allocators = choice
            .allocators
            .choose(|one| !targets || one.is_in_targets)?;
        let (synthetic, programs) = if preset.is_demo {
            (Vec::new(), vec![workloads::demo()])
        } else {
            chosen_workloads(choice, targets)?
        };
        let reference = allocators
            .iter()
            .find(|one| one.name == REFERENCE)
            .or(allocators.first());
        let reference = reference.map(|one| one.name.clone());
        let engines = choice.engines.choose(preset.engines);
        let parts = if choice.measure.is_empty() {
            preset.parts
        } else {
            &choice.measure
        };
        Ok(Self {
            quick: choice.quick,
            allocators,
            synthetic,
            programs,
            replays_programs: preset.replays_programs,
            is_demo: preset.is_demo,
            engines: engines
                .into_iter()
                .map(|engine| (engine, engine.find().map_err(|why| format!("{why:#}"))))
                .collect(),
            reference: reference.unwrap_or_default(),
            rounds: choice.rounds.unwrap_or(if choice.quick { 5 } else { 9 }),
            parts: parts.to_vec(),
        })
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Engines that are there.
    pub(crate) fn found(&self) -> impl Iterator<Item = Engine> {
        let found = self.engines.iter().filter(|(_, found)| found.is_ok());
        found.map(|(engine, _)| *engine)
    }

    /// Tasks for one process of an engine.
    pub(crate) fn job(&self, engine: Engine, tier: Tier, tasks: Vec<Task>) -> Job {
        Job {
            tasks,
            milliseconds_min: if self.quick { 5 } else { 20 },
            milliseconds_warm: engine.milliseconds_warm(),
            tier,
            patience: Duration::from_mins(if self.quick { 5 } else { 15 }),
        }
    }

    /// Is this trace timed?
    pub(crate) fn is_timed(&self, workload: &str) -> bool {
        let is_recorded = self.programs.iter().any(|program| program.name == workload);
        !self.quick || is_recorded || QUICK_TIMES.contains(&workload)
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

    /// Results without any figure.
    pub(crate) fn nothing_measured(&self) -> Result<Results> {
        Ok(Results {
            schema: SCHEMA,
            setup: Setup::of_this_machine(self.quick, self.rounds, &self.reference)?,
            engines: self.engine_infos(),
            allocators: self.allocator_infos(),
            workloads: self.workload_infos(),
            counts: BTreeMap::new(),
            programs: BTreeMap::new(),
            special: BTreeMap::new(),
            sizes: BTreeMap::new(),
            checks: Vec::new(),
            times: Vec::new(),
            latencies: Vec::new(),
            starts: Vec::new(),
            missing: Vec::new(),
        })
    }

    fn engine_infos(&self) -> Vec<EngineInfo> {
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

    fn allocator_infos(&self) -> Vec<AllocatorInfo> {
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
    fn workload_infos(&self) -> Vec<WorkloadInfo> {
        let info = |name: &str, about: &str, is_program, is_in_targets| WorkloadInfo {
            name: name.to_owned(),
            about: about.to_owned(),
            is_program,
            is_in_targets,
            operations: 0,
            peak_live_bytes: 0,
        };
        let synthetic = self.synthetic.iter();
        let synthetic = synthetic.map(|one| info(&one.name, &one.about, false, one.targets));
        let programs = self.programs.iter();
        let programs =
            programs.map(|one| info(&one.name, &one.about, !self.replays_programs, one.targets));
        synthetic.chain(programs).collect()
    }
}

/// The workloads that are named, else all, or those `of_targets`.
fn chosen_workloads(choice: &Choice, of_targets: bool) -> Result<(Vec<Synthetic>, Vec<Program>)> {
    let (mut synthetic, mut programs) = (workloads::synthetic()?, workloads::programs()?);
    let names = synthetic.iter().map(|one| &one.name);
    let names: Vec<&String> = names.chain(programs.iter().map(|one| &one.name)).collect();
    choice.workloads.refuse_unknown(&names)?;
    choice.workloads.retain(
        &mut synthetic,
        |one| &one.name,
        |one| !of_targets || one.targets,
    );
    choice.workloads.retain(
        &mut programs,
        |one| &one.name,
        |one| !of_targets || one.targets,
    );
    ensure!(
        !synthetic.is_empty() || !programs.is_empty(),
        "there are no workloads"
    );
    Ok((synthetic, programs))
}

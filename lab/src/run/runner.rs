//! Measures what the plan says, part by part, and writes the results file after each step.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;

use super::file::failure;
use super::material::{Material, Workload, workloads_of};
use super::plan::Plan;
use super::results::Results;
use crate::engines::Engine;
use crate::options::Part;
use crate::progress;
use alligator_replay::{Op, Trace};

/// One that needs more per operation is not timed: it would take minutes.
const MEAN_FUEL_MAX: f64 = 10_000.0;

/// An allocator that never frees is not asked for more than this in all.
const BYTES_MAX: u64 = 512 << 20;

/// While many short steps follow each other, the results are written this often.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Measures one part.
type Measurement<'a> = fn(&mut Runner<'a>) -> Result<()>;

/// A run in progress.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) results: Results,
    pub(super) bar: ProgressBar,
    /// Shared with the threads that measure.
    pub(super) material: Arc<Material>,
    file: PathBuf,
    saved: Instant,
    /// Allocators that cannot run a workload, or take too long.
    left_out: BTreeSet<(String, String)>,
    /// The part that is measured; none while the run is prepared.
    part: Option<Part>,
    /// What is missing, by part.
    missing: BTreeMap<Option<Part>, BTreeSet<String>>,
    /// Parts that have not come to their end.
    unfinished: Vec<Part>,
    /// What took how long.
    seconds: Vec<(String, f64)>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(plan: &'a Plan, results: Results, file: PathBuf) -> Self {
        Self {
            plan,
            missing: results.failures(),
            results,
            bar: progress::bar(),
            material: Arc::default(),
            file,
            saved: Instant::now(),
            left_out: BTreeSet::new(),
            part: None,
            unfinished: chosen_parts(plan).collect(),
            seconds: Vec::new(),
        }
    }

    pub(super) fn into_results(self) -> Results {
        self.bar.finish_and_clear();
        let seconds = self.seconds.iter();
        let seconds: Vec<String> = seconds
            .map(|(what, seconds)| format!("{what} {seconds:.0}"))
            .collect();
        eprintln!("seconds: {}", seconds.join(", "));
        self.results
    }

    /// Runs all parts. What fails is noted and does not keep the rest from running.
    ///
    /// # Errors
    /// Nothing can be measured.
    pub(super) fn run(&mut self) -> Result<()> {
        for (_, found) in &self.plan.engines {
            if let Err(why) = found {
                self.missing(why.clone());
            }
        }
        let mut material = Material::default();
        self.timed("guests", |runner| {
            runner.step("building the guests", runner.plan.allocators.len());
            let skipped = material.build(runner.plan, &runner.bar)?;
            for why in skipped {
                runner.missing(why);
            }
            Ok(())
        })?;
        self.timed("traces", |runner| {
            runner.step("recording the programs", runner.plan.programs.len());
            material.workloads = workloads_of(runner.plan)?;
            Ok(())
        })?;
        let infos = self.results.workloads.iter_mut();
        for (info, workload) in infos.zip(&material.workloads) {
            info.operations = workload.trace.ops.len();
            info.peak_live_bytes = workload.trace.peak_live_bytes;
        }
        self.material = Arc::new(material);
        self.leave_out_what_is_too_much();
        for part in chosen_parts(self.plan) {
            // Contracts are checked without regard to what is known, so that a run that resumes
            // checks what an uninterrupted one does.
            if part != Part::Check {
                self.leave_out_broken();
                self.leave_out_slow();
            }
            self.part = Some(part);
            if let Err(error) = self.timed(part.name(), measurement(part)) {
                self.missing(format!("{}: {error:#}", part.name()));
            }
            self.unfinished.retain(|one| *one != part);
            self.save();
        }
        Ok(())
    }

    /// Does something, and notes how long it took.
    fn timed(&mut self, what: &str, action: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        let outcome = action(self);
        let seconds = start.elapsed().as_secs_f64();
        self.seconds.push((what.to_owned(), seconds));
        outcome
    }

    /// Notes what is missing, and shows it.
    pub(super) fn missing(&mut self, what: String) {
        self.bar.suspend(|| eprintln!("missing: {what}"));
        self.missing.entry(self.part).or_default().insert(what);
    }

    /// Notes that an engine could not do a workload with an allocator.
    pub(super) fn failed(&mut self, engine: Engine, workload: &str, allocator: &str, why: &str) {
        self.missing(failure(engine, workload, allocator, why));
    }

    /// Writes the results so far. If that fails, the reason is shown and the run goes on.
    pub(super) fn save(&mut self) {
        self.results.missing = self.missing.values().flatten().cloned().collect();
        if !self.unfinished.is_empty() {
            let parts: Vec<&str> = self.unfinished.iter().map(|part| part.name()).collect();
            let what = format!("not finished: {}; --resume goes on", parts.join(", "));
            self.results.missing.push(what);
        }
        if let Err(error) = self.results.write(&self.file) {
            self.bar.suspend(|| eprintln!("{error:#}"));
        }
        self.saved = Instant::now();
    }

    /// Writes the results if they have not been written for a while.
    pub(super) fn save_sometimes(&mut self) {
        if self.saved.elapsed() > SAVE_EVERY {
            self.save();
        }
    }

    /// Begins to show something that has so many steps.
    pub(super) fn step(&self, what: &str, length: usize) {
        self.bar.set_message(what.to_owned());
        self.bar.set_length(length as u64);
        self.bar.set_position(0);
        self.bar.enable_steady_tick(Duration::from_millis(200));
        if self.bar.is_hidden() {
            eprintln!("{what}");
        }
    }

    /// Leaves out what an allocator that never frees cannot do.
    fn leave_out_what_is_too_much(&mut self) {
        let mut reasons = Vec::new();
        for allocator in self.material.allocators.iter().filter(|one| !one.reclaims) {
            for Workload { trace, .. } in &self.material.workloads {
                let bytes = requested_bytes(trace);
                if bytes > BYTES_MAX {
                    let mebibytes = bytes >> 20;
                    let why = format!("it never frees, and {mebibytes} MiB are asked for in all");
                    reasons.push((allocator.name.clone(), trace.name.clone(), why));
                }
            }
        }
        for (allocator, workload, why) in reasons {
            self.leave_out(&allocator, &workload, &why);
        }
    }

    /// Who breaks its contract on a workload is not measured on it.
    fn leave_out_broken(&mut self) {
        let checks = self.results.checks.iter();
        let broken = checks.filter(|check| check.failure.is_some());
        let broken = broken.map(|check| (check.allocator.clone(), check.workload.clone()));
        self.left_out.extend(broken);
    }

    /// Who needs very many instructions is not timed.
    pub(super) fn leave_out_slow(&mut self) {
        let mut slow = Vec::new();
        for (allocator, counts) in &self.results.counts {
            for (workload, figures) in counts {
                let mean = figures.mean_fuel();
                if mean > MEAN_FUEL_MAX {
                    let why = format!("not timed: {mean:.0} instructions per operation");
                    slow.push((allocator.clone(), workload.clone(), why));
                }
            }
        }
        let part = self.part.replace(Part::Counts);
        for (allocator, workload, why) in slow {
            if !self.is_left_out(&allocator, &workload) {
                self.leave_out(&allocator, &workload, &why);
            }
        }
        self.part = part;
    }

    pub(super) fn is_left_out(&self, allocator: &str, workload: &str) -> bool {
        self.left_out
            .contains(&(allocator.to_owned(), workload.to_owned()))
    }

    pub(super) fn leave_out(&mut self, allocator: &str, workload: &str, why: &str) {
        self.missing(format!("{allocator} on {workload}: {why}"));
        self.left_out
            .insert((allocator.to_owned(), workload.to_owned()));
    }
}

/// The parts of a plan, in their order.
fn chosen_parts(plan: &Plan) -> impl Iterator<Item = Part> {
    Part::ALL.into_iter().filter(|part| plan.has(*part))
}

fn measurement<'a>(part: Part) -> Measurement<'a> {
    match part {
        Part::Check => Runner::checks,
        Part::Counts => Runner::counts,
        Part::Size => Runner::sizes,
        Part::Time => Runner::times,
        Part::Latency => Runner::latencies,
        Part::Start => Runner::starts,
    }
}

/// Bytes that a trace asks for in all.
fn requested_bytes(trace: &Trace) -> u64 {
    let bytes = trace.ops.iter().map(|op| match *op {
        Op::Alloc { size, .. } | Op::Realloc { size, .. } => u64::from(size),
        Op::Dealloc { .. } => 0,
    });
    bytes.sum()
}

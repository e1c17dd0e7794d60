//! Measures what the plan says, part by part, and writes the results file after each step.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmtime::{Instance, Module};

use super::plan::{Part, Plan, START};
use super::queue;
use super::results::{Check, Latencies, Results, Start, Times, failure};
use crate::engines::{Engine, Measure, ModuleFile, Outcome, Task, Tier};
use crate::fuel::Figures;
use crate::probe::Probe;
use crate::special::Special;
use crate::trace::{Op, Trace};
use crate::workloads::Program;
use crate::{fuel, oracle, programs, size, special};
use alligator_meter::{counting_engine, counting_store};
use alligator_tools::allocator::{self, Allocator, Exports};
use alligator_tools::guest::guests_dir;

/// An allocator that needs more instructions for a trace is given up on.
const FUEL_MAX: u64 = 3_000_000_000;

/// One that needs more for a whole program is taken to hang.
const PROGRAM_FUEL_MAX: u64 = 100_000_000_000;

/// One that needs more per operation is not timed: it would take minutes.
const MEAN_FUEL_MAX: f64 = 10_000.0;

/// An allocator that never frees is not asked for more than this in all.
const BYTES_MAX: u64 = 512 << 20;

/// The compiler's levels under which code size is measured.
pub(crate) const OPT_LEVELS: [&str; 4] = ["z", "s", "2", "3"];

/// Processes of which each cold start is measured.
const STARTS: usize = 3;

/// Workloads that one process checks: few enough that the cores share the work.
const CHECKS_PER_PROCESS: usize = 11;

/// An engine that ends this often without any result is not started again for the same part.
const FRUITLESS_MAX: usize = 2;

/// While many short steps follow each other, the results are written this often.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Measures one part.
type Measurement<'a> = fn(&mut Runner<'a>) -> Result<()>;

/// Keeps an outcome of a workload.
type Keep = fn(&mut Results, Engine, &str, Outcome);

/// A run in progress.
pub(crate) struct Runner<'a> {
    plan: &'a Plan,
    results: Results,
    file: PathBuf,
    saved: Instant,
    bar: ProgressBar,
    traces: Vec<Trace>,
    /// Checksums of the workloads, in the order of `traces`.
    checksums: Vec<u32>,
    /// Built guests, by allocator and suffix.
    modules: BTreeMap<(String, &'static str), PathBuf>,
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

/// Tasks for one process of an engine.
struct Batch {
    engine: Engine,
    tier: Tier,
    tasks: Vec<Task>,
}

impl Batch {
    /// Tasks for as many processes as are needed, if each does so many.
    fn of(engine: Engine, tier: Tier, tasks: &[Task], per_process: usize) -> Vec<Self> {
        let batches = tasks.chunks(per_process).map(|tasks| Self {
            engine,
            tier,
            tasks: tasks.to_vec(),
        });
        batches.collect()
    }
}

/// What becomes of a batch, step by step.
enum Event {
    Outcome(Engine, Outcome),
    /// The engine failed at this task; none if it had done all.
    Failure(Engine, Option<usize>, anyhow::Error),
}

/// One exact count: of an allocator, by its place in the plan.
struct Count {
    allocator: usize,
    what: Counted,
}

/// What is counted.
#[derive(Clone, Copy)]
enum Counted {
    /// A trace, by its place.
    Trace(usize),
    Special,
    /// A whole program, by its place in the plan.
    Program(usize),
}

/// The count.
enum Counts {
    Trace(Box<Figures>),
    Special(Special),
    Program(u64),
}

impl<'a> Runner<'a> {
    pub(crate) fn new(plan: &'a Plan, results: Results, file: PathBuf, visible: bool) -> Self {
        let target = if visible {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) =
            ProgressStyle::with_template("{msg:40!} {wide_bar} {pos}/{len} {elapsed}")
        {
            bar.set_style(style);
        }
        Self {
            plan,
            missing: results.failures(),
            results,
            file,
            saved: Instant::now(),
            bar,
            traces: Vec::new(),
            checksums: Vec::new(),
            modules: BTreeMap::new(),
            left_out: BTreeSet::new(),
            part: None,
            unfinished: PARTS.into_iter().filter(|part| plan.has(*part)).collect(),
            seconds: Vec::new(),
        }
    }

    pub(crate) fn into_results(self) -> Results {
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
    pub(crate) fn run(&mut self) -> Result<()> {
        for (_, found) in &self.plan.engines {
            if let Err(why) = found {
                self.missing(why.clone());
            }
        }
        self.timed("guests", Self::build)?;
        self.timed("traces", Self::make_traces)?;
        self.leave_out_what_is_too_much();
        for part in PARTS {
            if !self.plan.has(part) {
                continue;
            }
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
    fn timed(&mut self, what: &str, action: Measurement<'a>) -> Result<()> {
        let start = Instant::now();
        let outcome = action(self);
        let seconds = start.elapsed().as_secs_f64();
        self.seconds.push((what.to_owned(), seconds));
        outcome
    }

    /// Notes what is missing, and shows it.
    fn missing(&mut self, what: String) {
        self.bar.suspend(|| eprintln!("missing: {what}"));
        self.missing.entry(self.part).or_default().insert(what);
    }

    /// Writes the results so far. If that fails, the reason is shown and the run goes on.
    fn save(&mut self) {
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
    fn save_sometimes(&mut self) {
        if self.saved.elapsed() > SAVE_EVERY {
            self.save();
        }
    }

    fn step(&self, what: &str, length: usize) {
        self.bar.set_message(what.to_owned());
        self.bar.set_length(length as u64);
        self.bar.set_position(0);
        self.bar.enable_steady_tick(Duration::from_millis(200));
        if self.bar.is_hidden() {
            eprintln!("{what}");
        }
    }

    /// Builds every guest, and makes sure that no two modules are the same.
    fn build(&mut self) -> Result<()> {
        let control = allocator::control()?;
        let allocators: Vec<&Allocator> = core::iter::once(&control)
            .chain(&self.plan.allocators)
            .collect();
        self.step("building the guests", allocators.len());
        let mut contents: BTreeMap<Vec<u8>, String> = BTreeMap::new();
        for allocator in allocators {
            self.bar.set_message(format!("building {}", allocator.name));
            let mut wanted = vec![("probe", Exports::Probe), ("replay", Exports::Replay)];
            if allocator.name != control.name && !self.plan.programs.is_empty() {
                wanted.push(("programs", Exports::Programs));
            }
            for (suffix, exports) in wanted {
                let path = allocator
                    .build(exports)
                    .with_context(|| format!("building {}", allocator.name))?;
                if suffix == "probe" {
                    let module = std::fs::read(&path)?;
                    let name = allocator.name.clone();
                    if let Some(twin) = contents.insert(module, name.clone()) {
                        bail!("{name} and {twin} are the same module");
                    }
                }
                self.modules.insert((allocator.name.clone(), suffix), path);
            }
            self.bar.inc(1);
        }
        Ok(())
    }

    /// Generates and records the traces, and holds their checksums against the workloads' files.
    fn make_traces(&mut self) -> Result<()> {
        self.step("recording the programs", self.plan.programs.len());
        for workload in &self.plan.synthetic {
            let trace = workload.trace(self.plan.quick);
            let checksum = oracle::checksum(&trace);
            ensure!(
                workload.checksum(self.plan.quick) == Some(checksum),
                "{}: the trace's checksum is {checksum}, not the file's",
                workload.name
            );
            self.traces.push(trace);
            self.checksums.push(checksum);
        }
        let engine = counting_engine()?;
        let programs: Vec<_> = self.plan.programs.iter().collect();
        let recorded = programs::record(&engine, &programs)?;
        for (program, recorded) in programs.iter().zip(recorded) {
            ensure!(
                program.checksum == Some(recorded.checksum),
                "{}: the output's checksum is {}, not the file's",
                program.name,
                recorded.checksum
            );
            self.traces.push(recorded.trace);
            self.checksums.push(recorded.checksum);
        }
        for (info, trace) in self.results.workloads.iter_mut().zip(&self.traces) {
            info.operations = trace.ops.len();
            info.peak_live_bytes = trace.peak_live_bytes;
        }
        Ok(())
    }

    /// Leaves out what an allocator that never frees cannot do.
    fn leave_out_what_is_too_much(&mut self) {
        let mut reasons = Vec::new();
        for allocator in self.plan.allocators.iter().filter(|one| !one.reclaims) {
            for trace in &self.traces {
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
    fn leave_out_slow(&mut self) {
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

    fn is_left_out(&self, allocator: &str, workload: &str) -> bool {
        self.left_out
            .contains(&(allocator.to_owned(), workload.to_owned()))
    }

    fn leave_out(&mut self, allocator: &str, workload: &str, why: &str) {
        self.missing(format!("{allocator} on {workload}: {why}"));
        self.left_out
            .insert((allocator.to_owned(), workload.to_owned()));
    }

    fn module(&self, allocator: &str, suffix: &'static str) -> Result<PathBuf> {
        let path = self.modules.get(&(allocator.to_owned(), suffix));
        path.cloned()
            .with_context(|| format!("{allocator} has no {suffix} guest"))
    }

    /// Exact counts: traces and special figures first, then the programs of those who are not too
    /// slow.
    fn counts(&mut self) -> Result<()> {
        let wanted = |counted: Counted| {
            let allocators = 0..self.plan.allocators.len();
            allocators.map(move |allocator| Count {
                allocator,
                what: counted,
            })
        };
        let traces = (0..self.traces.len()).map(Counted::Trace);
        let first: Vec<Count> = core::iter::once(Counted::Special)
            .chain(traces)
            .flat_map(wanted)
            .collect();
        let programs = (0..self.plan.programs.len()).map(Counted::Program);
        let second: Vec<Count> = programs.flat_map(wanted).collect();
        self.count("counting instructions", first, "probe")?;
        if !self.plan.quick {
            self.leave_out_slow();
            self.count("counting programs", second, "programs")?;
        }
        Ok(())
    }

    /// Counts what is not known yet, on all cores.
    fn count(&mut self, title: &str, mut wanted: Vec<Count>, suffix: &'static str) -> Result<()> {
        wanted.retain(|count| !self.is_counted(count) && !self.is_count_left_out(count));
        self.step(title, wanted.len());
        let counter = Counter::new(self, suffix)?;
        let (plan, traces) = (self.plan, core::mem::take(&mut self.traces));
        queue::run(
            &wanted,
            queue::cores(),
            |count, emit| {
                let name = &plan.allocators[count.allocator].name;
                emit((name, count.what, counter.count(plan, &traces, count)));
            },
            |(name, what, counts)| {
                self.bar.inc(1);
                let workload = match what {
                    Counted::Trace(index) => &traces[index].name,
                    Counted::Special => "the special figures",
                    Counted::Program(index) => &plan.programs[index].name,
                };
                match counts {
                    Ok(counts) => add(&mut self.results, name, workload, counts),
                    Err(error) => {
                        let why = first_line(&error.root_cause().to_string());
                        self.leave_out(name, workload, &why);
                    }
                }
                self.save_sometimes();
            },
        );
        self.traces = traces;
        Ok(())
    }

    fn is_counted(&self, count: &Count) -> bool {
        let name = &self.plan.allocators[count.allocator].name;
        match count.what {
            Counted::Trace(index) => {
                let counts = self.results.counts.get(name);
                counts.is_some_and(|counts| counts.contains_key(&self.traces[index].name))
            }
            Counted::Special => self.results.special.contains_key(name),
            Counted::Program(index) => {
                let counts = self.results.programs.get(name);
                counts.is_some_and(|counts| counts.contains_key(&self.plan.programs[index].name))
            }
        }
    }

    fn is_count_left_out(&self, count: &Count) -> bool {
        let name = &self.plan.allocators[count.allocator].name;
        match count.what {
            Counted::Trace(index) => self.is_left_out(name, &self.traces[index].name),
            Counted::Special => false,
            Counted::Program(index) => self.is_left_out(name, &self.plan.programs[index].name),
        }
    }

    fn sizes(&mut self) -> Result<()> {
        let optimizer = size::optimizer_exists();
        if !optimizer {
            self.missing(
                "sizes after wasm-opt: it is not installed (Debian package binaryen)".to_owned(),
            );
        }
        self.step(
            "building for size",
            OPT_LEVELS.len() * self.plan.allocators.len(),
        );
        for level in OPT_LEVELS {
            let mut empty = None;
            for allocator in &self.plan.allocators {
                self.bar.inc(1);
                let known = self.results.sizes.get(&allocator.name);
                if known.is_some_and(|sizes| sizes.contains_key(level)) {
                    continue;
                }
                let empty = match empty {
                    Some(empty) => empty,
                    None => *empty.insert(size::empty(level, optimizer)?),
                };
                match size::added_to(empty, allocator, level, optimizer) {
                    Ok(size) => {
                        let sizes = self.results.sizes.entry(allocator.name.clone());
                        sizes.or_default().insert(level.to_owned(), size);
                    }
                    Err(error) => {
                        let why = first_line(&format!("{error:#}"));
                        self.missing(format!("{}, size at {level}: {why}", allocator.name));
                    }
                }
            }
            self.save();
        }
        Ok(())
    }

    /// A task that runs a workload on all allocators that can.
    fn task(&self, measure: Measure, index: usize, rounds: u32) -> Result<Task> {
        let trace = &self.traces[index];
        let program = index.checked_sub(self.plan.synthetic.len());
        let program = program.map(|program| self.plan.programs[program].number);
        let suffix = if program.is_some() {
            "programs"
        } else {
            "replay"
        };
        let mut modules = Vec::new();
        if program.is_none() && measure != Measure::Check {
            modules.push(ModuleFile {
                name: "control".to_owned(),
                path: self.module("control", suffix)?,
            });
        }
        for allocator in &self.plan.allocators {
            if !self.is_left_out(&allocator.name, &trace.name) {
                modules.push(ModuleFile {
                    name: allocator.name.clone(),
                    path: self.module(&allocator.name, suffix)?,
                });
            }
        }
        Ok(Task {
            id: index,
            measure,
            rounds,
            checksum: self.checksums[index],
            modules,
            trace: match program {
                None => Some(trace.write(&guests_dir())?),
                Some(_) => None,
            },
            program,
        })
    }

    /// Runs batches, and keeps what comes of them. When an engine fails, the task it was at is given
    /// up, and the rest goes on in another process.
    fn run_batches(&mut self, what: &str, batches: &[Batch], threads: usize, keep: Keep) {
        let length = batches.iter().map(|batch| batch.tasks.len()).sum();
        self.step(what, length);
        let plan = self.plan;
        queue::run(
            batches,
            threads,
            |batch, emit| run_batch(plan, batch, emit),
            |event| {
                self.bar.inc(1);
                self.take(event, keep);
                self.save();
            },
        );
    }

    /// Keeps what an engine found out, and notes what failed.
    fn take(&mut self, event: Event, keep: Keep) {
        match event {
            Event::Outcome(engine, outcome) => {
                let infos = self.results.engines.iter_mut();
                for info in infos.filter(|info| info.engine == engine) {
                    info.resolution = Some(outcome.resolution);
                }
                let trace = self.traces.get(outcome.task);
                let workload = trace.map_or_else(String::new, |trace| trace.name.clone());
                for (allocator, why) in &outcome.failures {
                    self.missing(failure(engine, &workload, allocator, why));
                }
                // What failed as a whole is measured again by a run that resumes this one.
                if !outcome.failures.contains_key("*") {
                    keep(&mut self.results, engine, &workload, outcome);
                }
            }
            Event::Failure(engine, task, error) => {
                let trace = task.and_then(|task| self.traces.get(task));
                let workload = trace.map_or("after the last", |trace| trace.name.as_str());
                self.missing(format!("{}, {workload}: {error:#}", engine.name()));
            }
        }
    }

    /// The tasks of one part on one engine, for the workloads that `wanted` chooses.
    fn tasks(
        &self,
        measure: Measure,
        rounds: u32,
        wanted: impl Fn(&str, bool) -> bool,
    ) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for (index, trace) in self.traces.iter().enumerate() {
            if wanted(&trace.name, index >= self.plan.synthetic.len()) {
                tasks.push(self.task(measure, index, rounds)?);
            }
        }
        Ok(tasks)
    }

    /// Contracts: traces on every engine; programs on one, the others check while they time. They
    /// are kept or broken whatever runs beside them, so that all cores are used.
    fn checks(&mut self) -> Result<()> {
        let mut batches = Vec::new();
        for engine in self.plan.found() {
            // A trace stays in one function for long, which is worth compiling well; a program
            // has thousands of them, most of which are not even called.
            for (of_programs, tier) in [(false, Tier::Optimising), (true, Tier::Own)] {
                let tasks = self.tasks(Measure::Check, 1, |workload, is_program| {
                    is_program == of_programs
                        && (!is_program || engine == Engine::V8)
                        && !self.results.is_checked(engine, workload)
                })?;
                batches.extend(Batch::of(engine, tier, &tasks, CHECKS_PER_PROCESS));
            }
        }
        self.run_batches(
            "contracts",
            &batches,
            queue::cores(),
            |results, engine, workload, outcome| {
                let passed = outcome.samples.into_keys().map(|name| (name, None));
                let failed = outcome.failures.into_iter();
                let failed = failed.map(|(name, why)| (name, Some(why)));
                let checks = passed.chain(failed).map(|(allocator, failure)| Check {
                    engine,
                    workload: workload.to_owned(),
                    allocator,
                    failure,
                });
                results.checks.extend(checks);
            },
        );
        self.results.sort_checks();
        Ok(())
    }

    fn times(&mut self) -> Result<()> {
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines {
            let plan = self.plan;
            let tasks = self.tasks(Measure::Time, plan.rounds(), |workload, is_program| {
                let wanted = if is_program {
                    plan.times_programs(engine)
                } else {
                    plan.is_timed(workload)
                };
                wanted && self.results.times(engine, workload).is_none()
            })?;
            self.run_batches(
                &format!("{}: times", engine.name()),
                &Batch::of(engine, Tier::Optimising, &tasks, engine.timed_per_process()),
                1,
                |results, engine, workload, outcome| {
                    results.times.push(Times {
                        engine,
                        workload: workload.to_owned(),
                        nanoseconds: outcome.samples,
                        failures: outcome.failures,
                    });
                },
            );
        }
        Ok(())
    }

    fn latencies(&mut self) -> Result<()> {
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines {
            let plan = self.plan;
            let tasks = self.tasks(Measure::Latency, plan.rounds(), |workload, is_program| {
                let is_known = self.results.has_latencies(engine, workload);
                !is_program && !is_known && plan.is_latency(workload)
            })?;
            self.run_batches(
                &format!("{}: single operations", engine.name()),
                &Batch::of(engine, Tier::Optimising, &tasks, engine.timed_per_process()),
                1,
                |results, engine, workload, outcome| {
                    results.latencies.push(Latencies {
                        engine,
                        workload: workload.to_owned(),
                        by_allocator: outcome.latency,
                        failures: outcome.failures,
                    });
                },
            );
        }
        Ok(())
    }

    /// Cold starts: a process for each sample. A browser is not started so often.
    fn starts(&mut self) -> Result<()> {
        let mut programs = self.plan.programs.iter();
        let place = programs.position(|program| program.name == START);
        let Some(place) = place.filter(|_| !self.plan.quick) else {
            return Ok(());
        };
        let whole = self.task(Measure::Start, self.plan.synthetic.len() + place, 1)?;
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines {
            if engine == Engine::SpiderMonkey {
                continue;
            }
            let title = format!("{}: cold starts", engine.name());
            self.step(&title, whole.modules.len());
            for module in &whole.modules {
                self.bar.inc(1);
                if self.results.has_start(engine, &module.name) {
                    continue;
                }
                match self.start(engine, &whole, module) {
                    Ok(start) => self.results.starts.push(start),
                    Err(error) => {
                        let name = &module.name;
                        self.missing(format!("{}, start of {name}: {error:#}", engine.name()));
                    }
                }
                self.save();
            }
        }
        Ok(())
    }

    /// One allocator's cold start on one engine.
    fn start(&self, engine: Engine, whole: &Task, module: &ModuleFile) -> Result<Start> {
        let job = self.plan.job(
            engine,
            Tier::Own,
            vec![Task {
                modules: vec![module.clone()],
                ..whole.clone()
            }],
        );
        let mut start = Start {
            engine,
            workload: START.to_owned(),
            allocator: module.name.clone(),
            ready: Vec::new(),
            first_run: Vec::new(),
        };
        for _ in 0..STARTS {
            let mut failure = None;
            engine.run(&job, &mut |outcome| {
                let samples = outcome.samples.get(&module.name).map(Vec::as_slice);
                if let Some([ready, first_run]) = samples {
                    start.ready.push(*ready);
                    start.first_run.push(*first_run);
                }
                failure = outcome.failures.into_values().next();
            })?;
            if let Some(why) = failure {
                bail!(why);
            }
        }
        Ok(start)
    }
}

/// The parts, in the order in which they are measured: who breaks its contract is not measured,
/// and who is slow is not timed.
const PARTS: [Part; 6] = [
    Part::Check,
    Part::Counts,
    Part::Size,
    Part::Time,
    Part::Latency,
    Part::Start,
];

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

/// Runs a batch's tasks in one process, and in another one after each failure.
fn run_batch(plan: &Plan, batch: &Batch, emit: &mut dyn FnMut(Event)) {
    let engine = batch.engine;
    let mut tasks = batch.tasks.as_slice();
    let mut fruitless = 0;
    while !tasks.is_empty() {
        let job = plan.job(engine, batch.tier, tasks.to_vec());
        let mut done = 0;
        let run = engine.run(&job, &mut |outcome| {
            done += 1;
            emit(Event::Outcome(engine, outcome));
        });
        tasks = &tasks[done..];
        let Err(error) = run else { return };
        let Some((given_up, rest)) = tasks.split_first() else {
            emit(Event::Failure(engine, None, error));
            return;
        };
        emit(Event::Failure(engine, Some(given_up.id), error));
        tasks = rest;
        fruitless = if done == 0 { fruitless + 1 } else { 0 };
        if fruitless == FRUITLESS_MAX {
            break;
        }
    }
    for task in tasks {
        let error = anyhow!("given up: the engine failed {FRUITLESS_MAX} times before");
        emit(Event::Failure(engine, Some(task.id), error));
    }
}

/// What counts instructions, of modules that are compiled when they are needed.
struct Counter {
    engine: wasmtime::Engine,
    initial_pages: u64,
    paths: Vec<PathBuf>,
    /// In the order of `paths`, or why there is none.
    modules: Vec<OnceLock<Result<Module, String>>>,
}

impl Counter {
    fn new(runner: &Runner<'_>, suffix: &'static str) -> Result<Self> {
        let engine = counting_engine()?;
        let control = Module::from_file(&engine, runner.module("control", "probe")?)?;
        let initial_pages = Probe::new(&engine, &control)?.pages();
        let allocators = runner.plan.allocators.iter();
        let paths: Result<Vec<PathBuf>> = allocators
            .map(|allocator| runner.module(&allocator.name, suffix))
            .collect();
        let paths = paths?;
        Ok(Self {
            engine,
            initial_pages,
            modules: paths.iter().map(|_| OnceLock::new()).collect(),
            paths,
        })
    }

    fn module(&self, place: usize) -> Result<&Module> {
        let compile = || {
            let module = Module::from_file(&self.engine, &self.paths[place]);
            module.map_err(|error| format!("{error:#}"))
        };
        let module = self.modules[place].get_or_init(compile).as_ref();
        module.map_err(|why| anyhow!("{why}"))
    }

    fn count(&self, plan: &Plan, traces: &[Trace], count: &Count) -> Result<Counts> {
        let (engine, module) = (&self.engine, self.module(count.allocator)?);
        Ok(match count.what {
            Counted::Trace(index) => {
                let (trace, pages) = (&traces[index], self.initial_pages);
                let figures = fuel::run_within(engine, module, trace, pages, FUEL_MAX)?;
                Counts::Trace(Box::new(figures))
            }
            Counted::Special => Counts::Special(special::run(engine, module)?),
            Counted::Program(index) => {
                Counts::Program(count_program(engine, module, &plan.programs[index])?)
            }
        })
    }
}

/// Adds a count to the results.
fn add(results: &mut Results, allocator: &str, workload: &str, counts: Counts) {
    let (allocator, workload) = (allocator.to_owned(), workload.to_owned());
    match counts {
        Counts::Trace(figures) => {
            let counts = results.counts.entry(allocator).or_default();
            counts.insert(workload, *figures);
        }
        Counts::Special(special) => {
            results.special.insert(allocator, special);
        }
        Counts::Program(fuel) => {
            let programs = results.programs.entry(allocator).or_default();
            programs.insert(workload, fuel);
        }
    }
}

/// Instructions of a whole program.
fn count_program(engine: &wasmtime::Engine, module: &Module, program: &Program) -> Result<u64> {
    let mut store = counting_store(engine, ())?;
    store.set_fuel(PROGRAM_FUEL_MAX)?;
    let instance = Instance::new(&mut store, module, &[])?;
    let run = instance.get_typed_func::<u32, u32>(&mut store, "program")?;
    let before = store.get_fuel()?;
    let checksum = run.call(&mut store, program.number)?;
    ensure!(Some(checksum) == program.checksum, "another output");
    Ok(before - store.get_fuel()?)
}

/// Bytes that a trace asks for in all.
fn requested_bytes(trace: &Trace) -> u64 {
    let bytes = trace.ops.iter().map(|op| match *op {
        Op::Alloc { size, .. } | Op::Realloc { size, .. } => u64::from(size),
        Op::Dealloc { .. } => 0,
    });
    bytes.sum()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

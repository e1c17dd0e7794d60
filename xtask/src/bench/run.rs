//! Measures what the plan says, part by part, and writes the results file after each step.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmtime::{Instance, Module};

use super::plan::{Part, Plan, START};
use super::results::{Check, Latencies, Results, Start, Times};
use crate::engine::{counting_engine, counting_store};
use crate::guest::guests_dir;
use crate::lab::allocator::{self, Allocator, Exports};
use crate::lab::engines::{Engine, Job, Measure, ModuleFile, Outcome, Task, Tier};
use crate::lab::probe::Probe;
use crate::lab::trace::{Op, Trace};
use crate::lab::{fuel, oracle, programs, size, special};

/// An allocator that needs more instructions for a trace is given up on.
const FUEL_MAX: u64 = 3_000_000_000;

/// One that needs more per operation is not timed: it would take minutes.
const MEAN_FUEL_MAX: f64 = 10_000.0;

/// An allocator that never frees is not asked for more than this in all.
const BYTES_MAX: u64 = 512 << 20;

/// The compiler's levels under which code size is measured.
pub(crate) const OPT_LEVELS: [&str; 4] = ["z", "s", "2", "3"];

/// Processes of which each cold start is measured.
const STARTS: usize = 3;

/// Measures one part.
type Measurement<'a> = fn(&mut Runner<'a>) -> Result<()>;

/// A run in progress.
pub(crate) struct Runner<'a> {
    plan: &'a Plan,
    results: Results,
    file: PathBuf,
    bar: ProgressBar,
    traces: Vec<Trace>,
    /// Checksums of the workloads, in the order of `traces`.
    checksums: Vec<u32>,
    /// Built guests, by allocator and suffix.
    modules: BTreeMap<(String, &'static str), PathBuf>,
    /// Allocators that cannot run a workload, or take too long.
    left_out: BTreeSet<(String, String)>,
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
            results,
            file,
            bar,
            traces: Vec::new(),
            checksums: Vec::new(),
            modules: BTreeMap::new(),
            left_out: BTreeSet::new(),
        }
    }

    pub(crate) fn into_results(self) -> Results {
        self.bar.finish_and_clear();
        self.results
    }

    /// Runs all parts. What fails is noted and does not keep the rest from running.
    ///
    /// # Errors
    /// Nothing can be measured; or something was missed, which the results say.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.results.missing.clear();
        for (_, found) in &self.plan.engines {
            if let Err(why) = found {
                eprintln!("{why}");
                self.results.missing.push(why.clone());
            }
        }
        self.build()?;
        self.make_traces()?;
        self.choose();
        let parts: [(Part, Measurement<'a>); 6] = [
            (Part::Check, Self::checks),
            (Part::Counts, Self::counts),
            (Part::Size, Self::sizes),
            (Part::Time, Self::times),
            (Part::Latency, Self::latencies),
            (Part::Start, Self::starts),
        ];
        for (part, measure) in parts {
            if self.plan.has(part)
                && let Err(error) = measure(self)
            {
                self.missing(format!("{part:?}: {error:#}"));
            }
            self.save();
        }
        Ok(())
    }

    /// Notes what is missing, and shows it.
    fn missing(&mut self, what: String) {
        self.bar.suspend(|| eprintln!("missing: {what}"));
        self.results.missing.push(what);
    }

    /// Writes the results so far. If that fails, the reason is shown and the run goes on.
    fn save(&self) {
        if let Err(error) = self.results.write(&self.file) {
            self.bar.suspend(|| eprintln!("{error:#}"));
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
    fn choose(&mut self) {
        let mut reasons = Vec::new();
        for allocator in self.plan.allocators.iter().filter(|one| !one.reclaims) {
            for trace in &self.traces {
                let bytes = requested_bytes(trace);
                if bytes > BYTES_MAX {
                    reasons.push(format!(
                        "{} on {}: it never frees, and {} MiB are asked for in all",
                        allocator.name,
                        trace.name,
                        bytes >> 20
                    ));
                    self.left_out
                        .insert((allocator.name.clone(), trace.name.clone()));
                }
            }
        }
        for reason in reasons {
            self.missing(reason);
        }
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

    /// Exact counts.
    fn counts(&mut self) -> Result<()> {
        let engine = counting_engine()?;
        let control = self.module("control", "probe")?;
        let control = Module::new(&engine, std::fs::read(control)?)?;
        let initial_pages = Probe::new(&engine, &control)?.pages();
        self.step(
            "counting instructions",
            self.plan.allocators.len() * self.traces.len(),
        );
        for allocator in &self.plan.allocators {
            let name = &allocator.name;
            self.bar.set_message(format!("counting {name}"));
            let path = self.module(name, "probe")?;
            let module = Module::new(&engine, std::fs::read(path)?)?;
            for index in 0..self.traces.len() {
                self.bar.inc(1);
                self.count_one(&engine, &module, name, index, initial_pages);
            }
            match special::run(&engine, &module) {
                Ok(special) => drop(self.results.special.insert(name.clone(), special)),
                Err(error) => {
                    let why = first_line(&error.root_cause().to_string());
                    self.missing(format!("{name}, special figures: {why}"));
                }
            }
            if !self.plan.quick {
                self.count_programs(&engine, name)?;
            }
            self.save();
        }
        Ok(())
    }

    fn count_one(
        &mut self,
        engine: &wasmtime::Engine,
        module: &Module,
        name: &str,
        index: usize,
        initial_pages: u64,
    ) {
        let trace = &self.traces[index];
        let workload = trace.name.clone();
        if self.is_left_out(name, &workload) {
            return;
        }
        let known = self.results.counts.get(name);
        let known = known.and_then(|counts| counts.get(&workload)).cloned();
        let figures = match known {
            Some(figures) => Ok(figures),
            None => fuel::run_within(engine, module, trace, initial_pages, FUEL_MAX),
        };
        match figures {
            Ok(figures) => {
                if figures.mean_fuel() > MEAN_FUEL_MAX {
                    let mean = figures.mean_fuel();
                    let why = format!("not timed: {mean:.0} instructions per operation");
                    self.leave_out(name, &workload, &why);
                }
                let counts = self.results.counts.entry(name.to_owned()).or_default();
                counts.insert(workload, figures);
            }
            Err(error) => {
                let why = first_line(&error.root_cause().to_string());
                self.leave_out(name, &workload, &why);
            }
        }
    }

    /// Instructions of whole programs.
    fn count_programs(&mut self, engine: &wasmtime::Engine, name: &str) -> Result<()> {
        let wanted = self.plan.programs.iter();
        let known = self.results.programs.get(name).map_or(0, BTreeMap::len);
        if wanted.len() == known {
            return Ok(());
        }
        let module = Module::new(engine, std::fs::read(self.module(name, "programs")?)?)?;
        for program in wanted {
            if self.is_left_out(name, &program.name) {
                continue;
            }
            let mut store = counting_store(engine, ())?;
            let instance = Instance::new(&mut store, &module, &[])?;
            let run = instance.get_typed_func::<u32, u32>(&mut store, "program")?;
            let before = store.get_fuel()?;
            match run.call(&mut store, program.number) {
                Ok(checksum) if Some(checksum) == program.checksum => {
                    let instructions = before - store.get_fuel()?;
                    let counts = self.results.programs.entry(name.to_owned()).or_default();
                    counts.insert(program.name.clone(), instructions);
                }
                Ok(_) => self.leave_out(name, &program.name, "another output"),
                Err(error) => self.leave_out(name, &program.name, &first_line(&error.to_string())),
            }
        }
        Ok(())
    }

    fn sizes(&mut self) -> Result<()> {
        let optimizer = size::optimizer_exists();
        if !optimizer {
            self.missing(
                "sizes after wasm-opt: it is not installed (Debian package binaryen)".to_owned(),
            );
        }
        self.step("building for size", self.plan.allocators.len());
        for allocator in &self.plan.allocators {
            self.bar.inc(1);
            if self.results.sizes.contains_key(&allocator.name) {
                continue;
            }
            for level in OPT_LEVELS {
                let size = size::added(allocator, level, optimizer)?;
                let sizes = self
                    .results
                    .sizes
                    .entry(allocator.name.clone())
                    .or_default();
                sizes.insert(level.to_owned(), size);
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

    /// Runs tasks on an engine. When a process fails, the task it was at is given up, and the rest
    /// goes on in another one.
    fn run_tasks(
        &mut self,
        engine: Engine,
        what: &str,
        mut tasks: Vec<Task>,
        keep: fn(&mut Results, Engine, &str, Outcome),
    ) {
        self.step(&format!("{}: {what}", engine.name()), tasks.len());
        while !tasks.is_empty() {
            let job = Job {
                tasks: tasks.clone(),
                milliseconds_min: self.plan.milliseconds_min(),
                milliseconds_warm: engine.milliseconds_warm(),
                tier: Tier::Optimising,
            };
            let (bar, results, file) = (&self.bar, &mut self.results, &self.file);
            let names: Vec<String> = self.traces.iter().map(|trace| trace.name.clone()).collect();
            let mut done = 0;
            let run = engine.run(&job, &mut |outcome| {
                done += 1;
                bar.inc(1);
                let infos = results.engines.iter_mut();
                for info in infos.filter(|info| info.engine == engine) {
                    info.resolution = Some(outcome.resolution);
                }
                let workload = names.get(outcome.task).cloned().unwrap_or_default();
                for (allocator, why) in &outcome.failures {
                    let what = format!("{}, {workload}, {allocator}: {why}", engine.name());
                    bar.suspend(|| eprintln!("missing: {what}"));
                    results.missing.push(what);
                }
                keep(results, engine, &workload, outcome);
                if let Err(error) = results.write(file) {
                    bar.suspend(|| eprintln!("{error:#}"));
                }
            });
            tasks.drain(..done);
            let Err(error) = run else { return };
            if tasks.is_empty() {
                self.missing(format!("{}: {error:#}", engine.name()));
                return;
            }
            let given_up = tasks.remove(0);
            let workload = self.traces[given_up.id].name.clone();
            self.missing(format!("{}, {what}, {workload}: {error:#}", engine.name()));
        }
    }

    /// Contracts: traces on every engine; programs on one, the others check while they time.
    fn checks(&mut self) -> Result<()> {
        let engines: Vec<Engine> = self.plan.found().collect();
        for &engine in &engines {
            let mut tasks = Vec::new();
            for index in 0..self.traces.len() {
                let is_program = index >= self.plan.synthetic.len();
                let workload = &self.traces[index].name;
                let known = self.results.checks.iter();
                let is_known = known
                    .into_iter()
                    .any(|check| check.engine == engine && check.workload == *workload);
                if !is_known && (!is_program || engine == Engine::V8) {
                    tasks.push(self.task(Measure::Check, index, 1)?);
                }
            }
            self.run_tasks(
                engine,
                "contracts",
                tasks,
                |results, engine, workload, outcome| {
                    let passed = outcome.samples.into_keys().map(|name| (name, None));
                    let failed = outcome.failures.into_iter();
                    let failed = failed.map(|(name, why)| (name, Some(why)));
                    results
                        .checks
                        .extend(passed.chain(failed).map(|(allocator, failure)| Check {
                            engine,
                            workload: workload.to_owned(),
                            allocator,
                            failure,
                        }));
                },
            );
        }
        // Who breaks its contract on a workload is not measured on it.
        let failed = self
            .results
            .checks
            .iter()
            .filter(|check| check.failure.is_some());
        let failed: Vec<(String, String)> = failed
            .map(|check| (check.allocator.clone(), check.workload.clone()))
            .collect();
        self.left_out.extend(failed);
        Ok(())
    }

    fn times(&mut self) -> Result<()> {
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines {
            let mut tasks = Vec::new();
            for index in 0..self.traces.len() {
                let is_program = index >= self.plan.synthetic.len();
                let workload = &self.traces[index].name;
                let wanted = if is_program {
                    self.plan.times_programs(engine)
                } else {
                    self.plan.is_timed(workload)
                };
                if wanted && self.results.times(engine, workload).is_none() {
                    tasks.push(self.task(Measure::Time, index, self.plan.rounds())?);
                }
            }
            self.run_tasks(
                engine,
                "times",
                tasks,
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
            let mut tasks = Vec::new();
            for index in 0..self.plan.synthetic.len() {
                let workload = &self.traces[index].name;
                let known = &self.results.latencies;
                let is_known = known
                    .iter()
                    .any(|one| one.engine == engine && one.workload == *workload);
                if self.plan.is_latency(workload) && !is_known {
                    tasks.push(self.task(Measure::Latency, index, self.plan.rounds())?);
                }
            }
            self.run_tasks(
                engine,
                "single operations",
                tasks,
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
        let program = self.plan.programs.iter();
        let place = program
            .into_iter()
            .position(|program| program.name == START);
        let Some(place) = place.filter(|_| !self.plan.quick) else {
            return Ok(());
        };
        let index = self.plan.synthetic.len() + place;
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines
            .into_iter()
            .filter(|&engine| engine != Engine::SpiderMonkey)
        {
            let whole = self.task(Measure::Start, index, 1)?;
            self.step(
                &format!("{}: cold starts", engine.name()),
                whole.modules.len(),
            );
            for module in &whole.modules {
                self.bar.inc(1);
                let starts = &self.results.starts;
                let is_known = starts
                    .iter()
                    .any(|start| start.engine == engine && start.allocator == module.name);
                if is_known {
                    continue;
                }
                let job = Job {
                    tasks: vec![Task {
                        modules: vec![module.clone()],
                        ..whole.clone()
                    }],
                    milliseconds_min: 0,
                    milliseconds_warm: 0,
                    tier: Tier::Optimising,
                };
                let mut start = Start {
                    engine,
                    workload: START.to_owned(),
                    allocator: module.name.clone(),
                    ready: Vec::new(),
                    first_run: Vec::new(),
                };
                for _ in 0..STARTS {
                    engine.run(&job, &mut |outcome| {
                        if let Some([ready, first_run]) =
                            outcome.samples.get(&module.name).map(Vec::as_slice)
                        {
                            start.ready.push(*ready);
                            start.first_run.push(*first_run);
                        }
                    })?;
                }
                self.results.starts.push(start);
            }
            self.save();
        }
        Ok(())
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

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

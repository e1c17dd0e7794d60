//! What engines do: contracts, times, single operations and cold starts.

use anyhow::{Result, anyhow, bail};

use super::plan::{Plan, START};
use super::queue;
use super::results::{Check, Latencies, Results, Start, Times};
use super::runner::Runner;
use crate::engines::{Engine, Measure, ModuleFile, Outcome, Task, Tier};

/// Processes of which each cold start is measured.
const STARTS: usize = 3;

/// Workloads that one process checks: few enough that the cores share the work.
const CHECKS_PER_PROCESS: usize = 11;

/// An engine that ends this often without any result is not started again for the same part.
const FRUITLESS_MAX: usize = 2;

/// Keeps an outcome of a workload.
type Keep = fn(&mut Results, Engine, &str, Outcome);

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

impl Runner<'_> {
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
                let workload = self.name_of(outcome.task).unwrap_or_default();
                for (allocator, why) in &outcome.failures {
                    self.failed(engine, &workload, allocator, why);
                }
                // What failed as a whole is measured again by a run that resumes this one.
                if !outcome.failures.contains_key("*") {
                    keep(&mut self.results, engine, &workload, outcome);
                }
            }
            Event::Failure(engine, task, error) => {
                let workload = task.and_then(|task| self.name_of(task));
                let workload = workload.unwrap_or_else(|| "after the last".to_owned());
                self.missing(format!("{}, {workload}: {error:#}", engine.name()));
            }
        }
    }

    /// A task that runs a workload on all allocators that can.
    fn task(&self, measure: Measure, place: usize, rounds: u32) -> Result<Task> {
        let workload = &self.material.workloads[place].trace.name;
        self.material.task(measure, place, rounds, |allocator| {
            !self.is_left_out(allocator, workload)
        })
    }

    /// The workload of a task.
    fn name_of(&self, task: usize) -> Option<String> {
        Some(self.material.workloads.get(task)?.trace.name.clone())
    }

    /// The tasks of one part on one engine, for the workloads that `wanted` chooses.
    fn tasks(
        &self,
        measure: Measure,
        rounds: u32,
        wanted: impl Fn(&str, bool) -> bool,
    ) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for (place, workload) in self.material.workloads.iter().enumerate() {
            if wanted(&workload.trace.name, workload.program.is_some()) {
                tasks.push(self.task(measure, place, rounds)?);
            }
        }
        Ok(tasks)
    }

    /// Contracts: traces on every engine; programs on one, the others check while they time. They
    /// are kept or broken whatever runs beside them, so that all cores are used.
    pub(super) fn checks(&mut self) -> Result<()> {
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

    pub(super) fn times(&mut self) -> Result<()> {
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines {
            let plan = self.plan;
            let tasks = self.tasks(Measure::Time, plan.rounds, |workload, is_program| {
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

    pub(super) fn latencies(&mut self) -> Result<()> {
        let engines: Vec<Engine> = self.plan.found().collect();
        for engine in engines {
            let plan = self.plan;
            let tasks = self.tasks(Measure::Latency, plan.rounds, |workload, is_program| {
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
    pub(super) fn starts(&mut self) -> Result<()> {
        let mut workloads = self.material.workloads.iter();
        let place = workloads.position(|one| one.program.is_some() && one.trace.name == START);
        let Some(place) = place.filter(|_| !self.plan.quick) else {
            return Ok(());
        };
        let whole = self.task(Measure::Start, place, 1)?;
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

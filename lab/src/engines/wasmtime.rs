//! wasmtime, embedded: the same tasks as the JavaScript hosts run (`lab/hosts/core.js`).

use core::time::Duration;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Config, Engine, Instance, Memory, Module, OptLevel, Store, TypedFunc};

use super::{Found, Job, Latency, Measure, Outcome, Quantiles, Task};
use alligator_tools::allocator::locked_version;
use alligator_tools::guest::root;
use alligator_tools::random::Random;

/// The module that has no allocator: the fastest is sought among the others.
const CONTROL: &str = "control";

/// As the guest's check reports them (`lab/driver/check.rs`).
const FAILURES: [&str; 6] = [
    "",
    "null",
    "not aligned",
    "not zero",
    "contents changed",
    "contents not kept",
];

/// It is linked in, so it is there.
pub(super) fn found() -> Result<Found> {
    let version = locked_version(&root().join("Cargo.lock"), "wasmtime")?;
    Ok(Found {
        version: format!("wasmtime {version}"),
        tiers: flags(),
    })
}

/// What this program tells it.
pub(super) fn flags() -> String {
    "Cranelift, opt-level speed".to_owned()
}

/// Runs a job in this process.
pub(super) fn run(job: &Job, on_outcome: &mut dyn FnMut(Outcome)) -> Result<()> {
    // Looking at the clock costs time, so that only checks are interrupted. They come first: who
    // hangs there is not measured.
    let is_watched = job.tasks.iter().all(|task| task.measure == Measure::Check);
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(is_watched);
    let mut host = Host {
        engine: Engine::new(&config)?,
        modules: HashMap::new(),
        random: Random::new(1),
        seconds_max: job.patience.as_secs(),
    };
    let engine = host.engine.clone();
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        if is_watched {
            scope.spawn(move || {
                while ended.recv_timeout(SECOND) == Err(RecvTimeoutError::Timeout) {
                    engine.increment_epoch();
                }
            });
        }
        for task in &job.tasks {
            on_outcome(host.run(task, job));
        }
        drop(end);
    });
    Ok(())
}

/// A sample that would take this many times as long as wanted has fewer repetitions.
const LONG: u32 = 10;

/// An epoch of the engine.
const SECOND: Duration = Duration::from_secs(1);

struct Host {
    engine: Engine,
    /// Compiled, by file.
    modules: HashMap<PathBuf, Module>,
    random: Random,
    /// A check takes no longer, or the guest is taken to hang.
    seconds_max: u64,
}

/// An instance and the functions that tasks call.
struct Guest {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Guest {
    fn function<P, R>(&mut self, name: &str) -> Result<TypedFunc<P, R>>
    where
        P: wasmtime::WasmParams,
        R: wasmtime::WasmResults,
    {
        Ok(self.instance.get_typed_func(&mut self.store, name)?)
    }
}

/// Why nothing can be said of an allocator: the first line of the error is enough.
fn brief(error: &anyhow::Error) -> String {
    let text = format!("{:#}", error.root_cause());
    text.lines().next().unwrap_or_default().to_owned()
}

impl Host {
    fn run(&mut self, task: &Task, job: &Job) -> Outcome {
        let mut outcome = Outcome {
            task: task.id,
            resolution: resolution(),
            ..Outcome::default()
        };
        if let Err(error) = self.task(task, job, &mut outcome) {
            let why = format!("{error:#}");
            outcome.failures.insert("*".to_owned(), why);
        }
        outcome
    }

    fn task(&mut self, task: &Task, job: &Job, outcome: &mut Outcome) -> Result<()> {
        if task.measure == Measure::Start {
            return self.start(task, outcome);
        }
        for module in &task.modules {
            if !self.modules.contains_key(&module.path) {
                let compiled = Module::new(&self.engine, std::fs::read(&module.path)?)?;
                self.modules.insert(module.path.clone(), compiled);
            }
        }
        let bytes = match &task.trace {
            Some(trace) => std::fs::read(&trace.path)?,
            None => Vec::new(),
        };
        match task.measure {
            Measure::Time => self.time(task, job, &bytes, outcome),
            Measure::Check => self.check(task, &bytes, outcome),
            Measure::Latency => self.latency(task, &bytes, outcome),
            Measure::Start => {}
        }
        Ok(())
    }

    /// A fresh instance, with the trace in its buffer.
    fn guest(&self, path: &Path, trace: &[u8]) -> Result<Guest> {
        let module = self.modules.get(path).context("not compiled")?;
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(self.seconds_max);
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .context("the guest exports no memory")?;
        let mut guest = Guest {
            store,
            instance,
            memory,
        };
        if !trace.is_empty() {
            let address = guest.function::<(), u32>("trace_address")?;
            let address = address.call(&mut guest.store, ())? as usize;
            guest.memory.write(&mut guest.store, address, trace)?;
        }
        Ok(guest)
    }

    /// How long `repeat` runs take on a fresh instance.
    fn once(&self, path: &Path, task: &Task, bytes: &[u8], repeat: u32) -> Result<Duration> {
        let mut guest = self.guest(path, bytes)?;
        if let Some(trace) = &task.trace {
            let replay = guest.function::<(u32, u32), u32>("replay")?;
            let ops = u32::try_from(trace.ops)?;
            let start = Instant::now();
            let seen = replay.call(&mut guest.store, (ops, repeat))?;
            let elapsed = start.elapsed();
            ensure!(seen != 0, "an allocation failed");
            return Ok(elapsed);
        }
        let program = guest.function::<u32, u32>("program")?;
        let number = task.program.context("neither trace nor program")?;
        let start = Instant::now();
        for _ in 0..repeat {
            let checksum = program.call(&mut guest.store, number)?;
            let expected = task.checksum;
            ensure!(checksum == expected, "output {checksum}, not {expected}");
        }
        Ok(start.elapsed())
    }

    fn time(&mut self, task: &Task, job: &Job, bytes: &[u8], outcome: &mut Outcome) {
        let mut alive = Vec::new();
        let mut fastest = Duration::MAX;
        for module in &task.modules {
            let twice = [0; 2].map(|_| self.once(&module.path, task, bytes, 1));
            let [Ok(first), Ok(second)] = &twice else {
                let error = twice.into_iter().find_map(Result::err);
                let why = error.map_or_else(String::new, |error| brief(&error));
                outcome.failures.insert(module.name.clone(), why);
                continue;
            };
            let once = *first.min(second);
            if module.name != CONTROL {
                fastest = fastest.min(once);
            }
            alive.push((module, once));
            outcome.samples.insert(module.name.clone(), Vec::new());
        }
        let wanted = Duration::from_millis(job.milliseconds_min.into());
        let operations = task.trace.as_ref().map_or(1, |trace| trace.ops);
        for _ in 0..task.rounds {
            for (module, once) in self.shuffled(&alive) {
                let repeat = repetitions(wanted, fastest).min(repetitions(wanted * LONG, once));
                match self.once(&module.path, task, bytes, repeat) {
                    Ok(elapsed) => {
                        let samples = outcome.samples.entry(module.name.clone()).or_default();
                        samples.push(nanoseconds(elapsed) / f64::from(repeat) / count(operations));
                    }
                    Err(error) => {
                        let why = brief(&error);
                        outcome.failures.insert(module.name.clone(), why);
                    }
                }
            }
        }
    }

    fn check(&self, task: &Task, bytes: &[u8], outcome: &mut Outcome) {
        for module in &task.modules {
            match self.check_one(&module.path, task, bytes) {
                Ok(()) => drop(outcome.samples.insert(module.name.clone(), Vec::new())),
                Err(error) => {
                    drop(outcome.failures.insert(module.name.clone(), brief(&error)));
                }
            }
        }
    }

    fn check_one(&self, path: &Path, task: &Task, bytes: &[u8]) -> Result<()> {
        let mut guest = self.guest(path, bytes)?;
        let got = if let Some(trace) = &task.trace {
            let check = guest.function::<u32, u32>("check")?;
            let got = check.call(&mut guest.store, u32::try_from(trace.ops)?)?;
            let failure = guest.function::<(), u32>("check_failure")?;
            let failure = failure.call(&mut guest.store, ())?;
            if failure != 0 {
                let kind = FAILURES.get((failure & 7) as usize).unwrap_or(&"unknown");
                bail!("operation {}: {kind}", failure >> 3);
            }
            got
        } else {
            let program = guest.function::<u32, u32>("program")?;
            let number = task.program.context("neither trace nor program")?;
            program.call(&mut guest.store, number)?
        };
        let expected = task.checksum;
        ensure!(got == expected, "checksum {got}, not {expected}");
        Ok(())
    }

    fn latency(&mut self, task: &Task, bytes: &[u8], outcome: &mut Outcome) {
        let mut timings: HashMap<String, Timings> = HashMap::new();
        let all: Vec<_> = task.modules.iter().collect();
        for _ in 0..task.rounds {
            for module in self.shuffled(&all) {
                if outcome.failures.contains_key(&module.name) {
                    continue;
                }
                let round = self
                    .guest(&module.path, bytes)
                    .and_then(|guest| single_operations(guest, task, bytes));
                match round {
                    Ok(round) => timings.entry(module.name.clone()).or_default().add(round),
                    Err(error) => {
                        let why = brief(&error);
                        outcome.failures.insert(module.name.clone(), why);
                    }
                }
            }
        }
        for (name, timings) in timings {
            outcome.latency.insert(name, timings.latency());
        }
    }

    /// Compiling and the first run; there are no tiers.
    fn start(&self, task: &Task, outcome: &mut Outcome) -> Result<()> {
        for module in &task.modules {
            let bytes = std::fs::read(&module.path)?;
            let start = Instant::now();
            let compiled = Module::new(&self.engine, bytes)?;
            let mut store = Store::new(&self.engine, ());
            let instance = Instance::new(&mut store, &compiled, &[])?;
            let program = instance.get_typed_func::<u32, u32>(&mut store, "program")?;
            let ready = Instant::now();
            let checksum = program.call(&mut store, task.program.context("no program")?)?;
            let end = Instant::now();
            ensure!(checksum == task.checksum, "output {checksum}");
            let milliseconds = [ready - start, end - ready].map(|part| nanoseconds(part) / 1e6);
            let samples = milliseconds.to_vec();
            outcome.samples.insert(module.name.clone(), samples);
        }
        Ok(())
    }

    fn shuffled<T: Copy>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        for last in (1..items.len()).rev() {
            let other = self.random.index(last + 1);
            items.swap(last, other);
        }
        items
    }
}

/// Nanoseconds of each operation in one instance, and whether it grew the heap: the first one always
/// did.
struct Round {
    times: Vec<f64>,
    grew: Vec<bool>,
}

fn single_operations(mut guest: Guest, task: &Task, bytes: &[u8]) -> Result<Round> {
    let trace = task.trace.as_ref().context("latency needs a trace")?;
    let alloc = guest.function::<(u32, u32), u32>("op_alloc")?;
    let dealloc = guest.function::<(u32, u32, u32), ()>("op_dealloc")?;
    let realloc = guest.function::<(u32, u32, u32, u32), u32>("op_realloc")?;
    let (memory, store) = (guest.memory, &mut guest.store);
    let mut blocks = vec![0_u32; trace.blocks as usize];
    let mut round = Round {
        times: Vec::with_capacity(trace.ops),
        grew: Vec::with_capacity(trace.ops),
    };
    let mut pages = memory.size(&*store);
    for op in bytes.chunks_exact(12) {
        let word = |at: usize| {
            let word: [u8; 4] = op[at..at + 4].try_into().expect("four bytes of twelve");
            u32::from_le_bytes(word)
        };
        let (head, size) = (word(0), word(4));
        let align = 1 << (head >> 2 & 63);
        let block = (head >> 8) as usize;
        let mut pointer = blocks[block];
        let start = Instant::now();
        match head & 3 {
            1 => dealloc.call(&mut *store, (pointer, size, align))?,
            2 => pointer = realloc.call(&mut *store, (pointer, size, align, word(8)))?,
            // A request for zeroes as well: what the fill costs is not the allocator's.
            _ => pointer = alloc.call(&mut *store, (size, align))?,
        }
        round.times.push(nanoseconds(start.elapsed()));
        ensure!(pointer != 0, "an allocation failed");
        blocks[block] = pointer;
        let now = memory.size(&*store);
        round.grew.push(round.grew.is_empty() || now != pages);
        pages = now;
    }
    Ok(round)
}

/// The rounds so far.
#[derive(Default)]
struct Timings {
    /// Of each operation.
    fastest: Vec<f64>,
    grew: Vec<bool>,
    raw: Vec<f64>,
}

impl Timings {
    fn add(&mut self, round: Round) {
        self.raw.extend_from_slice(&round.times);
        if self.fastest.is_empty() {
            self.fastest = round.times;
        } else {
            for (fastest, time) in self.fastest.iter_mut().zip(round.times) {
                *fastest = fastest.min(time);
            }
        }
        self.grew = round.grew;
    }

    fn latency(self) -> Latency {
        let part = |grew: bool| {
            let all = self.fastest.iter().zip(&self.grew);
            let chosen = all.filter(move |(_, is)| **is == grew);
            chosen.map(|(time, _)| *time).collect::<Vec<f64>>()
        };
        let steady = part(false);
        Latency {
            histogram: histogram(&steady),
            steady: quantiles(steady),
            growing: quantiles(part(true)),
            raw: quantiles(self.raw),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index from a share of a length far below 2^52"
)]
fn quantiles(mut times: Vec<f64>) -> Option<Quantiles> {
    times.sort_by(f64::total_cmp);
    let max = *times.last()?;
    let len = times.len();
    let at = |share: f64| times[((share * len as f64) as usize).min(len - 1)];
    Some(Quantiles {
        count: len as u64,
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a logarithm of nanoseconds, not negative"
)]
fn histogram(times: &[f64]) -> Vec<u64> {
    let mut counts: Vec<u64> = Vec::new();
    for time in times {
        let bin = (time.max(1.0).log2() * 4.0) as usize;
        if counts.len() <= bin {
            counts.resize(bin + 1, 0);
        }
        counts[bin] += 1;
    }
    counts
}

/// How often to repeat what takes `once`, so that it takes at least as long as wanted.
fn repetitions(wanted: Duration, once: Duration) -> u32 {
    let count = wanted.as_nanos().div_ceil(once.as_nanos().max(1));
    u32::try_from(count).unwrap_or(1).max(1)
}

/// The smallest step of the clock, in nanoseconds.
fn resolution() -> f64 {
    let steps = (0..100).map(|_| {
        let start = Instant::now();
        loop {
            let elapsed = start.elapsed();
            if !elapsed.is_zero() {
                return nanoseconds(elapsed);
            }
        }
    });
    steps.fold(f64::INFINITY, f64::min)
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

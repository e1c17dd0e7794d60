//! The engines that run guests, and what they are asked: tasks, whose results come back one by
//! one, so that what is measured is not lost when something fails later.

mod firefox;
mod shell;
mod wasmtime;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use alligator_replay::Trace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// Cranelift, embedded in this program
    Wasmtime,
    /// In node
    V8,
    /// `WebKit`'s, in its shell
    #[value(name = "jsc")]
    #[serde(rename = "jsc")]
    JavaScriptCore,
    /// Firefox's, headless
    #[value(name = "spidermonkey")]
    SpiderMonkey,
}

pub(crate) const ENGINES: [Engine; 4] = [
    Engine::Wasmtime,
    Engine::V8,
    Engine::JavaScriptCore,
    Engine::SpiderMonkey,
];

/// What a task measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measure {
    /// Nanoseconds per operation of a trace, or per run of a program.
    Time,
    /// Whether the allocator keeps its contract.
    Check,
    /// Nanoseconds of single operations of a trace.
    Latency,
    /// Milliseconds to compile and of a program's first run, with all tiers.
    Start,
}

/// A module of one allocator.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ModuleFile {
    /// The allocator's.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// A trace in the encoding of `lab/driver/replay.rs`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TraceFile {
    pub(crate) path: PathBuf,
    pub(crate) ops: usize,
    pub(crate) blocks: u32,
}

impl TraceFile {
    /// Writes a trace into a file of `dir`.
    pub(crate) fn write(trace: &Trace, dir: &Path) -> Result<Self> {
        let path = dir.join(format!("{}.trace", trace.name));
        std::fs::write(&path, trace.encode())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path,
            ops: trace.ops.len(),
            blocks: trace.block_count,
        })
    }
}

/// Something to measure with several modules side by side.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Task {
    pub(crate) id: usize,
    pub(crate) measure: Measure,
    pub(crate) rounds: u32,
    /// What a check, or a program, must return.
    pub(crate) checksum: u32,
    pub(crate) modules: Vec<ModuleFile>,
    /// Exactly one of these two is there.
    pub(crate) trace: Option<TraceFile>,
    pub(crate) program: Option<u32>,
}

/// Without a result for so long, an engine is taken to hang.
pub(crate) const PATIENCE: Duration = Duration::from_mins(15);

/// Which compiler of an engine compiles everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tier {
    /// As the engine chooses, function by function.
    Own,
    /// The one that takes little time.
    Baseline,
    /// The one whose code is fast.
    #[default]
    Optimising,
}

/// Tasks for one process of an engine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) tasks: Vec<Task>,
    /// A sample lasts at least this long.
    pub(crate) milliseconds_min: u32,
    pub(crate) milliseconds_warm: Warm,
    #[serde(skip)]
    pub(crate) tier: Tier,
    /// Without a result for so long, the engine is taken to hang.
    #[serde(skip)]
    pub(crate) patience: Duration,
}

/// A module runs until it has not become faster for so many milliseconds; then it is measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Warm {
    trace: u32,
    program: u32,
}

/// Nanoseconds below which shares of the operations were.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
}

/// Nanoseconds of single operations. Each was timed in several fresh instances; except in `raw`,
/// its fastest time counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Latency {
    /// Operations that did not grow the heap.
    pub(crate) steady: Option<Quantiles>,
    /// Operations that did, the first one of an instance among them.
    pub(crate) growing: Option<Quantiles>,
    /// All operations of all instances, with the noise of the machine.
    pub(crate) raw: Option<Quantiles>,
    /// Of `steady`: counts by the binary logarithm, four bins per doubling, from 1 ns.
    pub(crate) histogram: Vec<u64>,
}

/// What became of a task, by allocator.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) task: usize,
    /// One number per round. Empty after a check that passed.
    #[serde(default)]
    pub(crate) samples: BTreeMap<String, Vec<f64>>,
    /// Why there are none. `*` is the task as a whole.
    #[serde(default)]
    pub(crate) failures: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) latency: BTreeMap<String, Latency>,
    /// The smallest step of the engine's clock, in nanoseconds.
    #[serde(default)]
    pub(crate) resolution: f64,
}

/// An engine that is there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) version: String,
    /// What the engine is told, so that the optimising compiler is what is measured.
    pub(crate) tiers: String,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::V8 => "V8",
            Self::JavaScriptCore => "JavaScriptCore",
            Self::SpiderMonkey => "SpiderMonkey",
        }
    }

    /// Looks for the engine.
    ///
    /// # Errors
    /// It is not there; says how to get it.
    pub(crate) fn find(self) -> Result<Found> {
        match self {
            Self::Wasmtime => wasmtime::found(),
            Self::V8 => shell::find(&shell::NODE),
            Self::JavaScriptCore => shell::find(&shell::JSC),
            Self::SpiderMonkey => firefox::find(),
        }
    }

    /// What the engine is told, so that this compiler compiles everything. `None` if it cannot be told.
    pub(crate) fn flags(self, tier: Tier) -> Option<String> {
        match self {
            Self::Wasmtime => (tier == Tier::Optimising).then(wasmtime::flags),
            Self::V8 => Some(shell::NODE.flags(tier)),
            Self::JavaScriptCore => Some(shell::JSC.flags(tier)),
            Self::SpiderMonkey => Some(firefox::flags(tier)),
        }
    }

    /// How long a module runs before it is measured: all but one are told to use their optimising
    /// compilers from the start, `WebKit`'s cannot be. Its one compiler thread needs seconds for a
    /// program, and in the middle of that there is half a second without progress.
    pub(crate) fn milliseconds_warm(self) -> Warm {
        if self == Self::JavaScriptCore {
            Warm {
                trace: 60,
                program: 1_500,
            }
        } else {
            Warm::default()
        }
    }

    /// Timed workloads after which a new process is taken: in one that has had some hundred grown
    /// memories, `WebKit`'s refuses to grow or to make another one.
    pub(crate) fn timed_per_process(self) -> usize {
        if self == Self::JavaScriptCore {
            1
        } else {
            usize::MAX
        }
    }

    /// Runs a job and hands each outcome on as soon as it is there.
    ///
    /// # Errors
    /// The engine does not start, or stops before the end.
    pub(crate) fn run(self, job: &Job, on_outcome: &mut dyn FnMut(Outcome)) -> Result<()> {
        match self {
            Self::Wasmtime => wasmtime::run(job, on_outcome),
            Self::V8 => shell::run(&shell::NODE, job, on_outcome),
            Self::JavaScriptCore => shell::run(&shell::JSC, job, on_outcome),
            Self::SpiderMonkey => firefox::run(job, on_outcome),
        }
    }
}

/// A number for the files of one process, which others that run beside it do not have.
fn unique() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A command whose process ends when this one does, however that ends, where Linux's `setpriv` is
/// there to arrange it.
fn mortal(command: &str) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    const ARGUMENTS: [&str; 2] = ["--pdeathsig", "KILL"];
    let has_setpriv = HAS_SETPRIV.get_or_init(|| {
        let probe = Command::new("setpriv")
            .args(ARGUMENTS)
            .arg("true")
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    });
    if !has_setpriv {
        return Command::new(command);
    }
    let mut mortal = Command::new("setpriv");
    mortal.args(ARGUMENTS).arg(command);
    mortal
}

//! Everything a run measured, as it is written to `results.json`. The schema is `lab/schema.json`,
//! which a test compares with these types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::plan::{Part, Plan};
use crate::engines::{Engine, Latency};
use crate::fuel::Figures;
use crate::size::Size;
use crate::special::Special;
use alligator_tools::allocator::Kind;
use alligator_tools::guest;

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

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        Ok(Self {
            schema: SCHEMA,
            setup: Setup::of_this_machine(plan)?,
            engines: plan.engine_infos(),
            allocators: plan.allocator_infos(),
            workloads: plan.workload_infos(),
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

    /// Reads a file of this version.
    ///
    /// # Errors
    /// In one line: it is not there, was cut short, or is of another version.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let name = path.display();
        let text = std::fs::read(path).map_err(|error| anyhow!("cannot read {name}: {error}"))?;
        let broken = |error| anyhow!("{name} is not whole, or no results: {error}");
        let Version { schema } = serde_json::from_slice(&text).map_err(broken)?;
        ensure!(
            schema == SCHEMA,
            "{name} is of version {schema}, this lab writes {SCHEMA}"
        );
        serde_json::from_slice(&text).map_err(broken)
    }

    /// What `old` has measured, for this run to go on with. The engines are this run's: one may
    /// have been missing.
    ///
    /// # Errors
    /// `old` is of another commit, compiler, length or choice, or of another version of an engine.
    pub(crate) fn resume(self, old: Self) -> Result<Self> {
        let same = |what: &str, is_same: bool| {
            ensure!(
                is_same,
                "it is of another {what}; run without --resume to measure everything"
            );
            Ok(())
        };
        same("commit", old.setup.commit == self.setup.commit)?;
        same("compiler", old.setup.compiler == self.setup.compiler)?;
        same("length (--quick)", old.setup.quick == self.setup.quick)?;
        let allocators = |results: &Self| names(&results.allocators, |info| &info.name);
        let workloads = |results: &Self| names(&results.workloads, |info| &info.name);
        same(
            "choice of allocators",
            allocators(&old) == allocators(&self),
        )?;
        same("choice of workloads", workloads(&old) == workloads(&self))?;
        let mut engines = old.engines;
        for mut info in self.engines {
            let Some(place) = engines.iter_mut().find(|old| old.engine == info.engine) else {
                engines.push(info);
                continue;
            };
            if info.version.is_none() {
                continue;
            }
            let is_same = place.version.is_none() || place.version == info.version;
            same(&format!("version of {}", info.name), is_same)?;
            info.resolution = place.resolution;
            *place = info;
        }
        engines.sort_by_key(|info| info.engine);
        Ok(Self { engines, ..old })
    }

    /// The failures of allocators that are kept with the results, by part.
    pub(crate) fn failures(&self) -> BTreeMap<Option<Part>, BTreeSet<String>> {
        let checks = self.checks.iter().filter_map(|check| {
            let why = check.failure.as_ref()?;
            let line = failure(check.engine, &check.workload, &check.allocator, why);
            Some((Part::Check, line))
        });
        let times = self.times.iter().flat_map(|times| {
            let failures = times.failures.iter();
            failures.map(|(allocator, why)| {
                let line = failure(times.engine, &times.workload, allocator, why);
                (Part::Time, line)
            })
        });
        let latencies = self.latencies.iter().flat_map(|latencies| {
            let failures = latencies.failures.iter();
            failures.map(|(allocator, why)| {
                let line = failure(latencies.engine, &latencies.workload, allocator, why);
                (Part::Latency, line)
            })
        });
        let mut lines: BTreeMap<Option<Part>, BTreeSet<String>> = BTreeMap::new();
        for (part, line) in checks.chain(times).chain(latencies) {
            lines.entry(Some(part)).or_default().insert(line);
        }
        lines
    }

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

    /// Writes the file anew, all or nothing.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let unfinished = path.with_extension("part");
        std::fs::write(&unfinished, serde_json::to_vec(self)?)?;
        std::fs::rename(&unfinished, path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Times of a workload on an engine.
    pub(crate) fn times(&self, engine: Engine, workload: &str) -> Option<&Times> {
        let mut times = self.times.iter();
        times.find(|times| times.engine == engine && times.workload == workload)
    }
}

impl Setup {
    fn of_this_machine(plan: &Plan) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            command: Plan::command(),
            commit: commit(),
            date: first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_default(),
            processor: processor(),
            cores: std::thread::available_parallelism()?.get(),
            system: system(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            compiler: first_line("rustc", &["--version"]).context("rustc does not start")?,
            wasm_opt: first_line("wasm-opt", &["--version"]),
            quick: plan.quick,
            rounds: plan.rounds(),
            reference: plan.reference.clone(),
            hole_counts: crate::special::HOLE_COUNTS.to_vec(),
        })
    }
}

fn names<T>(infos: &[T], name: fn(&T) -> &String) -> Vec<String> {
    infos.iter().map(name).cloned().collect()
}

/// How a failure is said.
pub(crate) fn failure(engine: Engine, workload: &str, allocator: &str, why: &str) -> String {
    format!("{}, {workload}, {allocator}: {why}", engine.name())
}

/// The first line that a command prints, if it succeeds.
fn first_line(command: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(command)
        .args(args)
        .current_dir(guest::root())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().to_owned())
}

fn commit() -> String {
    let commit = first_line("git", &["rev-parse", "--short=10", "HEAD"]);
    let changed =
        first_line("git", &["status", "--porcelain"]).is_some_and(|line| !line.is_empty());
    let mark = if changed { "+" } else { "" };
    commit.map_or_else(|| "unknown".to_owned(), |commit| commit + mark)
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": "));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.to_owned(),
    )
}

fn system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(
        || std::env::consts::OS.to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use boon::{Compiler, Schemas};
    use serde_json::{Value, json};

    use super::*;

    fn schema_path() -> PathBuf {
        crate::dir().join("schema.json")
    }

    /// Holds a value against the committed schema.
    fn validate(value: &Value) -> Result<()> {
        let schema: Value = serde_json::from_slice(&std::fs::read(schema_path())?)?;
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("schema.json", schema)
            .map_err(|error| anyhow!("{error}"))?;
        let index = compiler
            .compile("schema.json", &mut schemas)
            .map_err(|error| anyhow!("{error}"))?;
        schemas
            .validate(value, index)
            .map_err(|error| anyhow!("{error}"))
    }

    /// Results with one of everything.
    fn sample() -> Results {
        let quantiles =
            json!({ "count": 1, "p50": 1.0, "p99": 1.0, "p999": 1.0, "p9999": 1.0, "max": 1.0 });
        let latency = json!({
            "steady": quantiles, "growing": null, "raw": quantiles, "histogram": [0, 1],
        });
        let calls = json!({
            "count": 1, "fuel": 10,
            "worst": { "fuel": 10, "operation": 0, "size": 8, "new_size": 0, "align": 8, "zeroed": false },
        });
        let none = json!({ "count": 0, "fuel": 0, "worst": null });
        let operation = json!({ "steady": calls, "growing": none });
        let value = json!({
            "schema": SCHEMA,
            "setup": {
                "command": "cargo xtask bench", "commit": "0123456789", "date": "2026-01-01 00:00 UTC",
                "processor": "a processor", "cores": 2, "system": "a system", "load": "0.00",
                "compiler": "rustc 1.95.0", "wasm_opt": null, "quick": true, "rounds": 3,
                "reference": "talc", "hole_counts": [1000],
            },
            "engines": [{
                "engine": "jsc", "name": "JavaScriptCore", "version": null, "tiers": null,
                "absent": "not installed", "resolution": null,
            }],
            "allocators": [{
                "name": "talc", "kind": "peer", "version": "5.1.1", "about": "", "reclaims": true,
            }],
            "workloads": [{
                "name": "small", "about": "", "is_program": false, "is_in_targets": true,
                "operations": 2, "peak_live_bytes": 8,
            }],
            "counts": { "talc": { "small": {
                "alloc": operation, "dealloc": operation, "realloc": operation,
                "moved_bytes": 0, "grown_pages": 1, "heap_pages": 1, "peak_live_bytes": 8,
                "timeline": [{ "operation": 0, "live_bytes": 8, "grown_pages": 1 }],
            } } },
            "programs": { "talc": { "json": 1 } },
            "special": { "talc": { "tiny_pages": 1, "box24_fuel": 40, "holes_fuel": [10] } },
            "sizes": { "talc": { "z": { "compiled": 10, "optimized": null } } },
            "checks": [{ "engine": "v8", "workload": "small", "allocator": "talc", "failure": null }],
            "times": [{
                "engine": "v8", "workload": "small", "nanoseconds": { "talc": [1.0] },
                "failures": { "floor": "null" },
            }],
            "latencies": [{
                "engine": "v8", "workload": "small", "by_allocator": { "talc": latency },
                "failures": {},
            }],
            "starts": [{
                "engine": "v8", "workload": "json", "allocator": "talc", "ready": [1.0],
                "first_run": [1.0],
            }],
            "missing": ["something"],
        });
        serde_json::from_value(value).expect("the sample has every field")
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() -> Result<()> {
        let schema = schemars::schema_for!(Results);
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(schema_path(), &text)?;
        }
        let committed = std::fs::read_to_string(schema_path())?;
        ensure!(
            committed == text,
            "lab/schema.json is not that of the types; BLESS=1 rewrites it"
        );
        Ok(())
    }

    #[test]
    fn what_is_written_fits_the_schema() -> Result<()> {
        validate(&serde_json::to_value(sample())?)
    }

    #[test]
    fn what_lacks_a_part_does_not_fit_the_schema() -> Result<()> {
        let mut value = serde_json::to_value(sample())?;
        let object = value.as_object_mut().context("an object")?;
        object.remove("setup");
        assert!(validate(&value).is_err());
        Ok(())
    }

    #[test]
    fn a_file_is_read_as_it_was_written() -> Result<()> {
        let path = std::env::temp_dir().join(format!("lab-results-{}.json", std::process::id()));
        let results = sample();
        results.write(&path)?;
        let read = Results::read(&path)?;
        std::fs::remove_file(&path)?;
        assert_eq!(serde_json::to_value(read)?, serde_json::to_value(results)?);
        Ok(())
    }
    #[test]
    fn a_file_that_was_cut_short_is_refused_in_one_line() -> Result<()> {
        let path = std::env::temp_dir().join(format!("lab-cut-{}.json", std::process::id()));
        let text = serde_json::to_vec(&sample())?;
        std::fs::write(&path, &text[..text.len() / 2])?;
        let error =
            Results::read(&path).map_or_else(|error| format!("{error:#}"), |_| String::new());
        std::fs::remove_file(&path)?;
        assert!(error.contains("is not whole"), "{error}");
        assert_eq!(error.lines().count(), 1);
        Ok(())
    }

    #[test]
    fn writing_leaves_nothing_but_the_file() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("lab-write-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let path = dir.join("results.json");
        // The second time there is an old file to replace.
        sample().write(&path)?;
        sample().write(&path)?;
        let files = std::fs::read_dir(&dir)?.count();
        std::fs::remove_dir_all(&dir)?;
        assert_eq!(files, 1);
        Ok(())
    }

    /// Why results cannot be resumed by a run of the sample's choice; empty if they can.
    fn refusal(old: Results) -> String {
        let resumed = sample().resume(old);
        resumed.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_was_measured_is_kept_by_a_run_that_resumes() -> Result<()> {
        let mut new = sample();
        new.counts.clear();
        new.times.clear();
        new.setup.date = "later".to_owned();
        let resumed = new.resume(sample())?;
        assert_eq!(
            serde_json::to_value(resumed)?,
            serde_json::to_value(sample())?
        );
        Ok(())
    }

    #[test]
    fn results_of_another_commit_or_length_or_choice_are_not_resumed() {
        assert_eq!(refusal(sample()), "");
        let mut old = sample();
        old.setup.commit = "9876543210".to_owned();
        assert!(refusal(old).starts_with("it is of another commit"));
        let mut old = sample();
        old.setup.quick = false;
        assert!(refusal(old).starts_with("it is of another length"));
        let mut old = sample();
        old.allocators.clear();
        assert!(refusal(old).starts_with("it is of another choice of allocators"));
        let mut old = sample();
        old.workloads.clear();
        assert!(refusal(old).starts_with("it is of another choice of workloads"));
    }

    #[test]
    fn an_engine_may_come_but_not_change_before_a_run_resumes() -> Result<()> {
        let version = |version: &str| {
            let mut results = sample();
            results.engines[0].version = Some(version.to_owned());
            results
        };
        let resumed = version("1").resume(sample())?;
        assert_eq!(resumed.engines[0].version.as_deref(), Some("1"));
        assert!(version("1").resume(version("2")).is_err());
        Ok(())
    }

    #[test]
    fn failures_are_said_again_by_a_run_that_resumes() {
        let mut old = sample();
        old.checks[0].failure = Some("null".to_owned());
        let said: Vec<String> = old.failures().into_values().flatten().collect();
        assert_eq!(said, ["V8, small, talc: null", "V8, small, floor: null"]);
    }

    #[test]
    fn what_is_there_is_known() {
        let results = sample();
        assert!(results.is_checked(Engine::V8, "small"));
        assert!(!results.is_checked(Engine::Wasmtime, "small"));
        assert!(results.has_latencies(Engine::V8, "small"));
        assert!(!results.has_latencies(Engine::V8, "json"));
        assert!(results.has_start(Engine::V8, "talc"));
        assert!(!results.has_start(Engine::V8, "floor"));
    }

    #[test]
    fn checks_are_in_one_order_whichever_was_there_first() -> Result<()> {
        let mut results = sample();
        let check = |engine, workload: &str| Check {
            engine,
            workload: workload.to_owned(),
            allocator: "talc".to_owned(),
            failure: None,
        };
        results.checks = vec![check(Engine::V8, "small"), check(Engine::Wasmtime, "small")];
        let mut other = results.clone();
        other.checks.reverse();
        results.sort_checks();
        other.sort_checks();
        assert_eq!(results.checks[0].engine, Engine::Wasmtime);
        assert_eq!(serde_json::to_value(results)?, serde_json::to_value(other)?);
        Ok(())
    }
}

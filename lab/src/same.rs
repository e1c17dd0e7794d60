//! `cargo xtask same`: the same programs on every engine and tier that is there, which must agree on every address
//! and every byte.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Config, Engine as Wasmtime, Instance, Module, OptLevel, Store};

use crate::engines::{
    ENGINES, Engine, Found, Job, Measure, ModuleFile, PATIENCE, Task, Tier, Warm,
};
use crate::options::Engines;
use alligator_tools::guest::{self, Guest};

/// What to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    engines: Engines,
    /// Writes docs/same.md
    #[arg(long)]
    record: bool,
}

/// An engine that agreed, at one tier.
struct Row {
    engine: String,
    flags: String,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let expected = Expected::new()?;
    let mut rows = Vec::new();
    for engine in options.engines.choose(&ENGINES) {
        match engine.find() {
            Ok(found) => rows.extend(run_on(engine, &found, &expected)?),
            Err(error) => println!("{}: left out: {error:#}", engine.name()),
        }
    }
    ensure!(!rows.is_empty(), "no engine is there");
    if options.record {
        write_record(&expected, &rows)?;
    }
    Ok(())
}

/// A module, and what its programs must return.
struct Expected {
    module: PathBuf,
    hashes: Vec<[u32; 2]>,
}

impl Expected {
    /// Builds the module; wasmtime without its optimiser says what is right.
    fn new() -> Result<Self> {
        let module = guest::build(&Guest {
            crate_dir: &guest::root().join("guests").join("same"),
            library: "guest_same",
            features: &[],
            output: "guest-same",
            profile: None,
            overrides: Vec::new(),
        })?;
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::None);
        let engine = Wasmtime::new(&config)?;
        let compiled = Module::from_file(&engine, &module)?;
        let count = call(&engine, &compiled, "programs", None)?;
        let program = |number| call(&engine, &compiled, "program", Some(number));
        let hashes: Result<Vec<_>> = (0..count)
            .map(|index| Ok([program(index * 2)?, program(index * 2 + 1)?]))
            .collect();
        let hashes = hashes?;
        ensure!(!hashes.is_empty(), "the guest has no programs");
        Ok(Self { module, hashes })
    }

    /// Everything to run on an engine.
    fn tasks(&self) -> Vec<Task> {
        let halves = self.hashes.iter().flatten();
        let task = |(number, &checksum): (u32, &u32)| Task {
            id: number as usize,
            measure: Measure::Check,
            rounds: 1,
            checksum,
            modules: vec![ModuleFile {
                name: "alligator".to_owned(),
                path: self.module.clone(),
            }],
            trace: None,
            program: Some(number),
        };
        (0..).zip(halves).map(task).collect()
    }
}

/// What an export of a fresh instance returns.
fn call(engine: &Wasmtime, module: &Module, name: &str, number: Option<u32>) -> Result<u32> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let result = match number {
        Some(number) => instance
            .get_typed_func::<u32, u32>(&mut store, name)?
            .call(&mut store, number),
        None => instance
            .get_typed_func::<(), u32>(&mut store, name)?
            .call(&mut store, ()),
    };
    Ok(result?)
}

/// Runs all programs at both tiers of an engine.
fn run_on(engine: Engine, found: &Found, expected: &Expected) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for tier in [Tier::Baseline, Tier::Optimising] {
        let Some(flags) = engine.flags(tier) else {
            continue;
        };
        let job = Job {
            tasks: expected.tasks(),
            milliseconds_min: 0,
            milliseconds_warm: Warm::default(),
            tier,
            patience: PATIENCE,
        };
        let mut agreed = 0;
        let mut failures = Vec::new();
        engine.run(&job, &mut |outcome| {
            agreed += usize::from(outcome.failures.is_empty());
            for failure in outcome.failures.values() {
                failures.push(format!("program {}: {failure}", outcome.task / 2));
            }
        })?;
        let name = engine.name();
        if !failures.is_empty() || agreed != job.tasks.len() {
            bail!("{name} {flags}: {}", failures.join("; "));
        }
        let count = expected.hashes.len();
        let engine = format!("{name}: {}", found.version);
        println!("{engine}, {flags}: {count} programs agree");
        rows.push(Row { engine, flags });
    }
    Ok(rows)
}

/// Writes what engines agreed on.
fn write_record(expected: &Expected, rows: &[Row]) -> Result<()> {
    let engines: Vec<_> = rows
        .iter()
        .map(|row| format!("| {} | `{}` |\n", row.engine, row.flags))
        .collect();
    let hashes: Vec<_> = (0..)
        .zip(&expected.hashes)
        .map(|(number, [low, high])| format!("| {number} | {high:08x}{low:08x} |\n"))
        .collect();
    let (engines, hashes) = (engines.concat(), hashes.concat());
    let text = format!(
        "# The same everywhere

Written by `cargo xtask same --record`. The random programs of [the model](model.md), one for each mix of sizes, on the heap of a module (`guests/same`) whose memory somebody else grows as well: every engine below gives the same address to every request, wasmtime without its optimiser does, too, and all have the same memory in the end, byte for byte, the heap's headers and the stack included. One hash covers all addresses in their order, and the whole memory before and after the last blocks are given back.

| engine | told |
| --- | --- |
{engines}
| program | hash |
| --- | --- |
{hashes}
The hashes belong to the compiled module: another compiler, or another heap, gives others. What this does not show: other engines, other machines than the one it ran on, and modules with shared memory.
"
    );
    let path = guest::root().join("docs").join("same.md");
    write(&path, &text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

//! `cargo xtask model`: random programs on the heap against a model of it, by the thousand million.
//!
//! The programs run in processes of their own (`crates/alligator-model`), so that one that dies is noticed. A
//! failure is reported with the seed of its program and the shortest program found that fails as well.
#![forbid(unsafe_code)]

mod minimise;
mod record;
mod worker;

use core::sync::atomic::{AtomicU64, Ordering};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use alligator_tools::command::{cargo, features_of};
use alligator_tools::guest;
use anyhow::{Context, Result, bail};
use clap::Parser as _;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use record::Line;
use worker::{Failure, Tally, Worker};

/// Programs have eight mixes of sizes and four ways to grow: a batch has each of these pairs twice, and more
/// often if they are short.
const BATCH: u64 = 64;

/// Runs random programs on the heap against a model, by the thousand million.
#[derive(clap::Parser, Debug)]
#[command(name = "cargo xtask model")]
pub(crate) struct Options {
    /// Operations in all, at least
    #[arg(long, default_value_t = 1_200_000_000, value_name = "COUNT")]
    operations: u64,
    /// Seed of the first program
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    seed: u64,
    /// Steps of a program of small blocks; those of large ones have fewer
    #[arg(long, default_value_t = 1_000_000, value_name = "STEPS")]
    length: u64,
    /// Steps after which the whole heap is checked
    #[arg(long, default_value_t = 20_000, value_name = "STEPS")]
    check_every: u64,
    /// Processes at a time; one for each processor if not given
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Only the heap with this feature (or `none`)
    #[arg(long, value_name = "FEATURE")]
    feature: Option<String>,
    /// Writes docs/model.md
    #[arg(long)]
    record: bool,
    /// Only shows that a planted fault is found, by a short program
    #[arg(long)]
    canary: bool,
}

fn main() -> Result<()> {
    let options = &Options::parse();
    if options.canary {
        return run_canary();
    }
    let started = Instant::now();
    // What is checked out now is what is built and run.
    let commit = options.record.then(record::commit).transpose()?;
    let lines = run_all(options)?;
    for line in &lines {
        println!("{line}");
    }
    if let Some(commit) = commit {
        record::write(options, &commit, &lines, started.elapsed())?;
    }
    Ok(())
}

/// A heap with a planted fault is found out, and the program that shows it is made short.
fn run_canary() -> Result<()> {
    let canary = Options {
        operations: 1_000_000,
        seed: 0,
        length: 100_000,
        check_every: 20_000,
        jobs: Some(1),
        feature: Some("none".to_owned()),
        record: false,
        canary: true,
    };
    let Err(error) = run_all(&canary) else {
        bail!("the planted fault was not found");
    };
    let text = format!("{error:#}");
    let steps = text.lines().filter(|line| line.starts_with("    ")).count();
    // Two blocks, one of which is given back before.
    if !text.contains("NotApart") || steps > 4 {
        bail!("the planted fault gives another failure: {text}");
    }
    println!("the planted fault was found: {text}");
    Ok(())
}

/// Runs all programs on the heap without features and with each one.
fn run_all(options: &Options) -> Result<Vec<Line>> {
    let features = features_of("alligator-alloc")?;
    // These two leave the heap as it is.
    let features = features
        .iter()
        .filter(|name| !["check", "allocator-api2"].contains(&name.as_str()));
    let names = ["none"].into_iter().chain(features.map(String::as_str));
    let only = options.feature.as_deref();
    let names: Vec<_> = names
        .filter(|name| only.is_none_or(|only| only == *name))
        .collect();
    if names.is_empty() {
        bail!("no such feature");
    }
    let share = options.operations.div_ceil(names.len() as u64);
    let mut lines = Vec::new();
    for name in names {
        let program = build(name)?;
        lines.push(run_on(name, &program, share, options)?);
    }
    Ok(lines)
}

/// Builds the programs' runner for the heap with one feature, and a checker.
fn build(feature: &str) -> Result<PathBuf> {
    let features = if feature == "none" {
        "check".to_owned()
    } else {
        format!("check,alligator-alloc/{feature}")
    };
    cargo(&["build", "--quiet", "--release", "-p", "alligator-model"])
        // Found below, wherever this machine has cargo build.
        .args(&["--features", &features, "--target-dir", "target"])
        .run()?;
    let target = guest::root().join("target");
    let dir = target.join("model");
    std::fs::create_dir_all(&dir)?;
    let runner = dir.join(feature);
    // The next build takes the file's place.
    std::fs::copy(target.join("release").join("alligator-model"), &runner)
        .context("cargo built no alligator-model")?;
    Ok(runner)
}

/// Runs whole batches of programs until there were so many operations.
fn run_on(name: &str, runner: &Path, operations: u64, options: &Options) -> Result<Line> {
    let bar = ProgressBar::new(operations).with_message(name.to_owned());
    let style = "{msg:8} {bar:30} {human_pos} of {human_len} operations, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    let jobs = options
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, core::num::NonZero::get));
    let batch = BATCH * (100_000 / options.length).clamp(1, 16);
    let mut total = Tally::default();
    let mut seed = options.seed;
    while total.operations < operations {
        let done = run_batch(runner, seed..seed + batch, jobs, &bar, options);
        match done {
            Ok(tally) => total.add(tally),
            Err(Outcome::Failed(failure)) => {
                bar.finish_and_clear();
                bail!(minimise::report(name, runner, &failure, options)?);
            }
            Err(Outcome::Broken(error)) => return Err(error),
        }
        seed += batch;
    }
    bar.finish_and_clear();
    eprintln!("{name}: {} operations", HumanCount(total.operations));
    Ok(Line {
        name: name.to_owned(),
        programs: seed - options.seed,
        tally: total,
    })
}

/// Why a batch has no tally.
enum Outcome {
    /// A program failed.
    Failed(Failure),
    /// The runner cannot be used.
    Broken(anyhow::Error),
}

/// Runs the programs of these seeds.
fn run_batch(
    runner: &Path,
    seeds: core::ops::Range<u64>,
    jobs: usize,
    bar: &ProgressBar,
    options: &Options,
) -> Result<Tally, Outcome> {
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Ok(Tally::default()));
    let work = || -> Result<(), Outcome> {
        let mut worker = Worker::start(runner, options).map_err(Outcome::Broken)?;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(());
            }
            let tally = worker.run(seed)?;
            bar.inc(tally.operations);
            if let Ok(Ok(total)) = total.lock().as_deref_mut() {
                total.add(tally);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                if let (Err(outcome), Ok(mut total)) = (work(), total.lock()) {
                    // The others stop at their next seed.
                    next.store(seeds.end, Ordering::Relaxed);
                    *total = Err(outcome);
                }
            });
        }
    });
    let panicked = |_| Outcome::Broken(anyhow::anyhow!("a thread panicked"));
    total.into_inner().map_err(panicked)?
}

//! `cargo xtask bench`: the lab. Every allocator on every workload and engine that is there, and a
//! report of it: tables here, `target/lab/report.html` to look at, `results.json` beside it.

mod c_programs;
mod derived;
mod html;
mod markdown;
mod plan;
mod queue;
mod record;
mod results;
mod run;
mod stats;

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::Args;

use crate::engines::Engine;
use alligator_tools::guest;
use plan::Plan;
use results::Results;

/// What to run.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Shorter traces, fewer rounds, and times on one third of the synthetic workloads
    #[arg(long)]
    quick: bool,
    /// Workloads, by name; all by default
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD")]
    only: Vec<String>,
    /// Engines; all that are installed by default
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    engine: Vec<Engine>,
    /// Allocators, by name; all by default
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    allocator: Vec<String>,
    /// Measures; all by default
    #[arg(long, value_delimiter = ',', value_name = "MEASURE")]
    measure: Vec<plan::Part>,
    /// Measure only what the results file does not have yet
    #[arg(long)]
    resume: bool,
    /// Measure nothing: write the report again from the results file
    #[arg(long, conflicts_with = "resume")]
    report: bool,
    /// Where results.json and report.html are written
    #[arg(long, value_name = "DIR", default_value = "target/lab")]
    output: PathBuf,
    /// Write the record (lab/record.json) and docs/lab.md from the results of this run
    #[arg(long)]
    record: bool,
    /// A fixed portion for every day: contracts on quick traces, our exact figures
    /// against the record. Fails on a broken contract of ours, or a figure worse than recorded
    #[arg(long, conflicts_with_all = ["record", "report", "resume", "only", "allocator", "engine"])]
    check: bool,
    /// Write the checksums into lab/workloads: of traces, from the host's model; of programs, from
    /// a run on dlmalloc
    #[arg(long, conflicts_with_all = ["record", "report", "resume", "check"])]
    bless: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    if options.bless {
        return record::bless();
    }
    if options.check {
        return record::check();
    }
    let dir = guest::root().join(&options.output);
    let file = dir.join("results.json");
    if options.report {
        let results = Results::read(&file)?;
        return finish(options, &results);
    }
    std::fs::create_dir_all(&dir)?;
    let plan = Plan::new(options)?;
    let mut results = Results::new(&plan)?;
    if options.resume {
        let old = Results::read(&file)?;
        results = results
            .resume(old)
            .map_err(|why| anyhow!("{} cannot be resumed: {why}", file.display()))?;
    }
    let mut runner = run::Runner::new(&plan, results, file, std::io::stderr().is_terminal());
    let outcome = runner.run();
    let results = runner.into_results();
    finish(options, &results)?;
    outcome
}

/// Writes and prints the reports of what there is.
fn finish(options: &Options, results: &Results) -> Result<()> {
    let dir = guest::root().join(&options.output);
    let report = dir.join("report.html");
    let c_programs = c_programs::read()?;
    std::fs::write(&report, html::page(results, &c_programs))?;
    std::fs::write(
        dir.join("report.md"),
        markdown::report(results, &c_programs),
    )?;
    print!("{}", markdown::tables(results));
    println!("{}", report.display());
    if options.record {
        let expected = alligator_tools::allocator::known()?.len();
        if results.counts.len() < expected || results.sizes.len() < expected {
            bail!("only a run of all allocators is recorded");
        }
        record::write(results, !options.report)?;
    }
    Ok(())
}

//! `cargo lab bench`: every allocator on every workload and engine that is there, and a report of
//! it: tables here, `target/lab/report.html` to look at, `results.json` beside it.

use anyhow::{Result, bail};
use clap::Args;

use crate::engines::ENGINES;
use crate::options::{Choice, Part};
use crate::run::{self, Preset, Results};
use crate::{record, report};
use alligator_tools::guest;

/// What to run.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    choice: Choice,
    /// Write the record (lab/record.json) and docs/lab.md from the results of this run
    #[arg(long)]
    record: bool,
    /// A fixed portion for every day: contracts on quick traces, our exact figures
    /// against the record. Fails on a broken contract of ours, or a figure worse than recorded
    #[arg(long, conflicts_with_all = ["record", "report", "resume", "only", "asked", "engine"])]
    check: bool,
    /// Write the checksums into lab/workloads: of traces, from the host's model; of programs, from
    /// a run on dlmalloc
    #[arg(long, conflicts_with_all = ["record", "report", "resume", "check"])]
    bless: bool,
}

/// Everything.
const PRESET: Preset = Preset {
    output: "target/lab",
    engines: &ENGINES,
    parts: &Part::ALL,
    is_of_targets: false,
    replays_programs: false,
    is_demo: false,
};

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    if options.bless {
        return record::bless();
    }
    if options.check {
        return record::check();
    }
    run::run(&options.choice, &PRESET, |results| finish(options, results))
}

/// Writes and prints the reports of what there is.
fn finish(options: &Options, results: &Results) -> Result<()> {
    let dir = PRESET.output_of(&options.choice);
    let page = dir.join("report.html");
    let c_programs = report::read_c_programs()?;
    std::fs::write(&page, report::page(results, &c_programs))?;
    std::fs::write(dir.join("report.md"), report::report(results, &c_programs))?;
    if options.choice.json {
        println!("{}", serde_json::to_string_pretty(results)?);
    } else {
        print!("{}", report::short(results));
        println!("{}", page.display());
    }
    if options.record {
        let expected = alligator_tools::allocator::known()?.len();
        if results.counts.len() < expected || results.sizes.len() < expected {
            bail!("only a run of all allocators is recorded");
        }
        record::write(results, !options.choice.report)?;
    }
    Ok(())
}

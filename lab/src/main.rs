//! `cargo lab <command>`: every allocator on every workload and engine, and what of it is reported.
#![forbid(unsafe_code)]

mod bench;
mod convert;
mod demo;
mod engines;
mod guests;
mod hardened;
mod measure;
mod options;
mod oracle;
mod pictures;
mod programs;
mod progress;
mod record;
mod report;
mod run;
mod same;
mod size;
mod special;
mod stats;
mod table;
mod threads;
mod tightness;
mod workloads;

use std::path::PathBuf;

use alligator_replay::{fuel, probe};
use alligator_tools::guest;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo lab", about = "Measures Alligator and its peers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the lab: every allocator, workload and engine, and a report to look at.
    Bench(bench::Options),
    /// Runs a real program on std's allocator and on Alligator, and reports what the heap cost.
    Demo(demo::Options),
    /// Builds the allocators that come with the command `alligator`, and writes them into its crate.
    Guests(guests::Options),
    /// Measures what the feature `hardened` costs, and writes docs/hardened.md's table.
    Hardened(hardened::Options),
    /// Measures the allocator and its peers: instructions, memory, code size, time.
    Measure(measure::Options),
    /// Draws the pictures of the README and the book from what is recorded, and writes their short tables.
    Pictures(pictures::Options),
    /// Runs the same programs on every engine: they agree on every address and every byte.
    Same(same::Options),
    /// Measures programs of several threads on one heap, and writes docs/threads.md's tables.
    Threads(threads::Options),
    /// Searches for sequences of calls that come close to the proved bounds, and prints how close.
    Tightness(tightness::Options),
    /// Writes a workload as a trace of a program, for `alligator report`, `replay` and `advise`.
    Trace(convert::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Guests(options) => guests::run(&options),
        Command::Hardened(options) => hardened::run(&options),
        Command::Measure(options) => measure::run(&options),
        Command::Pictures(options) => pictures::run(&options),
        Command::Same(options) => same::run(&options),
        Command::Threads(options) => threads::run(&options),
        Command::Tightness(options) => tightness::run(&options),
        Command::Trace(options) => convert::run(&options),
    }
}

/// The directory of the lab's guests and data.
fn dir() -> PathBuf {
    guest::root().join("lab")
}

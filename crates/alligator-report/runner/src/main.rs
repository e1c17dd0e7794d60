//! Opens reports in browsers and in other tools, and times them: `cargo xtask reports`.
#![forbid(unsafe_code)]

mod browsers;
mod consumers;
mod memory;
mod page;
mod sample;
mod tryit;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;

use alligator_tools::programs::LEFT_OUT;
use anyhow::Result;
use clap::{Parser, Subcommand};

/// Opens reports in browsers and in other tools.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask reports")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Opens the page in Chromium and Firefox, uses it, and says how long a scrub takes
    Browsers {
        /// Events of the trace
        #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
        events: u64,
        /// Write pictures of it, light and dark, narrow and wide, into this folder
        #[arg(long, value_name = "FOLDER")]
        pictures: Option<PathBuf>,
    },
    /// Opens the book's page that takes a module (docs/try) in Chromium and Firefox, and gives it modules
    Try,
    /// Opens the exported files in the tools that are there
    Consumers {
        /// Fetch what npm has
        #[arg(long)]
        fetch: bool,
    },
    /// Analyses a trace and one of a tenth of its events, and holds their memory against each other
    Memory {
        /// Events of the longer one
        #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
        events: u64,
    },
    /// Writes a made-up trace
    Sample {
        /// Its events
        #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
        events: u64,
        /// The file
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// What has become of a test.
enum Outcome {
    Passed,
    /// Nothing that it needs is there.
    LeftOut,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::LeftOut) => ExitCode::from(LEFT_OUT),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Outcome> {
    match &options.command {
        Command::Browsers { events, pictures } => browsers::run(*events, pictures.as_deref()),
        Command::Try => tryit::run(),
        Command::Consumers { fetch } => consumers::run(*fetch),
        Command::Memory { events } => memory::run(*events),
        Command::Sample { events, output } => {
            sample::write(BufWriter::new(File::create(output)?), *events, *events / 40)?;
            Ok(Outcome::Passed)
        }
    }
}

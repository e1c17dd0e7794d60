//! `cargo xtask threads`: one heap and several threads, the feature `threads` beside other allocators.
//!
//! Writes the tables into `docs/threads.md`.

mod host;
mod programs;
mod sizes;
mod tables;

use core::fmt::Write as _;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::{pictures, size};
use host::Host;
use programs::{Outcomes, PROGRAMS};
use sizes::Sizes;

/// Where the tables go.
const DOCUMENT: &str = "docs/threads.md";

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Rounds of which each figure is the median, each with another seed
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Programs; all by default. The tables are then printed and not written
    #[arg(long, value_delimiter = ',', value_name = "PROGRAM", value_parser = PossibleValuesParser::new(PROGRAMS.map(|one| one.name)))]
    only: Vec<String>,
    /// One round of ours alone, which fails where a figure that no other program on the machine can change is too large
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
}

/// Measures, prints and writes.
pub(crate) fn run(options: &Options) -> Result<()> {
    let subjects = if options.quick {
        vec![host::THREADS, host::SPIN]
    } else {
        (0..host::SUBJECTS.len()).collect()
    };
    let host = Host::new(&subjects)?;
    let is_wanted =
        |name: &str| options.only.is_empty() || options.only.iter().any(|one| one == name);
    let rounds = if options.quick { 1 } else { options.rounds };
    let outcomes = Outcomes::of(&host, rounds, &subjects, is_wanted)?;
    if options.quick {
        return programs::check(&outcomes);
    }
    let is_all = options.only.is_empty();
    let sizes = if is_all { Some(Sizes::new()?) } else { None };
    let mut text = format!("{}\n", host.about(rounds)?);
    for (heading, table) in tables::all(&outcomes, sizes.as_ref()) {
        write!(text, "\n**{heading}.**\n\n{table}")?;
    }
    print!("{text}");
    if is_all && size::optimizer_exists() {
        pictures::write_between(DOCUMENT, "threads", &text)?;
    }
    Ok(())
}

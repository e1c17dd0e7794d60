//! `cargo lab measure`: the short way to the figures that the project's targets name, of the
//! allocators and on the workloads that they name. `cargo lab bench` is the whole lab.

mod starts;
mod tables;
mod targets;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use clap::Args;

use crate::engines::Engine;
use crate::options::{Choice, Part};
use crate::run::{self, Plan, Preset, Results};

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    choice: Choice,
    /// The targets and what of them is reached, instead of all tables; for the first
    /// allocator measured, with all workloads
    #[arg(long, conflicts_with_all = ["only", "quick", "json"])]
    targets: bool,
    /// Only the memory, from so many places in a page where the heap may start: which of them
    /// it is is luck
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["targets", "json", "rounds", "measure"])]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    starts: Option<u8>,
    /// The calls of the program of `cargo lab demo` instead of the workloads
    #[arg(long, conflicts_with_all = ["only", "quick", "targets"])]
    demo: bool,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let preset = Preset {
        output: "target/lab/measure",
        engines: &[Engine::V8],
        parts: &[Part::Counts, Part::Size, Part::Time],
        is_of_targets: true,
        replays_programs: true,
        is_demo: options.demo,
    };
    if let Some(count) = options.starts {
        return starts::run(&Plan::new(&options.choice, &preset)?, count.into());
    }
    run::run(&options.choice, &preset, |results| {
        if options.choice.json {
            println!("{}", serde_json::to_string_pretty(results)?);
        } else if options.targets {
            targets::print(results);
        } else {
            tables::print(results);
        }
        let parts = &options.choice.measure;
        if parts.is_empty() || parts.contains(&Part::Counts) {
            everything_was_counted(results)?;
        }
        Ok(())
    })
}

/// Who breaks its contract has no figures, and the results say why. Who does not build broke none.
///
/// # Errors
/// One did.
fn everything_was_counted(results: &Results) -> Result<()> {
    for info in &results.allocators {
        let name = &info.name;
        let unbuilt = format!("{name} does not build");
        let is_built = !results.missing.iter().any(|why| why.starts_with(&unbuilt));
        let counted = results.counts.get(name).map_or(0, BTreeMap::len);
        let is_whole = counted == results.workloads.len() && results.special.contains_key(name);
        ensure!(is_whole || !is_built, "{name} broke its contract");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::sample;

    #[test]
    fn who_lacks_a_figure_broke_its_contract_unless_it_does_not_build() {
        assert!(everything_was_counted(&sample()).is_ok());
        let mut results = sample();
        results.counts.clear();
        assert!(everything_was_counted(&results).is_err());
        results.missing = vec!["talc does not build: why".to_owned()];
        assert!(everything_was_counted(&results).is_ok());
        let mut results = sample();
        results.special.clear();
        assert!(everything_was_counted(&results).is_err());
    }
}

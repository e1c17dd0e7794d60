//! Finds the heaps of shipped modules: `cargo xtask heaps`.
#![forbid(unsafe_code)]

mod corpus;
mod report;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

use corpus::Shipped;

/// Finds the heaps of modules shipped by npm and PyPI. The list: `crates/alligator-find/corpus/corpus.toml`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask heaps")]
struct Options {
    /// Fetch the modules that are not there yet, by npm and pip
    #[arg(long)]
    fetch: bool,
    /// Write docs/heaps.md
    #[arg(long)]
    record: bool,
    /// Only modules of packages with this in their name
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Leave out what is held out
    #[arg(long)]
    open: bool,
    /// Leave out modules above so many MiB
    #[arg(long, value_name = "MIB")]
    max: Option<usize>,
    /// Branches that a search of a bound follows, which shows whether there is one; 0: no bounds are proved
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    steps: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let is_wanted = |module: &Shipped| {
        let named = options
            .only
            .as_ref()
            .is_none_or(|only| module.package.contains(only));
        named && !(options.open && module.held_out)
    };
    let modules: Vec<Shipped> = corpus::list()?.into_iter().filter(is_wanted).collect();
    ensure!(!modules.is_empty(), "no module of that name is in the list");
    if options.fetch {
        for module in &modules {
            module.fetch()?;
        }
    }
    let mut rows = Vec::new();
    for module in &modules {
        let bytes = module.read()?;
        if options.max.is_some_and(|max| bytes.len() > max << 20) {
            continue;
        }
        let row = report::row(module, &bytes, options.steps)?;
        println!("{}", row.line());
        rows.push(row);
    }
    print!("{}", report::summary(&rows));
    if options.record {
        report::record(&rows)?;
    }
    Ok(())
}

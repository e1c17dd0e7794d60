//! What is proved of modules. `cargo xtask bounds`, `test` and `fuzz` call this program.
#![forbid(unsafe_code)]

mod bounds;
mod lean;
mod rt;
mod scopes;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Proves our bounds and the peers' verdicts.
    Bounds(bounds::Options),
    /// Looks for what must not be in a release module of the heap, and finds what is planted.
    Lean,
    /// Writes the prover's test cases as modules: what its fuzzing starts from.
    Modules {
        /// Where they are written
        to: PathBuf,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Bounds(options) => bounds::run(&options),
        Command::Lean => lean::run(),
        Command::Modules { to } => modules(&to),
    }
}

/// Assembles each test case of the prover.
fn modules(to: &Path) -> Result<()> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    for case in std::fs::read_dir(&cases).context("the test cases are gone")? {
        let case = case?.path();
        let name = case.file_stem().unwrap_or_default();
        if case.extension().is_some_and(|extension| extension == "wat") {
            std::fs::write(to.join(name), wat::parse_file(&case)?)?;
        }
    }
    Ok(())
}

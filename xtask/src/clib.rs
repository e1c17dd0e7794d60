//! `cargo xtask clib`: the C library, as C developers get it, and what must hold for it (crates/alligator-c/runner).

use std::process::ExitCode;

use anyhow::Result;

use crate::programs;
use crate::steps::{self, Step};

/// The package whose program builds the library.
const RUNNER: &str = "clib-runner";

/// Steps on the library write the same files.
pub(crate) const GROUP: &str = "C library";

/// What to do besides building.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Test the library with the C compilers of this machine
    #[arg(long)]
    test: bool,
    #[command(flatten)]
    steps: steps::Options,
    /// Compare C programs on the C library's malloc and on ours, and write docs/c-programs.md
    #[arg(long)]
    compare: bool,
    /// Prove the bounds of the C functions, and write crates/alligator-c/bounds.txt
    #[arg(long)]
    bounds: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.test {
        programs::build_all()?;
        return steps::run(&steps()?, &options.steps, &["clib", "--test"]);
    }
    let chosen = [("--compare", options.compare), ("--bounds", options.bounds)];
    let args = chosen.iter().filter(|(_, is_chosen)| *is_chosen);
    let args: Vec<String> = args.map(|(name, _)| (*name).to_owned()).collect();
    programs::forward(RUNNER, &args)
}

/// All that must hold for the C library. What needs a C compiler that is not there is left out.
pub(crate) fn steps() -> Result<Vec<Step>> {
    let names = programs::output(RUNNER, &["--list"])?;
    let step = |name: &str| {
        let copy = name.to_owned();
        let action = move || programs::run(RUNNER, &["--step", &copy]);
        Step::new(format!("C library: {name}"), action).group(GROUP)
    };
    Ok(names.lines().map(step).collect())
}

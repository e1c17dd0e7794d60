//! `cargo xtask alloctests`: the unit and integration tests of Rust's own `alloc`, with Alligator as the global
//! allocator, and the same programs on std's allocator to compare with.
//!
//! The sources are those of the toolchain in use (its component `rust-src`). Each suite is built once for a
//! target; the environment tells the program which allocator to use (`guests/suites`).

mod outcomes;
mod package;
mod programs;

use anyhow::{Result, ensure};

use crate::Missing;
use alligator_tools::guest::WASI;
use outcomes::{Comparison, Outcomes};
use programs::Program;

/// The test that we add to each suite: its blocks come from Alligator, and the heap is checked.
const OURS: &str = "the_global_allocator_is_alligator";

/// Which suites to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only this: `host`, or `wasm` for wasm32-wasip1
    #[arg(long, value_name = "TARGET")]
    target: Option<Target>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Host,
    Wasm,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    package::library().map_err(|error| Missing(format!("{error:#}")))?;
    for target in [Target::Host, Target::Wasm] {
        if options.target.is_none_or(|only| only == target) {
            compare_on(target)?;
        }
    }
    Ok(())
}

/// Builds the suites for `target` and runs them on both allocators.
fn compare_on(target: Target) -> Result<()> {
    let package = package::make()?;
    let (name, triple) = match target {
        Target::Host => ("host", None),
        Target::Wasm => (WASI, Some(WASI)),
    };
    println!("building the test suites of alloc for {name}");
    let (mut std, mut alligator) = (Outcomes::default(), Outcomes::default());
    for path in programs::build(&package, triple)? {
        let program = Program::load(&path, triple.is_some())?;
        let mut on_std = program.run_on_std()?;
        on_std.forget(OURS);
        let mut on_alligator = program.run_on_alligator(&on_std)?;
        ensure!(
            on_alligator
                .forget(OURS)
                .is_some_and(outcomes::Outcome::passed),
            "{} does not run on Alligator, or left its heap broken",
            path.display()
        );
        alligator.extend(on_alligator);
        std.extend(on_std);
    }
    let comparison = Comparison::new(&std, &alligator);
    print!("{name}: {comparison}");
    ensure!(
        comparison.passed_on_both > 0,
        "no test has passed on both allocators"
    );
    ensure!(
        comparison.only_on_std.is_empty(),
        "{} tests pass on std's allocator only",
        comparison.only_on_std.len()
    );
    Ok(())
}

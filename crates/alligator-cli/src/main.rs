//! The tool `alligator`.
//!
//! Exit status: 0 bounded, reported, replayed, advised, a heap whose invariants hold, what is forbidden out of reach, or
//! heap found or none there; 1 above `--max` or another limit, a heap that is broken, what is forbidden in reach, or
//! measured above proved; 2 unbounded or conditional, a heap that is there and not found, or nothing to record; 3 bad
//! input. `run` ends with the program's.
#![forbid(unsafe_code)]

mod advise;
mod bound;
mod find;
mod forbid;
mod inspect;
mod measure;
mod record;
mod replay;
mod report;
#[cfg(feature = "run")]
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Input that cannot be used.
const BAD_INPUT: u8 = 3;

/// What can be known of the allocator in a compiled module.
#[derive(Debug, Parser)]
#[command(name = "alligator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Finds the allocator in a module: which functions it has, how that is known, and which allocator it is.
    Find(find::Arguments),
    /// Makes a module record its heap.
    Record(record::Arguments),
    /// Runs a WASI program and records its heap.
    #[cfg(feature = "run")]
    Run(run::Arguments),
    /// Proves the worst case of an allocator's operations from a compiled module.
    Bound(bound::Arguments),
    /// Runs calls on a module, counting, and holds each against its proved bound.
    Measure(measure::Arguments),
    /// Replays a recorded heap on other allocators: instructions, memory, time.
    Replay(replay::Arguments),
    /// Reports what a recorded heap did: a text, a page, files for other tools.
    Report(report::Arguments),
    /// Says what to do about a recorded heap, each with its figure and its line of code.
    Advise(advise::Arguments),
    /// Says what an Alligator heap has, from a copy of its memory: of a program that has trapped, say.
    Inspect(inspect::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is not worth a panic.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    let result = match &arguments.command {
        Command::Find(arguments) => find::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        #[cfg(feature = "run")]
        Command::Run(arguments) => run::run(arguments),
        Command::Bound(arguments) => bound::run(arguments),
        Command::Measure(arguments) => measure::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::Advise(arguments) => advise::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(reason) => {
            eprintln!("alligator: {reason}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    /// What a build with debug assertions looks at when a subcommand is called.
    #[test]
    fn every_subcommand_is_defined_as_clap_wants_it() {
        Arguments::command().debug_assert();
    }
}

//! Runs the Wasm programs of `guests/`, and those of others, and says whether they did what they should.
//!
//! `cargo xtask test` calls it. Exit status 77 says that something is missing on this machine.
#![forbid(unsafe_code)]

mod alloctests;
mod call;
mod contract;
mod examples;
mod faults;
mod guards;
mod scopes;
mod suite;
mod targets;
mod wasi;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The exit status, as automake has it, of a test for which something is missing.
const LEFT_OUT: u8 = 77;

#[derive(Parser)]
#[command(name = "wasm-tests", about = "Tests on WebAssembly")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the test suites of Rust's own `alloc` on Alligator, and compares with std's allocator.
    Alloctests(alloctests::Options),
    /// Calls an exported function without parameters, of a module without imports, and prints what it returns.
    Call(call::Options),
    /// Runs the allocators' contract on wasm32: ours with every selection of features, and two peers.
    Contract(contract::Options),
    /// Runs a program of `examples/` that is about time, and holds it to what its README says.
    Examples(examples::Options),
    /// Runs each misuse of guests/faults, which must stop the program with its fault.
    Faults,
    /// Runs guests/rt: guards and limits in a module, over Alligator and two peers.
    Guards,
    /// Counts what the operations of scopes cost, beside bumpalo's, and says where they cost more than they may.
    Scopes,
    /// Runs the tests of guests/tests, or of another crate like it.
    Suite(suite::Options),
    /// Tests each target that Alligator is for, with the toolchain that users have there.
    Targets(targets::Options),
    /// Runs two programs for wasm32-wasip1 in turn, and prints the ratio of their median times.
    Times(wasi::TimesOptions),
    /// Runs a program that was built for wasm32-wasip1.
    Wasi(wasi::Options),
}

/// Something is missing on this machine: what, and how to get it.
#[derive(Debug)]
struct Missing(String);

impl core::fmt::Display for Missing {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for Missing {}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Alloctests(options) => alloctests::run(&options),
        Command::Call(options) => call::run(&options),
        Command::Contract(options) => contract::run(&options),
        Command::Examples(options) => examples::run(&options),
        Command::Faults => faults::run(),
        Command::Guards => guards::run(),
        Command::Scopes => scopes::run(),
        Command::Suite(options) => suite::run(&options),
        Command::Targets(options) => targets::run(&options),
        Command::Times(options) => wasi::times(&options),
        Command::Wasi(options) => wasi::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Missing>() => {
            println!("left out: {error}");
            LEFT_OUT.into()
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

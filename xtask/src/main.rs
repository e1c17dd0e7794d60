//! Project automation: `cargo xtask <command>`.
#![forbid(unsafe_code)]

mod book;
mod clib;
mod examples;
mod fuzz;
mod mutants;
mod release;
mod steps;
mod test;
mod tidy;

use std::process::ExitCode;

use alligator_tools::programs::{self, LAB};
use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Alligator's project automation")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Attacks the heap, ours and the peers': what a program's memory bug gives an attacker (tests/attacks).
    Attacks(Forwarded),
    /// Runs the test suites of Rust's own `alloc` on Alligator, and compares with std's allocator (tests/wasm).
    Alloctests(Forwarded),
    /// Runs the lab: every allocator, workload and engine, and a report to look at (lab).
    Bench(Forwarded),
    /// Makes the book of the folder docs, checks its links, and compiles and runs its programs (mdbook, Node.js).
    Book(book::Options),
    /// Proves our bounds and the peers' verdicts (crates/alligator-bound).
    Bounds(Forwarded),
    /// Builds the C library: archives, header, pkg-config and CMake files, and a tarball of them (crates/alligator-c).
    Clib(clib::Options),
    /// Runs the allocators' contract on wasm32: ours with every selection of features, and two peers (tests/wasm).
    Contract(Forwarded),
    /// Runs a real program on std's allocator and on Alligator, and reports what the heap cost (lab).
    Demo(Forwarded),
    /// Fuzzes the heap, the C functions and the prover, guided by coverage (needs a nightly toolchain and cargo-fuzz).
    Fuzz(fuzz::Options),
    /// Builds the allocators that come with the command `alligator`, and writes them into its crate (lab).
    Guests(Forwarded),
    /// Measures what the feature `hardened` costs, and writes docs/hardened.md's table (lab).
    Hardened(Forwarded),
    /// Finds the heaps of modules shipped by npm and PyPI, which `--fetch` brings (crates/alligator-find).
    Heaps(Forwarded),
    /// Measures the allocator and its peers: instructions, memory, code size, time (lab).
    Measure(Forwarded),
    /// Runs random programs on the heap against a model, by the thousand million (crates/alligator-model).
    Model(Forwarded),
    /// Draws the pictures of the README and the book from what is recorded, and writes their short tables (lab).
    Pictures(Forwarded),
    /// Opens reports of heaps in browsers and in other tools, and times them (crates/alligator-report).
    Reports(Forwarded),
    /// Runs the same programs on every engine: they agree on every address and every byte (lab).
    Same(Forwarded),
    /// Measures programs of several threads on one heap, and writes docs/threads.md's tables (lab).
    Threads(Forwarded),
    /// Searches for calls that come close to our bounds, and prints how close (lab).
    Tightness(Forwarded),
    /// Writes a workload of the lab as a trace of a program, for `alligator report`, `replay` and `advise` (lab).
    Trace(Forwarded),
    /// Plants faults in a copy of the allocator, which its tests must notice.
    Mutants(mutants::Options),
    /// Makes and checks all that a release publishes, and publishes nothing.
    Release(release::Options),
    /// Checks and tests everything, step by step.
    Test(steps::Options),
    /// Checks the project's style: layers, lengths, links, figures and more. CONTRIBUTING.md has the rules.
    Tidy(tidy::Options),
}

/// The arguments of a command that another program does.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
struct Forwarded {
    /// Its arguments; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Forwarded {
    /// Has `package`'s program do it: its command of this name, if it has several.
    fn run(mut self, package: &str, command: Option<&str>) -> Result<ExitCode> {
        if let Some(command) = command {
            self.args.insert(0, command.to_owned());
        }
        programs::forward(package, &self.args)
    }
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Attacks(args) => return args.run("attacks", None),
        Command::Heaps(args) => return args.run("find-runner", None),
        Command::Reports(args) => return args.run("report-runner", None),
        Command::Model(args) => return args.run("model-runner", None),
        Command::Bounds(args) => return args.run(programs::BOUNDS, Some("bounds")),
        Command::Alloctests(args) => return args.run(programs::WASM_TESTS, Some("alloctests")),
        Command::Contract(args) => return args.run(programs::WASM_TESTS, Some("contract")),
        Command::Bench(args) => return args.run(LAB, Some("bench")),
        Command::Demo(args) => return args.run(LAB, Some("demo")),
        Command::Guests(args) => return args.run(LAB, Some("guests")),
        Command::Hardened(args) => return args.run(LAB, Some("hardened")),
        Command::Measure(args) => return args.run(LAB, Some("measure")),
        Command::Pictures(args) => return args.run(LAB, Some("pictures")),
        Command::Same(args) => return args.run(LAB, Some("same")),
        Command::Threads(args) => return args.run(LAB, Some("threads")),
        Command::Tightness(args) => return args.run(LAB, Some("tightness")),
        Command::Trace(args) => return args.run(LAB, Some("trace")),
        Command::Book(options) => return book::run(&options),
        Command::Clib(options) => return clib::run(&options),
        Command::Release(options) => return release::run(&options),
        Command::Test(options) => return test::run(&options),
        Command::Tidy(options) => return tidy::run(&options),
        Command::Fuzz(options) => fuzz::run(&options)?,
        Command::Mutants(options) => mutants::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}

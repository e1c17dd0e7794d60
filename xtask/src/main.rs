//! Project automation: `cargo xtask <command>`.
#![forbid(unsafe_code)]

mod alloctests;
mod attacks;
mod bench;
mod bounds;
mod clib;
mod contract;
mod demo;
mod engine;
mod folder;
mod fuzz;
mod guest;
mod hardened;
mod lab;
mod measure;
mod model;
mod mutants;
mod same;
mod test;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Alligator's project automation")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Attacks the heap, ours and the peers': what a program's memory bug gives an attacker.
    Attacks(attacks::Options),
    /// Runs the test suites of Rust's own `alloc` on Alligator, and compares with std's allocator.
    Alloctests(alloctests::Options),
    /// Runs the lab: every allocator, workload and engine, and a report to look at.
    Bench(bench::Options),
    /// Proves our bounds and the peers' verdicts, and searches how close our bounds are.
    Bounds(bounds::Options),
    /// Builds the C library: archives, header, pkg-config and CMake files, and a tarball of them.
    Clib(clib::Options),
    /// Runs the allocators' contract on wasm32: ours with every selection of features, and two peers.
    Contract(contract::Options),
    /// Runs a real program on std's allocator and on Alligator, and reports what the heap cost.
    Demo(demo::Options),
    /// Fuzzes the heap, the C functions and the prover, guided by coverage (needs a nightly toolchain and cargo-fuzz).
    Fuzz(fuzz::Options),
    /// Measures what the feature `hardened` costs, and writes docs/hardened.md's table.
    Hardened(hardened::Options),
    /// Measures the allocator and its peers: instructions, memory, code size, time.
    Measure(measure::Options),
    /// Runs random programs on the heap against a model, by the thousand million.
    Model(model::Options),
    /// Runs the same programs on every engine: they agree on every address and every byte.
    Same(same::Options),
    /// Plants faults in a copy of the allocator, which its tests must notice.
    Mutants(mutants::Options),
    /// Checks and tests everything, step by step.
    Test(test::Options),
    /// Runs a test program that was built for wasm32-wasip1.
    WasiRun(test::wasi::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Attacks(options) => attacks::run(&options),
        Command::Alloctests(options) => alloctests::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Bounds(options) => bounds::run(&options),
        Command::Clib(options) => clib::run(&options),
        Command::Contract(options) => contract::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Hardened(options) => hardened::run(&options),
        Command::Measure(options) => measure::run(&options),
        Command::Model(options) => model::run(&options),
        Command::Same(options) => same::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Test(options) => test::run(&options),
        Command::WasiRun(options) => test::wasi::run(&options),
    }
}

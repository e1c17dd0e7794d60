//! `cargo xtask hardened`: what the feature `hardened` costs whole programs and the module.
//!
//! Writes the table into `docs/hardened.md`.

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Engine, Instance, Module};

use crate::fuel::PAGE_BYTES;
use crate::options::{Allocators, Only};
use crate::pictures;
use crate::size::{self, OPT_LEVELS};
use crate::stats;
use crate::table::Table;
use crate::workloads::{self, Program};
use alligator_meter::{counting_engine, counting_store};
use alligator_tools::allocator::{Allocator, Exports};
use alligator_tools::guest;

/// What is compared.
const PLAIN: &str = "alligator";
const HARDENED: &str = "alligator-hardened";

/// Where the tables go.
const DOCUMENT: &str = "docs/hardened.md";

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    allocators: Allocators,
    #[command(flatten)]
    programs: Only,
}

/// What a program needed, exactly.
#[derive(Clone, Copy, Debug)]
struct Cost {
    instructions: u64,
    /// Of the whole memory, at the end.
    pages: u64,
}

/// Measures, prints and writes.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let compared = options
        .allocators
        .choose(|one| [PLAIN, HARDENED].contains(&one.name.as_str()))?;
    let Ok([plain, hardened]) = <[Allocator; 2]>::try_from(compared) else {
        bail!("two allocators are compared");
    };
    let mut programs = workloads::programs()?;
    let names: Vec<&String> = programs.iter().map(|program| &program.name).collect();
    options.programs.refuse_unknown(&names)?;
    options
        .programs
        .retain(&mut programs, |one| &one.name, |_| true);
    let mut text = costs([&plain, &hardened], &programs)?.to_string();
    let is_sized = size::optimizer_exists();
    if is_sized {
        text = format!("{text}\n{}", sizes([&plain, &hardened])?);
    } else {
        println!("no code size: wasm-opt (Debian package binaryen) is not installed");
    }
    print!("{text}");
    if options.programs.is_all() && options.allocators.are_default() && is_sized {
        pictures::write_between(DOCUMENT, "cost", &text)?;
    }
    Ok(())
}

/// What the programs need on both allocators.
fn costs(allocators: [&Allocator; 2], programs: &[Program]) -> Result<Table> {
    let engine = counting_engine()?;
    let [plain, hardened] = allocators.map(|allocator| load(&engine, allocator));
    let modules = [plain?, hardened?];
    let mut table = Table::new([
        "program",
        "instructions, plain",
        "hardened",
        "more",
        "pages, plain",
        "hardened",
    ]);
    let mut ratios = Vec::new();
    for program in programs {
        let [plain, hardened] = modules
            .each_ref()
            .map(|module| cost(&engine, module, program));
        let (plain, hardened) = (plain?, hardened?);
        let ratio = stats::ratio(hardened.instructions, plain.instructions);
        ratios.push(ratio);
        table.row([
            program.name.clone(),
            plain.instructions.to_string(),
            hardened.instructions.to_string(),
            percent(ratio),
            plain.pages.to_string(),
            hardened.pages.to_string(),
        ]);
    }
    let mean = stats::geometric_mean(&ratios).map(percent);
    table.row(["mean", "", "", &mean.unwrap_or_default(), "", ""]);
    Ok(table)
}

fn load(engine: &Engine, allocator: &Allocator) -> Result<Module> {
    eprintln!("building the programs on {}", allocator.name);
    let path = allocator.build(Exports::Programs)?;
    Ok(Module::new(engine, std::fs::read(path)?)?)
}

/// Runs a program once, in an instance of its own.
fn cost(engine: &Engine, module: &Module, program: &Program) -> Result<Cost> {
    let mut store = counting_store(engine, ())?;
    let instance = Instance::new(&mut store, module, &[])?;
    let run = instance.get_typed_func::<u32, u32>(&mut store, "program")?;
    let before = store.get_fuel()?;
    let checksum = run.call(&mut store, program.number)?;
    let instructions = before - store.get_fuel()?;
    let expected = program.checksum;
    ensure!(
        expected.is_none_or(|expected| expected == checksum),
        "{}: another output, {checksum}",
        program.name
    );
    let memory = instance.get_memory(&mut store, "memory");
    let memory = memory.context("the module exports no memory")?;
    Ok(Cost {
        instructions,
        pages: memory.data_size(&store) as u64 / PAGE_BYTES,
    })
}

/// The allocators' code alone, as `cargo lab measure` counts it, for size and for speed.
fn sizes([plain, hardened]: [&Allocator; 2]) -> Result<Table> {
    let mut table = Table::new(["code, bytes", "plain", "hardened", "more"]);
    for level in [OPT_LEVELS[0], OPT_LEVELS[OPT_LEVELS.len() - 1]] {
        let bytes = |allocator| -> Result<u64> {
            let optimized = size::added(allocator, level, true)?.optimized;
            optimized.context("wasm-opt wrote nothing")
        };
        let (plain, hardened) = (bytes(plain)?, bytes(hardened)?);
        table.row([
            format!("`opt-level = {level:?}`"),
            plain.to_string(),
            hardened.to_string(),
            (i128::from(hardened) - i128::from(plain)).to_string(),
        ]);
    }
    Ok(table)
}

/// How much more than the whole a ratio is.
fn percent(ratio: f64) -> String {
    format!("{:.1} %", (ratio - 1.0) * 100.0)
}

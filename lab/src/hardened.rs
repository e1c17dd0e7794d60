//! `cargo xtask hardened`: what the feature `hardened` costs whole programs and the module.
//!
//! Writes the table into `docs/hardened.md`.

use core::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use wasmtime::{Engine, Instance, Module};

use crate::fuel::PAGE_BYTES;
use crate::size;
use crate::workloads::{self, Program};
use alligator_meter::{counting_engine, counting_store};
use alligator_tools::allocator::{Allocator, Exports, known};
use alligator_tools::guest;

/// What is compared.
const PLAIN: &str = "alligator";
const HARDENED: &str = "alligator-hardened";

/// Where the table goes, and the lines around it.
const DOCUMENT: &str = "docs/hardened.md";
const BEGIN: &str = "<!-- cost:begin -->\n";
const END: &str = "<!-- cost:end -->";

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Programs to run, by name; all by default. Of some, nothing is written
    #[arg(long, value_delimiter = ',', value_name = "PROGRAM")]
    only: Vec<String>,
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
    let engine = counting_engine()?;
    let [plain, hardened] = [allocator(PLAIN)?, allocator(HARDENED)?];
    let mut programs = workloads::programs()?;
    programs.retain(|program| options.only.is_empty() || options.only.contains(&program.name));
    ensure!(
        !programs.is_empty(),
        "no program is called {:?}",
        options.only
    );
    let modules = [load(&engine, &plain)?, load(&engine, &hardened)?];
    let mut text = String::from(
        "| program | instructions, plain | hardened | more | pages, plain | hardened |\n\
         | --- | --: | --: | --: | --: | --: |\n",
    );
    let mut product = 1.0;
    for program in &programs {
        let [plain, hardened] = [
            cost(&engine, &modules[0], program)?,
            cost(&engine, &modules[1], program)?,
        ];
        let ratio = ratio(hardened.instructions, plain.instructions);
        product *= ratio;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} % | {} | {} |",
            program.name,
            plain.instructions,
            hardened.instructions,
            percent(ratio),
            plain.pages,
            hardened.pages,
        );
    }
    let count = u32::try_from(programs.len())?;
    let mean = f64::powf(product, 1.0 / f64::from(count));
    let _ = writeln!(text, "| mean | | | {:.1} % | | |", percent(mean));
    if size::optimizer_exists() {
        add_sizes(&mut text, &plain, &hardened)?;
    } else {
        println!("no code size: wasm-opt (Debian package binaryen) is not installed");
    }
    print!("{text}");
    if options.only.is_empty() && size::optimizer_exists() {
        write(&text)?;
    }
    Ok(())
}

fn allocator(name: &str) -> Result<Allocator> {
    let mut all = known()?.into_iter();
    let found = all.find(|allocator| allocator.name == name);
    found.with_context(|| format!("the lab has no {name}"))
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

/// The allocator's code alone, as `cargo xtask measure` counts it.
fn add_sizes(text: &mut String, plain: &Allocator, hardened: &Allocator) -> Result<()> {
    text.push_str("\n| code, bytes | plain | hardened | more |\n| --- | --: | --: | --: |\n");
    for level in ["z", "3"] {
        let bytes = |allocator| -> Result<u64> {
            let optimized = size::added(allocator, level, true)?.optimized;
            optimized.context("wasm-opt wrote nothing")
        };
        let (plain, hardened) = (bytes(plain)?, bytes(hardened)?);
        let more = i128::from(hardened) - i128::from(plain);
        let _ = writeln!(
            text,
            "| `opt-level = {level:?}` | {plain} | {hardened} | {more} |"
        );
    }
    Ok(())
}

/// Puts the tables into the document.
fn write(text: &str) -> Result<()> {
    let path = guest::root().join(DOCUMENT);
    let document = std::fs::read_to_string(&path)?;
    let (before, rest) = document
        .split_once(BEGIN)
        .with_context(|| format!("{DOCUMENT} has no line {BEGIN:?}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{DOCUMENT} has no line {END:?}"))?;
    std::fs::write(&path, [before, BEGIN, text, END, after].concat())?;
    Ok(())
}

fn percent(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

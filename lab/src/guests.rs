//! `cargo lab guests`: the allocators that come with the command `alligator`, for `alligator replay`. They are the lab's
//! guests, built as the lab builds them; what is in the crate `alligator-replay` is written here, and held against them.

use std::path::PathBuf;

use alligator_meter::counting_engine;
use alligator_replay::fuel::{self, Figures};
use alligator_replay::{Allocators, Info, Kind, Recorder, Trace, bundle};
use alligator_tools::allocator::{self, Allocator, Exports};
use alligator_tools::guest::root;
use alligator_tools::random::Random;
use anyhow::{Context, Result, ensure};
use clap::Args;
use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

/// Operations of the trace on which shipped and built allocators must agree.
const OPERATIONS: usize = 20_000;

/// Instructions for it, at most.
const FUEL_MAX: u64 = 1_000_000_000;

/// What to do.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Write nothing: replay a trace on what is in the crate and on what is built now, and fail if one of them counts
    /// otherwise
    #[arg(long)]
    check: bool,
}

/// Builds, then writes or compares.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut all = vec![allocator::control()?];
    all.extend(allocator::known()?);
    let built = all.iter().map(build).collect::<Result<Vec<_>>>()?;
    if options.check {
        return check(&built);
    }
    let bytes = bundle(&compiler()?, &built)?;
    let path = path();
    std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    println!(
        "{}: {} allocators, {} bytes, {} packed",
        path.strip_prefix(root()).unwrap_or(&path).display(),
        built.len(),
        built.iter().map(|(info, _)| info.bytes).sum::<u64>(),
        bytes.len(),
    );
    Ok(())
}

/// The file with the shipped allocators.
fn path() -> PathBuf {
    root().join("crates/alligator-replay/allocators.bin")
}

fn compiler() -> Result<String> {
    let output = std::process::Command::new("rustc").arg("-V").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An allocator's guest, as it is shipped.
fn build(allocator: &Allocator) -> Result<(Info, Vec<u8>)> {
    let module = std::fs::read(allocator.build(Exports::Probe)?)?;
    let module = without_custom_sections(&module)?;
    let kind = match allocator.kind {
        allocator::Kind::Ours => Kind::Ours,
        allocator::Kind::Peer => Kind::Peer,
        allocator::Kind::Control => Kind::Control,
        allocator::Kind::Yardstick | allocator::Kind::Recorder => Kind::Yardstick,
    };
    let info = Info {
        name: allocator.name.clone(),
        kind,
        version: allocator.version.clone(),
        about: allocator.about.clone(),
        bytes: module.len() as u64,
    };
    Ok((info, module))
}

/// The module without names, producers and other sections that no engine runs.
fn without_custom_sections(module: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let section = match &payload {
            Payload::CustomSection(_) => None,
            payload => payload.as_section(),
        };
        if let Some((id, range)) = section {
            let data = &module[usize::try_from(range.start)?..usize::try_from(range.end)?];
            copy.section(&RawSection { id, data });
        }
    }
    Ok(copy.finish())
}

/// Holds what is shipped against what is built.
fn check(built: &[(Info, Vec<u8>)]) -> Result<()> {
    let shipped = Allocators::shipped()?;
    let engine = counting_engine()?;
    let trace = trace();
    let control = wasmtime::Module::new(&engine, shipped.control())?;
    let initial_pages = crate::probe::Probe::new(&engine, &control)?.pages();
    let names = |all: &mut dyn Iterator<Item = &Info>| -> Vec<(String, Option<String>)> {
        all.map(|info| (info.name.clone(), info.version.clone()))
            .collect()
    };
    let infos = built.iter().map(|(info, _)| info);
    let is_shown = |info: &&Info| info.kind != Kind::Control;
    ensure!(
        names(&mut infos.clone().filter(is_shown))
            == names(&mut shipped.all().iter().map(|it| &it.info)),
        "other allocators or versions are shipped: cargo xtask guests"
    );
    for (info, module) in built.iter().filter(|(info, _)| is_shown(&info)) {
        let now = count(&engine, module, &trace, initial_pages);
        let then = count(
            &engine,
            &shipped.named(&info.name)?.module,
            &trace,
            initial_pages,
        );
        ensure!(
            now == then,
            "{}: the shipped module counts otherwise than the one that is built now, {then:?} and {now:?}: cargo xtask guests",
            info.name
        );
    }
    println!(
        "{} allocators count as those that are built now ({})",
        shipped.all().len(),
        Allocators::compiler()?
    );
    Ok(())
}

/// What a module needs for the trace, or why it cannot replay it.
fn count(
    engine: &Engine,
    module: &[u8],
    trace: &Trace,
    initial_pages: u64,
) -> Result<[u64; 6], String> {
    let module = wasmtime::Module::new(engine, module).map_err(|error| format!("{error:#}"))?;
    let figures = fuel::run_within(engine, &module, trace, initial_pages, FUEL_MAX);
    let figures: Figures = figures.map_err(|error| error.to_string())?;
    let [alloc, dealloc, realloc] = figures
        .operations()
        .map(|one| one.steady.worst_fuel().max(one.growing.worst_fuel()));
    Ok([
        figures.fuel(),
        alloc,
        dealloc,
        realloc,
        figures.grown_pages,
        figures.moved_bytes,
    ])
}

/// Blocks of all sizes, resized and given back.
fn trace() -> Trace {
    let mut random = Random::new(23);
    let mut recorder = Recorder::default();
    let mut blocks = Vec::new();
    while recorder.op_count() < OPERATIONS {
        let size = random.log_uniform(0, 14);
        match random.index(8) {
            0..4 => blocks.push(recorder.alloc(size)),
            4 => blocks.push(recorder.alloc_zeroed(size)),
            5 if !blocks.is_empty() => recorder.realloc(blocks[random.index(blocks.len())], size),
            _ if !blocks.is_empty() => {
                let place = random.index(blocks.len());
                recorder.dealloc(blocks.swap_remove(place));
            }
            _ => {}
        }
    }
    recorder.finish("all sizes")
}

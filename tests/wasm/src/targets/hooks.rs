//! Hooks after growth that allocate: `guests/targets/hooks`, whose list of hooks this is in the same order.

use anyhow::{Context, Result, ensure};
use wasmtime::{Caller, Engine, Extern, Instance, Linker, Memory, Module, Store};

use super::program::Program;
use super::{HEAPS, Outcomes, WASM};

/// What a hook may do, and for how many bytes per call it makes the memory longer at most, beside the growth that it
/// is called for.
const HOOKS: [(&str, u64); 7] = [
    ("does nothing", 0),
    ("keeps a text", 100),
    ("keeps a block, not within itself", 4_000),
    ("replaces what it has made", 30_000),
    ("needs more memory each time", 8 * 110_000),
    ("reserves memory each time", 8 * 220_000),
    ("tells the host, which makes a block", 300),
];

/// What the host has: its blocks.
#[derive(Debug, Default)]
struct Host {
    blocks: Vec<u32>,
}

/// The bytes of a block that the host makes.
const HOSTS_BLOCK: u32 = 100;

/// All hooks, for each heap.
pub(super) fn run() -> Result<()> {
    let engine = Engine::default();
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let bytes = Program::new("hooks", WASM).features(heap).module()?;
        let module = Module::new(&engine, bytes)?;
        for (number, (name, bytes)) in (0..).zip(HOOKS) {
            let outcome = run_one(&engine, &module, number, bytes);
            outcomes.add(&format!("{heap:?}: a hook that {name}"), outcome);
        }
    }
    outcomes.finish()
}

/// One hook, in three programs.
fn run_one(engine: &Engine, module: &Module, hook: u32, bytes_per_call: u64) -> Result<()> {
    for (program, arguments) in [
        ("churn", &[2_000, 5_000][..]),
        ("churn", &[3_000, 100][..]),
        ("zeroed", &[600][..]),
    ] {
        let plain = run_program(engine, module, 0, program, arguments)?;
        let hooked = run_program(engine, module, hook, program, arguments)?;
        let more = u64::from(hooked.calls) * bytes_per_call;
        // What lies elsewhere needs a little more or less.
        let pages_max = plain.pages + more / 65_536 + plain.pages / 4 + 4;
        ensure!(
            hooked.pages <= pages_max,
            "{program}: {} pages, {} without the hook, which was called {} times",
            hooked.pages,
            plain.pages,
            hooked.calls
        );
    }
    Ok(())
}

/// How a program has ended.
#[derive(Debug)]
struct Ended {
    pages: u64,
    calls: u32,
}

fn run_program(
    engine: &Engine,
    module: &Module,
    hook: u32,
    program: &str,
    arguments: &[u32],
) -> Result<Ended> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "grown", grown)?;
    let mut store = Store::new(engine, Host::default());
    let instance = linker.instantiate(&mut store, module)?;
    instance
        .get_typed_func::<u32, ()>(&mut store, "hook")?
        .call(&mut store, hook)?;
    let run = instance.get_func(&mut store, program);
    let run = run.with_context(|| format!("no export {program}"))?;
    let arguments: Vec<_> = arguments
        .iter()
        .map(|&it| it.cast_signed().into())
        .collect();
    let mut wrong = [wasmtime::Val::I32(0)];
    run.call(&mut store, &arguments, &mut wrong)
        .map_err(anyhow::Error::from)
        .with_context(|| program.to_owned())?;
    let wrong = wrong[0].i32().unwrap_or_default();
    ensure!(wrong == 0, "{program}: {wrong} blocks are wrong");
    let mut number = |name: &str| -> Result<u32> {
        let function = instance.get_typed_func::<(), u32>(&mut store, name)?;
        Ok(function.call(&mut store, ())?)
    };
    let (calls, depth, told) = (
        number("calls")?,
        number("depth_max")?,
        number("told_pages")?,
    );
    ensure!(
        calls > 0 && depth == 1,
        "{program}: {calls} calls of the hook, {depth} deep"
    );
    let memory = memory(&instance, &mut store)?;
    let pages = memory.size(&store);
    ensure!(
        u64::from(told) <= pages,
        "{program}: told of {told} pages, there are {pages}"
    );
    // A hook that makes the memory grow each time has to end somewhere.
    let is_endless = (4..=5).contains(&hook);
    ensure!(
        is_endless || u64::from(told) == pages,
        "{program}: told of {told} pages, and now there are {pages}"
    );
    check_the_hosts_blocks(&memory, &store)?;
    Ok(Ended { pages, calls })
}

fn memory(instance: &Instance, store: &mut Store<Host>) -> Result<Memory> {
    let memory = instance.get_memory(store, "memory");
    memory.context("the module exports no memory")
}

/// The host, told of a growth: it makes a block in the module's heap, as JavaScript does for a message.
fn grown(mut caller: Caller<'_, Host>, _pages: u32) -> wasmtime::Result<()> {
    let Some(Extern::Func(make)) = caller.get_export("make") else {
        return Err(wasmtime::Error::msg("no export make"));
    };
    let make = make.typed::<u32, u32>(&caller)?;
    let block = make.call(&mut caller, HOSTS_BLOCK)?;
    caller.data_mut().blocks.push(block);
    Ok(())
}

fn check_the_hosts_blocks(memory: &Memory, store: &Store<Host>) -> Result<()> {
    let mut blocks = store.data().blocks.clone();
    for &block in &blocks {
        let range = block as usize..(block + HOSTS_BLOCK) as usize;
        let is_whole = memory.data(store)[range].iter().all(|&byte| byte == 0x5A);
        ensure!(
            block != 0 && is_whole,
            "the host's block at {block:#x} has changed"
        );
    }
    let count = blocks.len();
    blocks.sort_unstable();
    blocks.dedup();
    ensure!(
        blocks.len() == count,
        "the host has got the same block twice"
    );
    Ok(())
}

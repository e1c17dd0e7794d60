//! Scopes beside bumpalo: what each operation costs, in instructions, over the same heap in the same module
//! (`guests/scopes`).

use alligator_meter::{counting_engine, counting_store};
use alligator_tools::guest::{self, Guest};
use anyhow::{Context, Result, ensure};
use wasmtime::{Engine, Instance, Module, Store, Val};

/// Calls of an operation: some go beyond a chunk.
const CALLS: usize = 10_000;

/// Bytes that each arena is asked to have from the start where its reset is measured.
const RESERVED: i32 = 4096;

/// How much more than bumpalo's an allocation may cost.
const ALLOCATION_MAX: f64 = 1.1;

/// Operations, and the arguments of each call.
const ALLOCATIONS: [(&str, &[i32]); 8] = [
    ("small", &[]),
    ("big", &[]),
    ("layout", &[24, 8]),
    ("layout", &[100, 1]),
    ("layout", &[64, 64]),
    ("layout", &[3000, 8]),
    ("text", &[40]),
    ("vector", &[200]),
];

/// An instance of the guest.
struct Arena {
    store: Store<()>,
    instance: Instance,
}

impl Arena {
    /// A new one, with as much memory as is needed.
    fn new(engine: &Engine, module: &Module) -> Result<Self> {
        let mut store = counting_store(engine, ())?;
        let instance = Instance::new(&mut store, module, &[])?;
        let mut arena = Self { store, instance };
        let (is_reserved, _) = arena.call("reserve", &[128 << 20])?;
        ensure!(is_reserved == 1, "the guest gets no memory");
        Ok(arena)
    }

    /// What an export returns, and the instructions of the call.
    fn call(&mut self, name: &str, arguments: &[i32]) -> Result<(i32, u64)> {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .with_context(|| format!("guests/scopes exports no {name}"))?;
        let arguments: Vec<Val> = arguments.iter().map(|&it| it.into()).collect();
        let count = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); count];
        let before = self.store.get_fuel()?;
        function.call(&mut self.store, &arguments, &mut results)?;
        let cost = before - self.store.get_fuel()?;
        let result = results.first().and_then(Val::i32);
        Ok((result.unwrap_or_default(), cost))
    }

    /// The instructions of `CALLS` calls.
    fn many(&mut self, name: &str, arguments: &[i32]) -> Result<u64> {
        let mut total = 0;
        for _ in 0..CALLS {
            let (result, cost) = self.call(name, arguments)?;
            ensure!(result != 0, "{name}: no memory");
            total += cost;
        }
        Ok(total)
    }
}

/// Runs the command.
pub(crate) fn run() -> Result<()> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("scopes"),
        library: "guest_scopes",
        features: &["bumpalo"],
        output: "guest-scopes-bumpalo",
        profile: None,
        overrides: Vec::new(),
    })?;
    let engine = counting_engine()?;
    let module = Module::from_file(&engine, path)?;
    let mut wrong = Vec::new();
    println!("instructions                      scope   bumpalo   ratio");
    allocations(&engine, &module, &mut wrong)?;
    resets(&engine, &module, &mut wrong)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Prints a line, and notes what is above the most it may be.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of instructions are short"
)]
fn compare(name: &str, ours: u64, theirs: u64, most: f64, calls: usize, wrong: &mut Vec<String>) {
    let each = |total: u64| total as f64 / calls as f64;
    let ratio = ours as f64 / theirs as f64;
    println!(
        "{name:<28} {:>10.1} {:>9.1} {ratio:>7.2}",
        each(ours),
        each(theirs)
    );
    if ratio > most {
        wrong.push(format!(
            "{name}: {ratio:.3} times bumpalo's, at most {most}"
        ));
    }
}

/// Each kind of allocation, from an empty arena on.
fn allocations(engine: &Engine, module: &Module, wrong: &mut Vec<String>) -> Result<()> {
    for (operation, arguments) in ALLOCATIONS {
        let cost = |prefix: &str| {
            let mut arena = Arena::new(engine, module)?;
            if prefix == "bump" {
                arena.call("bump_drop", &[])?;
            }
            arena.many(&format!("{prefix}_{operation}"), arguments)
        };
        let (ours, theirs) = (cost("scope")?, cost("bump")?);
        let name = format!("{operation} {arguments:?}");
        compare(&name, ours, theirs, ALLOCATION_MAX, CALLS, wrong);
    }
    Ok(())
}

/// Going back: to what was reserved, as bumpalo's `reset` keeps its last chunk; and to nothing, as bumpalo does only when
/// it is dropped.
fn resets(engine: &Engine, module: &Module, wrong: &mut Vec<String>) -> Result<()> {
    for blocks in [0, 10, 100, CALLS] {
        let mut arena = Arena::new(engine, module)?;
        arena.call("bump_start", &[RESERVED])?;
        // As much as bumpalo takes for that.
        let (reserved, _) = arena.call("bump_held", &[])?;
        arena.call("scope_start", &[reserved])?;
        let (ours, theirs) = fill_and(&mut arena, blocks, "scope_restart", "bump_reset")?;
        let name = format!("restart/reset, {blocks} blocks");
        compare(&name, ours, theirs, 1.0, 1, wrong);
        let (kept, bumps) = kept(&mut arena)?;
        println!("    bytes that are kept: {kept}, by bumpalo {bumps}");
        if kept > reserved + 2048 || kept > bumps + 2048 {
            wrong.push(format!("a restart keeps {kept} bytes"));
        }
    }
    for blocks in [1, 10, 100, CALLS] {
        let mut arena = Arena::new(engine, module)?;
        arena.call("bump_drop", &[])?;
        let (ours, theirs) = fill_and(&mut arena, blocks, "scope_reset", "bump_drop")?;
        let name = format!("reset/drop, {blocks} blocks");
        compare(&name, ours, theirs, 1.0, 1, wrong);
        let kept = kept(&mut arena)?.0;
        if kept != 0 {
            wrong.push(format!("a reset keeps {kept} bytes"));
        }
    }
    Ok(())
}

/// What it costs to go back after so many blocks.
fn fill_and(arena: &mut Arena, blocks: usize, ours: &str, theirs: &str) -> Result<(u64, u64)> {
    for _ in 0..blocks {
        arena.call("scope_big", &[])?;
        arena.call("bump_big", &[])?;
    }
    Ok((arena.call(ours, &[])?.1, arena.call(theirs, &[])?.1))
}

/// Bytes of the heap that the scope has, and those that bumpalo has.
fn kept(arena: &mut Arena) -> Result<(i32, i32)> {
    Ok((
        arena.call("scope_held", &[])?.0,
        arena.call("bump_held", &[])?.0,
    ))
}

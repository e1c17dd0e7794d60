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

/// How much more than bumpalo's a return of chunks may cost: most of it is the heap's, and differs with what is beside
/// them.
const GIVING_BACK_MAX: f64 = 1.5;

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

    /// The instructions of so many allocations and what gives them back together, and of the latter alone; in a first round.
    fn round(&mut self, allocation: &str, blocks: usize, giving_back: &str) -> Result<(u64, u64)> {
        let mut total = 0;
        for _ in 0..blocks {
            total += self.call(allocation, &[])?.1;
        }
        let (_, cost) = self.call(giving_back, &[])?;
        Ok((total + cost, cost))
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
/// it is dropped. Each from as many bytes of the heap as bumpalo takes where it is asked for `RESERVED`.
fn resets(engine: &Engine, module: &Module, wrong: &mut Vec<String>) -> Result<()> {
    for (ours, theirs) in [
        ("scope_restart", "bump_reset"),
        ("scope_reset", "bump_drop"),
    ] {
        for blocks in [10, 100, 1000, CALLS] {
            let mut bump = Arena::new(engine, module)?;
            bump.call("bump_start", &[RESERVED])?;
            let (reserved, _) = bump.call("bump_held", &[])?;
            let mut scope = Arena::new(engine, module)?;
            scope.call("scope_start", &[reserved])?;
            let scope_round = scope.round("scope_big", blocks, ours)?;
            let bump_round = bump.round("bump_big", blocks, theirs)?;
            let kept = [
                scope.call("scope_held", &[])?.0,
                bump.call("bump_held", &[])?.0,
            ];
            let name = format!("{}, {blocks} blocks", &ours[6..]);
            let is_within = i32::try_from(blocks)? * 128 <= reserved && ours == "scope_restart";
            let most = if is_within { 1.0 } else { GIVING_BACK_MAX };
            compare(&name, scope_round.1, bump_round.1, most, 1, wrong);
            let name = format!("    and the {blocks} before it");
            compare(&name, scope_round.0, bump_round.0, 1.0, 1, wrong);
            println!(
                "    bytes that are kept: {}, by bumpalo {}",
                kept[0], kept[1]
            );
            let most = if ours == "scope_reset" {
                0
            } else {
                reserved + 2048
            };
            if kept[0] > most {
                wrong.push(format!("{name}: {} bytes are kept", kept[0]));
            }
        }
    }
    Ok(())
}

//! Runs `guests/rt`, guards and limits in a module, over Alligator and over two peers; reads the counts as JavaScript
//! would; and counts what a call costs under no guard.

use anyhow::{Context, Result, ensure};
use wasmtime::{
    Caller, Config, Engine, Extern, Instance, Linker, Module, ResourceLimiter, Store, Trap,
};

use alligator_tools::guest::{self, Guest};

/// The allocators below: features of the guest.
const ALLOCATORS: [&str; 3] = ["alligator", "dlmalloc", "talc"];

/// Pages that a memory may have.
const PAGES_MAX: usize = 200;

/// Kinds of events.
const KINDS: u32 = 6;

/// What a call under no guard may cost more than one of the heap alone, in instructions.
const GUARDED_MAX: u64 = 6;

/// Builds and runs all of it.
pub(crate) fn run() -> Result<()> {
    let engine = Engine::default();
    for allocator in ALLOCATORS {
        let module = Module::from_file(&engine, build(allocator)?)?;
        let names: Vec<_> = module
            .exports()
            .map(|export| export.name().to_owned())
            .collect();
        let (mut tests, mut traps) = (0, 0);
        for name in &names {
            if name.starts_with("test_") {
                run_test(&engine, &module, name).with_context(|| format!("{allocator}: {name}"))?;
                tests += 1;
            } else if let Some(event) = name.strip_prefix("trap_") {
                run_trap(&engine, &module, name, event)
                    .with_context(|| format!("{allocator}: {name}"))?;
                traps += 1;
            }
        }
        ensure!(tests >= 6 && traps >= 2, "{allocator}: tests are missing");
        println!("{allocator}: {tests} tests and {traps} traps, each with its event");
    }
    costs()
}

fn build(feature: &str) -> Result<std::path::PathBuf> {
    guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("rt"),
        library: "guest_rt",
        features: &[feature],
        output: &format!("rt-{feature}"),
        profile: None,
        overrides: Vec::new(),
    })
}

/// What the host lets a guest have, how often it has refused more, and what it heard.
#[derive(Default)]
struct Limits {
    refused: u32,
    /// What the guest has said last.
    said: String,
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_allowed = desired <= PAGES_MAX << 16;
        self.refused += u32::from(!is_allowed);
        Ok(is_allowed) // The guest gets -1, its heap null, and the program a cause: `Heap`.
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// A fresh instance, whose memory is limited.
fn instance(engine: &Engine, module: &Module) -> Result<(Store<Limits>, Instance)> {
    let mut store = Store::new(engine, Limits::default());
    store.limiter(|limits| limits);
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "say", say)?;
    let instance = linker.instantiate(&mut store, module)?;
    Ok((store, instance))
}

/// Shows what the guest has at `address`.
fn say(mut caller: Caller<'_, Limits>, address: u32, length: u32) -> wasmtime::Result<()> {
    if let Some(Extern::Memory(memory)) = caller.get_export("memory") {
        let mut bytes = vec![0; length as usize];
        memory.read(&caller, address as usize, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        println!("{text}");
        caller.data_mut().said = text;
    }
    Ok(())
}

fn run_test(engine: &Engine, module: &Module, name: &str) -> Result<()> {
    let (mut store, instance) = instance(engine, module)?;
    let test = instance.get_typed_func::<(), ()>(&mut store, name)?;
    test.call(&mut store, ())?;
    let is_refused = store.data().refused > 0;
    ensure!(
        is_refused == name.contains("the_heap_refuses"),
        "the host's limit was met {} times",
        store.data().refused
    );
    if name.contains("the_host_is_told") {
        let said = &store.data().said;
        let why = "no memory for 5000 bytes: a limit is reached, 0 of 1000 bytes in use";
        ensure!(said == why, "said: {said:?}");
    }
    Ok(())
}

/// The export has to trap, and to leave its event: kind, size, pages and mark are in its name.
fn run_trap(engine: &Engine, module: &Module, name: &str, event: &str) -> Result<()> {
    let expected: Vec<u32> = event.split('_').map(str::parse).collect::<Result<_, _>>()?;
    let (mut store, instance) = instance(engine, module)?;
    let function = instance.get_typed_func::<(), ()>(&mut store, name)?;
    let error = function.call(&mut store, ()).err();
    let trap = error.and_then(|error| error.downcast::<Trap>().ok());
    ensure!(
        trap == Some(Trap::UnreachableCodeReached),
        "ended with {trap:?}"
    );
    let last = instance.get_typed_func::<u32, u32>(&mut store, "alligator_guard_last")?;
    let parts = [0, 1, 3, 4].map(|part| last.call(&mut store, part));
    let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    ensure!(parts == expected, "kind, size, pages, mark: {parts:?}");
    // The counts, as JavaScript reads them: by their address, from the memory.
    let counts = instance.get_typed_func::<(), u32>(&mut store, "alligator_guard_counts")?;
    let address = counts.call(&mut store, ())?;
    let memory = instance.get_memory(&mut store, "memory");
    let memory = memory.context("the module exports no memory")?;
    for kind in 0..KINDS {
        let mut bytes = [0; 4];
        memory.read(&store, (address + 4 * kind) as usize, &mut bytes)?;
        let count = u32::from_le_bytes(bytes);
        ensure!(
            count == u32::from(kind == expected[0]),
            "kind {kind} is counted {count} times"
        );
    }
    Ok(())
}

/// What a call of each wrapper costs more than one of the heap alone, where there is nothing to do.
fn costs() -> Result<()> {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config)?;
    let module = Module::from_file(&engine, build("rows")?)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let mut cost_of = |name: &str| -> Result<[u64; 2]> {
        let get =
            instance.get_typed_func::<(u32, u32), u32>(&mut store, &format!("{name}_alloc"))?;
        let give = instance
            .get_typed_func::<(u32, u32, u32), ()>(&mut store, &format!("{name}_dealloc"))?;
        let mut costs = [0; 2];
        // The first turns take in memory and fill the magazine.
        for _ in 0..4 {
            let start = store.get_fuel()?;
            let block = get.call(&mut store, (24, 8))?;
            let between = store.get_fuel()?;
            give.call(&mut store, (block, 24, 8))?;
            costs = [start - between, between - store.get_fuel()?];
        }
        Ok(costs)
    };
    let bare = cost_of("bare")?;
    println!("instructions of alloc and dealloc, 24 bytes: {bare:?}");
    for name in ["watched", "guarded", "budget", "limited"] {
        let cost = cost_of(name)?;
        let more = [0, 1].map(|at| cost[at].saturating_sub(bare[at]));
        println!("{name}: {more:?} more");
        let is_free = name == "watched" && more != [0, 0];
        ensure!(
            !is_free,
            "a watched source costs something on the fast path"
        );
        let is_dear = name == "guarded" && more.iter().any(|more| *more > GUARDED_MAX);
        ensure!(!is_dear, "no guard costs more than {GUARDED_MAX}");
    }
    Ok(())
}

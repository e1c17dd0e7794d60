//! Modules with shared memory, built by stable: the lock is there, and several threads use one heap at the same time.

use core::time::Duration;
use std::process::Command;
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};

use alligator_bound::forbid::{Answer, Demand, Forbidden, forbid};
use alligator_bound::loops::{Bounds, LoopBound};
use alligator_bound::module::Module as CoreModule;
use alligator_bound::report::EntryReport;
use alligator_bound::{Options as BoundOptions, analyze};
use anyhow::{Context, Result, anyhow, bail, ensure};
use wasmtime::{Config, Engine, Instance, Linker, MemoryType, Module, SharedMemory, Store, Val};

use alligator_tools::guest;

use super::code::{atomics, is_straight, locked, loops};
use super::program::Program;
use super::{HEAPS, Outcomes, WASM, wasi};

/// What the linker is told of a module with shared memory whose `core` was built without atomics, as stable's is.
const SHARED: [&str; 5] = [
    "--no-check-features",
    "--shared-memory",
    "--import-memory",
    "--max-memory=2147483648",
    "--export=__stack_pointer",
];

/// What it is told of one with the feature `threads`, built for WASI.
const CACHED: [&str; 3] = [
    "--max-memory=2147483648",
    "--export=__stack_pointer",
    "--export=__wasm_init_tls",
];

/// How many threads are terminated in the middle of their work, and how long that may take.
const DEATHS: u32 = 100;
const DEATHS_PATIENCE: Duration = Duration::from_mins(2);

/// Bytes of a thread's stack. Its own words are at its end.
const STACK_BYTES: u32 = 65_536;

/// Pages of such a memory.
const PAGES: (u32, u32) = (40, 32_768);

const OPERATIONS: [&str; 4] = ["alloc", "dealloc", "realloc", "alloc_zeroed"];

/// Ways to say that the module has atomics, or that it has none, and whether its heap then needs a lock.
const FLAGS: [(&[&str], bool); 10] = [
    (&[], false),
    (&["-Ctarget-feature=+atomics"], true),
    (&["-C", "target-feature=+atomics"], true),
    (
        &[
            "-C",
            "target-feature=+bulk-memory,+atomics,+mutable-globals",
        ],
        true,
    ),
    (&["--codegen", "target-feature=+atomics"], true),
    (&["--codegen=target-feature=+atomics"], true),
    (
        &["-Ctarget-feature=+atomics", "-Ctarget-feature=-atomics"],
        false,
    ),
    (
        &["-Ctarget-feature=-atomics", "-Ctarget-feature=+atomics"],
        true,
    ),
    (
        &[
            "-Ctarget-feature=-atomics,+atomics",
            "-Ctarget-feature=+simd128",
        ],
        true,
    ),
    (&["-Ctarget-cpu=bleeding-edge"], true), // Its features are the compiler's secret; atomics are among them.
];

/// The lock is chosen by what the compiler is told.
pub(super) fn locks() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for (flags, is_locked) in FLAGS {
        let program = Program::new("raw", WASM).flags(flags);
        let outcome = program
            .module()
            .and_then(|module| has_lock(&module, is_locked));
        outcomes.add(&format!("{flags:?}"), outcome);
    }
    for heap in ["small", "hardened"] {
        let program = Program::new("raw", WASM)
            .features(heap)
            .flags(&["-Ctarget-feature=+atomics"]);
        let outcome = program.module().and_then(|module| has_lock(&module, true));
        outcomes.add(&format!("{heap}: +atomics"), outcome);
    }
    outcomes.finish()
}

/// Nothing, if there is a lock in each of the operations or in none, and no atomic store: a store that releases is an
/// exchange, which is faster.
fn has_lock(module: &[u8], is_locked: bool) -> Result<()> {
    for operation in OPERATIONS {
        let found = atomics(module, operation)?;
        ensure!(
            found.stores == 0,
            "{operation} has {} atomic stores",
            found.stores
        );
        ensure!(
            (found.exchanges > 0) == is_locked,
            "{operation} has {} atomic exchanges of a byte",
            found.exchanges
        );
    }
    Ok(())
}

/// Threads that use one heap, and one that grows the memory at the same time.
pub(super) fn run() -> Result<()> {
    let mut config = Config::new();
    config.shared_memory(true);
    let engine = Engine::new(&config)?;
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let program = Program::new("shared", WASM).features(heap).link(&SHARED);
        let bytes = program.flags(&["-Ctarget-feature=+atomics"]).module()?;
        let module = Module::new(&engine, bytes)?;
        for threads in [1, 2, 4] {
            let outcome = take_turns(&module, threads);
            outcomes.add(&format!("{heap:?}: {threads} threads"), outcome);
        }
        for threads in [1, 2] {
            let outcome = somebody_grows(&module, threads);
            outcomes.add(
                &format!("{heap:?}: {threads} threads, and one that grows"),
                outcome,
            );
        }
    }
    outcomes.finish()
}

/// A program whose threads keep blocks of their own.
fn cached(level: &'static str) -> Program {
    Program::new("shared", wasi::THREADS)
        .features("threads")
        .link(&CACHED)
        .level(level)
}

/// [`run`], where threads keep blocks of their own.
pub(super) fn run_cached() -> Result<()> {
    let mut config = Config::new();
    config.shared_memory(true);
    let engine = Engine::new(&config)?;
    let mut outcomes = Outcomes::default();
    for level in ["s", "3"] {
        let module = Module::new(&engine, cached(level).module()?)?;
        for threads in [1, 2, 4] {
            let outcome = take_turns(&module, threads);
            outcomes.add(&format!("opt-level {level}: {threads} threads"), outcome);
        }
        for threads in [1, 2] {
            let outcome = somebody_grows(&module, threads);
            outcomes.add(
                &format!("opt-level {level}: {threads} threads, and one that grows"),
                outcome,
            );
        }
    }
    outcomes.finish()
}

/// Threads that are terminated in the middle of their work do not stop others, and what they kept is used again.
pub(super) fn killed() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for level in ["s", "3"] {
        let mut node = Command::new("node");
        node.arg(guest::root().join("guests/targets/shared/kill.mjs"))
            .arg(cached(level).file()?)
            .arg(DEATHS.to_string());
        outcomes.add(
            &format!("opt-level {level}: {DEATHS} terminated threads"),
            wasi::run_for(&mut node, DEATHS_PATIENCE),
        );
    }
    outcomes.finish()
}

/// The operations of a reserved heap.
const OWN: [&str; 2] = ["own_alloc", "own_dealloc"];
/// How long the lock is held at most, in instructions, but where the memory grows.
const HELD_MAX: u64 = 700;

/// A thread's own heap has bounds, and never waits, grows, or turns in a loop without one. Whoever holds the lock has
/// bounds, too: so long others wait for one holder.
pub(super) fn bounds() -> Result<()> {
    let bytes = cached("3").module()?;
    let module = CoreModule::parse(&bytes).map_err(|error| anyhow!("{error}"))?;
    let own = OWN.map(str::to_owned).to_vec();
    let demand = Demand {
        forbidden: vec![Forbidden::Grow, Forbidden::Wait, Forbidden::Loop],
        from: own.clone(),
        except: Vec::new(),
    };
    let mut held = Vec::new();
    for name in LOCKED {
        held.extend(locked(&module, name)?);
    }
    let options = BoundOptions {
        entries: own
            .into_iter()
            .chain(held.iter().map(u32::to_string))
            .collect(),
        bounds: without_waiting(&module)?,
        ..BoundOptions::default()
    };
    let reach = forbid(&bytes, &demand, &options).map_err(|error| anyhow!("{error}"))?;
    let report = analyze(&bytes, &options).map_err(|error| anyhow!("{error}"))?;
    let mut outcomes = Outcomes::default();
    for (name, origin) in OWN.into_iter().zip(&reach.from) {
        let is_free = origin
            .findings
            .iter()
            .all(|finding| finding.answer == Answer::Never);
        let outcome = ensure_that(is_free, "it may grow, wait, or turn without end");
        outcomes.add(&format!("{name} reaches nothing that waits"), outcome);
    }
    for entry in &report.entries {
        let figure = entry.without_growth.as_ref();
        let bound = figure.and_then(|figure| figure.bound);
        println!("  {}: {bound:?} instructions, waiting apart", entry.name);
        let is_held = !OWN.contains(&entry.name.as_str()) && !entry.name.ends_with("take_in");
        let outcome = match bound {
            None => Err(anyhow!("no bound: {:?}", reasons(entry))),
            Some(bound) if is_held => {
                ensure_that(bound <= HELD_MAX, &format!("{bound}, more than {HELD_MAX}"))
            }
            Some(_) => Ok(()),
        };
        outcomes.add(&entry.name, outcome);
    }
    outcomes.finish()
}

fn ensure_that(holds: bool, otherwise: &str) -> Result<()> {
    ensure!(holds, "{otherwise}");
    Ok(())
}

/// Why an operation has no bound.
fn reasons(entry: &EntryReport) -> Vec<String> {
    let obstacles = entry.obstacles.iter();
    obstacles
        .map(|obstacle| format!("{}: {}", obstacle.function, obstacle.reason))
        .collect()
}

/// The lock's loop, in which a thread waits, said to turn once.
fn without_waiting(module: &CoreModule<'_>) -> Result<Bounds> {
    let mut bounds = Bounds::default();
    for index in 0..u32::try_from(module.functions.len())? {
        let name = module.display_name(index);
        if !name.contains("SpinLock") || !name.contains("wait") {
            continue;
        }
        bounds
            .loops
            .extend(loops(module, index)?.into_iter().map(|offset| LoopBound {
                function: index.to_string(),
                offset,
                turns: 1,
                because: "waiting is not counted".to_owned(),
            }));
    }
    Ok(bounds)
}

/// The functions that hold the lock, by the ends of their names.
const LOCKED: [&str; 9] = [
    "take",
    "give_home",
    "give_chain",
    "take_chain",
    "take_long",
    "give_long_home",
    "resize_in_place",
    "pages_wanted",
    "take_in",
];

/// Between taking the lock and giving it back there is neither a call nor a loop.
pub(super) fn critical() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for level in ["s", "z", "2", "3"] {
        let module = cached(level).module()?;
        for name in LOCKED {
            let outcome = is_straight(&module, name);
            outcomes.add(&format!("opt-level {level}: {name}"), outcome);
        }
    }
    outcomes.finish()
}

/// Threads take, check, resize, hand over and give back blocks.
fn take_turns(module: &Module, threads: u32) -> Result<()> {
    let memory = memory(module)?;
    for (name, rounds) in [("short_blocks", 200_000), ("work", 600_000)] {
        let call = |thread| (name, vec![thread, rounds / threads]);
        let calls: Vec<Call> = (0..threads).map(call).collect();
        run_all(module, &memory, &calls)?;
    }
    run_all(module, &memory, &[("tidy_up", Vec::new())])?;
    let pages = memory.size();
    ensure!(pages < 1_000, "{pages} pages, for some megabytes");
    Ok(())
}

/// Threads need more and more memory, while one takes pages for itself.
fn somebody_grows(module: &Module, threads: u32) -> Result<()> {
    for _ in 0..4 {
        let memory = memory(module)?;
        let mut calls = vec![("grow_again_and_again", vec![threads, 4_000])];
        calls.extend((0..threads).map(|thread| ("allocate_larger", vec![thread, 400])));
        run_all(module, &memory, &calls)?;
    }
    Ok(())
}

fn memory(module: &Module) -> Result<SharedMemory> {
    let (minimum, maximum) = PAGES;
    Ok(SharedMemory::new(
        module.engine(),
        MemoryType::shared(minimum, maximum),
    )?)
}

/// A call of a function, and what its arguments are.
type Call = (&'static str, Vec<u32>);

/// Does each call in a thread of its own, all at the same time. They return what went wrong.
fn run_all(module: &Module, memory: &SharedMemory, calls: &[Call]) -> Result<()> {
    let mut threads = Vec::new();
    for (index, call) in (0..).zip(calls) {
        threads.push((Thread::new(module, memory, index)?, call));
    }
    let start = &Barrier::new(threads.len());
    thread::scope(|scope| {
        let threads: Vec<_> = threads
            .into_iter()
            .map(|(mut thread, (name, arguments))| {
                scope.spawn(move || {
                    start.wait();
                    thread.call(name, arguments)
                })
            })
            .collect();
        let join = |thread: ScopedJoinHandle<'_, Result<()>>| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a thread has panicked"),
        };
        let outcomes: Vec<_> = threads.into_iter().map(join).collect();
        outcomes.into_iter().collect::<Result<()>>()
    })
    .with_context(|| format!("{} pages", memory.size()))
}

/// An instance of the module for one thread.
struct Thread {
    store: Store<()>,
    instance: Instance,
    index: u32,
}

impl Thread {
    /// On the stack numbered `index`.
    fn new(module: &Module, memory: &SharedMemory, index: u32) -> Result<Self> {
        let mut store = Store::new(module.engine(), ());
        let mut linker = Linker::new(module.engine());
        linker.define(&store, "env", "memory", memory.clone())?;
        linker.define_unknown_imports_as_traps(module)?; // WASI's, which nobody calls.
        let instance = linker.instantiate(&mut store, module)?;
        let stack_top = instance.get_typed_func::<u32, u32>(&mut store, "stack_top")?;
        let top = stack_top.call(&mut store, index)?;
        let pointer = instance.get_global(&mut store, "__stack_pointer");
        let pointer = pointer.context("no export __stack_pointer")?;
        pointer.set(&mut store, Val::I32(top.cast_signed()))?;
        if let Ok(begin) = instance.get_typed_func::<u32, ()>(&mut store, "__wasm_init_tls") {
            begin.call(&mut store, top - STACK_BYTES)?;
        }
        Ok(Self {
            store,
            instance,
            index,
        })
    }

    fn call(&mut self, name: &str, arguments: &[u32]) -> Result<()> {
        let Self { store, index, .. } = self;
        let function = self.instance.get_func(&mut *store, name);
        let function = function.with_context(|| format!("no export {name}"))?;
        let value = |number: &u32| Val::I32(number.cast_signed());
        let arguments: Vec<Val> = arguments.iter().map(value).collect();
        let mut status = [Val::I32(0)];
        function
            .call(store, &arguments, &mut status)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("thread {index}, {name}"))?;
        match status[0].i32() {
            Some(0) => Ok(()),
            Some(1) => bail!("thread {index}, {name}: null"),
            Some(2) => bail!("thread {index}, {name}: a block that is not aligned"),
            Some(3) => bail!("thread {index}, {name}: a block has changed"),
            status => bail!("thread {index}, {name}: status {status:?}"),
        }
    }
}

/// How long a thread may wait for a lock that nobody gives back.
const PATIENCE: Duration = Duration::from_mins(2);

/// A lock whose holder is gone: who waits for it gets a fault, after 2^32 turns.
pub(super) fn dead_holder() -> Result<()> {
    let mut config = Config::new();
    config.shared_memory(true);
    config.epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let program = Program::new("shared", WASM)
        .link(&SHARED)
        .flags(&["-Ctarget-feature=+atomics"]);
    let module = Module::new(&engine, program.module()?)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    let mut linker = Linker::new(&engine);
    linker.define(&store, "env", "memory", memory(&module)?)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let wait = instance.get_typed_func::<(), ()>(&mut store, "wait_for_ever")?;
    let clock = engine.clone();
    thread::spawn(move || {
        thread::sleep(PATIENCE);
        clock.increment_epoch();
    });
    let outcome = wait.call(&mut store, ());
    let trap = outcome
        .err()
        .and_then(|error| error.downcast::<wasmtime::Trap>().ok());
    ensure!(
        trap == Some(wasmtime::Trap::UnreachableCodeReached),
        "the wait ended with {trap:?}"
    );
    Ok(())
}

//! Traces of real programs, recorded while they run on an allocator that tells of its calls (`lab/driver/recording.rs`):
//! of the lab's, and of the demo's.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use wasmtime::{Caller, Engine, Func, Instance, Module, Store};

use super::workloads::{Checksum, Program};
use alligator_meter::counting_store;
use alligator_replay::{Block, BlockId, Recorder, Trace};
use alligator_tools::allocator::{self, Exports};
use alligator_tools::guest::{self, Guest};

/// A program's run on the recorder.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) trace: Trace,
    /// Of the program's output; 0 of the demo's, which has none.
    pub(crate) checksum: Checksum,
}

/// Records programs, each in an instance of its own.
pub(crate) fn record(engine: &Engine, programs: &[Program]) -> Result<Vec<Recorded>> {
    if programs.is_empty() {
        return Ok(Vec::new());
    }
    let path = allocator::recorder()?.build(Exports::Programs)?;
    let module = Module::new(engine, std::fs::read(path)?)?;
    let recorded = programs.iter().map(|program| {
        record_one(engine, &module, program).with_context(|| format!("recording {}", program.name))
    });
    recorded.collect()
}

/// The trace so far, and which block is where.
#[derive(Default)]
struct Recording {
    trace: Recorder,
    blocks: HashMap<u32, BlockId>,
}

fn record_one(engine: &Engine, module: &Module, program: &Program) -> Result<Recorded> {
    let mut checksum = 0;
    let trace = record_run(engine, module, &program.name, |store, instance| {
        let run = instance.get_typed_func::<u32, u32>(&mut *store, "program")?;
        checksum = run.call(store, program.number)?;
        Ok(())
    })?;
    ensure!(checksum != 0, "there is no program {}", program.number);
    Ok(Recorded { trace, checksum })
}

/// Records the program of `cargo xtask demo`.
pub(crate) fn record_demo(engine: &Engine) -> Result<Recorded> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("demo"),
        library: "demo",
        features: &["record"],
        output: "demo-recorded",
        profile: None,
        overrides: vec![guest::opt_level("s")],
    })?;
    let module = Module::new(engine, std::fs::read(path)?)?;
    let trace = record_run(engine, &module, "demo", |store, instance| {
        for half in ["begin", "finish"] {
            let half = instance.get_typed_func::<(), ()>(&mut *store, half)?;
            half.call(&mut *store, ())?;
        }
        Ok(())
    })?;
    Ok(Recorded { trace, checksum: 0 })
}

/// What a module that tells of its calls does in `run`.
fn record_run(
    engine: &Engine,
    module: &Module,
    name: &str,
    run: impl FnOnce(&mut Store<Recording>, &Instance) -> Result<()>,
) -> Result<Trace> {
    let mut store = counting_store(engine, Recording::default())?;
    let import = Func::wrap(&mut store, record_operation);
    let instance = Instance::new(&mut store, module, &[import.into()])?;
    run(&mut store, &instance)?;
    Ok(store.into_data().trace.finish(name))
}

/// The guest's import, as `lab/driver/recording.rs` declares it.
fn record_operation(
    mut caller: Caller<'_, Recording>,
    operation: u32,
    ptr: u32,
    size: u32,
    align: u32,
    old: u32,
) -> wasmtime::Result<()> {
    let Recording { trace, blocks } = caller.data_mut();
    match operation {
        0 | 3 => {
            let id = trace.push_alloc(Block { size, align }, operation == 3);
            blocks.insert(ptr, id);
        }
        1 => trace.dealloc(taken(blocks, ptr)?),
        2 => {
            let id = taken(blocks, old)?;
            trace.realloc(id, size);
            blocks.insert(ptr, id);
        }
        _ => return Err(wasmtime::Error::msg(format!("operation {operation}"))),
    }
    Ok(())
}

fn taken(blocks: &mut HashMap<u32, BlockId>, ptr: u32) -> wasmtime::Result<BlockId> {
    let block = blocks.remove(&ptr);
    block.ok_or_else(|| wasmtime::Error::msg(format!("no block at {ptr:#x}")))
}

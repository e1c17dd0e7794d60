//! Traces of real programs, recorded while they run: `guests/programs`.

use std::collections::HashMap;

use anyhow::{Context, Result};
use wasmtime::{Caller, Engine, Func, Instance, Module};

use super::trace::{Block, BlockId, Recorder, Trace};
use crate::engine::counting_store;
use crate::guest::{self, Guest};

/// The exports of the guest, in the order of the report.
const PROGRAMS: [&str; 4] = ["json", "maps", "text", "regex"];

/// Records the programs that `wanted` names.
pub(crate) fn record(engine: &Engine, wanted: impl Fn(&str) -> bool) -> Result<Vec<Trace>> {
    let chosen: Vec<&str> = PROGRAMS.into_iter().filter(|name| wanted(name)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    eprintln!("recording {}", chosen.join(", "));
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("programs"),
        library: "programs",
        features: &[],
        output: "programs",
        opt_level: None,
    })?;
    let module = Module::new(engine, std::fs::read(path)?)?;
    let traces = chosen.into_iter();
    traces
        .map(|name| record_one(engine, &module, name).with_context(|| format!("recording {name}")))
        .collect()
}

/// The trace so far, and which block is where.
#[derive(Default)]
struct Recording {
    trace: Recorder,
    blocks: HashMap<u32, BlockId>,
}

fn record_one(engine: &Engine, module: &Module, name: &str) -> Result<Trace> {
    let mut store = counting_store(engine, Recording::default())?;
    let import = Func::wrap(&mut store, record_operation);
    let instance = Instance::new(&mut store, module, &[import.into()])?;
    let program = instance.get_typed_func::<(), u32>(&mut store, name)?;
    program.call(&mut store, ())?;
    Ok(store.into_data().trace.finish(name))
}

/// The guest's import, as `guests/programs/src/record.rs` declares it.
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

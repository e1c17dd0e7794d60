//! Several heaps over one memory: `guests/targets/two-heaps`.

use anyhow::{Result, ensure};
use wasmtime::{Engine, Instance, Module, Store};

use super::program::Program;
use super::{HEAPS, Outcomes, WASM};

/// A memory of 20 pages that never grows.
const FIXED: [&str; 2] = ["--initial-memory=1310720", "--max-memory=1310720"];

/// Each test, for each heap, where the memory may grow and where it may not.
pub(super) fn run() -> Result<()> {
    let engine = Engine::default();
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        for args in [&["--initial-memory=1310720"][..], &FIXED] {
            let program = Program::new("two-heaps", WASM).features(heap).link(args);
            let module = Module::new(&engine, program.module()?)?;
            let functions = module.exports().filter(|it| it.ty().func().is_some());
            let names = functions.map(|function| function.name());
            for name in names.filter(|name| !name.starts_with("alligator_")) {
                let outcome = run_one(&engine, &module, name);
                outcomes.add(&format!("{heap:?}, {args:?}: {name}"), outcome);
            }
        }
    }
    outcomes.finish()
}

fn run_one(engine: &Engine, module: &Module, name: &str) -> Result<()> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let test = instance.get_typed_func::<(), u32>(&mut store, name)?;
    let changed = test.call(&mut store, ())?;
    ensure!(
        changed == 0,
        "{changed} bytes have changed, or no block is there"
    );
    Ok(())
}

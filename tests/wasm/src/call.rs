//! Calls one exported function.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use wasmtime::{Engine, Instance, Module, Store};

/// What to call.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A module that imports nothing
    module: PathBuf,
    /// A function of it, without parameters, that returns an i32
    export: String,
}

/// Calls it and prints what it returns.
pub(crate) fn run(options: &Options) -> Result<()> {
    let engine = Engine::default();
    let module = Module::from_file(&engine, &options.module)?;
    ensure!(module.imports().len() == 0, "the module imports something");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let function = instance.get_typed_func::<(), u32>(&mut store, &options.export)?;
    println!("{}", function.call(&mut store, ())?);
    Ok(())
}

//! Runs the guest tests: each export whose name starts with `test_`, in an instance of its own.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use wasmtime::{Caller, Engine, Extern, Linker, Module, Store};

use alligator_tools::guest::{self, Guest};

/// Which tests.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The folder of their crate; guests/tests by default
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Builds the tests and runs all of them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ours = guest::root().join("guests/tests");
    run_in(options.dir.as_deref().unwrap_or(&ours))
}

/// Builds the tests in `crate_dir` and runs all of them.
fn run_in(crate_dir: &Path) -> Result<()> {
    let path = guest::build(&Guest {
        crate_dir,
        library: "guest_tests",
        features: &[],
        output: "guest-tests",
        profile: None,
        overrides: vec![guest::opt_level("1")],
    })?;
    let engine = Engine::default();
    let module = Module::from_file(&engine, path)?;
    let names: Vec<_> = module
        .exports()
        .map(|export| export.name().to_owned())
        .collect();
    let mut failures = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("test_")) {
        let outcome = run_one(&engine, &module, name);
        println!(
            "{name} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
        if let Err(error) = outcome {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

fn run_one(engine: &Engine, module: &Module, name: &str) -> Result<()> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "say", say)?;
    linker.func_wrap("host", "grow", grow)?;
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, module)?;
    let test = instance.get_typed_func::<(), ()>(&mut store, name)?;
    test.call(&mut store, ())?;
    Ok(())
}

/// Shows what the guest has at `address`.
fn say(mut caller: Caller<'_, ()>, address: u32, length: u32) -> wasmtime::Result<()> {
    if let Some(Extern::Memory(memory)) = caller.get_export("memory") {
        let mut bytes = vec![0; length as usize];
        memory.read(&caller, address as usize, &mut bytes)?;
        println!("{}", String::from_utf8_lossy(&bytes));
    }
    Ok(())
}

/// Grows the guest's memory as JavaScript would, behind its heap's back.
fn grow(mut caller: Caller<'_, ()>, pages: u32) -> wasmtime::Result<()> {
    if let Some(Extern::Memory(memory)) = caller.get_export("memory") {
        memory.grow(&mut caller, pages.into())?;
    }
    Ok(())
}

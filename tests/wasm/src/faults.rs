//! Runs the misuses of `guests/faults`: each must trap, and leave the fault that its name says for the host.

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Engine, Instance, Module, Store};

use alligator_tools::guest::{self, Guest};

/// Builds `guests/faults` and runs all of it.
pub(crate) fn run() -> Result<()> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("faults"),
        library: "guest_faults",
        features: &[],
        output: "guest-faults",
        profile: None,
        overrides: Vec::new(),
    })?;
    let engine = Engine::default();
    let module = Module::from_file(&engine, path)?;
    let mut count = 0;
    for export in module.exports() {
        if let Some(name) = export.name().strip_prefix("fault_") {
            let expected = name.split('_').next().unwrap_or_default().parse()?;
            run_one(&engine, &module, export.name(), expected)
                .with_context(|| export.name().to_owned())?;
            println!("{} ... ok", export.name());
            count += 1;
        }
    }
    ensure!(count > 10, "only {count} misuses");
    Ok(())
}

fn run_one(engine: &Engine, module: &Module, name: &str, expected: u32) -> Result<()> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let misuse = instance.get_typed_func::<(), ()>(&mut store, name)?;
    let outcome = misuse.call(&mut store, ());
    let trap = outcome
        .err()
        .and_then(|error| error.downcast::<wasmtime::Trap>().ok());
    let fault = instance.get_typed_func::<(), u32>(&mut store, "alligator_fault")?;
    let address = instance.get_typed_func::<(), u32>(&mut store, "alligator_fault_address")?;
    let (fault, address) = (fault.call(&mut store, ())?, address.call(&mut store, ())?);
    ensure!(fault == expected, "fault {fault} at {address:#x}");
    match (expected, trap) {
        (0, None) => ensure!(address == 0, "an address without a fault"),
        (1.., Some(wasmtime::Trap::UnreachableCodeReached)) => {
            ensure!(address != 0, "a fault without an address");
        }
        (_, trap) => bail!("ended with {trap:?}"),
    }
    Ok(())
}

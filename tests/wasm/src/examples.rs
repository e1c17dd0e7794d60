//! The programs of `examples/` that are about time: each built as its README says, run, and held to what it says.

mod audio_threads;
mod audio_worklet;
mod contract;
mod edge;
mod game_loop;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use alligator_tools::command::cargo_path;
use alligator_tools::guest;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use wasmtime::{Engine, Instance, Linker, Module, Store, TypedFunc, WasmParams, WasmResults};

/// An example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Example {
    /// A synthesizer beside workers: what is proved of it.
    AudioThreads,
    /// A synthesizer in an audio worklet: here without a browser.
    AudioWorklet,
    /// A contract with a price list.
    Contract,
    /// An HTTP-like function.
    Edge,
    /// A game's loop.
    GameLoop,
}

/// What to test.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The example
    example: Example,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.example {
        Example::AudioThreads => audio_threads::run(),
        Example::AudioWorklet => audio_worklet::run(),
        Example::Contract => contract::run(),
        Example::Edge => edge::run(),
        Example::GameLoop => game_loop::run(),
    }
}

/// Builds an example for `target`, with these features and no default ones if there are any. Returns the module's path.
fn build(folder: &str, target: &str, feature: Option<&str>) -> Result<PathBuf> {
    let dir = guest::root().join("examples").join(folder);
    let target_dir = guest::guests_dir().join("build");
    let mut command = Command::new(cargo_path());
    command
        .args(["build", "--release", "--quiet", "--target", target])
        .arg("--target-dir")
        .arg(&target_dir);
    if let Some(feature) = feature {
        command.args(["--no-default-features", "--features", feature]);
    }
    let output = command
        .current_dir(&dir)
        .stdin(Stdio::null())
        .output()
        .context("cargo does not start")?;
    ensure!(
        output.status.success(),
        "examples/{folder}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let library = folder.replace('-', "_");
    let built = target_dir
        .join(target)
        .join("release")
        .join(library)
        .with_extension("wasm");
    // The next features' module is another one.
    let name = format!("example-{folder}-{}", feature.unwrap_or("default"));
    let module = guest::guests_dir().join(name).with_extension("wasm");
    std::fs::copy(&built, &module).with_context(|| format!("no module {}", built.display()))?;
    Ok(module)
}

/// An instance whose calls are counted.
struct Running {
    store: Store<()>,
    instance: Instance,
}

impl Running {
    /// Of a module whose imports, if it has any, are not called.
    fn new(engine: &Engine, module: &Module) -> Result<Self> {
        let mut store = alligator_meter::counting_store(engine, ())?;
        let mut linker = Linker::new(engine);
        linker.define_unknown_imports_as_traps(module)?;
        let instance = linker.instantiate(&mut store, module)?;
        Ok(Self { store, instance })
    }

    fn function<P: WasmParams, R: WasmResults>(&mut self, name: &str) -> Result<TypedFunc<P, R>> {
        let function = self.instance.get_typed_func(&mut self.store, name);
        function
            .map_err(anyhow::Error::from)
            .with_context(|| name.to_owned())
    }

    /// What a function returns, and the instructions of the call.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        function: &TypedFunc<P, R>,
        arguments: P,
    ) -> Result<(R, u64)> {
        // Never used up by all the calls of a test together.
        let fuel = u64::MAX / 2;
        self.store.set_fuel(fuel)?;
        let result = function.call(&mut self.store, arguments)?;
        Ok((result, fuel - self.store.get_fuel()?))
    }

    fn memory(&mut self) -> Result<wasmtime::Memory> {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.context("the module exports no memory")
    }

    fn pages(&mut self) -> Result<u64> {
        Ok(self.memory()?.size(&self.store))
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        let memory = self.memory()?;
        Ok(memory.write(&mut self.store, address as usize, bytes)?)
    }

    fn read(&mut self, address: u32, bytes: usize) -> Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        let memory = self.memory()?;
        memory.read(&self.store, address as usize, &mut read)?;
        Ok(read)
    }
}

/// A sequence of numbers that is the same in every run: xorshift.
struct Numbers(u32);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }
}

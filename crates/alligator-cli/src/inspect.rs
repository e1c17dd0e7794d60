//! `alligator inspect`: an Alligator heap in a copy of a memory, as that of a program that has trapped or hangs.
//!
//! The module's own `alligator_snapshot` reads the heap: it runs here, over the copied memory, in an instance in which
//! nothing else has run. So what is read does not depend on how the allocator was built, or which version it is.

use std::path::{Path, PathBuf};

use alligator_find::copy::{MEMORY, copy, name_of};
use alligator_find::core_of;
use alligator_find::module::Module as Parsed;
use alligator_report::{SNAPSHOT_MAGIC, Snapshot, chunk_bytes, next_chunk, snapshot_text};
use wasmtime::{Config, Engine, Instance, Linker, Memory, Module, Store, TypedFunc};

use crate::bound::{located, read};
use crate::report::write;

/// The export, by the crate `alligator-snapshot`.
const SNAPSHOT: &str = "alligator_snapshot";

/// Instructions of one call, at most. A heap of 4 GiB in the smallest pieces has 2^21 of them.
const FUEL: u64 = 20_000_000_000;

/// Chunks of a snapshot, at most: more than a heap of 4 GiB can have.
const CHUNKS_MAX: usize = 1 << 17;

/// The longest memory that is read.
const MEMORY_MAX: u64 = 1 << 32;

/// Bytes of a page.
const PAGE_BYTES: usize = 65_536;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The copied memory, from its first byte on; or a snapshot, without a module.
    memory: PathBuf,
    /// The module whose memory it is, with the export `alligator_snapshot`.
    module: Option<PathBuf>,
    /// Write the snapshot as well.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the subcommand and gives the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let path = &arguments.memory;
    let start = crate::bound::read_start(path, SNAPSHOT_MAGIC.len())?;
    let is_snapshot = start == SNAPSHOT_MAGIC;
    let bytes = match &arguments.module {
        None if is_snapshot => read(path)?,
        None => {
            let reason = "no snapshot; give the module after the copy of its memory";
            return Err(located(path, &reason));
        }
        Some(_) if is_snapshot => {
            return Err(located(path, &"a snapshot, not the copy of a memory"));
        }
        Some(module) => from_memory(path, module)?,
    };
    let snapshot = Snapshot::read(&bytes).map_err(|error| located(path, &error))?;
    if let Some(output) = &arguments.output {
        write(output, &bytes)?;
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    print!("{}", snapshot_text(&name.to_string_lossy(), &snapshot));
    Ok(u8::from(snapshot.broken.is_some()))
}

/// The snapshot of the heap in a copied memory.
fn from_memory(memory: &Path, module: &Path) -> Result<Vec<u8>, String> {
    let bytes = read(module)?;
    let (core, _) = core_of(&bytes).map_err(|error| located(module, &error))?;
    let parsed = Parsed::parse(core).map_err(|error| located(module, &error))?;
    let Ok(function) = parsed.function_called(SNAPSHOT) else {
        let reason = format!(
            "no {SNAPSHOT} in it: the program has to say alligator_snapshot::export!(ALLOCATOR)"
        );
        return Err(located(module, &reason));
    };
    // What runs at the start would run again.
    let count = u32::try_from(parsed.functions.len()).unwrap_or(u32::MAX);
    let kept = (0..count)
        .filter(|function| Some(*function) != parsed.start)
        .collect();
    let runnable = copy(core, &parsed, &kept, &[function].into());
    let runnable = runnable.map_err(|error| located(module, &error))?;
    let image = std::fs::metadata(memory).map_err(|error| located(memory, &error))?;
    if image.len() > MEMORY_MAX || image.len() == 0 {
        return Err(located(
            memory,
            &"no copy of a memory: it is empty, or longer than 4 GiB",
        ));
    }
    let image = read(memory)?;
    let mut reading = Reading::start(&runnable, &name_of(function), &image)
        .map_err(|error| located(module, &line(&error)))?;
    reading.chunks().map_err(|error| located(memory, &error))
}

/// An instance over the copied memory.
struct Reading {
    store: Store<()>,
    memory: Memory,
    snapshot: TypedFunc<u32, u32>,
}

impl Reading {
    fn start(module: &[u8], function: &str, image: &[u8]) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, module)?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(FUEL)?;
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            if let wasmtime::ExternType::Memory(kind) = import.ty() {
                let memory = Memory::new(&mut store, kind)?;
                linker.define(&store, import.module(), import.name(), memory)?;
            }
        }
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance: Instance = linker.instantiate(&mut store, &module)?;
        let memory = instance
            .get_memory(&mut store, MEMORY)
            .ok_or_else(|| wasmtime::Error::msg("it has no memory"))?;
        let snapshot = instance.get_typed_func(&mut store, function)?;
        let pages = image.len().div_ceil(PAGE_BYTES) as u64;
        let there = memory.size(&store);
        if pages > there {
            memory.grow(&mut store, pages - there)?;
        }
        memory.write(&mut store, 0, image)?;
        Ok(Self {
            store,
            memory,
            snapshot,
        })
    }

    /// Calls the function until it has told everything.
    fn chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        let mut from = 0;
        for _ in 0..CHUNKS_MAX {
            self.store.set_fuel(FUEL).map_err(|error| line(&error))?;
            let address = self.snapshot.call(&mut self.store, from);
            let address = address.map_err(|error| {
                format!(
                    "the heap cannot be read, its state is broken: {}",
                    line(&error)
                )
            })?;
            let memory = self.memory.data(&self.store);
            let chunk = memory.get(address as usize..).unwrap_or_default();
            let length = chunk_bytes(chunk).map_err(|error| error.to_string())?;
            let chunk = chunk
                .get(..length)
                .ok_or("a chunk beyond the memory's end")?;
            all.extend_from_slice(chunk);
            let next = u32::try_from(next_chunk(chunk))
                .map_err(|_| "a chunk that leads beyond the memory")?;
            if next == 0 {
                return Ok(all);
            }
            if next <= from {
                return Err("chunks that do not lead on".to_owned());
            }
            from = next;
        }
        Err("a snapshot without an end".to_owned())
    }
}

/// The cause of an error, on one line.
fn line(error: &wasmtime::Error) -> String {
    let text = error.root_cause().to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

//! One build of the guest: its size, and a run of it from begin to end.

use std::path::Path;

use alligator_report::{Snapshot, chunk_bytes, next_chunk};
use anyhow::{Context, Result};
use wasmparser::Parser;
use wasmtime::{Engine, Instance, Linker, Memory, Store, Val};

use super::picture::Picture;
use super::trace::{self, Trace};
use crate::fuel::PAGE_BYTES;
use alligator_meter::counting_store;

/// A compiled guest.
pub(super) struct Module {
    engine: Engine,
    compiled: wasmtime::Module,
    /// Bytes of the code section.
    pub(super) code_bytes: u64,
}

/// What a run leaves.
pub(super) struct Run {
    pub(super) instructions: u64,
    pub(super) memory_pages: u64,
    pub(super) heap_bytes: u64,
    pub(super) output: String,
}

impl Module {
    pub(super) fn read(engine: &Engine, path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            engine: engine.clone(),
            compiled: wasmtime::Module::from_binary(engine, &bytes)?,
            code_bytes: code_section_bytes(&bytes)?.context("the guest has no code")?,
        })
    }

    /// Runs the program, untraced.
    pub(super) fn run(&self) -> Result<Run> {
        let mut store = counting_store(&self.engine, ())?;
        let instance = Instance::new(&mut store, &self.compiled, &[])?;
        let mut guest = Guest { store, instance };
        let fuel = guest.store.get_fuel()?;
        guest.call("begin")?;
        guest.call("finish")?;
        let instructions = fuel - guest.store.get_fuel()?;
        guest.end(instructions)
    }

    /// Runs the program with every call of its allocator counted. Half-way the heap is walked,
    /// if the guest can do that.
    pub(super) fn run_traced(&self, walk: bool) -> Result<(Trace, Run, Option<Picture>)> {
        let mut store = counting_store(&self.engine, Trace::new())?;
        let mut linker = Linker::new(&self.engine);
        trace::define_imports(&mut linker)?;
        let instance = linker.instantiate(&mut store, &self.compiled)?;
        let mut guest = Guest { store, instance };
        let memory = guest.memory()?;
        guest.store.data_mut().watch(memory);
        guest.call("calibrate")?;
        guest.call("begin")?;
        let picture = if walk { Some(guest.walk()?) } else { None };
        guest.call("finish")?;
        let run = guest.end(0)?;
        Ok((guest.store.into_data(), run, picture))
    }
}

/// A guest that is running.
struct Guest<T: 'static> {
    store: Store<T>,
    instance: Instance,
}

impl<T> Guest<T> {
    fn call(&mut self, name: &str) -> Result<()> {
        let function = self
            .instance
            .get_typed_func::<(), ()>(&mut self.store, name)?;
        function.call(&mut self.store, ())?;
        Ok(())
    }

    fn number(&mut self, name: &str) -> Result<usize> {
        let function = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, name)?;
        Ok(function.call(&mut self.store, ())? as usize)
    }

    fn memory(&mut self) -> Result<Memory> {
        self.instance
            .get_memory(&mut self.store, "memory")
            .context("the guest exports no memory")
    }

    /// The guest's bytes from `address` on.
    fn bytes(&mut self, address: usize, count: usize) -> Result<Vec<u8>> {
        let memory = self.memory()?;
        let end = address
            .checked_add(count)
            .context("an address out of range")?;
        let bytes = memory.data(&self.store).get(address..end);
        Ok(bytes.context("an address out of range")?.to_vec())
    }

    fn walk(&mut self) -> Result<Picture> {
        let snapshot = self
            .instance
            .get_typed_func::<u32, u32>(&mut self.store, "alligator_snapshot")?;
        let (mut chunks, mut from) = (Vec::new(), 0);
        loop {
            let address = snapshot.call(&mut self.store, from)? as usize;
            let memory = self.memory()?;
            let chunk = memory.data(&self.store).get(address..);
            let length = chunk_bytes(chunk.context("an address out of range")?)?;
            let chunk = self.bytes(address, length)?;
            from = u32::try_from(next_chunk(&chunk))?;
            chunks.extend(chunk);
            if from == 0 {
                break;
            }
        }
        Picture::of(Snapshot::read(&chunks)?)
    }

    fn end(&mut self, instructions: u64) -> Result<Run> {
        let address = self.number("output_address")?;
        let count = self.number("output_bytes")?;
        let output = String::from_utf8(self.bytes(address, count)?)?;
        let memory_pages = self.memory()?.size(&self.store);
        Ok(Run {
            instructions,
            memory_pages,
            heap_bytes: memory_pages * PAGE_BYTES - self.heap_base()?,
            output,
        })
    }

    /// Where stack and data end.
    fn heap_base(&mut self) -> Result<u64> {
        let global = self.instance.get_global(&mut self.store, "__heap_base");
        let Some(Val::I32(base)) = global.map(|global| global.get(&mut self.store)) else {
            anyhow::bail!("the guest does not export __heap_base");
        };
        Ok(u64::from(base.cast_unsigned()))
    }
}

/// Bytes of the code section's contents; none if there is no code.
///
/// # Errors
/// This is no module.
fn code_section_bytes(module: &[u8]) -> Result<Option<u64>> {
    const CODE_SECTION: u8 = 10;
    for payload in Parser::new(0).parse_all(module) {
        if let Some((CODE_SECTION, range)) = payload?.as_section() {
            return Ok(Some(range.end - range.start));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_section_is_found_behind_others() -> Result<()> {
        let module = wat::parse_str("(module (type (func)) (func nop nop))")?;
        // The count of functions; a body's length, no locals, twice `nop`, and `end`.
        assert_eq!(code_section_bytes(&module)?, Some(6));
        Ok(())
    }

    #[test]
    fn a_text_is_no_module() {
        assert!(code_section_bytes(b"(module)").is_err());
    }
}

//! One build of the guest: its size, and a run of it from begin to end.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasmtime::{Engine, Instance, Linker, Memory, Store, Val};

use super::picture::{self, Picture};
use super::trace::{self, Trace};
use alligator_meter::counting_store;

/// Bytes of a page of linear memory.
pub(super) const PAGE_BYTES: u64 = 65_536;

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
            code_bytes: code_section_bytes(&bytes).context("the guest is no Wasm module")?,
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
        let piece_count = self.number("picture")?;
        ensure!(
            piece_count <= picture::PIECES_MAX,
            "the heap has {piece_count} pieces, too many to draw"
        );
        let address = self.number("picture_address")?;
        let bytes = self.bytes(address, piece_count * picture::PIECE_BYTES)?;
        Picture::from_bytes(&bytes)
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

/// Bytes of the code section's contents; `None` if this is no module or has no code.
fn code_section_bytes(module: &[u8]) -> Option<u64> {
    const HEADER: &[u8] = b"\0asm\x01\0\0\0";
    const CODE_SECTION: u8 = 10;
    let mut rest = module.strip_prefix(HEADER)?;
    while let Some((&id, after_id)) = rest.split_first() {
        let (bytes, contents) = leb128(after_id)?;
        if id == CODE_SECTION {
            return Some(bytes);
        }
        rest = contents.get(usize::try_from(bytes).ok()?..)?;
    }
    None
}

/// An unsigned LEB128 number of at most 32 bits and what follows it.
fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(5).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_section_is_found_behind_others() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([1, 3, 7, 7, 7]);
        module.extend([10, 0x81, 0x01]);
        assert_eq!(code_section_bytes(&module), Some(129));
    }

    #[test]
    fn a_text_is_no_module() {
        assert_eq!(code_section_bytes(b"(module)"), None);
    }
}

//! A host for `guests/targets/raw`, which counts what it is asked for and looks at every byte.

use anyhow::{Context, Result, ensure};
use wasmtime::{
    Config, Engine, Extern, Global, Instance, Linker, Memory, MemoryType, Module, ResourceLimiter,
    Store, TypedFunc,
};

/// Bytes of a page.
pub(super) const PAGE: usize = 65_536;

/// Flags that export where the initial memory begins and ends.
pub(super) const BOUNDS: [&str; 2] = ["--export=__heap_base", "--export=__heap_end"];

/// Bytes at each end of a block that are looked at, if it is longer than both.
const ENDS: usize = 4096;

/// Sees each `memory.grow` that a module executes, and refuses those beyond the limit.
#[derive(Debug)]
pub(super) struct Watch {
    asked: u32,
    bytes_max: usize,
}

impl ResourceLimiter for Watch {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.asked += 1;
        Ok(desired <= self.bytes_max)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// A block in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) at: usize,
    pub(super) size: usize,
    align: u32,
    mark: u8,
}

/// An instance of `guests/targets/raw`, and what is known of its heap.
pub(super) struct Heap {
    store: Store<Watch>,
    instance: Instance,
    memory: Memory,
    alloc: TypedFunc<(u32, u32), u32>,
    marks: u8,
    /// The blocks in use.
    pub(super) blocks: Vec<Block>,
}

/// An engine for modules with pages of any size.
pub(super) fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_custom_page_sizes(true);
    Ok(Engine::new(&config)?)
}

impl Heap {
    /// An instance of `module`.
    pub(super) fn new(module: &[u8]) -> Result<Self> {
        Self::start(module, None)
    }

    /// An instance of `module` that imports a memory of so many pages.
    pub(super) fn with_memory(module: &[u8], minimum: u32, maximum: u32) -> Result<Self> {
        Self::start(module, Some(MemoryType::new(minimum, Some(maximum))))
    }

    fn start(module: &[u8], imported: Option<MemoryType>) -> Result<Self> {
        Self::instance(&Module::new(&engine()?, module)?, imported)
    }

    /// An instance of a module that is compiled already.
    pub(super) fn of(module: &Module) -> Result<Self> {
        Self::instance(module, None)
    }

    fn instance(module: &Module, imported: Option<MemoryType>) -> Result<Self> {
        let engine = module.engine();
        let watch = Watch {
            asked: 0,
            bytes_max: usize::MAX,
        };
        let mut store = Store::new(engine, watch);
        store.limiter(|watch| watch);
        let mut linker = Linker::new(engine);
        let imported = match imported {
            Some(kind) => Some(Memory::new(&mut store, kind)?),
            None => None,
        };
        if let Some(memory) = imported {
            linker.define(&mut store, "env", "memory", memory)?;
        }
        let instance = linker.instantiate(&mut store, module)?;
        let exported = instance.get_memory(&mut store, "memory");
        let memory = exported
            .or(imported)
            .context("the module exports no memory")?;
        let alloc = instance.get_typed_func(&mut store, "alloc")?;
        store.data_mut().asked = 0;
        Ok(Self {
            store,
            instance,
            memory,
            alloc,
            marks: 0,
            blocks: Vec::new(),
        })
    }

    /// Takes, resizes and gives back blocks, so many times, and then checks the whole heap.
    pub(super) fn use_it(&mut self, turns: usize) -> Result<()> {
        for turn in 0..turns {
            let size = 1 + turn * 7_919 % 30_000;
            self.take(size)?
                .with_context(|| format!("{size} bytes are refused"))?;
            if turn % 3 == 1 {
                self.give_back(turn * 31 % self.blocks.len())?;
            }
            if turn % 5 == 0 {
                let index = turn * 17 % self.blocks.len();
                let is_resized = self.resize(index, 1 + turn * 613 % 20_000)?;
                ensure!(is_resized, "a block is not resized");
            }
            if turn % 7 == 0 {
                self.take_zeroed(size)?
                    .with_context(|| format!("{size} zeroed bytes are refused"))?;
            }
        }
        self.check()
    }

    /// The pages that the memory has.
    pub(super) fn pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    /// The bytes that the memory has.
    pub(super) fn bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// The bytes of the blocks in use.
    pub(super) fn used(&self) -> usize {
        self.blocks.iter().map(|block| block.size).sum()
    }

    /// How often the module has executed `memory.grow`.
    pub(super) fn asked(&self) -> u32 {
        self.store.data().asked
    }

    /// Refuses growths beyond so many pages from now on.
    pub(super) fn refuse_beyond(&mut self, pages: usize) {
        self.store.data_mut().bytes_max = pages * PAGE;
    }

    /// Grows the memory as JavaScript does, and fills the new pages with `mark`. Returns where they begin.
    pub(super) fn grow(&mut self, pages: u64, mark: u8) -> Result<usize> {
        let asked = self.asked();
        let from = self.bytes();
        self.memory.grow(&mut self.store, pages)?;
        self.store.data_mut().asked = asked;
        self.memory.data_mut(&mut self.store)[from..].fill(mark);
        Ok(from)
    }

    /// The free part of the initial memory: see [`BOUNDS`].
    pub(super) fn initial(&mut self) -> Result<core::ops::Range<usize>> {
        let start = self.address("__heap_base")?;
        let end = self.address("__heap_end")?;
        // A memory of 4 GiB ends where 32 bits begin again.
        Ok(start..if end == 0 { 1 << 32 } else { end })
    }

    fn address(&mut self, name: &str) -> Result<usize> {
        let export = self.instance.get_global(&mut self.store, name);
        let global: Global = export.with_context(|| format!("no export {name}"))?;
        let value = global.get(&mut self.store).i32();
        Ok(value.context("not 32 bits")?.cast_unsigned() as usize)
    }

    /// Bytes of the memory.
    pub(super) fn data(&self, range: core::ops::Range<usize>) -> &[u8] {
        &self.memory.data(&self.store)[range]
    }

    /// Writes `mark` to all of a part of the memory.
    pub(super) fn fill(&mut self, range: core::ops::Range<usize>, mark: u8) {
        self.memory.data_mut(&mut self.store)[range].fill(mark);
    }

    /// Calls a function of two numbers.
    fn call(&mut self, name: &str, arguments: (u32, u32)) -> Result<u32> {
        let function = self
            .instance
            .get_typed_func::<(u32, u32), u32>(&mut self.store, name)?;
        Ok(function.call(&mut self.store, arguments)?)
    }

    /// Has the heap take in so many bytes ahead of time.
    pub(super) fn reserve(&mut self, bytes: u32) -> Result<bool> {
        let reserve = self
            .instance
            .get_typed_func::<u32, u32>(&mut self.store, "reserve")?;
        Ok(reserve.call(&mut self.store, bytes)? != 0)
    }

    /// Allocates: the block if there is one, marked and kept.
    pub(super) fn take(&mut self, size: usize) -> Result<Option<Block>> {
        self.take_aligned(size, 8)
    }

    /// As [`take`](Self::take), at a multiple of `align`.
    pub(super) fn take_aligned(&mut self, size: usize, align: u32) -> Result<Option<Block>> {
        let arguments = (u32::try_from(size)?, align);
        let at = self.alloc.call(&mut self.store, arguments)?;
        self.keep(at, size, align)
    }

    /// Allocates bytes that must be zero.
    pub(super) fn take_zeroed(&mut self, size: usize) -> Result<Option<Block>> {
        let at = self.call("alloc_zeroed", (u32::try_from(size)?, 8))?;
        if at != 0 {
            let range = at as usize..at as usize + size;
            ensure!(range.end <= self.bytes(), "a block past the memory's end");
            let zeroed = self.data(range).iter().all(|&byte| byte == 0);
            ensure!(zeroed, "{size} zeroed bytes are not zero");
        }
        self.keep(at, size, 8)
    }

    fn keep(&mut self, at: u32, size: usize, align: u32) -> Result<Option<Block>> {
        if at == 0 {
            return Ok(None);
        }
        ensure!(at.is_multiple_of(align), "{at:#x} is not aligned");
        self.marks = self.marks % 250 + 1;
        let block = Block {
            at: at as usize,
            size,
            align,
            mark: self.marks,
        };
        ensure!(
            block.at + size <= self.bytes(),
            "{size} bytes at {at:#x} are past the memory's end"
        );
        for range in block.ends() {
            self.fill(range, block.mark);
        }
        self.blocks.push(block);
        Ok(Some(block))
    }

    /// Gives back the block at `index`, if its bytes are as they were.
    pub(super) fn give_back(&mut self, index: usize) -> Result<()> {
        let block = self.blocks.swap_remove(index);
        self.check_block(&block)?;
        let dealloc = self
            .instance
            .get_typed_func::<(u32, u32, u32), ()>(&mut self.store, "dealloc")?;
        let (at, size) = (u32::try_from(block.at)?, u32::try_from(block.size)?);
        let arguments = (at, size, block.align);
        Ok(dealloc.call(&mut self.store, arguments)?)
    }

    /// Resizes the block at `index`; whether the heap could.
    pub(super) fn resize(&mut self, index: usize, size: usize) -> Result<bool> {
        let block = self.blocks[index];
        self.check_block(&block)?;
        let realloc = self
            .instance
            .get_typed_func::<(u32, u32, u32, u32), u32>(&mut self.store, "realloc")?;
        let (at, old) = (u32::try_from(block.at)?, u32::try_from(block.size)?);
        let arguments = (at, old, block.align, u32::try_from(size)?);
        let at = realloc.call(&mut self.store, arguments)?;
        if at == 0 {
            return Ok(false);
        }
        self.blocks.swap_remove(index);
        let kept = Block {
            at: at as usize,
            size: size.min(block.size).min(ENDS),
            ..block
        };
        self.check_block(&kept)?;
        self.keep(at, size, block.align)?;
        Ok(true)
    }

    /// The address of a block that nobody writes to, or 0.
    pub(super) fn take_untouched(&mut self, size: usize) -> Result<u32> {
        Ok(self
            .alloc
            .call(&mut self.store, (u32::try_from(size)?, 8))?)
    }

    /// Gives back such blocks, of `size` bytes each.
    pub(super) fn give_back_untouched(
        &mut self,
        blocks: impl IntoIterator<Item = u32>,
        size: usize,
    ) -> Result<()> {
        let size = u32::try_from(size)?;
        let dealloc = self
            .instance
            .get_typed_func::<(u32, u32, u32), ()>(&mut self.store, "dealloc")?;
        for at in blocks {
            dealloc.call(&mut self.store, (at, size, 8))?;
        }
        Ok(())
    }

    /// Allocates `size` bytes until there are no more, or until so many blocks. Returns how many there were.
    pub(super) fn take_all(&mut self, size: usize, blocks_max: usize) -> Result<usize> {
        for count in 0..blocks_max {
            if self.take(size)?.is_none() {
                return Ok(count);
            }
        }
        Ok(blocks_max)
    }

    /// Nothing, if all blocks in use have the bytes that were written to them, and the heap's records agree.
    pub(super) fn check(&mut self) -> Result<()> {
        for block in &self.blocks {
            self.check_block(block)?;
        }
        if let Some(Extern::Func(sound)) = self.instance.get_export(&mut self.store, "sound") {
            let sound = sound.typed::<(), u32>(&self.store)?;
            let is_sound = sound.call(&mut self.store, ())? != 0;
            ensure!(is_sound, "the heap's records are wrong");
        }
        Ok(())
    }

    fn check_block(&self, block: &Block) -> Result<()> {
        let is_marked = |range| self.data(range).iter().all(|&byte| byte == block.mark);
        ensure!(
            block.ends().into_iter().all(is_marked),
            "the block of {} bytes at {:#x} has changed",
            block.size,
            block.at
        );
        Ok(())
    }
}

impl Block {
    /// The bytes that are looked at: all of them, or both ends of a long one.
    fn ends(&self) -> [core::ops::Range<usize>; 2] {
        let end = self.at + self.size;
        [
            self.at..end.min(self.at + ENDS),
            end.saturating_sub(ENDS).max(self.at)..end,
        ]
    }
}

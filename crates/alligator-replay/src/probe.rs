//! A module's allocator, called from the host one operation at a time.
//!
//! The module exports `op_alloc(size, align)`, `op_alloc_zeroed(size, align)`, `op_dealloc(address, size, align)` and
//! `op_realloc(address, size, align, new_size)`, as the lab's guests do.

use anyhow::{Context, Result};
use wasmtime::{Engine, Instance, Memory, Module, Store, TypedFunc};

use alligator_meter::counting_store;

/// An instance of a module with its exports.
pub struct Probe {
    store: Store<()>,
    memory: Memory,
    alloc: TypedFunc<(u32, u32), u32>,
    alloc_zeroed: TypedFunc<(u32, u32), u32>,
    dealloc: TypedFunc<(u32, u32, u32), ()>,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    instance: Instance,
}

/// What a call cost and returned.
#[derive(Clone, Copy, Debug)]
pub struct Call<R> {
    /// What it gave.
    pub result: R,
    /// Executed instructions, the call itself included.
    pub fuel: u64,
    /// Pages by which memory became larger meanwhile.
    pub grown_pages: u64,
}

impl core::fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Probe")
            .field("pages", &self.pages())
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// A fresh instance.
    ///
    /// # Errors
    /// The module does not start, or lacks an export.
    pub fn new(engine: &Engine, module: &Module) -> Result<Self> {
        let mut store = counting_store(engine, ())?;
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .context("the module exports no memory")?;
        Ok(Self {
            memory,
            alloc: instance.get_typed_func(&mut store, "op_alloc")?,
            alloc_zeroed: instance.get_typed_func(&mut store, "op_alloc_zeroed")?,
            dealloc: instance.get_typed_func(&mut store, "op_dealloc")?,
            realloc: instance.get_typed_func(&mut store, "op_realloc")?,
            instance,
            store,
        })
    }

    /// Ends a call that needs more instructions than this.
    ///
    /// # Errors
    /// The engine does not count.
    pub fn limit(&mut self, fuel: u64) -> Result<()> {
        let fuel = fuel.min(self.store.get_fuel()?);
        Ok(self.store.set_fuel(fuel)?)
    }

    /// Size of the memory, in pages.
    pub fn pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    /// The module's memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// A block of `size` bytes at a multiple of `align`; null if there is no memory.
    ///
    /// # Errors
    /// It traps.
    pub fn alloc(&mut self, size: u32, align: u32) -> Result<Call<u32>> {
        let function = self.alloc.clone();
        self.call(|store| function.call(store, (size, align)))
    }

    /// The same, all zero.
    ///
    /// # Errors
    /// It traps.
    pub fn alloc_zeroed(&mut self, size: u32, align: u32) -> Result<Call<u32>> {
        let function = self.alloc_zeroed.clone();
        self.call(|store| function.call(store, (size, align)))
    }

    /// Gives a block back.
    ///
    /// # Errors
    /// It traps.
    pub fn dealloc(&mut self, ptr: u32, size: u32, align: u32) -> Result<Call<()>> {
        let function = self.dealloc.clone();
        self.call(|store| function.call(store, (ptr, size, align)))
    }

    /// Resizes a block; null if there is no memory.
    ///
    /// # Errors
    /// It traps.
    pub fn realloc(&mut self, ptr: u32, size: u32, align: u32, new: u32) -> Result<Call<u32>> {
        let function = self.realloc.clone();
        self.call(|store| function.call(store, (ptr, size, align, new)))
    }

    /// Makes and drops a box of 24 bytes.
    ///
    /// # Errors
    /// The module has no such function, or it traps.
    pub fn box24(&mut self) -> Result<Call<()>> {
        let instance = self.instance;
        let function = instance.get_typed_func::<(), ()>(&mut self.store, "box24")?;
        self.call(|store| function.call(store, ()))
    }

    fn call<R>(
        &mut self,
        function: impl FnOnce(&mut Store<()>) -> wasmtime::Result<R>,
    ) -> Result<Call<R>> {
        let (fuel, pages) = (self.store.get_fuel()?, self.pages());
        let result = function(&mut self.store)?;
        Ok(Call {
            result,
            fuel: fuel - self.store.get_fuel()?,
            grown_pages: self.pages() - pages,
        })
    }
}

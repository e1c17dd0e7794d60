//! A guest's allocator, called from the host one operation at a time.

use anyhow::{Context, Result};
use wasmtime::{Engine, Instance, Memory, Module, Store, TypedFunc};

use alligator_meter::counting_store;

/// An instance of a guest with its exports.
pub(crate) struct Probe {
    store: Store<()>,
    memory: Memory,
    alloc: TypedFunc<(u32, u32), u32>,
    alloc_zeroed: TypedFunc<(u32, u32), u32>,
    dealloc: TypedFunc<(u32, u32, u32), ()>,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    box24: TypedFunc<(), ()>,
}

/// What a call cost and returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<R> {
    pub(crate) result: R,
    /// Executed instructions, the call itself included.
    pub(crate) fuel: u64,
    /// Pages by which memory became larger meanwhile.
    pub(crate) grown_pages: u64,
}

impl Probe {
    pub(crate) fn new(engine: &Engine, module: &Module) -> Result<Self> {
        let mut store = counting_store(engine, ())?;
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .context("the guest exports no memory")?;
        Ok(Self {
            memory,
            alloc: instance.get_typed_func(&mut store, "op_alloc")?,
            alloc_zeroed: instance.get_typed_func(&mut store, "op_alloc_zeroed")?,
            dealloc: instance.get_typed_func(&mut store, "op_dealloc")?,
            realloc: instance.get_typed_func(&mut store, "op_realloc")?,
            box24: instance.get_typed_func(&mut store, "box24")?,
            store,
        })
    }

    /// Ends a call that needs more instructions than this.
    pub(crate) fn limit(&mut self, fuel: u64) -> Result<()> {
        let fuel = fuel.min(self.store.get_fuel()?);
        Ok(self.store.set_fuel(fuel)?)
    }

    /// Size of the memory, in pages.
    pub(crate) fn pages(&self) -> u64 {
        self.memory.size(&self.store)
    }

    /// The guest's memory.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    pub(crate) fn alloc(&mut self, size: u32, align: u32) -> Result<Call<u32>> {
        let function = self.alloc.clone();
        self.call(|store| function.call(store, (size, align)))
    }

    pub(crate) fn alloc_zeroed(&mut self, size: u32, align: u32) -> Result<Call<u32>> {
        let function = self.alloc_zeroed.clone();
        self.call(|store| function.call(store, (size, align)))
    }

    pub(crate) fn dealloc(&mut self, ptr: u32, size: u32, align: u32) -> Result<Call<()>> {
        let function = self.dealloc.clone();
        self.call(|store| function.call(store, (ptr, size, align)))
    }

    pub(crate) fn realloc(
        &mut self,
        ptr: u32,
        size: u32,
        align: u32,
        new: u32,
    ) -> Result<Call<u32>> {
        let function = self.realloc.clone();
        self.call(|store| function.call(store, (ptr, size, align, new)))
    }

    /// Makes and drops a box of 24 bytes.
    pub(crate) fn box24(&mut self) -> Result<Call<()>> {
        let function = self.box24.clone();
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

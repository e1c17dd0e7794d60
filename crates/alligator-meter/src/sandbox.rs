//! A place to try code of unknown modules in: bounded in instructions and memory, with imports that do nothing.

use alligator_find::confirm;
use alligator_find::copy::MEMORY;
use wasmtime::{
    Caller, Config, Engine, Extern, ExternType, Func, Global, GlobalType, Instance, Memory, Module,
    OptLevel, Ref, ResourceLimiter, Store, Table, Val, ValType,
};

use crate::first_line;

/// Instructions that one instance may execute.
const INSTRUCTIONS_MAX: u64 = 200_000_000;

/// Bytes by which the memories of an instance may grow together.
const GROWTH_MAX: usize = 64 << 20;

/// Largest initial size of a memory, in bytes.
const INITIAL_MAX: usize = 2 << 30;

/// Where linkers put the first data.
const FIRST_DATA: u64 = 1_024;

/// Elements that a table may have.
const ELEMENTS_MAX: usize = 1 << 20;

/// Tries modules, as `alligator-find` asks it to.
#[derive(Debug)]
pub struct Sandbox {
    engine: Engine,
}

impl Sandbox {
    /// A sandbox.
    ///
    /// # Errors
    /// When wasmtime cannot compile for this machine.
    pub fn new() -> Result<Self, String> {
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .wasm_custom_page_sizes(true)
            .cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config).map_err(|error| first_line(&error))?;
        Ok(Self { engine })
    }
}

impl confirm::Engine for Sandbox {
    fn load(&self, module: &[u8]) -> Result<Box<dyn confirm::Loaded>, String> {
        let module = Module::new(&self.engine, module).map_err(|error| first_line(&error))?;
        Ok(Box::new(Loaded {
            engine: self.engine.clone(),
            module,
        }))
    }
}

/// A compiled module.
struct Loaded {
    engine: Engine,
    module: Module,
}

impl confirm::Loaded for Loaded {
    fn start(&self) -> Result<Box<dyn confirm::Instance>, String> {
        let line = |error: wasmtime::Error| first_line(&error);
        let mut store = Store::new(&self.engine, Limits::default());
        store.limiter(|limits| limits);
        store.set_fuel(INSTRUCTIONS_MAX).map_err(line)?;
        let layout = Layout::of(&self.module);
        let imports: Vec<Extern> = self
            .module
            .imports()
            .map(|import| match import.ty() {
                ExternType::Global(kind) => layout.global(&mut store, &kind, import.name()),
                kind => stub(&mut store, &kind),
            })
            .collect::<Result<_, _>>()?;
        let instance = Instance::new(&mut store, &self.module, &imports).map_err(line)?;
        Ok(Box::new(Tried { store, instance }))
    }
}

/// What an instance may still take.
#[derive(Debug, Default)]
struct Limits {
    grown: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if current == 0 && self.grown == 0 {
            return Ok(desired <= INITIAL_MAX);
        }
        let more = desired.saturating_sub(current);
        let is_allowed = self.grown.saturating_add(more) <= GROWTH_MAX;
        if is_allowed {
            self.grown += more;
        }
        Ok(is_allowed)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= ELEMENTS_MAX)
    }
}

/// Where a program that is linked when it is loaded finds its parts: its host says that in globals.
struct Layout {
    /// Above the stack, and where the heap begins.
    heap: u64,
}

impl Layout {
    /// Halfway up the initial memory: static data is below it.
    fn of(module: &Module) -> Self {
        let imported = module.imports().map(|import| import.ty());
        let exported = module.exports().map(|export| export.ty());
        let initial = imported.chain(exported).find_map(|kind| match kind {
            ExternType::Memory(kind) => Some(kind.minimum().saturating_mul(kind.page_size())),
            _ => None,
        });
        Self {
            heap: initial.unwrap_or_default() / 32 * 16,
        }
    }

    fn global(
        &self,
        store: &mut Store<Limits>,
        kind: &GlobalType,
        name: &str,
    ) -> Result<Extern, String> {
        let place = match name {
            "__stack_pointer" | "__heap_base" | "__stack_high" => self.heap,
            "__stack_low" => self.heap / 2,
            "__memory_base" => FIRST_DATA,
            _ => 0,
        };
        let value = match kind.content() {
            ValType::I32 => Val::I32(u32::try_from(place).unwrap_or_default().cast_signed()),
            ValType::I64 => Val::I64(place.cast_signed()),
            other => Val::default_for_ty(other)
                .ok_or_else(|| "an imported global has no default value".to_owned())?,
        };
        let global = Global::new(store, kind.clone(), value);
        Ok(global.map_err(|error| first_line(&error))?.into())
    }
}

/// Something of a type that does nothing.
fn stub(store: &mut Store<Limits>, kind: &ExternType) -> Result<Extern, String> {
    let line = |error: wasmtime::Error| first_line(&error);
    Ok(match kind {
        ExternType::Func(kind) => {
            let results: Vec<ValType> = kind.results().collect();
            let defaults: Option<Vec<Val>> = results.iter().map(Val::default_for_ty).collect();
            let answer = move |mut caller: Caller<'_, Limits>, given: &[Val], out: &mut [Val]| {
                let Some(defaults) = &defaults else {
                    return Err(wasmtime::Error::msg("an import has no default result"));
                };
                out.clone_from_slice(defaults);
                if let ([Val::I32(bytes)], [result @ Val::I32(_)]) = (given, out) {
                    *result = Val::I32(grow_to(&mut caller, bytes.cast_unsigned()));
                }
                Ok(())
            };
            Func::new(store, kind.clone(), answer).into()
        }
        ExternType::Memory(kind) => Memory::new(store, kind.clone()).map_err(line)?.into(),
        ExternType::Table(kind) => {
            let null = Ref::null(kind.element().heap_type());
            Table::new(store, kind.clone(), null).map_err(line)?.into()
        }
        ExternType::Tag(_) | ExternType::Global(_) => {
            return Err("an import that cannot be made up".to_owned());
        }
    })
}

/// What Emscripten's `emscripten_resize_heap` does, under whatever name: asked for more bytes than there are, it grows
/// the memory to so many and says 1. Any other question of that type is answered by 0.
fn grow_to(caller: &mut Caller<'_, Limits>, bytes: u32) -> i32 {
    let Some(memory) = caller.get_export(MEMORY).and_then(Extern::into_memory) else {
        return 0;
    };
    let page = memory.page_size(&*caller);
    let missing = u64::from(bytes).saturating_sub(memory.data_size(&*caller) as u64);
    if missing == 0 || missing > GROWTH_MAX as u64 {
        return 0;
    }
    i32::from(memory.grow(caller, missing.div_ceil(page)).is_ok())
}

/// A module that runs in the sandbox.
struct Tried {
    store: Store<Limits>,
    instance: Instance,
}

impl Tried {
    fn memory(&mut self) -> Option<Memory> {
        self.instance.get_memory(&mut self.store, MEMORY)
    }
}

impl confirm::Instance for Tried {
    fn call(&mut self, name: &str, arguments: &[u64]) -> Result<u64, String> {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .ok_or_else(|| format!("no function is exported as {name:?}"))?;
        let kind = function.ty(&self.store);
        let arguments: Vec<Val> = kind
            .params()
            .zip(arguments)
            .map(|(kind, value)| match kind {
                ValType::I64 => Val::I64(value.cast_signed()),
                _ => Val::I32(u32::try_from(*value).unwrap_or(u32::MAX).cast_signed()),
            })
            .collect();
        let mut results = vec![Val::I32(0); kind.results().len()];
        function
            .call(&mut self.store, &arguments, &mut results)
            .map_err(|error| first_line(&error))?;
        Ok(match results.first() {
            Some(Val::I32(value)) => u64::from(value.cast_unsigned()),
            Some(Val::I64(value)) => value.cast_unsigned(),
            _ => 0,
        })
    }

    fn memory_bytes(&mut self) -> u64 {
        self.memory()
            .map_or(0, |memory| memory.data_size(&self.store) as u64)
    }

    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>> {
        let memory = self.memory()?;
        let start = usize::try_from(address).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        memory.data(&self.store).get(start..end).map(<[u8]>::to_vec)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        let Ok(start) = usize::try_from(address) else {
            return false;
        };
        self.memory()
            .is_some_and(|memory| memory.write(&mut self.store, start, bytes).is_ok())
    }
}

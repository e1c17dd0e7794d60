//! What is attacked: modules with one allocator each, and a fresh instance for every trial.

use anyhow::{Context, Result, ensure};
use wasmtime::{
    Engine, Instance, InstancePre, Linker, Memory, Module, ModuleExport, Store, StoreLimits,
    StoreLimitsBuilder, Trap, TypedFunc, WasmParams, WasmResults,
};

use alligator_meter::counting_config;
use alligator_tools::command::features_of;
use alligator_tools::guest::{self, Guest};

/// Instructions that one call may take before it counts as a hang. The dearest honest call of any peer takes a
/// few thousand; copies and fills count as one instruction.
const FUEL_PER_CALL: u64 = 1_000_000;

/// Bytes that an instance's memory may have: allocators must come to an end of it, too.
const MEMORY_BYTES_MAX: usize = 32 << 20;

/// An allocator that can be attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocator {
    pub(crate) name: &'static str,
    /// Cargo features of `tests/attacks/subject`.
    features: &'static [&'static str],
}

const PLAIN: Allocator = Allocator {
    name: "alligator",
    features: &["alligator"],
};
const HARDENED: Allocator = Allocator {
    name: "alligator-hardened",
    features: &["alligator", "alligator-alloc/hardened"],
};
pub(crate) const WEAK: Allocator = Allocator {
    name: "weak",
    features: &["weak"],
};

/// All that can be attacked: ours, the peers, and last the one that must fail.
pub(crate) fn allocators() -> Result<Vec<Allocator>> {
    let others = [
        (
            "alligator-small",
            &["alligator", "alligator-alloc/small"][..],
        ),
        ("alligator-c", &["alligator-c"]),
        ("dlmalloc", &["dlmalloc"]),
        ("talc", &["talc"]),
        ("rlsf", &["rlsf"]),
        ("wasmalloc", &["wasmalloc"]),
    ];
    let mut all = vec![PLAIN];
    let features = features_of("alligator-alloc")?;
    if features.iter().any(|feature| feature == "hardened") {
        all.push(HARDENED);
    }
    all.extend(others.map(|(name, features)| Allocator { name, features }));
    all.push(WEAK);
    Ok(all)
}

impl Allocator {
    /// Whether it is the one from which everything is expected.
    pub(crate) fn is_hardened(self) -> bool {
        self == HARDENED
    }

    /// Whether it is ours.
    pub(crate) fn is_ours(self) -> bool {
        self.name.starts_with("alligator")
    }
}

/// Addresses that are the same in every instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) heap_base: u32,
    pub(crate) target: Region,
    pub(crate) victim: Region,
}

/// Memory from an address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) address: u32,
    pub(crate) bytes: u32,
}

impl Region {
    pub(crate) fn end(self) -> u64 {
        u64::from(self.address) + u64::from(self.bytes)
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        u64::from(self.address) < other.end() && u64::from(other.address) < self.end()
    }
}

/// A module that is compiled and linked.
pub(crate) struct Subject {
    pub(crate) allocator: Allocator,
    engine: Engine,
    module: InstancePre<StoreLimits>,
    exports: Exports,
    pub(crate) layout: Layout,
}

struct Exports {
    memory: ModuleExport,
    alloc: ModuleExport,
    alloc_zeroed: ModuleExport,
    dealloc: ModuleExport,
    realloc: ModuleExport,
    calloc: Option<ModuleExport>,
    fault: Option<ModuleExport>,
}

impl Subject {
    /// Builds and compiles the module of `allocator`.
    pub(crate) fn new(allocator: Allocator) -> Result<Self> {
        let path = guest::build(&Guest {
            crate_dir: &guest::root().join("tests/attacks/subject"),
            library: "attacked",
            features: allocator.features,
            output: &format!("attacks-{}", allocator.name),
            profile: None,
            overrides: Vec::new(),
        })
        .with_context(|| {
            format!(
                "tests/attacks/subject with {} does not build",
                allocator.name
            )
        })?;
        let mut config = counting_config();
        // A trap is an outcome like any other; nobody reads where it was.
        config.wasm_backtrace_max_frames(None);
        let engine = Engine::new(&config)?;
        let module = Module::from_file(&engine, path)?;
        let export = |name: &str| {
            let index = module.get_export_index(name);
            index.with_context(|| format!("the module does not export {name}"))
        };
        let exports = Exports {
            memory: export("memory")?,
            alloc: export("op_alloc")?,
            alloc_zeroed: export("op_alloc_zeroed")?,
            dealloc: export("op_dealloc")?,
            realloc: export("op_realloc")?,
            calloc: module.get_export_index("op_calloc"),
            fault: module.get_export_index("alligator_fault"),
        };
        let module = Linker::new(&engine).instantiate_pre(&module)?;
        let layout = read_layout(&engine, &module)?;
        Ok(Self {
            allocator,
            engine,
            module,
            exports,
            layout,
        })
    }

    /// A fresh instance: the allocator has not been called yet.
    pub(crate) fn instantiate(&self) -> Result<Machine> {
        let mut store = store(&self.engine);
        let instance = self.module.instantiate(&mut store)?;
        let exports = &self.exports;
        let memory = instance
            .get_module_export(&mut store, &exports.memory)
            .and_then(wasmtime::Extern::into_memory)
            .context("the module has no memory")?;
        let calloc = match &exports.calloc {
            Some(export) => Some(function(&mut store, &instance, export)?),
            None => None,
        };
        let fault = match &exports.fault {
            Some(export) => Some(function(&mut store, &instance, export)?),
            None => None,
        };
        Ok(Machine {
            alloc: function(&mut store, &instance, &exports.alloc)?,
            alloc_zeroed: function(&mut store, &instance, &exports.alloc_zeroed)?,
            dealloc: function(&mut store, &instance, &exports.dealloc)?,
            realloc: function(&mut store, &instance, &exports.realloc)?,
            calloc,
            fault,
            memory,
            store,
        })
    }
}

fn store(engine: &Engine) -> Store<StoreLimits> {
    let limits = StoreLimitsBuilder::new().memory_size(MEMORY_BYTES_MAX);
    let mut store = Store::new(engine, limits.build());
    store.limiter(|limits| limits);
    store
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<StoreLimits>,
    instance: &Instance,
    export: &ModuleExport,
) -> Result<TypedFunc<P, R>> {
    let function = instance
        .get_module_export(&mut *store, export)
        .and_then(wasmtime::Extern::into_func)
        .context("an export is no function")?;
    Ok(function.typed(&store)?)
}

fn read_layout(engine: &Engine, module: &InstancePre<StoreLimits>) -> Result<Layout> {
    let mut store = store(engine);
    let instance = module.instantiate(&mut store)?;
    let mut number = |name: &str| -> Result<u32> {
        store.set_fuel(FUEL_PER_CALL)?;
        let function = instance.get_typed_func::<(), u32>(&mut store, name)?;
        Ok(function.call(&mut store, ())?)
    };
    let layout = Layout {
        heap_base: number("heap_base")?,
        target: Region {
            address: number("target_address")?,
            bytes: number("target_bytes")?,
        },
        victim: Region {
            address: number("victim_address")?,
            bytes: number("victim_bytes")?,
        },
    };
    for region in [layout.target, layout.victim] {
        ensure!(
            region.end() <= u64::from(layout.heap_base),
            "a static lies in the heap"
        );
    }
    Ok(layout)
}

/// Why a call did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It was still running after [`FUEL_PER_CALL`].
    Hang,
    /// The allocator stopped the program: `unreachable`.
    Stopped,
    /// The engine did: an access outside the memory, or the like.
    Crashed,
}

/// One instance.
pub(crate) struct Machine {
    store: Store<StoreLimits>,
    memory: Memory,
    alloc: TypedFunc<(u32, u32), u32>,
    alloc_zeroed: TypedFunc<(u32, u32), u32>,
    dealloc: TypedFunc<(u32, u32, u32), ()>,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    calloc: Option<TypedFunc<(u32, u32), u32>>,
    fault: Option<TypedFunc<(), u32>>,
}

impl Machine {
    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    pub(crate) fn alloc(&mut self, size: u32, align: u32, zeroed: bool) -> Result<u32, Broken> {
        let function = if zeroed {
            &self.alloc_zeroed
        } else {
            &self.alloc
        };
        call(&mut self.store, function, (size, align))
    }

    pub(crate) fn dealloc(&mut self, pointer: u32, size: u32, align: u32) -> Result<(), Broken> {
        call(&mut self.store, &self.dealloc, (pointer, size, align))
    }

    pub(crate) fn realloc(
        &mut self,
        pointer: u32,
        size: u32,
        align: u32,
        new: u32,
    ) -> Result<u32, Broken> {
        call(&mut self.store, &self.realloc, (pointer, size, align, new))
    }

    /// None if the allocator has no calloc.
    pub(crate) fn calloc(&mut self, count: u32, size: u32) -> Option<Result<u32, Broken>> {
        let function = self.calloc.as_ref()?;
        Some(call(&mut self.store, function, (count, size)))
    }

    /// The number of the fault for which the allocator stopped the program, if it keeps such.
    pub(crate) fn fault(&mut self) -> Option<u32> {
        let function = self.fault.as_ref()?;
        let code = call(&mut self.store, function, ()).ok()?;
        (code != 0).then_some(code)
    }
}

fn call<P: WasmParams, R: WasmResults>(
    store: &mut Store<StoreLimits>,
    function: &TypedFunc<P, R>,
    parameters: P,
) -> Result<R, Broken> {
    // Fuel is on, so this cannot fail.
    let _ = store.set_fuel(FUEL_PER_CALL);
    function
        .call(store, parameters)
        .map_err(|error| match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Broken::Hang,
            Some(Trap::UnreachableCodeReached) => Broken::Stopped,
            _ => Broken::Crashed,
        })
}

//! Runs WebAssembly under wasmtime and counts what each call costs, in fuel.
//!
//! The measured side of every comparison with what `alligator-bound` proves: of `alligator measure`
//! and of the prover's tests.
#![forbid(unsafe_code)]

mod counting;
pub mod sandbox;

pub use counting::{counting_config, counting_engine, counting_store};

use wasmtime::{
    Config, Engine, Extern, ExternType, Func, Global, Instance, Memory, Module, OperatorCost,
    OptLevel, Ref, ResourceLimiter, Store, Table, Trap, Val, ValType, VariableOperatorCost,
};

/// Fuel given to each call: never used up.
const FUEL: u64 = u64::MAX / 2;

/// Whether each byte or element of a bulk operation is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// As wasmtime does by default.
    Charged,
    /// Not: a bulk operation costs what its instruction does. Bounds limit this.
    Free,
}

/// An engine that counts.
#[derive(Debug)]
pub struct Meter {
    engine: Engine,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It returned.
    Returned,
    /// At an `unreachable` instruction.
    Unreachable,
    /// By any other trap, or an error of the host: its first line.
    Trapped(String),
}

/// What one call did.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Results, when it returned.
    pub results: Vec<Val>,
    /// Cost.
    pub fuel: u64,
    /// Whether memory was asked to grow.
    pub grew: bool,
    /// How it ended.
    pub end: End,
}

/// A module that runs.
#[derive(Debug)]
pub struct Running {
    store: Store<Growth>,
    instance: Instance,
}

/// Notes whether memory was asked to grow.
#[derive(Debug, Default)]
struct Growth {
    asked: bool,
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.asked = true;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.asked = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl Meter {
    /// An engine that counts.
    ///
    /// # Errors
    /// When wasmtime cannot compile for this machine.
    pub fn new(units: Units) -> Result<Self, String> {
        let mut config = Config::new();
        // What is counted does not depend on how well it is compiled.
        config
            .consume_fuel(true)
            .wasm_custom_page_sizes(true)
            .cranelift_opt_level(OptLevel::None);
        if units == Units::Free {
            let mut cost = OperatorCost::new();
            cost.variable = free_units();
            config.operator_cost(cost);
        }
        let engine = Engine::new(&config).map_err(|error| first_line(&error))?;
        Ok(Self { engine })
    }

    /// Starts a module. Imported functions trap when called; imported memories and globals of equal
    /// type are one and the same, which is the hardest case for a proof.
    ///
    /// # Errors
    /// When the module is not valid, or needs what cannot be made up.
    pub fn start(&self, bytes: &[u8]) -> Result<Running, String> {
        let line = |error: wasmtime::Error| first_line(&error);
        let module = Module::new(&self.engine, bytes).map_err(line)?;
        let mut store = Store::new(&self.engine, Growth::default());
        store.limiter(|growth| growth);
        store.set_fuel(FUEL).map_err(line)?;
        let mut made: Vec<(ExternType, Extern)> = Vec::new();
        let mut imports = Vec::new();
        for import in module.imports() {
            let kind = import.ty();
            let item = match made.iter().find(|(other, _)| is_same(other, &kind)) {
                Some((_, item)) => item.clone(),
                None => make(&mut store, &kind, import.module(), import.name())?,
            };
            imports.push(item.clone());
            made.push((kind, item));
        }
        let instance = Instance::new(&mut store, &module, &imports).map_err(line)?;
        Ok(Running { store, instance })
    }
}

fn free_units() -> VariableOperatorCost {
    let mut free = VariableOperatorCost::new();
    free.memory_copy_per_byte = 0;
    free.memory_fill_per_byte = 0;
    free.memory_init_per_byte = 0;
    free.table_copy_per_element = 0;
    free.table_fill_per_element = 0;
    free.table_init_per_element = 0;
    free.table_grow_per_element = 0;
    free
}

fn is_same(one: &ExternType, other: &ExternType) -> bool {
    match (one, other) {
        (ExternType::Memory(one), ExternType::Memory(other)) => one == other,
        (ExternType::Global(one), ExternType::Global(other)) => {
            one.mutability() == other.mutability() && ValType::eq(one.content(), other.content())
        }
        _ => false,
    }
}

fn make(
    store: &mut Store<Growth>,
    kind: &ExternType,
    module: &str,
    name: &str,
) -> Result<Extern, String> {
    let line = |error: wasmtime::Error| first_line(&error);
    Ok(match kind {
        ExternType::Func(kind) => {
            let reason = format!("the import {module}.{name} was called");
            let fail = move |_: wasmtime::Caller<'_, Growth>, _: &[Val], _: &mut [Val]| {
                Err(wasmtime::Error::msg(reason.clone()))
            };
            Func::new(store, kind.clone(), fail).into()
        }
        ExternType::Memory(kind) => Memory::new(store, kind.clone()).map_err(line)?.into(),
        ExternType::Global(kind) => {
            let value = Val::default_for_ty(kind.content())
                .ok_or_else(|| format!("the import {module}.{name} has no default value"))?;
            Global::new(store, kind.clone(), value)
                .map_err(line)?
                .into()
        }
        ExternType::Table(kind) => {
            let null = Ref::null(kind.element().heap_type());
            Table::new(store, kind.clone(), null).map_err(line)?.into()
        }
        ExternType::Tag(_) => return Err(format!("the import {module}.{name} cannot be made up")),
    })
}

impl Running {
    /// Types of an exported function's parameters; `None` when there is no such function.
    pub fn parameters(&mut self, name: &str) -> Option<Vec<ValType>> {
        let function = self.instance.get_func(&mut self.store, name)?;
        Some(function.ty(&self.store).params().collect())
    }

    /// The value of an exported global; `None` when there is no such global.
    pub fn global(&mut self, name: &str) -> Option<Val> {
        let global = self.instance.get_global(&mut self.store, name)?;
        Some(global.get(&mut self.store))
    }

    /// Sets an exported global.
    ///
    /// # Errors
    /// When there is no such global, or it cannot be set to this.
    pub fn set_global(&mut self, name: &str, value: Val) -> Result<(), String> {
        let global = self
            .instance
            .get_global(&mut self.store, name)
            .ok_or_else(|| format!("no global is exported as {name:?}"))?;
        global
            .set(&mut self.store, value)
            .map_err(|error| first_line(&error))
    }

    /// Calls an exported function.
    ///
    /// # Errors
    /// When there is no such function, or the arguments are not of its types.
    pub fn call(&mut self, name: &str, arguments: &[Val]) -> Result<Measured, String> {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .ok_or_else(|| format!("no function is exported as {name:?}"))?;
        let kind = function.ty(&self.store);
        if kind.params().len() != arguments.len() {
            return Err(format!("{name} takes {} arguments", kind.params().len()));
        }
        let mut results = vec![Val::I32(0); kind.results().len()];
        self.store
            .set_fuel(FUEL)
            .map_err(|error| first_line(&error))?;
        self.store.data_mut().asked = false;
        let outcome = function.call(&mut self.store, arguments, &mut results);
        let left = self.store.get_fuel().map_err(|error| first_line(&error))?;
        let end = match outcome {
            Ok(()) => End::Returned,
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(Trap::UnreachableCodeReached) => End::Unreachable,
                _ => End::Trapped(first_line(&error)),
            },
        };
        if end != End::Returned {
            results.clear();
        }
        Ok(Measured {
            results,
            fuel: FUEL - left,
            grew: self.store.data().asked,
            end,
        })
    }
}

/// The first line of an error's root cause.
fn first_line(error: &wasmtime::Error) -> String {
    let text = format!("{:#}", error.root_cause());
    text.lines().next().unwrap_or_default().to_owned()
}

/// The program of the manual that is a host.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/hardened.md")]
mod manual {}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"(module
        (import "host" "one" (memory 1))
        (import "host" "other" (memory 1))
        (func (export "fill") (param i32)
            (memory.fill (i32.const 0) (i32.const 7) (local.get 0)))
        (func (export "read_other") (result i32) (i32.load8_u 1 (i32.const 0)))
        (func (export "grow") (drop (memory.grow (i32.const 1))))
        (func (export "stop") unreachable)
        (func (export "trap") (drop (i32.load (i32.const -1)))))"#;

    #[test]
    fn memories_with_other_pages_run() {
        let text = r#"(module (memory 1 2 (pagesize 1))
            (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;
        let bytes = wat::parse_str(text).expect("well formed");
        let meter = Meter::new(Units::Free).expect("an engine");
        let mut running = meter.start(&bytes).expect("starts");
        let measured = running.call("grow", &[]).expect("called");
        assert!(measured.grew && measured.results[0].i32() == Some(1));
    }

    fn start(units: Units) -> Running {
        let bytes = wat::parse_str(MODULE).expect("well formed");
        let meter = Meter::new(units).expect("a machine that wasmtime knows");
        meter.start(&bytes).expect("starts")
    }

    #[test]
    fn bytes_are_charged_only_when_asked_for() {
        let cost = |units| {
            start(units)
                .call("fill", &[Val::I32(100)])
                .expect("called")
                .fuel
        };
        // Entry, three operands, memory.fill.
        assert_eq!(cost(Units::Free), 5);
        assert_eq!(cost(Units::Charged), 105);
    }

    #[test]
    fn imported_memories_of_equal_type_are_one() {
        let mut running = start(Units::Free);
        running.call("fill", &[Val::I32(1)]).expect("called");
        let measured = running.call("read_other", &[]).expect("called");
        assert_eq!(measured.results[0].i32(), Some(7));
    }

    #[test]
    fn growth_and_the_ways_of_ending_are_told_apart() {
        let mut running = start(Units::Free);
        let mut call = |name| {
            let measured = running.call(name, &[]).expect("called");
            (measured.grew, measured.end)
        };
        assert_eq!(call("grow"), (true, End::Returned));
        assert_eq!(call("stop"), (false, End::Unreachable));
        assert!(matches!(call("trap"), (false, End::Trapped(_))));
    }
}

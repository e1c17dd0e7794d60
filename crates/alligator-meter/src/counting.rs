//! wasmtime itself, set up to count instructions, for who calls it without a [`Meter`](crate::Meter).

use wasmtime::{Config, Engine, OperatorCost, Result, Store};

use crate::FUEL;

/// An engine whose fuel is the number of executed instructions. The bytes that `memory.copy` and
/// `memory.fill` move, for which wasmtime otherwise charges one unit each, cost nothing: a
/// figure is then the allocator's own work, the copy of a moving realloc and zeroing apart.
///
/// # Errors
/// When wasmtime cannot compile for this machine.
pub fn counting_engine() -> Result<Engine> {
    Engine::new(&counting_config())
}

/// How [`counting_engine`] is set up.
pub fn counting_config() -> Config {
    let mut cost = OperatorCost::new();
    cost.variable.memory_copy_per_byte = 0;
    cost.variable.memory_fill_per_byte = 0;
    let mut config = Config::new();
    config.consume_fuel(true).operator_cost(cost);
    config
}

/// A store with fuel to count down from, around the state that imported functions need.
///
/// # Errors
/// When `engine` does not count.
pub fn counting_store<T>(engine: &Engine, state: T) -> Result<Store<T>> {
    let mut store = Store::new(engine, state);
    store.set_fuel(FUEL)?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use wasmtime::{Instance, Module};

    use super::*;

    const COPY_AND_FILL: &str = r#"(module (memory 2)
        (func (export "run") (param $bytes i32)
            (memory.copy (i32.const 0) (i32.const 65536) (local.get $bytes))
            (memory.fill (i32.const 0) (i32.const 1) (local.get $bytes))))"#;

    fn fuel_of_copy_and_fill(bytes: u32) -> Result<u64> {
        let engine = counting_engine()?;
        let module = Module::new(&engine, wat::parse_str(COPY_AND_FILL)?)?;
        let mut store = counting_store(&engine, ())?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let run = instance.get_typed_func::<u32, ()>(&mut store, "run")?;
        let before = store.get_fuel()?;
        run.call(&mut store, bytes)?;
        Ok(before - store.get_fuel()?)
    }

    #[test]
    fn copied_and_filled_bytes_cost_nothing() -> Result<()> {
        let one = fuel_of_copy_and_fill(1)?;
        assert!(one >= 8, "eight instructions cost {one}");
        assert_eq!(fuel_of_copy_and_fill(65_536)?, one);
        Ok(())
    }
}

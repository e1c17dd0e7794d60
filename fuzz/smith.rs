//! Valid modules with every proposal, from bytes.

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// A module made from bytes, as wasm-smith makes them; `None` when the bytes do not suffice.
pub(crate) fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let config = Config {
        min_funcs: 1,
        max_funcs: 12,
        max_memories: 3,
        max_tables: 3,
        max_instructions: 200,
        bulk_memory_enabled: true,
        exceptions_enabled: true,
        gc_enabled: true,
        memory64_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        relaxed_simd_enabled: true,
        simd_enabled: true,
        tail_call_enabled: true,
        threads_enabled: true,
        wide_arithmetic_enabled: true,
        ..Config::default()
    };
    let module = Module::new(config, &mut Unstructured::new(bytes)).ok()?;
    Some(module.to_bytes())
}

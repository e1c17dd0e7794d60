//! talc, as its documentation sets it up for single-threaded Wasm.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

global_allocator!(
    b"talc",
    talc::wasm::WasmDynamicTalc,
    talc::wasm::new_wasm_dynamic_allocator()
);

//! wasmalloc.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

global_allocator!(
    b"wasmalloc",
    wasmalloc::WasmAlloc,
    wasmalloc::WasmAlloc::new()
);

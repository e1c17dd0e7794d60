//! dlmalloc, which std uses on Wasm.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

global_allocator!(
    b"dlmalloc",
    dlmalloc::GlobalDlmalloc,
    dlmalloc::GlobalDlmalloc
);

#![no_std]
//! The real-time memory allocator for WebAssembly.

//! Proves worst-case instruction bounds on compiled WebAssembly modules.
#![forbid(unsafe_code)]

pub mod cfg;
pub mod cost;
pub mod entries;
pub mod loops;
pub mod module;
pub mod path;
pub mod refine;

//! The C functions of crates/alligator-c, to be called as Rust's. See `build.rs`.
#![allow(non_camel_case_types, reason = "C's names")]

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

pub use controls::*;
pub use layouts::*;
pub use malloc::*;

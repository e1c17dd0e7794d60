//! The same programs with a fault planted: they may use a block that they have given back. This target must fail,
//! or the others prove nothing.
#![no_main]

#[path = "../guarded.rs"]
mod guarded;
#[path = "../program.rs"]
mod program;

libfuzzer_sys::fuzz_target!(|steps: Vec<program::Step>| program::run(&steps, true));

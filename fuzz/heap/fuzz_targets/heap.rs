//! Any program on a heap, under AddressSanitizer.
#![no_main]

#[path = "../guarded.rs"]
mod guarded;
#[path = "../program.rs"]
mod program;

libfuzzer_sys::fuzz_target!(|steps: Vec<program::Step>| program::run(&steps, false));

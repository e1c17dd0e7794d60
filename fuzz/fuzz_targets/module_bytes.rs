//! Any bytes as a module. The corpus holds valid ones.
#![no_main]

#[path = "../../crates/alligator-bound/tests/common/anything.rs"]
mod anything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    anything::analyze_anything(bytes);
});

//! Valid modules with every proposal, made from the fuzzer's bytes.
#![no_main]

#[path = "../../crates/alligator-bound/tests/common/anything.rs"]
mod anything;
#[path = "../smith.rs"]
mod smith;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(module) = smith::module(bytes) {
        anything::analyze_anything(&module);
    }
});

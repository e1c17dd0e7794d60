//! Any text as a bounds file and as a cost table.
#![no_main]

#[path = "../../crates/alligator-bound/tests/common/anything.rs"]
mod anything;

libfuzzer_sys::fuzz_target!(|text: &str| anything::read_any_text(text));

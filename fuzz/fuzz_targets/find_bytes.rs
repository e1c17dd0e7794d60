//! Any bytes as a module or a component whose heap is looked for, with the same bytes as its JavaScript.
#![no_main]

#[path = "../../crates/alligator-find/tests/common/anything.rs"]
mod anything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let glue = String::from_utf8_lossy(bytes);
    anything::find_anything(bytes, &glue, None);
});

//! wasm32v1-none: the first edition of WebAssembly, without an operating system.

use anyhow::{Context, Result, ensure};
use wasmparser::{Validator, WasmFeatures};

use super::host::Heap;
use super::program::Program;
use super::{WASM, on_each_heap};

const V1: &str = "wasm32v1-none";

/// Two pages that never grow, 16 KiB of which are the stack.
const TWO_PAGES: [&str; 3] = [
    "--initial-memory=131072",
    "--max-memory=131072",
    "-zstack-size=16384",
];

/// As much is used of a fixed memory as elsewhere, and a growing one grows.
pub(super) fn run() -> Result<()> {
    on_each_heap(&[("fixed", fixed), ("growing", growing)])
}

fn build(target: &'static str, heap: &str, args: &[&str]) -> Result<Vec<u8>> {
    Program::new("raw", target)
        .features(&format!("check,{heap}"))
        .link(args)
        .module()
}

fn fixed(heap: &str) -> Result<()> {
    let elsewhere = build(WASM, heap, &TWO_PAGES)?;
    let here = build(V1, heap, &TWO_PAGES)?;
    for size in [24, 100, 500, 4_000] {
        let expected = Heap::new(&elsewhere)?.take_all(size, 10_000)?;
        let mut heap = Heap::new(&here)?;
        let count = heap.take_all(size, 10_000)?;
        println!("  {count} blocks of {size} bytes in two pages, {expected} on {WASM}");
        ensure!(
            count > 0 && count * size >= 60_000,
            "{count} blocks of {size} bytes in two pages"
        );
        // Code and data may differ by a few bytes.
        ensure!(
            count.abs_diff(expected) <= 1 + 128 / size,
            "{count} blocks of {size} bytes, {expected} on {WASM}"
        );
        heap.check()?;
    }
    Ok(())
}

fn growing(heap: &str) -> Result<()> {
    let module = build(V1, heap, &[])?;
    Validator::new_with_features(WasmFeatures::WASM1)
        .validate_all(&module)
        .context("not the first edition of WebAssembly")?;
    let mut heap = Heap::new(&module)?;
    heap.use_it(3_000)?;
    ensure!(heap.pages() > 100, "{} pages for megabytes", heap.pages());
    Ok(())
}

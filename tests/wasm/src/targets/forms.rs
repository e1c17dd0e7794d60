//! Modules of other forms than a compiler makes by itself, and nightly's collections.

use anyhow::{Result, ensure};

use super::host::{Heap, PAGE};
use super::program::Program;
use super::{Outcomes, WASM, on_each_heap};
use alligator_tools::command::rustup_nightly;

/// Flags that change the module's form and nothing of its heap.
const FORMS: [(&str, &[&str]); 4] = [
    ("without bulk memory", &["-Ctarget-feature=-bulk-memory"]),
    ("position-independent", &["-Crelocation-model=pic"]),
    ("the first processor", &["-Ctarget-cpu=mvp"]),
    (
        "all features, one thread",
        &["-Ctarget-cpu=bleeding-edge", "-Ctarget-feature=-atomics"],
    ),
];

/// Each form, on the default heap.
pub(super) fn run() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for (name, flags) in FORMS {
        let program = Program::new("raw", WASM).features("check").flags(flags);
        outcomes.add(
            name,
            program
                .module()
                .and_then(|module| Heap::new(&module)?.use_it(2_000)),
        );
    }
    outcomes.finish()
}

/// Pages of one byte: blocks of the memory, or null.
pub(super) fn small_pages() -> Result<()> {
    on_each_heap(&[
        ("17 pages of 64 KiB", |heap| pages_of_one_byte(heap, &[])),
        ("a fixed memory", |heap| {
            pages_of_one_byte(heap, &["--initial-memory=1114112", "--max-memory=1114112"])
        }),
    ])
}

fn pages_of_one_byte(heap: &str, args: &[&str]) -> Result<()> {
    for feature in ["", "limited", "reserve-only"] {
        let program = Program::new("raw", WASM).features(&format!("check,{heap},{feature}"));
        let module = program.link(&["--page-size=1"]).link(args).module()?;
        let mut heap = Heap::new(&module)?;
        let data = heap.data(0..PAGE).to_vec();
        for size in [24, 1_000, 70_000, 1 << 20] {
            heap.take_all(size, 200)?;
            heap.take_zeroed(size)?;
            heap.take_aligned(size, 4_096)?;
        }
        heap.reserve(100_000)?;
        heap.check()?;
        while !heap.blocks.is_empty() {
            heap.give_back(heap.blocks.len() / 2)?;
        }
        // Below the stack's end nothing is the heap's.
        ensure!(
            heap.data(0..PAGE) == data,
            "bytes of the stack have changed"
        );
    }
    Ok(())
}

/// A program on nightly whose collections of std are in a heap of ours, on this machine: there is nothing of the target
/// in it.
pub(super) fn std_collections() -> Result<()> {
    rustup_nightly(&["run", "--quiet"])
        .args(&["--manifest-path", "guests/targets/std-trait/Cargo.toml"])
        .run()
}

//! Each target, with the toolchain that its users have: the programs of `guests/targets`, built and run.

mod code;
mod emscripten;
mod forms;
mod heaps;
mod hooks;
mod host;
mod initial;
mod limits;
mod program;
mod threads;
mod v1;
mod wasi;
mod wasm64;

use anyhow::{Result, bail};

use super::steps::{Steps, nightly_has};
use crate::guest;

/// The target that needs no operating system.
const WASM: &str = guest::TARGET;

/// The heaps that each test is about, by cargo feature.
const HEAPS: [&str; 3] = ["", "small", "hardened"];

/// All targets.
pub(crate) fn test(steps: &mut Steps) {
    test_unknown(steps);
    steps.run("target wasm32v1-none (stable)", v1::run);
    test_wasi(steps);
    test_wasm64(steps);
    test_emscripten(steps);
    test_forms(steps);
}

/// Without an operating system, with and without shared memory.
fn test_unknown(steps: &mut Steps) {
    let name = |part| format!("target {WASM} (stable): {part}");
    steps.run(&name("the initial memory"), initial::run);
    steps.run(&name("the memory's end"), limits::run);
    steps.run(&name("hooks that allocate"), hooks::run);
    steps.run(&name("several heaps"), heaps::run);
    let name = |part| format!("target {WASM}, atomics (stable): {part}");
    steps.run(&name("the lock is there"), threads::locks);
    steps.run(&name("threads"), threads::run);
    steps.run(&name("a lock whose holder is gone"), threads::dead_holder);
}

fn test_wasi(steps: &mut Steps) {
    steps.run(
        &format!("target {} (stable): beside C's malloc", wasi::P1),
        wasi::mixed,
    );
    let name = format!("target {} (stable)", wasi::THREADS);
    steps.run(&format!("{name}: the lock is there"), wasi::lock);
    let name = format!("{name}: a program of threads");
    match wasi::node() {
        Ok(()) => steps.run(&name, wasi::threads),
        Err(reason) => steps.skip(&name, &reason.to_string()),
    }
    steps.run(&format!("target {} (stable)", wasi::P2), wasi::component);
}

fn test_wasm64(steps: &mut Steps) {
    let name = |part| format!("target {} (nightly): {part}", wasm64::TARGET);
    run_on_nightly(steps, &name("blocks of 5 and 6 GiB"), wasm64::run);
    run_on_nightly(steps, &name("bounds"), wasm64::bounds);
    run_on_nightly(steps, &name("the C library"), wasm64::c_library);
}

fn test_emscripten(steps: &mut Steps) {
    let name = format!("target {} (stable)", emscripten::TARGET);
    steps.run(
        &format!("{name}: the Rust part compiles"),
        emscripten::build,
    );
    let name = format!("{name}: beside C's malloc");
    match emscripten::tools() {
        Ok(()) => steps.run(&name, emscripten::run),
        Err(reason) => steps.skip(&name, &reason.to_string()),
    }
}

fn test_forms(steps: &mut Steps) {
    steps.run(&format!("target {WASM} (stable): other forms"), forms::run);
    steps.run(
        &format!("target {WASM} (stable): pages of one byte"),
        forms::small_pages,
    );
    let name = "target of the host (nightly): std's collections";
    match nightly_has("rustc") {
        Ok(()) => steps.run(name, forms::std_collections),
        Err(reason) => steps.skip(name, &reason.to_string()),
    }
}

/// A step that builds std.
fn run_on_nightly(steps: &mut Steps, name: &str, test: fn() -> Result<()>) {
    match nightly_has("rust-src") {
        Ok(()) => steps.run(name, test),
        Err(reason) => steps.skip(name, &reason.to_string()),
    }
}

/// One thing to test on a heap, which is given by its cargo feature.
type Test = (&'static str, fn(&str) -> Result<()>);

/// Does each test on each heap, whatever becomes of the others.
fn on_each_heap(tests: &[Test]) -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        for (name, test) in tests {
            let heap_name = if heap.is_empty() { "default" } else { heap };
            outcomes.add(&format!("{heap_name}: {name}"), test(heap));
        }
    }
    outcomes.finish()
}

/// What has become of the parts of a step.
#[derive(Debug, Default)]
struct Outcomes(Vec<String>);

impl Outcomes {
    /// Says how a part has ended.
    fn add(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => println!("{name} ... ok"),
            Err(error) => {
                println!("{name} ... FAILED");
                self.0
                    .push(format!("{name}: {}", brief(&format!("{error:#}"))));
            }
        }
    }

    /// An error if one of them has failed.
    fn finish(self) -> Result<()> {
        if !self.0.is_empty() {
            bail!("{}", self.0.join("\n"));
        }
        Ok(())
    }
}

/// What went wrong, without most of the stack.
fn brief(error: &str) -> String {
    let lines: Vec<_> = error.lines().collect();
    match lines[..] {
        [first, second, _, .., last] => [first, second, last].join("\n"),
        _ => error.to_owned(),
    }
}

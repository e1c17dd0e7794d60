//! Each target, with the toolchain that its users have: the programs of `guests/targets`, built and run.

mod code;
mod heaps;
mod hooks;
mod host;
mod initial;
mod limits;
mod program;

use anyhow::{Result, bail};

use super::steps::Steps;
use crate::guest;

/// The target that needs no operating system.
const WASM: &str = guest::TARGET;

/// The heaps that each test is about, by cargo feature.
const HEAPS: [&str; 3] = ["", "small", "hardened"];

/// All targets.
pub(crate) fn test(steps: &mut Steps) {
    steps.run(
        "target wasm32-unknown-unknown (stable): the initial memory",
        initial::run,
    );
    steps.run(
        "target wasm32-unknown-unknown (stable): the memory's end",
        limits::run,
    );
    steps.run(
        "target wasm32-unknown-unknown (stable): hooks that allocate",
        hooks::run,
    );
    steps.run(
        "target wasm32-unknown-unknown (stable): several heaps",
        heaps::run,
    );
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
                self.0.push(format!("{name}: {error:#}"));
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

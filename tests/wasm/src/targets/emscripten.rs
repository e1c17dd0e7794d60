//! wasm32-unknown-emscripten: a Rust heap beside C's malloc, both on `sbrk`.

use core::time::Duration;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::program::Program;
use super::wasi::run_for;
use super::{HEAPS, Outcomes};
use alligator_tools::command::node_version;
use alligator_tools::guest;

pub(super) const TARGET: &str = "wasm32-unknown-emscripten";

const PATIENCE: Duration = Duration::from_mins(2);

/// What emcc is told, by what the program's memory does.
const MEMORIES: [(&str, &[&str]); 4] = [
    ("grows", &["-DGROWS", "-sALLOW_MEMORY_GROWTH=1"]),
    (
        "grows to 48 MiB",
        &[
            "-sALLOW_MEMORY_GROWTH=1",
            "-sMAXIMUM_MEMORY=50331648",
            "-sABORTING_MALLOC=0",
        ],
    ),
    ("has a fixed length", &["-sABORTING_MALLOC=0"]),
    (
        "grows, another malloc",
        &["-DGROWS", "-sALLOW_MEMORY_GROWTH=1", "-sMALLOC=emmalloc"],
    ),
];

/// Nothing, if Emscripten's compiler and Node are there.
pub(super) fn tools() -> Result<()> {
    node_version()?;
    let output = Command::new("emcc").arg("--version").output();
    let output = output.context("emcc is not installed (on Debian: apt-get install emscripten)")?;
    ensure!(output.status.success(), "emcc does not work");
    Ok(())
}

fn program(heap: &str) -> Program {
    Program::new("emscripten", TARGET).features(heap)
}

/// The Rust part compiles, without Emscripten's tools.
pub(super) fn build() -> Result<()> {
    HEAPS
        .iter()
        .try_for_each(|heap| program(heap).file().map(drop))
}

/// C and Rust take turns, with each kind of memory.
pub(super) fn run() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let library = program(heap).file()?;
        // Nothing in the other kinds depends on which heap it is.
        let memories = if heap.is_empty() {
            &MEMORIES[..]
        } else {
            &MEMORIES[..1]
        };
        for (name, flags) in memories {
            let outcome = run_one(&library, flags);
            outcomes.add(&format!("{heap:?}, the memory {name}"), outcome);
        }
    }
    outcomes.finish()
}

fn run_one(library: &Path, flags: &[&str]) -> Result<()> {
    let dir = guest::guests_dir().join("emscripten");
    std::fs::create_dir_all(&dir)?;
    let script = dir.join("mix.js");
    let source = guest::root().join("guests/targets/emscripten/mix.c");
    let mut emcc = Command::new("emcc");
    emcc.arg("-O1").arg(source).arg(library).args(flags);
    emcc.args(["-sEXIT_RUNTIME=1", "-sSINGLE_FILE=1", "-o"])
        .arg(&script);
    let output = emcc.output().context("emcc does not start")?;
    ensure!(
        output.status.success(),
        "emcc: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    run_for(Command::new("node").arg(script), PATIENCE)
}

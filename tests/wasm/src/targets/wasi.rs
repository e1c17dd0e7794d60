//! The targets of WASI: wasm32-wasip1, wasm32-wasip1-threads and wasm32-wasip2.

use core::time::Duration;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Engine, Module};

use super::code::atomics_within;
use super::program::Program;
use crate::wasi;

use super::{HEAPS, Outcomes};
use alligator_tools::guest;

pub(super) const P1: &str = "wasm32-wasip1";
pub(super) const THREADS: &str = "wasm32-wasip1-threads";
pub(super) const P2: &str = "wasm32-wasip2";

/// How often the program with threads runs, and for how long all of its runs may last.
const RUNS: u32 = 20;
const PATIENCE: Duration = Duration::from_mins(3);

/// C's malloc and a Rust heap take turns in one program.
pub(super) fn mixed() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let module = Program::new("mixed", P1).features(heap).module()?;
        outcomes.add(&format!("{heap:?}"), run_mixed(&module));
    }
    // A core that may unwind, though std there ends the program instead.
    let module = Program::new("mixed", P1).unwinding().module()?;
    outcomes.add("panic = unwind", run_mixed(&module));
    outcomes.finish()
}

fn run_mixed(module: &[u8]) -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(&engine, module)?;
    let finished = wasi::execute(&engine, &module, &["program"])?;
    let output = String::from_utf8_lossy(&finished.output);
    ensure!(
        finished.status == 0 && output.contains("no block is damaged"),
        "{output}"
    );
    Ok(())
}

/// Parts of the names of the functions that may have the heap's operations in place.
const HEAP: [&str; 2] = ["alligator_alloc", "__rust_dealloc"];

/// The lock is in the program with threads, in each heap.
pub(super) fn lock() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS.into_iter().chain(["threads"]) {
        for level in ["s", "3"] {
            let program = Program::new("threads", THREADS).features(heap).level(level);
            let outcome = program.module().and_then(|module| has_lock(&module));
            outcomes.add(&format!("{heap:?}, opt-level {level}"), outcome);
        }
    }
    outcomes.finish()
}

fn has_lock(module: &[u8]) -> Result<()> {
    let found = atomics_within(module, &HEAP)?;
    ensure!(
        found.exchanges > 0 && found.stores == 0,
        "the heap has {found:?}"
    );
    Ok(())
}

/// A program of std's threads, many times.
pub(super) fn threads() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS.into_iter().chain(["threads"]) {
        let module = Program::new("threads", THREADS).features(heap).file()?;
        let is_main = heap.is_empty() || heap == "threads";
        let runs = if is_main { RUNS } else { RUNS / 5 };
        let script = guest::root().join("guests/targets/threads/run.mjs");
        let mut node = Command::new("node");
        node.arg("--no-warnings")
            .arg(script)
            .arg(module)
            .arg(runs.to_string());
        outcomes.add(
            &format!("{heap:?}: {runs} runs"),
            run_for(&mut node, PATIENCE),
        );
    }
    outcomes.finish()
}

/// Guards of std's threads, each thread's own.
pub(super) fn guards() -> Result<()> {
    let module = Program::new("guards", THREADS).file()?;
    let script = guest::root().join("guests/targets/threads/run.mjs");
    let mut node = Command::new("node");
    node.arg("--no-warnings").arg(script).arg(module).arg("5");
    run_for(&mut node, PATIENCE)
}

/// Runs a command, which ends by itself and in time, or else there is an error.
pub(super) fn run_for(command: &mut Command, patience: Duration) -> Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{status}");
            return Ok(());
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("not done after {} seconds", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// On WASI 0.2 a part of std allocates by the global allocator what the C library's `free` gives back: only one heap
/// for both can do.
pub(super) fn component() -> Result<()> {
    let build = |feature| Program::new("component", P2).features(feature);
    let mut outcomes = Outcomes::default();
    outcomes.add(
        "a Rust heap is refused",
        build("rust-heap")
            .refusal()
            .and_then(|refusal| says_what_to_do(&refusal)),
    );
    outcomes.add("a heap as a value", build("value").file().map(drop));
    outcomes.add(
        "alligator-c",
        build("c-heap").file().and_then(|file| run_component(&file)),
    );
    outcomes.finish()
}

fn says_what_to_do(refusal: &str) -> Result<()> {
    ensure!(
        refusal.contains("alligator-c") && refusal.contains("malloc"),
        "the message does not say what to do: {refusal}"
    );
    Ok(())
}

/// Runs it with environments that std allocates and the C library gives back, if there is a host.
fn run_component(component: &Path) -> Result<()> {
    let import = Command::new("python3")
        .args(["-c", "import wasmtime.component"])
        .output();
    if !import.is_ok_and(|output| output.status.success()) {
        println!(
            "compiled, not run: no host of components is there (python3 -m pip install wasmtime)"
        );
        return Ok(());
    }
    let script = guest::root().join("guests/targets/component/run.py");
    for variables in [0, 1, 20, 50, 1_000] {
        let mut python = Command::new("python3");
        python
            .arg(&script)
            .arg(component)
            .arg(variables.to_string());
        run_for(&mut python, PATIENCE).with_context(|| format!("{variables} variables"))?;
    }
    Ok(())
}

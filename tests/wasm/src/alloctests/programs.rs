//! Building the test programs, and running them: natively, or on the embedded wasmtime.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Engine, Module};

use super::outcomes::Outcomes;
use crate::wasi;
use alligator_tools::guest;

/// What tells a test program to use std's allocator.
const ON_STD: &str = "ALLIGATOR_SUITES_ON_STD";

/// Builds the unit and integration tests of `package` for `target`, or the host. Returns the programs.
pub(super) fn build(package: &Path, target: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--no-run", "--quiet", "--message-format", "json"])
        .args([
            "--lib",
            "--test",
            "alloctests",
            "--test",
            "vec_deque_alloc_error",
        ])
        .arg("--target-dir")
        .arg(guest::root().join("target/alloctests/build"))
        .current_dir(package)
        // The library's tests use what is not stable yet, as the library does.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_PROFILE_TEST_DEBUG", "false")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    let output = command.output().context("cargo does not start")?;
    ensure!(output.status.success(), "the test suites cannot be built");
    let mut programs = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if let Some(path) = message["executable"].as_str() {
            programs.push(PathBuf::from(path));
        }
    }
    ensure!(programs.len() == 3, "{} programs, not 3", programs.len());
    Ok(programs)
}

/// A test program, ready to run.
pub(super) enum Program {
    Native(PathBuf),
    Wasm(Engine, Module),
}

impl Program {
    pub(super) fn load(path: &Path, is_wasm: bool) -> Result<Self> {
        if !is_wasm {
            return Ok(Self::Native(path.to_owned()));
        }
        let engine = Engine::default();
        let module = Module::from_file(&engine, path)?;
        Ok(Self::Wasm(engine, module))
    }

    /// Runs all its tests on std's allocator.
    pub(super) fn run_on_std(&self) -> Result<Outcomes> {
        self.run(&[&format!("{ON_STD}=1")], &Outcomes::default())
    }

    /// Runs its tests on Alligator, at least those that have not failed `on_std`.
    pub(super) fn run_on_alligator(&self, on_std: &Outcomes) -> Result<Outcomes> {
        self.run(&[], on_std)
    }

    fn run(&self, environment: &[&str], known: &Outcomes) -> Result<Outcomes> {
        match self {
            Self::Native(path) => run_natively(path, environment),
            Self::Wasm(engine, module) => run_on_wasm(engine, module, environment, known),
        }
    }
}

fn run_natively(path: &Path, environment: &[&str]) -> Result<Outcomes> {
    let mut command = Command::new(path);
    // Each test's line stays in one piece.
    command.args(["--test-threads", "2"]).stdin(Stdio::null());
    command.envs(environment.iter().filter_map(|text| text.split_once('=')));
    let output = command.output().context("a test program does not start")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let outcomes = Outcomes::parse(&text);
    let announced = Outcomes::announced(&text);
    if announced != Some(outcomes.len()) {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} of {announced:?} tests have ended; {}: {error}",
            outcomes.len(),
            output.status
        );
    }
    Ok(outcomes)
}

/// A failed test ends the whole program there: the others then run in a new instance. That costs time, so what
/// is known to fail is not tried.
fn run_on_wasm(
    engine: &Engine,
    module: &Module,
    environment: &[&str],
    known: &Outcomes,
) -> Result<Outcomes> {
    let execute = |args: &[&str]| {
        let (finished, trap) = wasi::execute_with(engine, module, args, environment)?;
        anyhow::Ok((String::from_utf8(finished.output)?, trap))
    };
    let (list, trap) = execute(&["suite", "--list", "--format", "terse"])?;
    ensure!(trap.is_none(), "the tests cannot be listed: {trap:?}");
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let names = names.filter(|name| !known.has_failed(name));
    let mut left = names.map(str::to_owned).collect::<Vec<_>>();
    let mut outcomes = Outcomes::default();
    while !left.is_empty() {
        let mut args = vec!["suite", "--test-threads", "1", "--exact"];
        args.extend(left.iter().map(String::as_str));
        let (text, _) = execute(&args)?;
        let ended = Outcomes::parse(&text);
        let before = left.len();
        left.retain(|name| !ended.contains(name));
        ensure!(left.len() < before, "no test has ended: {text}");
        outcomes.extend(ended);
    }
    Ok(outcomes)
}

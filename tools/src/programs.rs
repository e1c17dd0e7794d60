//! The repository's programs that link an engine, or take long to build. They are called, not linked: what needs none of
//! them does not wait for them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::command::cargo_path;
use crate::guest;

/// The exit status, as automake has it, of a program for which something is missing on this machine.
pub const LEFT_OUT: u8 = 77;

/// The packages, each with one program of the same name.
const PACKAGES: [&str; 8] = [
    LAB,
    "attacks",
    BOUNDS,
    "clib-runner",
    "find-runner",
    "model-runner",
    "report-runner",
    WASM_TESTS,
];

/// Those that link the engine, as the lab does.
const WITH_ENGINE: [&str; 3] = ["attacks", "find-runner", WASM_TESTS];

/// The package of the lab.
pub const LAB: &str = "alligator-lab";

/// The package whose program proves bounds.
pub const BOUNDS: &str = "bounds-runner";

/// The package whose program runs Wasm.
pub const WASM_TESTS: &str = "wasm-tests";

/// The variable of the environment with the folder where the programs are. Without it they are built.
pub const FOLDER: &str = "ALLIGATOR_TOOLS";

/// A program says that something is missing on this machine.
#[derive(Debug)]
pub struct Missing(pub String);

impl core::fmt::Display for Missing {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for Missing {}

/// Where the programs are, once all have been built.
static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// Builds all programs, unless our caller has. Returns their folder.
pub fn build_all() -> Result<&'static Path> {
    if BUILT.get().is_none() {
        let folder = match std::env::var_os(FOLDER) {
            Some(folder) => PathBuf::from(folder),
            None => build(&PACKAGES, LAB)?.with_file_name(""),
        };
        let _ = BUILT.set(folder);
    }
    BUILT
        .get()
        .map(PathBuf::as_path)
        .context("nothing is built")
}

/// The program of `package`, built if need be.
fn path(package: &str) -> Result<PathBuf> {
    if let Some(folder) = BUILT.get() {
        return Ok(folder.join(package));
    }
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Ok(Path::new(&folder).join(package));
    }
    // Alone they would ask less of their dependencies, and the engine would be built twice.
    if WITH_ENGINE.contains(&package) {
        return build(&[LAB, package], package);
    }
    build(&[package], package)
}

/// Builds the programs of `packages`. Returns the one that is `wanted`.
fn build(packages: &[&str], wanted: &str) -> Result<PathBuf> {
    let mut command = Command::new(cargo_path());
    command
        .args(["build", "--profile", "tools", "--bins"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(guest::root())
        .stderr(std::process::Stdio::inherit());
    for package in packages {
        command.args(["-p", package]);
    }
    let output = command.output().context("cargo does not start")?;
    ensure!(
        output.status.success(),
        "{} cannot be built",
        packages.join(", ")
    );
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let executable = message["executable"].as_str()?;
        (message["target"]["name"] == wanted).then(|| PathBuf::from(executable))
    });
    executable.with_context(|| format!("cargo built no {wanted}"))
}

/// Runs the program of `package` in our place, with our arguments.
pub fn forward(package: &str, args: &[String]) -> Result<ExitCode> {
    let status = Command::new(path(package)?)
        .args(args)
        .status()
        .with_context(|| format!("{package} does not start"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(1).into())
}

/// Runs the program of `package` with `args`, in the repository's root.
pub fn run(package: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(path(package)?);
    command.args(args).current_dir(guest::root());
    let status = command
        .status()
        .with_context(|| format!("{package} does not start"))?;
    if status.code() == Some(LEFT_OUT.into()) {
        return Err(Missing(format!("{package} {}: left out", args.join(" "))).into());
    }
    ensure!(status.success(), "{package} {}: {status}", args.join(" "));
    Ok(())
}

/// What the program of `package` prints.
pub fn output(package: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(path(package)?)
        .args(args)
        .current_dir(guest::root())
        .output()
        .with_context(|| format!("{package} does not start"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// The command that runs a program for wasm32-wasip1: it takes the module and its arguments.
pub fn wasi_runner() -> Result<Command> {
    let mut command = Command::new(path(WASM_TESTS)?);
    command.arg("wasi");
    Ok(command)
}

/// What a run of a program for wasm32-wasip1 took.
#[derive(Debug, Deserialize)]
pub struct Finished {
    /// Its exit status.
    pub status: i32,
    /// Instructions, and one more for each byte that a bulk operation moves.
    pub fuel: u64,
    /// The pages that its memory has at the end.
    pub pages: u64,
    /// What it has written to its standard output.
    #[serde(skip)]
    pub output: Vec<u8>,
}

/// Runs a program for wasm32-wasip1 to its end, and counts.
pub fn execute(module: &Path) -> Result<Finished> {
    let report = module.with_extension("json");
    let output = wasi_runner()?
        .arg("--report")
        .arg(&report)
        .arg(module)
        .output()
        .with_context(|| format!("{WASM_TESTS} does not start"))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        module.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut finished: Finished = serde_json::from_slice(&std::fs::read(&report)?)?;
    finished.output = output.stdout;
    Ok(finished)
}

//! Building guests: crates compiled to Wasm, each in a workspace of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::cargo_path;
pub use crate::command::{ensure_target, root};

/// The target of every guest that needs no operating system.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The target whose programs ask an operating system for what they need.
pub const WASI: &str = "wasm32-wasip1";

/// The same, with threads that share the memory.
pub const WASI_THREADS: &str = "wasm32-wasip1-threads";

/// Where guests are built and their modules kept: `target/guests`.
pub fn guests_dir() -> PathBuf {
    root().join("target").join("guests")
}

/// One guest to build.
#[derive(Debug)]
pub struct Guest<'a> {
    /// Directory of the crate's `Cargo.toml`.
    pub crate_dir: &'a Path,
    /// Name of the library target, which is also the name of the module cargo writes.
    pub library: &'a str,
    /// Cargo features.
    pub features: &'a [&'a str],
    /// File name, without extension, of the module in `guests_dir()`.
    pub output: &'a str,
    /// A file of cargo's configuration, with a profile that takes the place of the guest's own.
    pub profile: Option<&'a Path>,
    /// Settings after that, as cargo's `--config` takes them.
    pub overrides: Vec<String>,
}

/// The setting, for [`Guest::overrides`], that compiles a guest at `level`.
pub fn opt_level(level: &str) -> String {
    let is_number = level.parse::<u8>().is_ok();
    let quote = if is_number { "" } else { "\"" }; // Numbers stand without quotes.
    format!("profile.release.opt-level={quote}{level}{quote}")
}

/// The setting, for [`Guest::overrides`], that gives a guest a stack of so many bytes, a multiple of 16. Statics and the
/// heap stand above it.
pub fn stack_size(bytes: u64) -> String {
    format!("target.{TARGET}.rustflags=[\"-Clink-arg=-zstack-size={bytes}\"]")
}

/// Builds a guest for `TARGET` in release mode. Returns the path of the module, which is a copy
/// that the next build of the same crate does not overwrite.
pub fn build(guest: &Guest<'_>) -> Result<PathBuf> {
    build_for(guest, TARGET)
}

/// The same, for another target.
pub fn build_for(guest: &Guest<'_>, target: &str) -> Result<PathBuf> {
    let dir = guests_dir();
    // One for all: what guests have in common is built once.
    let build_dir = dir.join("build");
    let mut command = Command::new(cargo_path());
    if let Some(profile) = guest.profile {
        command.arg("--config").arg(profile);
    }
    for setting in &guest.overrides {
        command.args(["--config", setting]);
    }
    let output = command
        .args(["build", "--release", "--quiet", "--target", target])
        .args(["--no-default-features", "--features"])
        .arg(guest.features.join(","))
        .arg("--target-dir")
        .arg(&build_dir)
        .current_dir(guest.crate_dir)
        .stdin(Stdio::null())
        .output()
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let module = dir.join(guest.output).with_extension("wasm");
    let built = build_dir.join(target).join("release").join(guest.library);
    std::fs::copy(built.with_extension("wasm"), &module)
        .with_context(|| format!("cargo built no {}.wasm", guest.library))?;
    Ok(module)
}

/// Whether the recorded bounds are of modules built by this compiler.
pub fn bounds_are_comparable() -> Result<bool> {
    let recorded = std::fs::read_to_string(root().join("bounds.txt")).unwrap_or_default();
    let line = format!("# Built by {}.", compiler()?);
    let recorded_line = recorded.lines().find(|line| line.starts_with("# Built by"));
    Ok(recorded_line.is_none_or(|recorded_line| recorded_line == line))
}

/// The compiler that guests are built with: another one gives other figures.
pub fn compiler() -> Result<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .current_dir(root())
        .output()
        .context("rustc does not start")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Ok(words.join(" "))
}

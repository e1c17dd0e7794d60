//! Steps, counted and timed, and the tools they call.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::guest;

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Steps {
    only: Option<String>,
    passed: usize,
    failures: Vec<String>,
}

impl Steps {
    /// No step yet. If `only` is there, steps whose names do not contain it are left out.
    pub(crate) fn new(only: Option<String>) -> Self {
        Self {
            only,
            passed: 0,
            failures: Vec::new(),
        }
    }

    /// Does one step, and goes on whatever becomes of it.
    pub(crate) fn run(&mut self, name: &str, action: impl FnOnce() -> Result<()>) {
        if self.is_left_out(name) {
            return;
        }
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = action();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                println!("--- {name}: passed in {seconds:.1} s");
                self.passed += 1;
            }
            Err(error) => {
                println!("--- {name}: FAILED in {seconds:.1} s: {error:#}");
                self.failures.push(format!("{name}: {error:#}"));
            }
        }
    }

    /// Says why a step is not done.
    pub(crate) fn skip(&self, name: &str, reason: &str) {
        if !self.is_left_out(name) {
            println!("\n=== {name}\n--- {name}: left out: {reason}");
        }
    }

    /// The failures, and as the last line how many passed and failed.
    pub(crate) fn finish(self) {
        println!();
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failures.len());
        if !self.failures.is_empty() {
            std::process::exit(1);
        }
    }

    fn is_left_out(&self, name: &str) -> bool {
        let only = self.only.as_ref();
        only.is_some_and(|only| !name.contains(only.as_str()))
    }
}

/// A command in the making. It writes where we write.
#[derive(Debug)]
pub(crate) struct Tool(Command);

impl Tool {
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end; an error if that is not a success.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.0.status().context("the command does not start")?;
        if !status.success() {
            bail!("{:?}: {status}", self.0.get_args().collect::<Vec<_>>());
        }
        Ok(())
    }
}

/// The cargo that runs us, in the repository's root.
pub(crate) fn cargo(args: &[&str]) -> Tool {
    let mut command = Command::new(cargo_path());
    command
        .args(args)
        .current_dir(guest::root())
        .stdin(Stdio::null());
    Tool(command)
}

pub(crate) fn cargo_path() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The nightly toolchain's cargo, with a target directory of its own.
pub(crate) fn rustup_nightly(args: &[&str]) -> Tool {
    rustup("nightly", args)
}

/// The cargo of `toolchain`, with a target directory of its own.
pub(crate) fn rustup(toolchain: &str, args: &[&str]) -> Tool {
    let mut command = Command::new("rustup");
    command
        .args(["run", toolchain, "cargo"])
        .args(args)
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env(
            "CARGO_TARGET_DIR",
            guest::root().join("target").join(toolchain),
        )
        .current_dir(guest::root())
        .stdin(Stdio::null());
    Tool(command)
}

/// Nothing if the nightly toolchain is there and has `component`.
pub(crate) fn nightly_has(component: &str) -> Result<()> {
    let output = Command::new("rustup")
        .args(["component", "list", "--installed", "--toolchain", "nightly"])
        .stderr(Stdio::null())
        .output()
        .context("rustup is not there")?;
    let components = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || !components.lines().any(|line| line.starts_with(component)) {
        bail!("no nightly toolchain with {component}");
    }
    Ok(())
}

/// Nothing if `toolchain` is there and has the library for `target`.
pub(crate) fn toolchain_has(toolchain: &str, target: &str) -> Result<()> {
    let output = Command::new("rustup")
        .args(["target", "list", "--installed", "--toolchain", toolchain])
        .stderr(Stdio::null())
        .output()
        .context("rustup is not there")?;
    let targets = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || !targets.lines().any(|line| line == target) {
        bail!("no toolchain {toolchain} with {target}");
    }
    Ok(())
}

/// Nothing if programs can be built for `target` and linked. Adds the target to the toolchain if need be.
pub(crate) fn links_for(target: &str) -> Result<()> {
    guest::ensure_target(target)?;
    let dir = guest::root().join("target").join("link-probe");
    std::fs::create_dir_all(&dir)?;
    let source = dir.join("probe.rs");
    std::fs::write(&source, "fn main() {}")?;
    let output = Command::new("rustc")
        .args(["--target", target, "-o"])
        .arg(dir.join("probe"))
        .arg(&source)
        .output()
        .context("rustc does not start")?;
    if !output.status.success() {
        bail!("the host cannot link for {target} (on Debian: apt-get install gcc-multilib)");
    }
    Ok(())
}

/// The features of a workspace's package, by name, without `default`.
pub(crate) fn features_of(package: &str) -> Result<Vec<String>> {
    let output = Command::new(cargo_path())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(guest::root())
        .output()
        .context("cargo does not start")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found = packages.iter().find(|entry| entry["name"] == package);
    let features = found.and_then(|entry| entry["features"].as_object());
    let names = features
        .with_context(|| format!("no package {package}"))?
        .keys();
    Ok(names.filter(|name| *name != "default").cloned().collect())
}

/// Every selection of `features`, separated by commas.
pub(crate) fn combinations(features: &[String]) -> Vec<String> {
    let selected = |bits: usize| {
        let chosen = features
            .iter()
            .enumerate()
            .filter(move |(index, _)| bits >> index & 1 == 1);
        chosen
            .map(|(_, name)| name.as_str())
            .collect::<Vec<_>>()
            .join(",")
    };
    (0..1 << features.len()).map(selected).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_features_have_four_combinations() {
        let features = ["a".to_owned(), "b".to_owned()];
        assert_eq!(combinations(&features), ["", "a", "b", "a,b"]);
    }

    #[test]
    fn the_allocators_features_are_read_from_its_manifest() -> Result<()> {
        assert!(features_of("alligator-alloc")?.contains(&"check".to_owned()));
        Ok(())
    }
}

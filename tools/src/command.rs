//! The tools that are called: cargo and rustup, in the repository's root.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Adds a Wasm target to the toolchain when it is not there yet, and says so.
/// Without rustup the toolchain is taken as it is.
pub fn ensure_target(target: &str) -> Result<()> {
    let listed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let Ok(listed) = listed else { return Ok(()) };
    if String::from_utf8_lossy(&listed.stdout)
        .lines()
        .any(|line| line.trim() == target)
    {
        return Ok(());
    }
    eprintln!("adding the Wasm target: rustup target add {target}");
    let status = Command::new("rustup")
        .args(["target", "add", target])
        .status()
        .context("rustup does not start")?;
    if !status.success() {
        bail!("rustup target add {target} failed");
    }
    Ok(())
}

/// A command in the making. It writes where we write.
#[derive(Debug)]
pub struct Tool(Command);

impl Tool {
    /// With more arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end; an error if that is not a success.
    pub fn run(mut self) -> Result<()> {
        let status = self.0.status().context("the command does not start")?;
        if !status.success() {
            bail!("{:?}: {status}", self.0.get_args().collect::<Vec<_>>());
        }
        Ok(())
    }
}

/// The cargo that runs us, in the repository's root.
pub fn cargo(args: &[&str]) -> Tool {
    let mut command = Command::new(cargo_path());
    command.args(args).current_dir(root()).stdin(Stdio::null());
    Tool(command)
}

/// The cargo that runs us, so that all is built with the same toolchain.
pub fn cargo_path() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The nightly toolchain's cargo, with a target directory of its own.
pub fn rustup_nightly(args: &[&str]) -> Tool {
    rustup("nightly", args)
}

/// The cargo of `toolchain`, with a target directory of its own.
pub fn rustup(toolchain: &str, args: &[&str]) -> Tool {
    let mut command = Command::new("rustup");
    command
        .args(["run", toolchain, "cargo"])
        .args(args)
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env("CARGO_TARGET_DIR", root().join("target").join(toolchain))
        .current_dir(root())
        .stdin(Stdio::null());
    Tool(command)
}

/// Nothing if the nightly toolchain is there and has `component`.
pub fn nightly_has(component: &str) -> Result<()> {
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
pub fn toolchain_has(toolchain: &str, target: &str) -> Result<()> {
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

/// The version of Node.js; an error if there is none that runs threads as our programs need it, 20 or later.
pub fn node_version() -> Result<String> {
    let output = Command::new("node").arg("--version").output();
    let output = output.context("node, which has workers, is not installed")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next();
    let major: u32 = major.unwrap_or_default().parse().unwrap_or_default();
    if major < 20 {
        bail!("node is {version}, not 20 or later");
    }
    Ok(version)
}

/// Nothing if programs can be built for `target` and linked. Adds the target to the toolchain if need be.
pub fn links_for(target: &str) -> Result<()> {
    ensure_target(target)?;
    let dir = root().join("target").join("link-probe");
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

/// Features of the allocator that leave no other code in it.
const WITHOUT_EFFECT: [&str; 2] = ["default", "medium"];

/// The features of a workspace's package, by name, without `default`.
pub fn features_of(package: &str) -> Result<Vec<String>> {
    let output = Command::new(cargo_path())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .context("cargo does not start")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found = packages.iter().find(|entry| entry["name"] == package);
    let features = found.and_then(|entry| entry["features"].as_object());
    let names = features
        .with_context(|| format!("no package {package}"))?
        .keys();
    Ok(names
        .filter(|name| !WITHOUT_EFFECT.contains(&name.as_str()))
        .cloned()
        .collect())
}

/// Every selection of `features`, separated by commas.
pub fn combinations(features: &[String]) -> Vec<String> {
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

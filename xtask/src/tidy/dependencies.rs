//! What the packages depend on, by whose licences, and what depends on them. The work is cargo-deny's and
//! cargo-semver-checks'; where one is not installed, its check is left out.

use std::process::{Command, Output};

use alligator_tools::command::cargo_path;
use alligator_tools::guest;
use anyhow::{Context, Result};
use serde_json::Value;

use super::{Tree, git};
use crate::programs::Missing;

/// The only dependency of the allocator, where it is asked for.
const OPTIONAL: &str = "allocator-api2";

/// The allocator depends on nothing.
pub(super) fn of_the_allocator(_: &Tree) -> Result<Vec<String>> {
    let packages = packages()?;
    let allocator = packages
        .iter()
        .find(|package| package["name"] == "alligator-alloc");
    Ok(too_many(allocator.context("there is no allocator")?))
}

fn too_many(package: &Value) -> Vec<String> {
    let is_allowed =
        |it: &&Value| it["name"] == OPTIONAL && it["optional"] == true || it["kind"] == "dev";
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    let others = dependencies.filter(|it| !is_allowed(it));
    let others = others.filter_map(|it| it["name"].as_str());
    let say = |name| {
        format!(
            "crates/alligator-alloc/Cargo.toml:1: depends on {name}: do without, the allocator has no dependency but {OPTIONAL}"
        )
    };
    others.map(say).collect()
}

/// Licences, sources and duplicates are as `deny.toml` says.
pub(super) fn deny(_: &Tree) -> Result<Vec<String>> {
    require("deny")?;
    let args = [
        "deny",
        "--offline",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ];
    let output = cargo(&args)?;
    if String::from_utf8_lossy(&output.stderr).contains("--offline was specified") {
        return Err(
            Missing("not all dependencies are on this machine: cargo fetch".to_owned()).into(),
        );
    }
    Ok(unless_successful(&output, "deny.toml"))
}

/// The published packages keep what the last release promised.
pub(super) fn semver(_: &Tree) -> Result<Vec<String>> {
    require("semver-checks")?;
    let tags = git(&["tag", "--list", "v*", "--sort=-version:refname", "--merged"])?;
    let Some(tag) = tags.lines().next() else {
        return Err(Missing("no release is here to compare with (a tag v..)".to_owned()).into());
    };
    let packages = packages()?;
    let published = packages
        .iter()
        .filter(|package| package["publish"].is_null());
    let mut args = vec!["semver-checks", "--baseline-rev", tag];
    args.extend(
        published
            .filter_map(|it| it["name"].as_str())
            .flat_map(|name| ["--package", name]),
    );
    Ok(unless_successful(&cargo(&args)?, "Cargo.toml"))
}

/// What a tool has printed, if it has found something.
fn unless_successful(output: &Output, path: &str) -> Vec<String> {
    let text = [&*output.stdout, &*output.stderr].concat();
    let breach = || format!("{path}:1: {}", String::from_utf8_lossy(&text).trim());
    (!output.status.success())
        .then(breach)
        .into_iter()
        .collect()
}

/// Left out if cargo has no such command.
fn require(command: &str) -> Result<()> {
    if cargo(&[command, "--version"])?.status.success() {
        return Ok(());
    }
    let name = format!("cargo-{command}");
    Err(Missing(format!("{name} is not installed: cargo install {name}")).into())
}

/// The workspace's packages, as cargo describes them.
fn packages() -> Result<Vec<Value>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    metadata["packages"]
        .as_array()
        .cloned()
        .context("cargo names no packages")
}

fn cargo(args: &[&str]) -> Result<Output> {
    let mut command = Command::new(cargo_path());
    command.args(args).current_dir(guest::root());
    command.output().context("cargo does not start")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dependency_of_the_allocator_is_found() {
        let on = |name: &str, kind: Option<&str>, optional: bool| {
            let dependency = json!({ "name": name, "kind": kind, "optional": optional });
            too_many(&json!({ "dependencies": [dependency] })).len()
        };
        assert_eq!(
            (on(OPTIONAL, None, true), on("wat", Some("dev"), false)),
            (0, 0)
        );
        assert_eq!(
            (on("libc", None, true), on("cc", Some("build"), false)),
            (1, 1)
        );
        assert_eq!(on(OPTIONAL, None, false), 1);
    }

    #[test]
    fn a_missing_tool_is_left_out_by_name() -> Result<()> {
        let error = require("no-such").err().context("it is there")?;
        assert_eq!(
            error.to_string(),
            "cargo-no-such is not installed: cargo install cargo-no-such"
        );
        assert!(error.is::<Missing>());
        Ok(())
    }

    #[test]
    fn what_a_tool_complains_of_is_a_breach() -> Result<()> {
        assert_eq!(
            unless_successful(&cargo(&["--version"])?, "deny.toml"),
            [""; 0]
        );
        let found = unless_successful(&cargo(&["no-such"])?, "deny.toml");
        assert!(found[0].starts_with("deny.toml:1: error: no such command"));
        Ok(())
    }
}

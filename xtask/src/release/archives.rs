//! The crates as they would be published: packed, looked into, unpacked, and built from nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use alligator_tools::command::cargo_path;
use alligator_tools::{guest, programs};
use anyhow::{Context, Result, ensure};

use super::order::Crate;
use super::{Outcome, VERSION, output, scratch};

/// The most bytes that an archive may have. The longest has 90 KiB: what makes it much longer does not belong there.
const ARCHIVE_MAX: u64 = 128 << 10;

/// What an archive contains, all of it, if the crate has it. Tests stay in the repository, but for the contract's, which
/// need nothing of it.
const CONTENTS: [&str; 14] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "allocators.bin",
    "build.rs",
    "cbindgen.toml",
    "examples",
    "html",
    "src",
    "tests",
];

/// What each must contain, besides its sources: the same as the repository's.
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// How often the program of `guests/smoke` finds its most frequent word.
const COUNT: &str = "300";

/// The workspace of what was unpacked. The published command asks less of its dependencies than the repository's programs
/// do, so they are built for it: as fast as can be.
const WORKSPACE: &str = "[workspace]
resolver = \"3\"
members = [\"*\"]
exclude = [\"target\"]

[profile.dev]
debug = false

[patch.crates-io]
";

/// A program on the published allocator; `guests/smoke` in the repository has its source.
const SMOKE: &str = "[package]
name = \"smoke\"
edition = \"2024\"

[lib]
crate-type = [\"cdylib\"]

[dependencies]
alligator-alloc = ";

/// A cargo command in `dir`. The network is not needed: whoever builds `xtask` has what the crates depend on.
pub(crate) fn cargo(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_path());
    command.args(args).arg("--offline").current_dir(dir);
    command
}

/// The files of the repository that are published.
pub(crate) fn files(crates: &[Crate]) -> Result<Vec<String>> {
    let mut files = vec!["Cargo.toml".to_owned()];
    let npm = [
        "index.js",
        "index.d.ts",
        "record.js",
        "record.d.ts",
        "trace.js",
        "package.json",
        "README.md",
    ];
    files.extend(npm.map(|name| format!("npm/{name}")));
    for it in crates {
        let args = ["package", "--list", "--allow-dirty", "-p", it.name()];
        let dir = it.dir().strip_prefix(guest::root())?.display().to_string();
        let list = output(&mut cargo(guest::root(), &args))?;
        files.extend(list.lines().map(|line| format!("{dir}/{line}")));
    }
    Ok(files)
}

/// Packs the crates, and looks at what is in the archives.
pub(crate) fn pack(crates: &[Crate]) -> Result<Outcome> {
    let dir = scratch();
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    let args = ["package", "--no-verify", "--allow-dirty", "--quiet"];
    let mut command = cargo(guest::root(), &args);
    command.arg("--target-dir").arg(&dir);
    for it in crates {
        command.args(["-p", it.name()]);
    }
    output(&mut command).map_err(|error| {
        if error.to_string().contains("offline") {
            return error.context("what the crates need is not here: cargo fetch --locked");
        }
        error
    })?;
    let mut sizes = Vec::new();
    for it in crates {
        let name = format!("{}-{VERSION}", it.name());
        let archive = dir.join("package").join(format!("{name}.crate"));
        let file = fs::metadata(&archive);
        let size = file.with_context(|| format!("no {name}.crate"))?.len();
        let is_short = size <= ARCHIVE_MAX;
        ensure!(is_short, "{name}: {size} bytes, more than {ARCHIVE_MAX}");
        unpack(&archive, &dir.join("crates"))?;
        look_into(&dir.join("crates").join(&name)).with_context(|| name.clone())?;
        sizes.push(format!("{} {} KiB", it.name(), size.div_ceil(1 << 10)));
    }
    Ok(Outcome::Ok(sizes.join(", ")))
}

/// Unpacks `archive` in `dir`.
pub(crate) fn unpack(archive: &Path, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(dir);
    output(&mut tar).map(drop)
}

/// Nothing if an archive, unpacked in `dir`, has the files that it must have, and no others than it may.
fn look_into(dir: &Path) -> Result<()> {
    for licence in LICENCES {
        let ours = fs::read(guest::root().join(licence))?;
        let same = fs::read(dir.join(licence)).is_ok_and(|text| text == ours);
        ensure!(same, "its {licence} is not there, or not the repository's");
    }
    ensure!(dir.join("README.md").exists(), "it has no README.md");
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().display().to_string();
        ensure!(
            CONTENTS.contains(&&*name),
            "{name} should not ship: see `include` in its Cargo.toml"
        );
    }
    Ok(())
}

/// Builds the archives, each with the others' archives instead of the repository's crates, for this machine and for
/// Wasm, runs a program on the allocator, and proves its bounds by the unpacked command.
pub(crate) fn build(crates: &[Crate]) -> Result<Outcome> {
    let dir = scratch().join("crates");
    add_workspace(&dir, crates)?;
    let mut names = Vec::new();
    for Crate(it) in crates {
        let name = it["name"].as_str().unwrap_or_default();
        let docs = &it["metadata"]["docs"]["rs"];
        let features = Crate::words(&docs["features"]).join(",");
        if docs["targets"].is_null() {
            names.extend(["-p", name]);
        } else {
            let args = ["build", "--quiet", "--target", guest::TARGET];
            let mut command = cargo(&dir, &args);
            output(command.args(["-p", name, "--features", &features]))?;
        }
    }
    let args = ["build", "--quiet", "--release", "--target", guest::TARGET];
    output(cargo(&dir, &args).args(["-p", "smoke"]))?;
    let module = dir.join(format!("target/{}/release/smoke.wasm", guest::TARGET));
    let module = module.to_string_lossy();
    let counted = programs::output(programs::WASM_TESTS, &["call", &module, "count"])?;
    ensure!(counted.trim() == COUNT, "it counts {counted}, not {COUNT}");
    // What is built on the way stays until the next dry run.
    let build_dir = guest::root().join("target/dry-run-build");
    let mut command = cargo(&dir, &["build", "--quiet"]);
    output(command.args(names).env("CARGO_BUILD_BUILD_DIR", build_dir))?;
    let program = dir.join("target/debug/alligator");
    let proved = output(Command::new(program).args(["bound", &module]))?;
    ensure!(proved.contains("alloc"), "no bounds: {proved}");
    Ok(Outcome::Ok(format!(
        "{} crates; a program runs on the heap, and its bounds are proved",
        crates.len()
    )))
}

/// Makes `dir`, where the archives are unpacked, a workspace with a program, in which they are the crates they are
/// named after.
fn add_workspace(dir: &Path, crates: &[Crate]) -> Result<()> {
    let root = guest::root();
    let patch = |it: &Crate| format!("{0} = {{ path = \"{0}-{VERSION}\" }}\n", it.name());
    let patches: String = crates.iter().map(patch).collect();
    fs::write(dir.join("Cargo.toml"), format!("{WORKSPACE}{patches}"))?;
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock"))?;
    fs::create_dir_all(dir.join("smoke/src"))?;
    fs::copy(
        root.join("guests/smoke/src/lib.rs"),
        dir.join("smoke/src/lib.rs"),
    )?;
    fs::write(
        dir.join("smoke/Cargo.toml"),
        format!("{SMOKE}\"{VERSION}\"\n"),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_licence_and_a_file_too_many_are_found() -> Result<()> {
        let dir = guest::root().join("target/test/archive");
        fs::create_dir_all(&dir)?;
        let error = || look_into(&dir).err().map(|it| it.to_string());
        for name in ["LICENSE-APACHE", "README.md"] {
            fs::copy(guest::root().join(name), dir.join(name))?;
        }
        assert!(error().is_some_and(|it| it.contains("LICENSE-MIT is not there")));
        fs::copy(guest::root().join("LICENSE-MIT"), dir.join("LICENSE-MIT"))?;
        assert_eq!(error(), None);
        fs::write(dir.join("notes.txt"), "")?;
        assert!(error().is_some_and(|it| it.contains("notes.txt should not ship")));
        Ok(fs::remove_dir_all(&dir)?)
    }
}

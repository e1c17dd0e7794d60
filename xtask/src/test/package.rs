//! The package as it would be published: unpacked, built into a program, run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use alligator_tools::command::cargo;
use alligator_tools::guest::{self, Guest};

use crate::programs;

/// How often the program of `guests/smoke` finds its most frequent word.
const COUNT: &str = "300";

/// Packs the crate, unpacks it, and runs `guests/smoke` on it.
pub(crate) fn run() -> Result<()> {
    let target = guest::root().join("target");
    cargo(&[
        "package",
        "-p",
        "alligator-alloc",
        "--no-verify",
        "--allow-dirty",
    ])
    .env("CARGO_TARGET_DIR", &target.to_string_lossy())
    .run()?;
    let packages = target.join("package");
    let archive = newest_archive(&packages)?;
    unpack(&archive, &packages.join("unpacked"))?;
    let module = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("smoke"),
        library: "smoke",
        features: &[],
        output: "smoke",
        profile: None,
        overrides: Vec::new(),
    })?;
    let module = module.to_string_lossy();
    let found = programs::output(programs::WASM_TESTS, &["call", &module, "count"])?;
    ensure!(
        found.trim() == COUNT,
        "the program counts {found}, not {COUNT}"
    );
    Ok(())
}

fn newest_archive(packages: &Path) -> Result<std::path::PathBuf> {
    let mut archives = Vec::new();
    for entry in std::fs::read_dir(packages)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("alligator-alloc-") && path.extension().is_some_and(|it| it == "crate")
        {
            archives.push((path.metadata()?.modified()?, path.clone()));
        }
    }
    let newest = archives.into_iter().max();
    Ok(newest.context("cargo made no package")?.1)
}

/// Unpacks `archive` to `dir/alligator-alloc`.
fn unpack(archive: &Path, dir: &Path) -> Result<()> {
    let package = dir.join("alligator-alloc");
    if package.exists() {
        std::fs::remove_dir_all(&package)?;
    }
    std::fs::create_dir_all(&package)?;
    let status = Command::new("tar")
        .args([
            "-xzf".as_ref(),
            archive.as_os_str(),
            "--strip-components=1".as_ref(),
            "-C".as_ref(),
        ])
        .arg(&package)
        .status()
        .context("tar does not start")?;
    if !status.success() {
        bail!("tar cannot unpack {}", archive.display());
    }
    Ok(())
}

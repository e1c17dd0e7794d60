//! The suites as a package: a copy of the toolchain's sources, with Alligator linked to each test program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use alligator_tools::folder::{self, Times};
use alligator_tools::guest;

/// The test programs' roots.
const ROOTS: [&str; 3] = ["lib.rs", "tests/lib.rs", "tests/vec_deque_alloc_error.rs"];

/// The sources of Rust's library in the toolchain that runs us.
pub(super) fn library() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(guest::root())
        .output()
        .context("rustc does not start")?;
    let sysroot = String::from_utf8(output.stdout)?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    ensure!(
        library.join("alloctests/Cargo.toml").exists(),
        "the toolchain has no tests of alloc: `rustup component add rust-src`"
    );
    Ok(library)
}

/// Makes the package anew and returns its directory. What was built of it stays.
pub(super) fn make() -> Result<PathBuf> {
    let library = library()?;
    let to = guest::root().join("target/alloctests/package");
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    folder::copy(&library.join("alloc"), &to.join("alloc"), Times::Kept)?;
    let package = to.join("alloctests");
    folder::copy(&library.join("alloctests"), &package, Times::Kept)?;
    // The same versions of the tests' dependencies as in Rust's own repository.
    fs::copy(library.join("Cargo.lock"), package.join("Cargo.lock"))?;
    let suites = guest::root().join("guests/suites");
    append(
        &package.join("Cargo.toml"),
        &format!(
            "\n[dependencies]\nsuites = {{ path = '{}' }}\n\n[workspace]\n",
            suites.display()
        ),
    )?;
    for root in ROOTS {
        let test = format!(
            "\n#[test]\nfn {}() {{\n    suites::assert_in_use();\n}}\n",
            super::OURS
        );
        append(&package.join(root), &test)?;
    }
    Ok(package)
}

fn append(file: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    Ok(fs::write(file, old + text)?)
}

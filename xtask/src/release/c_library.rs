//! The C library's tarball, as a C developer has it: unpacked, and its examples built and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use alligator_tools::guest::{self, WASI};
use alligator_tools::programs;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Outcome, VERSION, archives, output, scratch};

/// What `examples/c/with-rust` says when its two languages have one heap.
const ONE_HEAP: &str = "and heap languages one two\n100000 numbers\none heap";

/// Builds the tarball, and uses it and the packed crates.
pub(crate) fn run() -> Result<Outcome> {
    programs::output("clib-runner", &[])?;
    let built = fs::read(guest::root().join("target/clib/package.json"))?;
    let built: Value = serde_json::from_slice(&built)?;
    let left_out = &built["left_out"];
    let is_whole = left_out.as_array().is_some_and(Vec::is_empty);
    ensure!(is_whole, "the tarball lacks targets: {left_out}");
    let tarball = built["tarball"].as_str().context("no tarball")?;
    let dir = scratch().join("c");
    archives::unpack(Path::new(tarball), &dir)?;
    let dir = dir.join(format!("alligator-c-{VERSION}"));
    let examples = dir.join("share/alligator/examples");
    if output(clang(&examples).args(["words/words.c", "-o", "probe.wasm"])).is_err() {
        let reason = "no clang that links for WASI: docs/c.md says what to install";
        return Ok(Outcome::LeftOut(reason.to_owned()));
    }
    let mut make = Command::new("make");
    make.arg(format!("CC={}", compiler()));
    output(make.current_dir(examples.join("words")))?;
    let words = programs::execute(&examples.join("words/words.wasm"))?;
    ensure!(words.status == 0, "words ends with {}", words.status);
    let module = examples.join("with-rust.wasm");
    let mut link = clang(&examples);
    link.arg("with-rust/main.c")
        .arg(rust_part(&examples.join("with-rust/part"))?)
        .arg(format!("-I{}", dir.join("include").display()))
        .arg(format!("-L{}", dir.join("lib").join(WASI).display()));
    output(link.arg("-lalligator-debug").arg("-o").arg(&module))?;
    let said = String::from_utf8(programs::execute(&module)?.output)?;
    ensure!(said.trim_end() == ONE_HEAP, "with-rust says {said}");
    Ok(Outcome::Ok("its examples, built and run".to_owned()))
}

/// The C compiler for WASI, as a Makefile takes it.
fn compiler() -> String {
    match std::env::var("WASI_SDK_PATH") {
        Ok(sdk) => format!("{sdk}/bin/clang"),
        Err(_) => "clang --target=wasm32-wasi".to_owned(),
    }
}

/// A call of it in `dir`.
fn clang(dir: &Path) -> Command {
    let compiler = compiler();
    let mut words = compiler.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(dir);
    command
}

/// Builds the archive of the Rust part in `dir`, with the packed crates.
fn rust_part(dir: &Path) -> Result<PathBuf> {
    let args = ["build", "--quiet", "--release", "--target", WASI];
    let mut cargo = archives::cargo(dir, &args);
    let crates = scratch().join("crates");
    let crates = crates.display();
    for name in ["alligator-alloc", "alligator-rt", "alligator-c"] {
        let path = format!("patch.crates-io.{name}.path=\"{crates}/{name}-{VERSION}\"");
        cargo.args(["--config", &path]);
    }
    output(&mut cargo).context("examples/with-rust/part")?;
    Ok(dir.join(format!("target/{WASI}/release/libpart.a")))
}

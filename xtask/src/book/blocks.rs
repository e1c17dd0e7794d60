//! The book's programs. Those in Rust are compiled for WebAssembly, but for those that the documentation tests of a crate
//! compile and run; those in JavaScript are run on the modules that become of them. The C library's tests have those in C.
//!
//! A comment before a block, which readers do not see, says what its test needs: `makes NAME.wasm` keeps the module of a
//! Rust program, `with NAME.wasm` runs a JavaScript program beside it, `features NAME ..` are the allocator's.

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use alligator_tools::blocks::{self, Block};
use alligator_tools::command::{cargo_path, ensure_target};
use alligator_tools::guest;
use anyhow::{Context, Result, bail, ensure};

use super::{folder, write};

/// Documents with programs, besides the folder `docs`.
const OTHERS: [&str; 3] = [
    "README.md",
    "crates/alligator-alloc/README.md",
    "npm/README.md",
];

/// Documents whose Rust is tested elsewhere: by the documentation tests of a crate. `rust,ignore` is not.
const TESTED: [&str; 5] = [
    "docs/real-time.md",                // alligator-rt
    "docs/real-time-scopes.md",         // alligator-rt
    "docs/limits.md",                   // alligator-rt
    "docs/hardened.md",                 // alligator-meter
    "crates/alligator-alloc/README.md", // alligator-alloc
];

/// A document with an excerpt of `guests/inlined`, which `cargo xtask bounds` compiles.
const WITH_EXCERPT: &str = "docs/bounds.md";

/// Beside every program in JavaScript: `fetch` reads files, and an assertion that fails is an error.
const HOST: &str = r#"import { readFile } from "node:fs/promises";
globalThis.fetch = async (name) =>
  new Response(await readFile(new URL(name, import.meta.url)), { headers: { "content-type": "application/wasm" } });
console.assert = (holds) => {
  if (!holds) throw new Error("an assertion of the book fails");
};
"#;

/// Where the programs are made.
fn programs() -> PathBuf {
    folder().join("programs")
}

/// All blocks of code.
fn all() -> Result<Vec<Block>> {
    let mut pages = blocks::pages()?;
    pages.extend(OTHERS.map(str::to_owned));
    let blocks: Vec<Vec<Block>> = pages
        .iter()
        .map(|page| blocks::of(page))
        .collect::<Result<_>>()?;
    Ok(blocks.concat())
}

/// Whether a block in Rust is to be compiled here.
fn is_ours(block: &Block) -> bool {
    let is_tested = TESTED.contains(&block.page.as_str());
    let is_ignored = block.words.iter().any(|word| word == "ignore");
    block.is("rust") && block.page != WITH_EXCERPT && (is_ignored || !is_tested)
}

/// Compiles the programs in Rust.
pub(super) fn rust() -> Result<()> {
    let mut count = 0;
    for block in all()?.iter().filter(|block| is_ours(block)) {
        compile(block).with_context(|| block.place())?;
        count += 1;
    }
    ensure!(count > 0, "the book has no program in Rust");
    println!("{count} programs in Rust compiled for {}", guest::TARGET);
    Ok(())
}

/// Compiles one to a module, and returns its path.
fn compile(block: &Block) -> Result<PathBuf> {
    ensure_target(guest::TARGET)?;
    let dir = programs().join("rust");
    // Statements without a function around them stand in one.
    let is_script = block.text.lines().any(|line| line.starts_with("let "));
    let program = if is_script {
        format!("#![allow(unused)]\nfn program() {{\n{}\n}}\n", block.text)
    } else {
        format!("#![allow(unused)]\n{}", block.text)
    };
    write(&dir.join("src/lib.rs"), program.as_bytes())?;
    write(&dir.join("Cargo.toml"), manifest(block).as_bytes())?;
    // The same versions as ours: they are on this machine.
    fs::copy(guest::root().join("Cargo.lock"), dir.join("Cargo.lock"))?;
    let output = Command::new(cargo_path())
        .args(["build", "--quiet", "--release", "--offline"])
        .args(["--target", guest::TARGET, "--target-dir"])
        .arg(guest::guests_dir().join("build"))
        .current_dir(&dir)
        .output()
        .context("cargo does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    let built = guest::guests_dir().join("build").join(guest::TARGET);
    Ok(built.join("release/book_program.wasm"))
}

/// The manifest of a program: it depends on what it names.
fn manifest(block: &Block) -> String {
    let crates = guest::root().join("crates");
    let features: Vec<&str> = block
        .noted("features")
        .map_or_else(Vec::new, |it| it.split(' ').collect());
    let mut text = "[package]\nname = \"book-program\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\n[profile.release]\npanic = \"abort\"\n\n[dependencies]\n"
        .to_owned();
    let mut add = |name: &str, features: &[&str]| {
        let path = crates.join(name).display().to_string();
        let _ = writeln!(
            text,
            "{name} = {{ path = {path:?}, features = {features:?} }}"
        );
    };
    if block.text.contains("alligator_c::") {
        add("alligator-c", &["malloc"]);
    }
    if block.text.contains("alligator_snapshot::") {
        add("alligator-snapshot", &[]);
    }
    if block.text.contains("allocator_api2::") {
        add("alligator-alloc", &["allocator-api2"]);
        text += "allocator-api2 = \"0.2\"\n";
    } else if block.text.contains("alligator_alloc::") {
        add("alligator-alloc", &features);
    }
    text
}

/// Runs the programs in JavaScript; those that need more than a module are looked through, and find what they import.
pub(super) fn javascript() -> Result<()> {
    let all = all()?;
    let dir = programs().join("javascript");
    write(&dir.join("host.mjs"), HOST.as_bytes())?;
    let package = dir.join("node_modules/alligator-alloc");
    let npm = guest::root().join("npm");
    for name in ["package.json", "index.js", "record.js", "trace.js"] {
        write(&package.join(name), &fs::read(npm.join(name))?)?;
    }
    for block in &all {
        if let Some(name) = block.noted("makes") {
            let module = compile(block).with_context(|| block.place())?;
            fs::copy(module, dir.join(name))?;
        }
    }
    let (mut ran, mut read) = (0, 0);
    for block in all.iter().filter(|block| block.is("js")) {
        if block.noted("with").is_some() {
            run(&dir, block).with_context(|| block.place())?;
            ran += 1;
        } else {
            look_through(&dir, block).with_context(|| block.place())?;
            read += 1;
        }
    }
    ensure!(ran > 0, "the book has no program in JavaScript");
    println!("{ran} programs in JavaScript run, {read} looked through");
    Ok(())
}

/// Runs a program: each line that it logs is what the comment behind says.
fn run(dir: &Path, block: &Block) -> Result<()> {
    let file = dir.join("program.mjs");
    write(
        &file,
        format!("import \"./host.mjs\";\n{}", block.text).as_bytes(),
    )?;
    let said = node(&[], &file)?;
    let logged = block
        .text
        .lines()
        .filter(|line| line.contains("console.log("));
    let expected: Vec<&str> = logged
        .map(|line| line.rsplit("// ").next().unwrap_or_default())
        .collect();
    let lines: Vec<&str> = said.lines().collect();
    ensure!(lines == expected, "it says {lines:?}, not {expected:?}");
    Ok(())
}

/// Has Node.js parse a program, and do its imports.
fn look_through(dir: &Path, block: &Block) -> Result<()> {
    let file = dir.join("program.mjs");
    write(&file, block.text.as_bytes())?;
    node(&["--check"], &file)?;
    let imports: Vec<&str> = block
        .text
        .lines()
        .filter(|line| line.starts_with("import "))
        .collect();
    write(&file, imports.join("\n").as_bytes())?;
    node(&[], &file).map(drop)
}

/// What Node.js prints.
fn node(args: &[&str], file: &Path) -> Result<String> {
    let output = Command::new("node")
        .args(args)
        .arg(file)
        .output()
        .context("node does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

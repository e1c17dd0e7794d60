//! The library's object for each target, built by cargo and checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::archive;
use alligator_tools::guest;

/// A target of the library.
#[derive(Debug)]
pub(crate) struct Target {
    /// Rust's name for it, which is also its directory's.
    pub(crate) name: &'static str,
    /// The symbols that the library may leave to others: the linker's and a few of the C library's.
    allowed: &'static [&'static str],
}

/// For WASI programs: the one most users want.
pub(crate) const WASI: Target = Target {
    name: "wasm32-wasip1",
    allowed: &[
        "__heap_base",
        HEAP_END,
        "__indirect_function_table",
        "__linear_memory",
        "__stack_pointer",
        "errno",
    ],
};
/// For WASI programs with threads. A stable compiler cannot say that `errno` is each thread's own, so a function is
/// asked where it is: the C library's or the program's own.
pub(crate) const WASI_THREADS: Target = Target {
    name: "wasm32-wasip1-threads",
    allowed: &[
        "__heap_base",
        HEAP_END,
        "__indirect_function_table",
        "__linear_memory",
        "__stack_pointer",
        "__errno_location",
    ],
};
/// For programs without a C library.
pub(crate) const BARE: Target = Target {
    name: "wasm32-unknown-unknown",
    allowed: &[
        "__heap_base",
        HEAP_END,
        "__indirect_function_table",
        "__linear_memory",
        "__stack_pointer",
    ],
};
/// For programs that are debugged on a PC.
pub(crate) const HOST: Target = Target {
    name: "x86_64-unknown-linux-gnu",
    allowed: &["__errno_location", "memcpy", "memmove", "memset"],
};

/// Where the initial memory ends, as linkers of LLVM 16 and later say. For older ones, the library needs it only if it
/// is there.
const HEAP_END: &str = "__heap_end";

/// With or without what finds errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// For programs as they are shipped.
    Plain,
    /// With counters and the heap checker.
    Debug,
}

impl Flavour {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Debug];

    /// What follows `-l`.
    pub(crate) const fn library(self) -> &'static str {
        match self {
            Self::Plain => "alligator",
            Self::Debug => "alligator-debug",
        }
    }

    const fn features(self) -> &'static str {
        match self {
            Self::Plain => "library,heap-end",
            Self::Debug => "library,heap-end,metrics,check",
        }
    }
}

/// Functions that only the debug library has.
const DEBUG_ONLY: [&str; 2] = ["alligator_check", "alligator_get_stats"];

/// Nothing if `target` can be built for.
pub(crate) fn ensure(target: &Target) -> Result<()> {
    guest::ensure_target(target.name)
}

/// Builds the object, and checks its symbols against the header's `functions`.
pub(crate) fn build(target: &Target, flavour: Flavour, functions: &[String]) -> Result<Vec<u8>> {
    let built = fs::read(rustc(target, flavour)?)?;
    let mut object = archive::only_member(&built, "alligator_c-")?;
    if target.allowed.contains(&HEAP_END) {
        archive::weaken(&mut object, HEAP_END)?;
    }
    let expected: Vec<_> = functions
        .iter()
        .filter(|name| flavour == Flavour::Debug || !DEBUG_ONLY.contains(&name.as_str()))
        .cloned()
        .collect();
    archive::check_symbols(&object, target.allowed, &expected)
        .with_context(|| format!("{}, {flavour:?}", target.name))?;
    Ok(object)
}

/// Has cargo build the archive.
fn rustc(target: &Target, flavour: Flavour) -> Result<PathBuf> {
    let dir = guest::root().join("target").join("clib").join("build");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["rustc", "--quiet", "-p", "alligator-c", "--release"])
        .args(["--crate-type", "staticlib", "--target", target.name])
        .args(["--features", flavour.features()])
        .env("CARGO_TARGET_DIR", &dir)
        .env("RUSTFLAGS", flags())
        .current_dir(guest::root())
        .stdin(Stdio::null());
    let output = command.output().context("cargo does not start")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(dir
        .join(target.name)
        .join("release")
        .join("liballigator_c.a"))
}

/// No path of the machine that builds gets into the library.
fn flags() -> String {
    format!("--remap-path-prefix={}=alligator", path(guest::root()))
}

fn path(path: &Path) -> std::path::Display<'_> {
    path.display()
}

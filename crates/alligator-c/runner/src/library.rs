//! The library's objects for each target, built by cargo and checked.

use std::fs;
use std::path::Path;
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
    allowed: &["__errno_location", "abort", "memcpy", "memmove", "memset"],
};

/// Where the initial memory ends, as linkers of LLVM 16 and later say. For older ones, the library needs it only if it
/// is there.
const HEAP_END: &str = "__heap_end";

/// With or without what looks at each call, or finds errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// For programs as they are shipped.
    Plain,
    /// With guards.
    Guards,
    /// With guards, counters and the heap checker.
    Debug,
}

impl Flavour {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Guards, Self::Debug];

    /// What follows `-l`.
    pub(crate) const fn library(self) -> &'static str {
        match self {
            Self::Plain => "alligator",
            Self::Guards => "alligator-guards",
            Self::Debug => "alligator-debug",
        }
    }

    /// What a test of it is compiled with besides.
    pub(crate) const fn defines(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Guards => &["-DTEST_GUARDS"],
            Self::Debug => &["-DTEST_GUARDS", "-DTEST_DEBUG"],
        }
    }

    const fn features(self) -> &'static str {
        match self {
            Self::Plain => "library,heap-end",
            Self::Guards => "library,heap-end,guards",
            Self::Debug => "library,heap-end,guards,metrics,check",
        }
    }

    /// Whether its object with the heap has the function `name`.
    fn has(self, name: &str) -> bool {
        match name {
            "alligator_check" | "alligator_get_stats" => self == Self::Debug,
            "alligator_unguard" | "alligator_on_event" => self != Self::Plain,
            _ if name.starts_with("alligator_guard") => self != Self::Plain,
            _ => !name.starts_with(SCOPES),
        }
    }
}

/// What the names of the functions begin with that the object with scopes has.
const SCOPES: &str = "alligator_scope_";

/// What that object needs of the other.
const FOR_SCOPES: [&str; 2] = ["alligator_allocate", "alligator_deallocate"];

/// Nothing if `target` can be built for.
pub(crate) fn ensure(target: &Target) -> Result<()> {
    guest::ensure_target(target.name)
}

/// Builds the object with the heap, and checks its symbols against the header's `functions`.
pub(crate) fn build(target: &Target, flavour: Flavour, functions: &[String]) -> Result<Vec<u8>> {
    let mut object = rustc(target, flavour.features())?;
    if target.allowed.contains(&HEAP_END) {
        archive::weaken(&mut object, HEAP_END)?;
    }
    check(&object, target.allowed, functions, |name| flavour.has(name))
        .with_context(|| format!("{}, {flavour:?}", target.name))?;
    Ok(object)
}

/// Builds the object with scopes, the same for each flavour.
pub(crate) fn build_scopes(target: &Target, functions: &[String]) -> Result<Vec<u8>> {
    let object = rustc(target, "panic-handler,scopes")?;
    let allowed = [target.allowed, &FOR_SCOPES].concat();
    check(&object, &allowed, functions, |name| {
        name.starts_with(SCOPES)
    })
    .with_context(|| format!("{}, scopes", target.name))?;
    Ok(object)
}

/// Nothing if `object` defines those of `functions` that `is_in` it, and needs what is `allowed`.
fn check(
    object: &[u8],
    allowed: &[&str],
    functions: &[String],
    is_in: impl Fn(&str) -> bool,
) -> Result<()> {
    let expected: Vec<_> = functions
        .iter()
        .filter(|name| is_in(name))
        .cloned()
        .collect();
    archive::check_symbols(object, allowed, &expected)
}

/// Has cargo build the archive, and takes our object out of it.
fn rustc(target: &Target, features: &str) -> Result<Vec<u8>> {
    let dir = guest::root().join("target").join("clib").join("build");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["rustc", "--quiet", "-p", "alligator-c", "--release"])
        .args(["--crate-type", "staticlib", "--target", target.name])
        .args(["--features", features])
        .env("CARGO_TARGET_DIR", &dir)
        .env("RUSTFLAGS", flags())
        .current_dir(guest::root())
        .stdin(Stdio::null());
    let output = command.output().context("cargo does not start")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let release = dir.join(target.name).join("release");
    archive::only_member(&fs::read(release.join("liballigator_c.a"))?, "alligator_c-")
}

/// No path of the machine that builds gets into the library.
fn flags() -> String {
    format!("--remap-path-prefix={}=alligator", path(guest::root()))
}

fn path(path: &Path) -> std::path::Display<'_> {
    path.display()
}

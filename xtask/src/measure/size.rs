//! Code size: what an allocator adds to a module that exports alloc, dealloc and realloc.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::allocator::{Allocator, Exports, control};

/// Wasm features that rustc's default target uses.
const FEATURES: [&str; 5] = [
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-reference-types",
];

/// True if `wasm-opt` can be run.
pub(crate) fn optimizer_exists() -> bool {
    let version = Command::new("wasm-opt")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// The compiler's levels under which the modules are measured: what a program that wants small
/// code sets, and what one that wants speed does.
pub(crate) const OPT_LEVELS: [&str; 2] = ["z", "3"];

/// Bytes of the module around `control`, which every other size is compared with.
pub(crate) fn empty_bytes() -> Result<[u64; OPT_LEVELS.len()]> {
    optimized_bytes(&control())
}

/// Bytes that the allocator adds to the empty module.
pub(crate) fn code_bytes(
    allocator: &Allocator,
    empty: [u64; OPT_LEVELS.len()],
) -> Result<[u64; OPT_LEVELS.len()]> {
    let bytes = optimized_bytes(allocator)?;
    Ok(core::array::from_fn(|level| {
        bytes[level].saturating_sub(empty[level])
    }))
}

/// Bytes of the minimal module after `wasm-opt -Oz`, names and producers stripped.
fn optimized_bytes(allocator: &Allocator) -> Result<[u64; OPT_LEVELS.len()]> {
    let mut bytes = [0; OPT_LEVELS.len()];
    for (bytes, level) in bytes.iter_mut().zip(OPT_LEVELS) {
        let input = allocator.build(Exports::Minimal { opt_level: level })?;
        let output = input.with_extension("oz.wasm");
        optimize(&input, &output)?;
        *bytes = std::fs::metadata(&output)?.len();
    }
    Ok(bytes)
}

fn optimize(input: &Path, output: &Path) -> Result<()> {
    let run = Command::new("wasm-opt")
        .args(["-Oz", "--strip-debug", "--strip-producers"])
        .args(FEATURES)
        .arg(input)
        .arg("-o")
        .arg(output)
        .output()
        .context("wasm-opt does not start")?;
    if !run.status.success() {
        bail!("wasm-opt: {}", String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(())
}

//! Code size: what an allocator adds to a module that exports alloc, dealloc and realloc.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use serde::{Deserialize, Serialize};
use wasmparser::Parser;

use alligator_tools::allocator::{Allocator, Exports, control, section_bytes};

/// The compiler's levels under which code size is measured: what a program that wants small code
/// sets comes first, what one that wants speed does, last.
pub(crate) const OPT_LEVELS: [&str; 4] = ["z", "s", "2", "3"];

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

/// Bytes that an allocator adds to the empty module at one of the compiler's levels.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Size {
    /// Of what the compiler wrote: all sections but custom ones.
    pub(crate) compiled: u64,
    /// After `wasm-opt -Oz`; none if that is not installed.
    pub(crate) optimized: Option<u64>,
}

/// The bytes of the module around `control`, at `opt_level`.
pub(crate) fn empty(opt_level: &'static str, optimizer: bool) -> Result<Size> {
    whole(&control()?, opt_level, optimizer)
}

/// Bytes that an allocator adds to the empty module, at `opt_level`.
pub(crate) fn added(
    allocator: &Allocator,
    opt_level: &'static str,
    optimizer: bool,
) -> Result<Size> {
    let empty = empty(opt_level, optimizer)?;
    added_to(empty, allocator, opt_level, optimizer)
}

/// The same, when the empty module's bytes are known.
pub(crate) fn added_to(
    empty: Size,
    allocator: &Allocator,
    opt_level: &'static str,
    optimizer: bool,
) -> Result<Size> {
    let full = whole(allocator, opt_level, optimizer)?;
    let both = full.optimized.zip(empty.optimized);
    Ok(Size {
        compiled: full.compiled.saturating_sub(empty.compiled),
        optimized: both.map(|(full, empty)| full.saturating_sub(empty)),
    })
}

/// Bytes of a minimal module: of what the compiler wrote, and after `wasm-opt -Oz`, names and
/// producers stripped.
fn whole(allocator: &Allocator, opt_level: &'static str, optimizer: bool) -> Result<Size> {
    of(&allocator.build(Exports::Minimal { opt_level })?, optimizer)
}

/// The same of a module that is there.
pub(crate) fn of(input: &Path, optimizer: bool) -> Result<Size> {
    let compiled = module_bytes(&std::fs::read(input)?)?;
    if !optimizer {
        return Ok(Size {
            compiled,
            optimized: None,
        });
    }
    let output = input.with_extension("oz.wasm");
    optimize(input, &output)?;
    let module = std::fs::read(&output)?;
    let bytes = module.len() as u64 - section_bytes(&module)?;
    Ok(Size {
        compiled,
        optimized: Some(bytes),
    })
}

/// Bytes of a module without its custom sections.
fn module_bytes(module: &[u8]) -> Result<u64> {
    let mut bytes = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Some((id, range)) = payload.as_section()
            && id != 0
        {
            bytes += range.end - range.start;
        }
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

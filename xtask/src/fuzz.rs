//! `cargo xtask fuzz`: coverage-guided fuzzing of the prover, from a corpus of its test cases.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::guest;

/// Targets of `fuzz/Cargo.toml`, and the extension of the test cases that seed each.
const TARGETS: [(&str, Seeds); 3] = [
    ("module_bytes", Seeds::Modules),
    ("module_structured", Seeds::None),
    ("text_files", Seeds::Texts),
];

/// What a corpus starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seeds {
    /// The modules of the test cases, in binary.
    Modules,
    /// Bounds files and cost tables of the test cases.
    Texts,
    /// Nothing: any bytes make a module.
    None,
}

/// What to fuzz, and how long.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only this target
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut chosen = TARGETS.iter().filter(|(name, _)| {
        let only = options.target.as_deref();
        only.is_none_or(|only| only == *name)
    });
    let mut any = false;
    for (name, seeds) in &mut chosen {
        any = true;
        seed(name, *seeds)?;
        fuzz(name, options.seconds)?;
    }
    if !any {
        bail!(
            "the targets are {}",
            TARGETS.map(|(name, _)| name).join(", ")
        );
    }
    Ok(())
}

/// Writes the corpus that a target starts from. What the fuzzer has found before stays.
fn seed(target: &str, seeds: Seeds) -> Result<()> {
    let corpus = guest::root().join("fuzz").join("corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let cases = guest::root().join("crates/alligator-bound/tests/cases");
    for case in std::fs::read_dir(&cases).context("the test cases are gone")? {
        let case = case?.path();
        let extension = case.extension().unwrap_or_default().to_owned();
        let name = case.file_stem().unwrap_or_default().to_owned();
        if seeds == Seeds::Modules && extension == "wat" {
            std::fs::write(corpus.join(name), wat::parse_file(&case)?)?;
        } else if seeds == Seeds::Texts && extension == "toml" {
            std::fs::copy(&case, corpus.join(name))?;
        }
    }
    Ok(())
}

/// Runs one target. Every input must be dealt with in 20 seconds and 2 GiB.
fn fuzz(target: &str, seconds: u64) -> Result<()> {
    let directory: &Path = &guest::root().join("fuzz");
    let status = Command::new("cargo")
        .args(["+nightly", "fuzz", "run", "--fuzz-dir"])
        .arg(directory)
        .args([target, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=20", "-rss_limit_mb=2048", "-max_len=65536"])
        .current_dir(directory)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .status()
        .context("cargo does not start")?;
    if !status.success() {
        bail!("{target} failed; `cargo install cargo-fuzz` if it is the command that is missing");
    }
    Ok(())
}

//! `cargo xtask fuzz`: coverage-guided fuzzing of the prover, from a corpus of its test cases.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

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
    let only = options.target.as_deref();
    ensure!(
        only.is_none_or(|only| TARGETS.iter().any(|(name, _)| *name == only)),
        "the targets are {}",
        TARGETS.map(|(name, _)| name).join(", ")
    );
    need(
        &["--version"],
        "fuzzing needs the nightly toolchain: `rustup toolchain install nightly`",
    )?;
    need(
        &["fuzz", "--version"],
        "fuzzing needs cargo-fuzz: `cargo install cargo-fuzz --locked`",
    )?;
    for (name, seeds) in TARGETS {
        if only.is_none_or(|only| only == name) {
            seed(name, seeds)?;
            fuzz(name, options.seconds)?;
        }
    }
    Ok(())
}

/// Nothing if nightly's cargo does this, or what to install.
fn need(arguments: &[&str], missing: &str) -> Result<()> {
    let there = nightly()
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    ensure!(there, "{missing}");
    Ok(())
}

/// Nightly's cargo, in the workspace of the targets. We may have been started by another one, whose
/// settings must not reach it.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command
        .arg("+nightly")
        .current_dir(guest::root().join("fuzz"))
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command
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
    let status = nightly()
        .args(["fuzz", "run", "--fuzz-dir", ".", target, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=20", "-rss_limit_mb=2048", "-max_len=65536"])
        .arg("-print_final_stats=1")
        .status()
        .context("cargo does not start")?;
    if !status.success() {
        bail!("{target}: {status}; what the fuzzer printed above says why");
    }
    Ok(())
}

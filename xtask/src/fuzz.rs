//! `cargo xtask fuzz`: coverage-guided fuzzing of the heap, of the C library's functions and of the prover, and a
//! canary, in which a fault is planted and which must fail.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use alligator_tools::guest;
use alligator_tools::random::Random;

use crate::programs;

/// A target of `fuzz` or of `fuzz/heap`.
#[derive(Debug)]
struct Target {
    name: &'static str,
    /// The folder of its `Cargo.toml`.
    folder: &'static str,
    seeds: Seeds,
    /// Bytes of an input at most.
    bytes_max: usize,
    /// What AddressSanitizer must report, if a fault is planted.
    must_report: Option<&'static str>,
}

const HEAP: &str = "fuzz/heap";
const PROVER: &str = "fuzz";
/// Bytes of a program for the heap: enough for its longest.
const PROGRAM_BYTES_MAX: usize = 8192;
/// Bytes of a module or a text.
const FILE_BYTES_MAX: usize = 65_536;

const TARGETS: [Target; 7] = [
    target("canary", HEAP, Seeds::Random, Some("use-after-poison")),
    target("heap", HEAP, Seeds::Random, None),
    target("c_functions", HEAP, Seeds::Random, None),
    target("module_bytes", PROVER, Seeds::Modules, None),
    target("module_structured", PROVER, Seeds::None, None),
    target("find_bytes", PROVER, Seeds::Modules, None),
    target("text_files", PROVER, Seeds::Texts, None),
];

const fn target(
    name: &'static str,
    folder: &'static str,
    seeds: Seeds,
    must_report: Option<&'static str>,
) -> Target {
    let bytes_max = match seeds {
        Seeds::Random => PROGRAM_BYTES_MAX,
        _ => FILE_BYTES_MAX,
    };
    Target {
        name,
        folder,
        seeds,
        bytes_max,
        must_report,
    }
}

/// What a corpus starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seeds {
    /// Random bytes, always the same.
    Random,
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
        only.is_none_or(|only| TARGETS.iter().any(|target| target.name == only)),
        "the targets are {}",
        TARGETS.map(|target| target.name).join(", ")
    );
    need(
        &["--version"],
        "fuzzing needs the nightly toolchain: `rustup toolchain install nightly`",
    )?;
    need(
        &["fuzz", "--version"],
        "fuzzing needs cargo-fuzz: `cargo install cargo-fuzz --locked`",
    )?;
    for target in &TARGETS {
        if only.is_none_or(|only| only == target.name) {
            target.seed()?;
            target.fuzz(options.seconds)?;
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

/// Nightly's cargo. We may have been started by another one, whose settings must not reach it.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command
        .arg("+nightly")
        .env(
            "CARGO_TARGET_DIR",
            guest::root().join("fuzz").join("target"),
        )
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command
}

impl Target {
    /// Where its inputs are kept.
    fn corpus(&self) -> PathBuf {
        guest::root().join("fuzz").join("corpus").join(self.name)
    }

    /// Writes the corpus that it starts from. What the fuzzer has found before stays.
    fn seed(&self) -> Result<()> {
        let corpus = self.corpus();
        std::fs::create_dir_all(&corpus)?;
        if self.seeds == Seeds::Random {
            for number in 0..16_u64 {
                let mut random = Random::new(number);
                let bytes = 64 << (number % 6);
                let bytes: Vec<u8> = (0..bytes)
                    .map(|_| random.below(256).to_le_bytes()[0])
                    .collect();
                std::fs::write(corpus.join(format!("random-{number}")), bytes)?;
            }
            return Ok(());
        }
        if self.seeds == Seeds::Modules {
            let to = corpus.to_string_lossy();
            return programs::run(programs::BOUNDS, &["modules", &to]);
        }
        let cases = guest::root().join("crates/alligator-bound/tests/cases");
        for case in std::fs::read_dir(&cases).context("the test cases are gone")? {
            let case = case?.path();
            let name = case.file_stem().unwrap_or_default();
            if case
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                std::fs::copy(&case, corpus.join(name))?;
            }
        }
        Ok(())
    }

    /// Runs it. Every input must be dealt with in 20 seconds and 2 GiB.
    fn fuzz(&self, seconds: u64) -> Result<()> {
        let mut command = nightly();
        command
            .current_dir(guest::root().join(self.folder))
            .args(["fuzz", "run", "--fuzz-dir", ".", self.name])
            .arg(self.corpus())
            .args([
                "--",
                "-timeout=20",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
            ])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={}", self.bytes_max));
        let Some(report) = self.must_report else {
            let status = command.status().context("cargo does not start")?;
            if !status.success() {
                bail!(
                    "{}: {status}; what the fuzzer printed above says why",
                    self.name
                );
            }
            return Ok(());
        };
        println!("{}: a fault is planted; it must be found", self.name);
        let output = command.output().context("cargo does not start")?;
        let text = String::from_utf8_lossy(&output.stderr);
        let report = text.lines().find(|line| line.contains(report));
        let report = report
            .with_context(|| format!("{}: the planted fault was not found: {text}", self.name))?;
        println!("{}: found, as it must be: {report}", self.name);
        Ok(())
    }
}

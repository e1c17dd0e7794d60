//! Builds the programs of `guests/targets`, each for one target with the toolchain that users have there.

use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use alligator_tools::command::cargo_path;
use alligator_tools::guest;

/// Lines of what the compiler says that are shown.
const LINES: usize = 12;

/// A program to build.
#[derive(Clone, Debug, Hash)]
pub(super) struct Program {
    /// Its folder in `guests/targets`.
    name: &'static str,
    target: &'static str,
    /// What nightly builds of std, if it is nightly that builds.
    built_std: Option<&'static str>,
    features: String,
    level: &'static str,
    panic: &'static str,
    flags: Vec<String>,
}

impl Program {
    /// As users build it: stable, without features, for size.
    pub(super) fn new(name: &'static str, target: &'static str) -> Self {
        Self {
            name,
            target,
            built_std: None,
            features: String::new(),
            level: "s",
            panic: "abort",
            flags: Vec::new(),
        }
    }

    /// With cargo features, separated by commas.
    pub(super) fn features(mut self, features: &str) -> Self {
        features.clone_into(&mut self.features);
        self
    }

    /// With flags of the compiler.
    pub(super) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// With arguments of the linker.
    pub(super) fn link(mut self, args: &[&str]) -> Self {
        let flags = args.iter().map(|arg| format!("-Clink-arg={arg}"));
        self.flags.extend(flags);
        self
    }

    /// With another level of optimisation.
    pub(super) fn level(mut self, level: &'static str) -> Self {
        self.level = level;
        self
    }

    /// With unwinding.
    pub(super) fn unwinding(mut self) -> Self {
        self.panic = "unwind";
        self
    }

    /// By nightly, which builds these crates of std for it.
    pub(super) fn nightly(mut self, built_std: &'static str) -> Self {
        self.built_std = Some(built_std);
        self
    }

    /// The module.
    pub(super) fn module(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.file()?)?)
    }

    /// The file that cargo has built.
    pub(super) fn file(&self) -> Result<PathBuf> {
        let output = self.cargo("build")?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let first: Vec<_> = message.lines().take(LINES).collect();
            bail!("{} for {}: {}", self.name, self.target, first.join("\n"));
        }
        let dir = self.target_dir().join(self.target).join("release");
        let name = format!("target-{}", self.name);
        let library = name.replace('-', "_");
        let names = [
            format!("{name}.wasm"),
            format!("{library}.wasm"),
            format!("lib{library}.a"),
        ];
        let mut files = names.iter().map(|name| dir.join(name));
        files
            .find(|file| file.is_file())
            .with_context(|| format!("cargo built nothing in {}", dir.display()))
    }

    /// What the compiler says of a program that must not compile.
    pub(super) fn refusal(&self) -> Result<String> {
        let output = self.cargo("build")?;
        if output.status.success() {
            bail!("{} compiles for {}", self.name, self.target);
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// A directory for each way to build it: the next one would overwrite what cargo then has to build again. Programs
    /// for which std is built share that.
    fn target_dir(&self) -> PathBuf {
        let mut shared = self.clone();
        if self.built_std.is_some() {
            shared.name = "nightly";
            shared.features = String::new();
        }
        let mut hasher = DefaultHasher::new();
        shared.hash(&mut hasher);
        let dir = format!("{}-{:016x}", shared.name, hasher.finish());
        guest::guests_dir().join("targets").join(dir)
    }

    fn cargo(&self, command: &str) -> Result<Output> {
        let mut cargo = if let Some(built_std) = self.built_std {
            let mut cargo = Command::new("rustup");
            cargo
                .args(["run", "nightly", "cargo", command])
                .args(["-Z", &format!("build-std={built_std}")])
                .env_remove("CARGO")
                .env_remove("RUSTC");
            cargo
        } else {
            guest::ensure_target(self.target)?;
            let mut cargo = Command::new(cargo_path());
            cargo.arg(command);
            cargo
        };
        cargo
            .args(["--release", "--quiet", "--target", self.target])
            .args(["--features", &self.features])
            .args(["--config", &guest::opt_level(self.level)])
            .args([
                "--config",
                &format!("profile.release.panic={:?}", self.panic),
            ])
            .arg("--target-dir")
            .arg(self.target_dir())
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags.join("\u{1f}"))
            .current_dir(guest::root().join("guests/targets").join(self.name))
            .stdin(Stdio::null())
            .output()
            .context("cargo does not start")
    }
}

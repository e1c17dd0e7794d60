//! A copy of the allocator, as a workspace of its own, to plant faults in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Fault;
use alligator_tools::folder::{self, Times};
use alligator_tools::guest;

/// The copy.
#[derive(Debug)]
pub(super) struct Copy {
    root: PathBuf,
}

impl Copy {
    /// Makes the copy anew. What was built in it stays.
    pub(super) fn make() -> Result<Self> {
        let (from, root) = (guest::root(), guest::root().join("target").join("mutants"));
        for name in [
            "crates/alligator-alloc",
            "crates/alligator-contract",
            "guests/tests",
        ] {
            let to = root.join(name);
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            folder::copy(&from.join(name), &to, Times::New)?;
        }
        let mut manifest: toml::Table = fs::read_to_string(from.join("Cargo.toml"))?
            .parse()
            .context("Cargo.toml")?;
        let workspace = manifest
            .get_mut("workspace")
            .and_then(toml::Value::as_table_mut);
        let workspace = workspace.context("Cargo.toml has no workspace")?;
        workspace.insert("members".to_owned(), vec!["crates/*".to_owned()].into());
        fs::write(root.join("Cargo.toml"), toml::to_string(&manifest)?)?;
        fs::copy(from.join("Cargo.lock"), root.join("Cargo.lock"))?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Plants `fault`.
    pub(super) fn plant(&self, fault: &Fault) -> Result<()> {
        let original = fs::read_to_string(original(fault))?;
        Ok(fs::write(
            self.planted(fault),
            original.replacen(&fault.find, &fault.replace, 1),
        )?)
    }

    /// Takes `fault` out again.
    pub(super) fn restore(&self, fault: &Fault) -> Result<()> {
        let original = fs::read_to_string(original(fault))?;
        Ok(fs::write(self.planted(fault), original)?)
    }

    fn planted(&self, fault: &Fault) -> PathBuf {
        self.root
            .join("crates/alligator-alloc/src")
            .join(&fault.file)
    }
}

fn original(fault: &Fault) -> PathBuf {
    guest::root()
        .join("crates/alligator-alloc/src")
        .join(&fault.file)
}

//! The list of shipped modules, and how they are fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alligator_tools::guest::root;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The list, from the repository's root.
const LIST: &str = "crates/alligator-find/corpus/corpus.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    module: Vec<Shipped>,
}

/// Who ships it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registry {
    Npm,
    Pypi,
}

/// A module that is shipped in a package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shipped {
    pub(crate) from: Registry,
    pub(crate) package: String,
    pub(crate) version: String,
    /// In the package.
    pub(crate) path: String,
    pub(crate) sha256: String,
    /// Whether nobody looked at it while the rules were written.
    pub(crate) held_out: bool,
}

/// All modules of the list.
pub(crate) fn list() -> Result<Vec<Shipped>> {
    let text = fs::read_to_string(root().join(LIST)).context(LIST)?;
    Ok(toml::from_str::<List>(&text).context(LIST)?.module)
}

impl Shipped {
    /// Package and version.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.package, self.version)
    }

    fn folder(&self) -> PathBuf {
        let name = format!("{}@{}", self.package.replace('/', "+"), self.version);
        root().join("target/corpus").join(name)
    }

    /// Where the module is, when it is there.
    pub(crate) fn file(&self) -> PathBuf {
        let inside = match self.from {
            Registry::Npm => "package",
            Registry::Pypi => "",
        };
        self.folder().join(inside).join(&self.path)
    }

    /// The module, if it is there and the right one.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let file = self.file();
        let bytes = fs::read(&file).with_context(|| {
            format!(
                "{}: not fetched; `cargo xtask heaps --fetch` does it",
                self.name()
            )
        })?;
        let digest = Sha256::digest(&bytes);
        let hash = format!("{digest:x}");
        ensure!(
            hash == self.sha256,
            "{}: {} has the SHA-256 {hash}, not {}",
            self.name(),
            self.path,
            self.sha256
        );
        Ok(bytes)
    }

    /// Brings the package, unless the module is there.
    pub(crate) fn fetch(&self) -> Result<()> {
        if self.file().exists() {
            return self.read().map(|_| ());
        }
        println!("fetching {}", self.name());
        let folder = self.folder();
        fs::create_dir_all(&folder)?;
        match self.from {
            Registry::Npm => self.fetch_npm(&folder),
            Registry::Pypi => self.fetch_pypi(&folder),
        }
        .with_context(|| format!("{} cannot be fetched", self.name()))?;
        self.read().map(|_| ())
    }

    fn fetch_npm(&self, folder: &Path) -> Result<()> {
        let wanted = format!("{}@{}", self.package, self.version);
        call(
            Command::new("npm").args(["pack", "--silent", &wanted]),
            folder,
        )?;
        let archive = packed(folder, "tgz")?;
        call(Command::new("tar").arg("xzf").arg(&archive), folder)?;
        Ok(fs::remove_file(archive)?)
    }

    fn fetch_pypi(&self, folder: &Path) -> Result<()> {
        let wanted = format!("{}=={}", self.package, self.version);
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", &wanted];
        call(Command::new("python3").args(pip), folder)?;
        let archive = packed(folder, "whl")?;
        let unpack = Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([archive.as_os_str(), folder.as_os_str()])
            .stdout(Stdio::null())
            .status();
        ensure!(
            unpack.context("python3 does not start")?.success(),
            "cannot be unpacked"
        );
        Ok(fs::remove_file(archive)?)
    }
}

fn call(command: &mut Command, folder: &Path) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("{name} is missing"))?;
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}

/// The archive that lies in a folder.
fn packed(folder: &Path, ending: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == ending)
        {
            return Ok(path);
        }
    }
    bail!("no .{ending} came")
}

//! The allocators to measure, and their guests.

use core::str::FromStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::guest::{self, Guest};

/// One allocator: a name and where its code is.
#[derive(Clone, Debug)]
pub(crate) struct Allocator {
    pub(crate) name: String,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    /// A feature of `guests/allocators`.
    Peer,
    /// A crate on this machine, around which a guest is generated.
    Crate { dir: PathBuf, features: Vec<String> },
}

/// What a guest exports besides alloc, dealloc and realloc.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exports {
    Minimal {
        /// The compiler's; the other guests have the profile's, 3.
        opt_level: &'static str,
    },
    Probe,
    Replay,
}

/// The allocator that does nothing.
pub(crate) fn control() -> Allocator {
    peer("control")
}

/// Ours and the peers, in the order of the report.
pub(crate) fn known() -> Vec<Allocator> {
    let ours = [
        ("alligator", ""),
        ("alligator-small", "small"),
        ("alligator-metrics", "metrics"),
    ];
    let peers = ["talc", "rlsf", "dlmalloc", "wasmalloc", "lol_alloc"];
    ours.into_iter()
        .map(|(name, features)| Allocator {
            name: name.to_owned(),
            origin: Origin::Crate {
                dir: guest::root().join("crates").join("alligator-alloc"),
                features: split(features),
            },
        })
        .chain(peers.into_iter().map(peer))
        .collect()
}

/// The ones measured unless the command line names others.
pub(crate) fn is_default(name: &str) -> bool {
    !["alligator-metrics", "lol_alloc"].contains(&name)
}

fn peer(name: &str) -> Allocator {
    Allocator {
        name: name.to_owned(),
        origin: Origin::Peer,
    }
}

impl FromStr for Allocator {
    type Err = anyhow::Error;

    /// `NAME=DIRECTORY` or `NAME=DIRECTORY:FEATURE,FEATURE`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("expected NAME=DIRECTORY[:FEATURE,FEATURE], got {text}"))?;
        let (dir, features) = rest.split_once(':').unwrap_or((rest, ""));
        let dir = std::fs::canonicalize(dir).with_context(|| format!("no directory {dir}"))?;
        Ok(Self {
            name: name.to_owned(),
            origin: Origin::Crate {
                dir,
                features: split(features),
            },
        })
    }
}

fn split(features: &str) -> Vec<String> {
    let names = features.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

impl Allocator {
    /// Builds this allocator's guest and returns the path of the module.
    pub(crate) fn build(&self, exports: Exports) -> Result<PathBuf> {
        let output = format!("{}-{}", self.name, exports.suffix());
        let sources = guest::root().join("guests").join("allocators");
        match &self.origin {
            Origin::Peer => {
                let mut features = vec![self.name.as_str()];
                features.extend(exports.feature());
                guest::build(&Guest {
                    crate_dir: &sources,
                    library: "allocators",
                    features: &features,
                    output: &output,
                    opt_level: exports.opt_level(),
                })
            }
            Origin::Crate { dir, features } => {
                let library = format!("measured-{}", self.name).replace('-', "_");
                let crate_dir = generate(&library, &sources, dir, features)?;
                let mut features = vec![kind(dir)?];
                features.extend(exports.feature());
                guest::build(&Guest {
                    crate_dir: &crate_dir,
                    library: &library,
                    features: &features,
                    output: &output,
                    opt_level: exports.opt_level(),
                })
            }
        }
    }
}

impl Exports {
    fn feature(self) -> Option<&'static str> {
        match self {
            Self::Minimal { .. } => None,
            Self::Probe => Some("probe"),
            Self::Replay => Some("replay"),
        }
    }

    fn opt_level(self) -> Option<&'static str> {
        match self {
            Self::Minimal { opt_level } => Some(opt_level),
            Self::Probe | Self::Replay => None,
        }
    }

    fn suffix(self) -> String {
        match self {
            Self::Minimal { opt_level } => format!("minimal-{opt_level}"),
            Self::Probe => "probe".to_owned(),
            Self::Replay => "replay".to_owned(),
        }
    }
}

/// Writes a manifest that compiles the guest's source with the crate in `dir` as its allocator.
fn generate(library: &str, sources: &Path, dir: &Path, features: &[String]) -> Result<PathBuf> {
    let crate_dir = guest::guests_dir().join("generated").join(library);
    std::fs::create_dir_all(&crate_dir)?;
    let source = toml_path(&sources.join("src").join("lib.rs"));
    let dir_text = toml_path(dir);
    let profile = profile_of(&sources.join("Cargo.toml"))?;
    let manifest = format!(
        r#"[package]
name = "{library}"
version = "0.0.0"
edition = "2024"

[workspace]

[lib]
crate-type = ["cdylib"]
path = {source}

[features]
default = []
control = []
talc = []
rlsf = []
dlmalloc = []
wasmalloc = []
lol_alloc = []
external-unit = []
external-new = []
probe = []
replay = []

[dependencies]
external = {{ package = "{package}", path = {dir_text}, features = {features:?} }}

{profile}"#,
        package = package_name(dir)?,
    );
    write_if_changed(&crate_dir.join("Cargo.toml"), &manifest)?;
    Ok(crate_dir)
}

/// A path as a TOML string.
fn toml_path(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// The guest feature that fits the crate: what its allocator type is called.
fn kind(dir: &Path) -> Result<&'static str> {
    let mut unread = vec![dir.join("src")];
    let mut unit = false;
    while let Some(path) = unread.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                unread.push(entry?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            if text.contains("AlligatorAlloc") {
                return Ok("external-new");
            }
            unit |= text.contains("pub struct Alligator;");
        }
    }
    if !unit {
        bail!(
            "{} has neither AlligatorAlloc nor a unit struct Alligator",
            dir.display()
        );
    }
    Ok("external-unit")
}

fn package_name(dir: &Path) -> Result<String> {
    let manifest = dir.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("{} names no package", manifest.display()))
}

/// The release profile of the peers' guest, so that ours is built exactly alike.
fn profile_of(manifest: &Path) -> Result<String> {
    let text = std::fs::read_to_string(manifest)?;
    let start = text
        .find("[profile.release]")
        .ok_or_else(|| anyhow!("{} has no release profile", manifest.display()))?;
    Ok(text[start..].to_owned())
}

/// Leaves an equal file alone, so that cargo does not build again.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

//! The allocators, and their guests in `lab/guests`.
//!
//! A guest's manifest says what the lab needs to know of it, in `[package.metadata.lab]`: adding
//! an allocator is adding a directory.

use core::str::FromStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use crate::guest::{self, Guest};

/// The custom section in which a guest's `global_allocator!` writes what it is.
const SECTION: &str = "lab.allocator";

/// What an allocator is to the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// This repository's.
    Ours,
    /// Another crate's.
    Peer,
    /// The lab's own, to compare with.
    Yardstick,
    /// No allocator: measures the driver.
    Control,
    /// Tells the host what a program does with its heap.
    Recorder,
}

/// One allocator: a name, what is known of it, and where its code is.
#[derive(Clone, Debug)]
pub struct Allocator {
    /// What it is called in the reports.
    pub name: String,
    /// What it is to the lab.
    pub kind: Kind,
    /// One of those that the project's targets compare.
    pub is_in_targets: bool,
    /// False if freed memory never serves again.
    pub reclaims: bool,
    /// How it works, in a few words.
    pub about: String,
    /// The crate's version, from the guest's lockfile; none of the lab's own.
    pub version: Option<String>,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    /// A directory of `lab/guests`, and cargo features that choose the variant.
    Guest { dir: PathBuf, features: Vec<String> },
    /// A crate on this machine, around which a guest is generated.
    Crate { dir: PathBuf, features: Vec<String> },
}

/// What a guest exports besides alloc, dealloc and realloc.
#[derive(Clone, Copy, Debug)]
pub enum Exports {
    /// Nothing.
    Minimal {
        /// The compiler's; the other guests have the profile's, 3.
        opt_level: &'static str,
    },
    /// Each operation, one call at a time.
    Probe,
    /// The same, with a stack of so many bytes, below which the heap cannot start.
    ProbeAbove {
        /// The stack's length, a multiple of 16.
        stack_bytes: u64,
    },
    /// A trace, replayed inside.
    Replay,
    /// The programs of `lab/programs`.
    Programs,
}

/// The part of a guest's manifest that is ours.
#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    lab: Lab,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lab {
    /// Place in the reports.
    order: u32,
    kind: Kind,
    /// The crate whose version is printed.
    package: Option<String>,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    name: String,
    about: String,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    targets: bool,
    #[serde(default = "yes")]
    reclaims: bool,
}

fn yes() -> bool {
    true
}

/// Ours, the peers and the yardsticks, in the order of the reports.
pub fn known() -> Result<Vec<Allocator>> {
    let mut allocators = all()?;
    allocators.retain(|allocator| !matches!(allocator.kind, Kind::Control | Kind::Recorder));
    Ok(allocators)
}

/// The allocator that does nothing.
pub fn control() -> Result<Allocator> {
    of_kind(Kind::Control)
}

/// The allocator that tells the host what a program does.
pub fn recorder() -> Result<Allocator> {
    of_kind(Kind::Recorder)
}

fn of_kind(kind: Kind) -> Result<Allocator> {
    let mut allocators = all()?.into_iter();
    allocators
        .find(|allocator| allocator.kind == kind)
        .with_context(|| format!("lab/guests has no {kind:?}"))
}

/// Everything in `lab/guests`.
fn all() -> Result<Vec<Allocator>> {
    let mut ordered = Vec::new();
    for entry in std::fs::read_dir(guest::root().join("lab").join("guests"))? {
        let dir = entry?.path();
        if dir.join("Cargo.toml").is_file() {
            let guest = read_guest(&dir).with_context(|| dir.display().to_string())?;
            ordered.push(guest);
        }
    }
    ordered.sort_by_key(|&(order, _)| order);
    Ok(ordered.into_iter().flat_map(|(_, guest)| guest).collect())
}

/// A guest's place and its variants.
fn read_guest(dir: &Path) -> Result<(u32, Vec<Allocator>)> {
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml"))?;
    let Lab {
        order,
        kind,
        package,
        variants,
    } = toml::from_str::<Manifest>(&manifest)?.package.metadata.lab;
    let version = match package {
        Some(package) => Some(locked_version(&dir.join("Cargo.lock"), &package)?),
        None => None,
    };
    let allocators = variants.into_iter().map(|variant| Allocator {
        name: variant.name,
        kind,
        is_in_targets: variant.targets,
        reclaims: variant.reclaims,
        about: variant.about,
        version: version.clone(),
        origin: Origin::Guest {
            dir: dir.to_owned(),
            features: variant.features,
        },
    });
    Ok((order, allocators.collect()))
}

/// The version of a package in a lockfile.
pub fn locked_version(lockfile: &Path, package: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Lockfile {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
    }
    let text = std::fs::read_to_string(lockfile)
        .with_context(|| format!("cannot read {}", lockfile.display()))?;
    let packages = toml::from_str::<Lockfile>(&text)?.package;
    let mut found = packages.into_iter().filter(|locked| locked.name == package);
    let locked = found
        .next()
        .with_context(|| format!("{} does not lock {package}", lockfile.display()))?;
    Ok(locked.version)
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
            kind: Kind::Ours,
            is_in_targets: true,
            reclaims: true,
            about: format!("the crate in {rest}"),
            version: None,
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
    ///
    /// # Errors
    /// The guest does not build, or has another allocator inside.
    pub fn build(&self, exports: Exports) -> Result<PathBuf> {
        let (crate_dir, mut features) = match &self.origin {
            Origin::Guest { dir, features } => (dir.clone(), features.clone()),
            Origin::Crate { dir, features } => (generate(&self.name, dir, features)?, Vec::new()),
        };
        features.extend(exports.feature().map(str::to_owned));
        let path = guest::build(&Guest {
            crate_dir: &crate_dir,
            library: &library(&crate_dir)?,
            features: &features.iter().map(String::as_str).collect::<Vec<_>>(),
            output: &format!("{}-{}", self.name, exports.suffix()),
            profile: Some(&guest::root().join("lab").join("profile.toml")),
            overrides: exports.overrides(),
        })?;
        let inside = allocator_inside(&std::fs::read(&path)?)?;
        ensure!(
            inside == self.name,
            "{} has {inside} inside, not {}",
            path.display(),
            self.name
        );
        Ok(path)
    }
}

/// What a module's section says is its global allocator.
pub fn allocator_inside(module: &[u8]) -> Result<String> {
    let data = section(module)?.context("the module does not say which allocator is inside")?;
    Ok(String::from_utf8_lossy(data).into_owned())
}

/// Bytes of the section, its header included, which are no allocator's.
pub fn section_bytes(module: &[u8]) -> Result<u64> {
    // An identifier, the size, and the name with its length: one byte each but the name.
    const HEADER: usize = 3 + SECTION.len();
    Ok(section(module)?.map_or(0, |data| (HEADER + data.len()) as u64))
}

fn section(module: &[u8]) -> Result<Option<&[u8]>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == SECTION
        {
            return Ok(Some(section.data()));
        }
    }
    Ok(None)
}

impl Exports {
    fn feature(self) -> Option<&'static str> {
        match self {
            Self::Minimal { .. } => None,
            Self::Probe | Self::ProbeAbove { .. } => Some("probe"),
            Self::Replay => Some("replay"),
            Self::Programs => Some("programs"),
        }
    }

    /// What differs from the profile of `lab/profile.toml`, as cargo's `--config` takes it.
    fn overrides(self) -> Vec<String> {
        match self {
            Self::Minimal { opt_level: "3" } | Self::Probe | Self::Replay => Vec::new(),
            Self::Minimal { opt_level } => vec![guest::opt_level(opt_level)],
            Self::ProbeAbove { stack_bytes } => vec![guest::stack_size(stack_bytes)],
            // A quarter of a million lines are optimised once, not once per allocator. This is
            // cargo's own default: most programs are built like this.
            Self::Programs => vec!["profile.release.lto=false".to_owned()],
        }
    }

    fn suffix(self) -> String {
        match self {
            Self::Minimal { opt_level } => format!("minimal-{opt_level}"),
            Self::Probe => "probe".to_owned(),
            Self::ProbeAbove { stack_bytes } => format!("probe-above-{stack_bytes}"),
            Self::Replay => "replay".to_owned(),
            Self::Programs => "programs".to_owned(),
        }
    }
}

/// Writes a guest with the crate in `dir` as its allocator, and returns its directory.
fn generate(name: &str, dir: &Path, features: &[String]) -> Result<PathBuf> {
    let crate_dir = guest::guests_dir().join("generated").join(name);
    std::fs::create_dir_all(crate_dir.join("src"))?;
    let manifest = format!(
        r#"[package]
name = "guest-generated-{name}"
version = "0.0.0"
edition = "2024"

[workspace]

[lib]
crate-type = ["cdylib"]

[features]
probe = []
replay = []
programs = ["dep:programs"]

[dependencies]
programs = {{ path = {programs}, optional = true }}
external = {{ package = "{package}", path = {external}, features = {features:?} }}
"#,
        programs = toml_path(&guest::root().join("lab").join("programs")),
        external = toml_path(dir),
        package = package_name(dir)?,
    );
    let (allocator, value) = match kind(dir)? {
        AllocatorType::New => (
            "external::AlligatorAlloc",
            "external::AlligatorAlloc::new()",
        ),
        AllocatorType::Unit => ("external::Alligator", "external::Alligator"),
    };
    let source = format!(
        "#![no_std]\n\n#[macro_use]\n#[path = {driver}]\nmod driver;\n\n\
         global_allocator!(b{name:?}, {allocator}, {value});\n",
        driver = toml_path(&guest::root().join("lab").join("driver").join("mod.rs")),
    );
    write_if_changed(&crate_dir.join("Cargo.toml"), &manifest)?;
    write_if_changed(&crate_dir.join("src").join("lib.rs"), &source)?;
    Ok(crate_dir)
}

/// A path as a TOML string.
fn toml_path(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// What the allocator of a crate is called.
enum AllocatorType {
    /// `AlligatorAlloc::new()`.
    New,
    /// A unit struct `Alligator`.
    Unit,
}

/// Looks through a crate's source for its allocator.
fn kind(dir: &Path) -> Result<AllocatorType> {
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
                return Ok(AllocatorType::New);
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
    Ok(AllocatorType::Unit)
}

fn package_name(dir: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Named {
        package: Name,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let manifest = dir.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let named: Named = toml::from_str(&text)
        .with_context(|| format!("{} names no package", manifest.display()))?;
    Ok(named.package.name)
}

/// The file name, without extension, of the module that cargo makes of the crate in `dir`.
fn library(dir: &Path) -> Result<String> {
    Ok(package_name(dir)?.replace('-', "_"))
}

/// Leaves an equal file alone, so that cargo does not build again.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_not_taken_twice() -> Result<()> {
        let names: Vec<String> = all()?.into_iter().map(|allocator| allocator.name).collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        Ok(())
    }

    /// What `programs` depends on in a lockfile, with versions.
    fn programs_in(lockfile: &Path) -> Result<BTreeSet<String>> {
        let text = std::fs::read_to_string(lockfile)?;
        let table: toml::Table = toml::from_str(&text)?;
        let packages = table["package"].as_array().context("no packages")?;
        let field = |package: &toml::Value, name: &str| {
            let value = package.get(name).and_then(toml::Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let (mut unread, mut read) = (vec!["programs".to_owned()], BTreeSet::new());
        while let Some(wanted) = unread.pop() {
            // A dependency is `name`, or `name version` where there are several versions.
            let (name, version) = wanted.split_once(' ').unwrap_or((&wanted, ""));
            let package = packages
                .iter()
                .find(|package| {
                    field(package, "name") == name
                        && (version.is_empty() || field(package, "version") == version)
                })
                .with_context(|| format!("{wanted} in {}", lockfile.display()))?;
            if read.insert(format!("{name} {}", field(package, "version"))) {
                let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
                let names = dependencies
                    .into_iter()
                    .flatten()
                    .filter_map(toml::Value::as_str);
                unread.extend(names.map(str::to_owned));
            }
        }
        Ok(read)
    }

    #[test]
    fn every_guest_runs_the_same_programs() -> Result<()> {
        let guests = guest::root().join("lab").join("guests");
        let expected = programs_in(&guests.join("recorder").join("Cargo.lock"))?;
        assert!(expected.len() > 50, "{expected:?}");
        for entry in std::fs::read_dir(guests)? {
            let lockfile = entry?.path().join("Cargo.lock");
            assert_eq!(programs_in(&lockfile)?, expected, "{}", lockfile.display());
        }
        Ok(())
    }

    #[test]
    fn a_module_without_the_section_is_refused() -> Result<()> {
        let module = wat::parse_str("(module (@custom \"other\" \"talc\"))")?;
        assert!(allocator_inside(&module).is_err());
        assert_eq!(section_bytes(&module)?, 0);
        Ok(())
    }

    #[test]
    fn the_section_names_what_is_inside_and_its_bytes_are_known() -> Result<()> {
        let with = wat::parse_str("(module (@custom \"lab.allocator\" \"talc\"))")?;
        let without = wat::parse_str("(module)")?;
        assert_eq!(allocator_inside(&with)?, "talc");
        assert_eq!(section_bytes(&with)?, (with.len() - without.len()) as u64);
        Ok(())
    }
}

//! The modules that come with this crate, each with one allocator, and the user's.
//!
//! The file `allocators.bin` has them: `cargo xtask guests` builds the lab's guests and writes it. It is a stream of the
//! `deflate` format: the length of a JSON text in four bytes, little-endian, the text, and the modules, one after the
//! other, without names and other custom sections.

use std::io::{Read as _, Write as _};

use alligator_meter::counting_engine;
use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use wasmtime::{Engine, Module};

/// Written by `cargo xtask guests`.
static SHIPPED: &[u8] = include_bytes!("../allocators.bin");

/// Bytes of all modules, at most.
const BYTES_MAX: u64 = 64 << 20;

/// Whose an allocator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Alligator.
    Ours,
    /// Another crate's.
    Peer,
    /// Something to compare with that no program uses.
    Yardstick,
    /// None: it gives no memory out, and shows what the calls cost.
    Control,
    /// One that the user brings.
    Users,
}

/// What is known of an allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// The crate's version, if it has one.
    pub version: Option<String>,
    /// How it works, in a few words.
    pub about: String,
    /// Bytes of its module.
    pub bytes: u64,
}

/// An allocator and its module.
#[derive(Clone, Debug)]
pub struct Allocator {
    /// What is known of it.
    pub info: Info,
    /// The compiled module.
    pub module: Vec<u8>,
    initial_pages: u64,
}

/// Allocators.
#[derive(Clone, Debug)]
pub struct Allocators {
    list: Vec<Allocator>,
    control: Vec<u8>,
    initial_pages: u64,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Contents {
    /// The compiler that made the modules.
    compiler: String,
    allocators: Vec<Info>,
}

/// An allocator that can run.
#[derive(Clone)]
pub struct Compiled {
    engine: Engine,
    module: Module,
    initial_pages: u64,
}

impl core::fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Compiled")
            .field("initial_pages", &self.initial_pages)
            .finish_non_exhaustive()
    }
}

impl Compiled {
    /// A module whose first pages, so many, are no allocator's.
    ///
    /// # Errors
    /// It is not valid, or wasmtime cannot compile for this machine.
    pub fn new(module: &[u8], initial_pages: u64) -> Result<Self> {
        let engine = counting_engine()?;
        let module = Module::new(&engine, module)?;
        Ok(Self {
            engine,
            module,
            initial_pages,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    pub(crate) fn initial_pages(&self) -> u64 {
        self.initial_pages
    }
}

impl Allocator {
    /// What it is called, with its version.
    pub fn title(&self) -> String {
        match &self.info.version {
            Some(version) => format!("{} {version}", self.info.name),
            None => self.info.name.clone(),
        }
    }

    /// Compiles it.
    ///
    /// # Errors
    /// As for [`Compiled::new`].
    pub fn compile(&self) -> Result<Compiled> {
        Compiled::new(&self.module, self.initial_pages)
    }
}

impl Allocators {
    /// Those that come with this crate.
    ///
    /// # Errors
    /// The crate was packed wrongly.
    pub fn shipped() -> Result<Self> {
        let (contents, modules) = unpack(SHIPPED)?;
        let mut list = Vec::new();
        let mut control = None;
        for (info, module) in contents.allocators.into_iter().zip(modules) {
            if info.kind == Kind::Control {
                control = Some(module);
            } else {
                list.push((info, module));
            }
        }
        let control = control.context("no control among the allocators")?;
        let engine = counting_engine()?;
        let initial_pages = crate::probe::Probe::new(&engine, &Module::new(&engine, &control)?)?;
        let initial_pages = initial_pages.pages();
        let list = list.into_iter().map(|(info, module)| Allocator {
            info,
            module,
            initial_pages,
        });
        Ok(Self {
            list: list.collect(),
            control,
            initial_pages,
        })
    }

    /// Adds an allocator of the user's: a module with the exports that [`crate::probe`] names.
    pub fn add(&mut self, name: &str, module: Vec<u8>) {
        self.list.push(Allocator {
            info: Info {
                name: name.to_owned(),
                kind: Kind::Users,
                version: None,
                about: "the user's".to_owned(),
                bytes: module.len() as u64,
            },
            module,
            initial_pages: self.initial_pages,
        });
    }

    /// All, in the order of the lab's reports.
    pub fn all(&self) -> &[Allocator] {
        &self.list
    }

    /// The module that gives no memory out.
    pub fn control(&self) -> &[u8] {
        &self.control
    }

    /// The one of this name.
    ///
    /// # Errors
    /// There is none; says which there are.
    pub fn named(&self, name: &str) -> Result<&Allocator> {
        let mut all = self.list.iter();
        let Some(found) = all.find(|allocator| allocator.info.name == name) else {
            let names: Vec<&str> = self.list.iter().map(|it| it.info.name.as_str()).collect();
            bail!(
                "no allocator is called {name:?}: there are {}",
                names.join(", ")
            );
        };
        Ok(found)
    }

    /// The compiler that made those that come with this crate.
    ///
    /// # Errors
    /// The crate was packed wrongly.
    pub fn compiler() -> Result<String> {
        Ok(unpack(SHIPPED)?.0.compiler)
    }
}

/// The contents of `allocators.bin`: modules, and the compiler that made them.
///
/// # Errors
/// A module is too long.
pub fn bundle(compiler: &str, allocators: &[(Info, Vec<u8>)]) -> Result<Vec<u8>> {
    let contents = Contents {
        compiler: compiler.to_owned(),
        allocators: allocators.iter().map(|(info, _)| info.clone()).collect(),
    };
    let text = serde_json::to_vec(&contents)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&u32::try_from(text.len())?.to_le_bytes())?;
    encoder.write_all(&text)?;
    for (_, module) in allocators {
        encoder.write_all(module)?;
    }
    Ok(encoder.finish()?)
}

fn unpack(bundle: &[u8]) -> Result<(Contents, Vec<Vec<u8>>)> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(bundle)
        .take(BYTES_MAX)
        .read_to_end(&mut bytes)
        .context("the allocators cannot be unpacked")?;
    let cut_off = "the allocators are cut off";
    let (length, rest) = bytes.split_first_chunk().context(cut_off)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (text, mut rest) = rest.split_at_checked(length).context(cut_off)?;
    let contents: Contents = serde_json::from_slice(text)?;
    let mut modules = Vec::new();
    for info in &contents.allocators {
        let length = usize::try_from(info.bytes)?;
        let (module, others) = rest.split_at_checked(length).context(cut_off)?;
        modules.push(module.to_vec());
        rest = others;
    }
    ensure!(rest.is_empty(), "bytes after the allocators");
    Ok((contents, modules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_gives_back_what_went_in() -> Result<()> {
        let info = |name: &str, bytes| Info {
            name: name.to_owned(),
            kind: Kind::Peer,
            version: Some("1.2".to_owned()),
            about: String::new(),
            bytes,
        };
        let all = [(info("one", 3), vec![1, 2, 3]), (info("two", 0), vec![])];
        let bytes = bundle("rustc 1", &all)?;
        let (contents, modules) = unpack(&bytes)?;
        assert_eq!(contents.compiler, "rustc 1");
        assert_eq!(contents.allocators, all.clone().map(|(info, _)| info));
        assert_eq!(modules, all.map(|(_, module)| module));
        for cut in 0..bytes.len() {
            assert!(unpack(&bytes[..cut]).is_err(), "{cut}");
        }
        Ok(())
    }

    #[test]
    fn ours_and_std_are_there_and_others_are_refused_by_name() -> Result<()> {
        let mut allocators = Allocators::shipped()?;
        for name in [
            "alligator",
            "alligator-small",
            "alligator-hardened",
            "dlmalloc",
        ] {
            let module = &allocators.named(name)?.module;
            assert_eq!(module[..4], *b"\0asm");
        }
        let error = allocators.named("mine").expect_err("is not there");
        assert!(
            error
                .to_string()
                .starts_with("no allocator is called \"mine\"")
        );
        allocators.add("mine", allocators.control().to_vec());
        assert_eq!(allocators.named("mine")?.info.kind, Kind::Users);
        Ok(())
    }
}

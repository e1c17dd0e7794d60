//! Makes a WebAssembly module record its own heap.
//!
//! [`record`] rewrites a module: the allocator's functions say what they do, and the program's addresses and results stay
//! what they were. The [`Conversion`] is the host's side: it turns what the module says into a trace.
//!
//! | Module | Does |
//! |---|---|
//! | [`abi`] | what both sides agree on |
//! | `choose` | which of the functions found are recorded |
//! | `reach` | which functions have call sites that matter |
//! | `plan` | what is added to the module, and its indices |
//! | `code`, `wrapper` | the functions that are added |
//! | `rewrite` | the module, section by section |
//! | `lines` | names and source lines of call sites |
//! | [`sites`] | call sites, as a section of the module |
//! | `convert`, `collector` | what the module says, as a trace |
#![forbid(unsafe_code)]

pub mod abi;
mod choose;
mod code;
mod collector;
mod convert;
mod lines;
mod plan;
mod reach;
mod rewrite;
pub mod sites;
mod wrapper;

use core::fmt::Write as _;

pub use abi::{Meta, Mode};
use alligator_find::Heap;
pub use alligator_find::module::InputError;
use alligator_find::module::Module;
use alligator_trace::{Clock, Entry, Header, ModuleInfo};
pub use choose::{add_behind, chosen};
pub use collector::Collector;
pub use convert::{Conversion, Raw, meta_of, sites_of};
use sha2::{Digest as _, Sha256};

use crate::plan::Plan;

/// How a module is made to record.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The file's name, for the trace's header.
    pub name: String,
    /// How events leave the module.
    pub mode: Mode,
    /// Whether call stacks are recorded.
    pub stacks: bool,
    /// One block is recorded for each so many bytes; 0 for all blocks.
    pub sample_bytes: u32,
}

/// A module that records itself.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The module.
    pub module: Vec<u8>,
    /// What it says of itself.
    pub meta: Meta,
    /// Call sites that are told apart.
    pub sites: usize,
    /// What is not recorded, and why.
    pub notes: Vec<String>,
}

/// Rewrites a core module so that it records its heap.
///
/// # Errors
/// When the module is not valid, no function was found that gives memory, or the module has something that cannot be
/// rewritten.
pub fn record(bytes: &[u8], heap: &Heap, options: &Options) -> Result<Recorded, InputError> {
    let module = Module::parse(bytes)?;
    let (functions, notes) = chosen(&module, heap)?;
    let plan = Plan::of(bytes, &module, functions, options)?;
    let header = Header {
        module: ModuleInfo {
            name: options.name.clone(),
            sha256: hexadecimal(&Sha256::digest(bytes)),
            bytes: bytes.len() as u64,
        },
        entries: plan
            .functions
            .iter()
            .map(|function| Entry {
                function: function.function,
                name: function.name.clone(),
                role: function.role.as_str().to_owned(),
                found: function.found.as_str().to_owned(),
            })
            .collect(),
        allocator: heap.allocator.name.clone(),
        engine: String::new(),
        recorder: concat!("alligator-record ", env!("CARGO_PKG_VERSION")).to_owned(),
        clock: Clock::Batch,
        page_bytes: 1 << plan.page_size_log2,
        pages: plan.pages,
        pointer_bytes: if plan.is_64 { 8 } else { 4 },
        stacks: options.stacks,
        sample_bytes: u64::from(options.sample_bytes),
    };
    let meta = Meta {
        format: abi::FORMAT.to_owned(),
        mode: options.mode,
        shared: plan.shared,
        record_bytes: Meta::record_bytes(plan.is_64, plan.shared),
        header,
    };
    let (module, sites) = rewrite::rewrite(bytes, &module, &plan, &meta)?;
    Ok(Recorded {
        module,
        meta,
        sites,
        notes,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

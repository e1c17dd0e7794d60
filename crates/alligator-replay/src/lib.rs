//! Replays a recorded heap on other allocators.
//!
//! A trace has every call of a program's allocator. Here the same calls, with the same sizes and alignments and in the
//! same order, go to other allocators, each a small module that exports its operations. Instructions are wasmtime's fuel,
//! so they are exact; each block is checked for its alignment, its place and its contents; and a replay whose calls or
//! live sizes are not the trace's is an error.
//!
//! ```
//! use alligator_replay::{Allocators, Options, replay};
//! use alligator_report::analyse;
//! use alligator_trace::{Header, Kind, Reader, StackId, Writer};
//!
//! let mut writer = Writer::new(Vec::new(), &Header::default())?;
//! let block = Kind::Alloc { address: 0x400, size: 24, align: 8, zeroed: false };
//! writer.event(0, 0, StackId::NONE, block)?;
//! let bytes = writer.finish(None)?;
//!
//! let report = analyse("app.trace", || Ok(&bytes[..]), &alligator_report::Options::default())?.report;
//! let allocators = Allocators::shipped()?;
//! let dlmalloc = allocators.named("dlmalloc")?;
//! let replayed = replay(&dlmalloc.compile()?, &report, Reader::new(&bytes[..])?, &Options::default())?;
//! assert_eq!(replayed.figures.calls(), 1);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! | Module | Is |
//! |---|---|
//! | `ops` | operations, the lab's format for them, and what writes it |
//! | `convert` | operations from a trace, and a trace from operations |
//! | `probe` | a module's allocator, called one operation at a time |
//! | `check` | what any allocator owes its caller |
//! | `fuel` | what the calls of one allocator cost, and what memory it took |
//! | `replay` | a trace on one allocator |
//! | `allocators` | the modules that come with this crate, and the user's |
//! | `v8` | the time of the calls in V8, by Node.js |
//! | `rewrite` | the trace as it would be on another allocator |
#![forbid(unsafe_code)]

mod allocators;
pub mod check;
mod convert;
pub mod fuel;
mod ops;
pub mod probe;
mod replay;
mod rewrite;
pub mod v8;

pub use allocators::{Allocator, Allocators, Compiled, Info, Kind, bundle};
pub use convert::{Converter, MALLOC_ALIGN, Oddities, trace_of, write_trace};
pub use ops::{Block, BlockId, Op, Recorder, Trace};
pub use replay::{Fault, FrameRow, Options, Peak, Replayed, replay};
pub use rewrite::rewrite;

/// One count divided by another.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn ratio(above: u64, below: u64) -> f64 {
    above as f64 / below as f64
}

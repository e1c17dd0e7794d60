//! Traces of a WebAssembly heap.
//!
//! A trace holds every call of an allocator, in order: what was asked, what was given, from where in the program, and
//! when memory grew. The format is documented in `docs/trace.md`. Writing and reading both need constant memory, apart
//! from the names and call stacks of the program.
//!
//! ```
//! use alligator_trace::{Frame, Header, Kind, Reader, StackId, Writer};
//!
//! let mut writer = Writer::new(Vec::new(), &Header::default())?;
//! let frame = writer.frame(&Frame { function: 7, name: "parse", ..Frame::default() })?;
//! let site = writer.stack(StackId::NONE, frame)?;
//! writer.event(0, 0, site, Kind::Alloc { address: 0x400, size: 24, align: 8, zeroed: false })?;
//! writer.event(0, 0, site, Kind::Free { address: 0x400 })?;
//! let bytes = writer.finish(None)?;
//!
//! let mut reader = Reader::new(&bytes[..])?;
//! while let Some(event) = reader.next_event()? {
//!     let names: Vec<&str> = reader.sites().frames(event.site).map(|frame| frame.name).collect();
//!     println!("{:?} from {names:?}", event.kind);
//! }
//! assert!(reader.cut_off().is_none());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! | Module | Is |
//! |---|---|
//! | `event` | what happens |
//! | `sites` | from where: strings, frames, call stacks |
//! | `header` | what is said once: at the start, and at the end |
//! | `block` | pieces of the file, compressed |
//! | `record` | an event as bytes, told as a difference to the one before |
//! | `writer`, `reader` | all of it together |
#![forbid(unsafe_code)]

mod block;
mod error;
mod event;
mod header;
mod reader;
mod record;
mod sites;
mod writer;

pub use block::{BLOCK_BYTES_MAX, MAGIC, VERSION};
pub use error::Error;
pub use event::{Event, Kind};
pub use header::{Clock, Entry, Header, ModuleInfo, Totals};
pub use reader::Reader;
pub use sites::{Frame, FrameId, Sites, StackFrames, StackId, StringId};
pub use writer::Writer;

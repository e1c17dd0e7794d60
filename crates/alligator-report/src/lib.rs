//! What a recorded heap did.
//!
//! A trace is read twice: once to learn how long it is and where its peak lies, once for everything else. Memory is
//! taken for the blocks that are live, for the places in the program, and for a bounded number of points in time; not
//! for events.
//!
//! ```
//! use alligator_report::{Options, analyse};
//! use alligator_trace::{Header, Kind, StackId, Writer};
//!
//! let mut writer = Writer::new(Vec::new(), &Header::default())?;
//! let block = Kind::Alloc { address: 0x400, size: 24, align: 8, zeroed: false };
//! writer.event(0, 0, StackId::NONE, block)?;
//! let bytes = writer.finish(None)?;
//!
//! let report = analyse("app.trace", || Ok(&bytes[..]), &Options::default())?.report;
//! assert_eq!(report.peak.bytes, 24);
//! assert_eq!(report.leaked_blocks(), 1);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! | Module | Is |
//! |---|---|
//! | `heap` | the blocks that are live, event by event |
//! | `survey` | the first reading: length, peak, lifetimes |
//! | `analysis` | the second reading, which makes the [`Report`] of the parts below |
//! | `timeline`, `sizes`, `sites`, `memory`, `resizes`, `marks` | one kind of figure each |
//! | `blocks` | the blocks that the page's map shows |
//! | `format` | numbers as people read them |
//! | `sections` | the report in parts, for `text` and `html` |
//! | `text`, `html`, `export` | the report for a terminal, a browser, other tools |
//! | `snapshot` | an Alligator heap, told from inside it |
//! | `compare`, `limits` | two reports; what a report must not exceed |
#![forbid(unsafe_code)]

mod analysis;
mod blocks;
mod compare;
mod error;
pub mod export;
pub mod format;
mod heap;
mod html;
mod limits;
mod marks;
mod memory;
mod report;
mod resizes;
mod sections;
mod sites;
mod sizes;
mod snapshot;
mod survey;
mod text;
mod timeline;

pub use analysis::{Analysis, Options, analyse};
pub use compare::Comparison;
pub use error::Error;
pub use html::page;
pub use limits::{Leaks, Limits};
pub use report::{Counts, Moment, Report};
pub use sites::{Amount, SiteRow, site_name};
pub use snapshot::{
    Piece, PieceKind, SNAPSHOT_MAGIC, Snapshot, chunk_bytes, next_chunk, snapshot_text,
};
pub use text::{text, text_of_two};
pub use timeline::Bucket;

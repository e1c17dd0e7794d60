//! What a recorded module and its host agree on. `docs/trace.md` specifies it, for hosts that are not ours.

use alligator_trace::Header;
use serde::{Deserialize, Serialize};

/// Name and version of what is agreed on.
pub const FORMAT: &str = "alligator-record/1";
/// The module that the one import is from.
pub const IMPORT_MODULE: &str = "alligator";
/// The import that takes a full buffer: `(end: i32) -> i32`, 0 if the events were taken.
pub const IMPORT_EVENTS: &str = "events";
/// The import that takes one event: `(tag: i32, old, address, size)`, the last three as wide as addresses are.
pub const IMPORT_EVENT: &str = "event";
/// The import of a memory that threads share: [`SEQUENCE_AT`] counts their events.
pub const IMPORT_SHARED: &str = "shared";
/// Byte offset in the shared memory of 64 bits that count events, over all threads.
pub const SEQUENCE_AT: u64 = 8;
/// The exported memory in which events are.
pub const EXPORT_MEMORY: &str = "alligator_events";
/// The exported function that hands over what is in the buffer.
pub const EXPORT_FLUSH: &str = "alligator_flush";
/// The exported variable that is not 0 while the allocator works.
pub const EXPORT_INSIDE: &str = "alligator_inside";
/// A function of this name, imported or the program's own, sets a mark: `(name, bytes)`.
pub const MARK: &str = "alligator_mark";
/// The custom section with [`Meta`], in JSON.
pub const SECTION_META: &str = "alligator.record";
/// The custom section with the program's call sites.
pub const SECTION_SITES: &str = "alligator.sites";

/// Bytes of a mark's name, at most; the rest is left out.
pub const MARK_BYTES_MAX: u32 = 256;
/// Bytes behind the end of the buffer that a mark and its name may use.
pub(crate) const SLACK_BYTES: u32 = 1024;
/// Pages of the buffer, to begin with.
pub(crate) const BUFFER_PAGES: u32 = 4;
/// Pages of the buffer when nobody takes events, at most.
pub(crate) const BUFFER_PAGES_MAX: u32 = 1 << 15;
/// Pages of the shadow stack: four bytes for each call that is under way. A program has used up its own stack long
/// before.
pub(crate) const STACK_PAGES: u32 = 64;
/// The bit of an entry of the shadow stack that the host knows already.
pub(crate) const SENT: i32 = i32::MIN;

/// What a record is: the low three bits of its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RawKind {
    /// `address` and `size` of a block that was asked for.
    Alloc = 0,
    /// `address` of a block that is given back.
    Free = 1,
    /// `old`, `address` and `size` of a block that was resized.
    Realloc = 2,
    /// Pages of memory, before in `old`, after in `address`.
    Grow = 3,
    /// A mark; `size` is the length of its name, which is in the buffer after the record, or at `old` in the program's
    /// memory if there is no buffer.
    Mark = 4,
    /// An entry of the shadow stack: its place from the bottom in `old`, the site in `address`.
    Frame = 5,
    /// `size` records were lost.
    Lost = 6,
}

impl RawKind {
    /// The kind of a tag.
    pub fn of(tag: u32) -> Option<Self> {
        Some(match tag & 7 {
            0 => Self::Alloc,
            1 => Self::Free,
            2 => Self::Realloc,
            3 => Self::Grow,
            4 => Self::Mark,
            5 => Self::Frame,
            6 => Self::Lost,
            _ => return None,
        })
    }

    pub(crate) fn tag(self) -> i32 {
        i32::from(self as u8)
    }
}

/// The bit of a tag that says that a block had to be zero.
pub const TAG_ZEROED: u32 = 1 << 3;
/// Where 1 + the logarithm of the alignment stands in a tag, in 7 bits; 0 if none was asked for.
pub const TAG_ALIGN_SHIFT: u32 = 4;
/// Where the depth of the shadow stack stands in a tag.
pub const TAG_DEPTH_SHIFT: u32 = 11;

/// How events leave the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Through a second memory, which the host empties when it is full.
    #[default]
    Memory,
    /// One call of the host for each.
    Import,
}

/// What the module says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// [`FORMAT`].
    pub format: String,
    /// How events leave the module.
    pub mode: Mode,
    /// Whether threads share the program's memory. Then each record ends with its number, in 64 bits.
    pub shared: bool,
    /// Bytes of a record in the buffer.
    pub record_bytes: u32,
    /// The header of traces.
    pub header: Header,
}

impl Meta {
    /// Bytes of a record: four numbers as wide as addresses, and the number of 64 bits if there are threads.
    pub(crate) fn record_bytes(is_64: bool, shared: bool) -> u32 {
        (if is_64 { 32 } else { 16 }) + if shared { 8 } else { 0 }
    }
}

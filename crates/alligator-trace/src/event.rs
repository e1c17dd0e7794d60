//! What happens to a heap.

use crate::sites::{StackId, StringId};

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its number in the trace, from 0.
    pub sequence: u64,
    /// When, in nanoseconds since the recording began, as exact as [`Clock`](crate::Clock) says. Never falls.
    pub time_ns: u64,
    /// The thread, from 0.
    pub thread: u32,
    /// The call stack, [`StackId::NONE`] where it is not known.
    pub site: StackId,
    /// What happened.
    pub kind: Kind,
}

/// What happened. Sizes are in bytes as asked for; addresses are in the program's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A block was asked for.
    Alloc {
        /// Where it is; 0 when the request was refused.
        address: u64,
        /// Its size.
        size: u64,
        /// The alignment asked for, a power of two; 0 when the caller said none, as `malloc`'s.
        align: u64,
        /// Whether it had to be zero.
        zeroed: bool,
    },
    /// A block was given back.
    Free {
        /// Where it was.
        address: u64,
    },
    /// A block was resized, and may have moved.
    Realloc {
        /// Where it was.
        old: u64,
        /// Where it is; 0 when the request was refused: then the old block stays.
        address: u64,
        /// Its new size.
        size: u64,
        /// As of [`Kind::Alloc`].
        align: u64,
    },
    /// The program's memory had grown, by whom ever, when the next event of the heap came.
    Grow {
        /// Pages before, of the header's `page_bytes`.
        before: u64,
        /// Pages after.
        after: u64,
    },
    /// The program or its host set a mark.
    Mark {
        /// Its name.
        name: StringId,
    },
    /// Events that happened here and were not recorded.
    Lost {
        /// How many.
        events: u64,
    },
}

//! The report: every figure of a trace.

use alligator_trace::{Clock, Header, Sites};
use serde::Serialize;

use crate::heap::{Heap, Oddities};
use crate::marks::MarkRow;
use crate::memory::{Fragmentation, GrowthFigures, Stays};
use crate::resizes::ResizeFigures;
use crate::sites::SiteRow;
use crate::sizes::{LifetimeRow, SizeRow};
use crate::timeline::Bucket;

/// The heap after some events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// How many events.
    pub events: u64,
    /// Time of the last of them, in nanoseconds.
    pub time_ns: u64,
    /// Live bytes, as asked for.
    pub bytes: u64,
    /// Live blocks.
    pub blocks: u64,
    /// Pages of memory.
    pub pages: u64,
}

impl Moment {
    pub(crate) fn of(heap: &Heap) -> Self {
        Self {
            events: heap.moment,
            time_ns: heap.time_ns,
            bytes: heap.bytes,
            blocks: heap.blocks,
            pages: heap.pages,
        }
    }
}

/// Counts over the whole trace. A resized block counts as one given back and one taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Blocks taken.
    pub taken: u64,
    /// Bytes of all blocks taken.
    pub taken_bytes: u64,
    /// Blocks given back.
    pub given_back: u64,
    /// Of the blocks taken, those that a resize gave.
    pub resized: u64,
    /// Requests for zeroed memory.
    pub zeroed: u64,
}

/// Every figure of a trace.
#[derive(Debug)]
pub struct Report {
    /// The trace's name.
    pub name: String,
    /// What was recorded, and how.
    pub header: Header,
    /// How the program ended, if that is known.
    pub ending: Option<String>,
    /// The byte of the file at which it breaks off, if it does.
    pub cut_off: Option<u64>,
    /// Events of the trace.
    pub events: u64,
    /// Events by thread.
    pub threads: Vec<u64>,
    /// Counts over the whole trace.
    pub counts: Counts,
    /// What could not be true.
    pub oddities: Oddities,
    /// The first moment with the most live bytes.
    pub peak: Moment,
    /// The last moment.
    pub end: Moment,
    /// The course of it, in at most [`crate::Options::buckets`] pieces.
    pub timeline: Vec<Bucket>,
    /// By size.
    pub sizes: Vec<SizeRow>,
    /// By lifetime.
    pub lifetimes: Vec<LifetimeRow>,
    /// How the memory grew.
    pub growths: GrowthFigures,
    /// Live blocks among holes, at the peak. None in a sampled trace.
    pub fragmentation: Option<Fragmentation>,
    /// What is live at the end, by where it lies. None in a sampled trace.
    pub stays: Option<Stays>,
    /// Blocks that were resized.
    pub resizes: ResizeFigures,
    /// Marks by name.
    pub marks: Vec<MarkRow>,
    /// By call stack, most bytes first.
    pub sites: Vec<SiteRow>,
    /// Names of the call stacks.
    pub stacks: Sites,
}

impl Report {
    /// Whether times are known.
    pub fn has_times(&self) -> bool {
        self.header.clock != Clock::None
    }

    /// Whether each event has a time of its own.
    pub fn has_exact_times(&self) -> bool {
        self.header.clock == Clock::Event
    }

    /// Whether blocks are estimated from samples.
    pub fn is_sampled(&self) -> bool {
        self.header.sample_bytes > 0
    }

    /// Blocks never given back.
    pub fn leaked_blocks(&self) -> u64 {
        self.end.blocks
    }

    /// Sites with blocks that were never given back: growing ones first, then most bytes first.
    pub fn leaks(&self) -> Vec<&SiteRow> {
        let mut leaks: Vec<&SiteRow> = self
            .sites
            .iter()
            .filter(|site| site.end.blocks > 0)
            .collect();
        leaks.sort_by_key(|site| {
            (
                !site.is_growing(),
                core::cmp::Reverse(site.end.bytes),
                site.site,
            )
        });
        leaks
    }
}

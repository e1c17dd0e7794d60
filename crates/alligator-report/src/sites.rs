//! What each call stack took, gave back and kept.

use core::fmt::Write as _;

use alligator_trace::{Frame, Sites, StackId};
use serde::Serialize;

use crate::heap::Block;

/// Blocks, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub blocks: u64,
    /// Bytes of all of them, as asked for.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, block: &Block) {
        self.blocks = self.blocks.saturating_add(block.weight);
        self.bytes = self.bytes.saturating_add(block.bytes());
    }

    fn subtract(&mut self, block: &Block) {
        self.blocks = self.blocks.saturating_sub(block.weight);
        self.bytes = self.bytes.saturating_sub(block.bytes());
    }
}

/// The sum of numbers, or the largest number if it is larger.
pub(crate) fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

/// Quarters of a trace, by events.
const QUARTERS: usize = 4;

/// Blocks of a site that stay, at least, before it counts as growing.
const GROWING_BLOCKS_MIN: u64 = 4;

/// What one call stack did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SiteRow {
    /// Number of the call stack; 0 where none is known.
    pub site: u32,
    /// Taken, over the whole trace.
    pub taken: Amount,
    /// Of these, resized ones.
    pub resized: u64,
    /// The most live bytes it had, and the blocks at that moment.
    pub most: Amount,
    /// Live at the trace's peak.
    pub peak: Amount,
    /// Live at the end.
    pub end: Amount,
    /// The smallest block, in bytes.
    pub size_min: u64,
    /// The largest block, in bytes.
    pub size_max: u64,
    /// Sum of the lifetimes of those that were given back, in events.
    pub lifetimes: u64,
    /// The same in nanoseconds.
    pub lifetimes_ns: u64,
    /// Blocks live at the end, by the quarter of the trace that they were taken in.
    pub stayed_by_quarter: [u64; QUARTERS],
    /// Live now.
    #[serde(skip)]
    live: Amount,
}

impl SiteRow {
    /// Whether blocks of this site pile up: at least four live at the end, from at least three quarters of the trace,
    /// the last among them.
    pub fn is_growing(&self) -> bool {
        let quarters = self.stayed_by_quarter;
        self.end.blocks >= GROWING_BLOCKS_MIN
            && quarters[QUARTERS - 1] > 0
            && quarters.iter().filter(|blocks| **blocks > 0).count() >= QUARTERS - 1
    }

    /// Blocks that were given back.
    pub fn given_back(&self) -> u64 {
        self.taken.blocks - self.end.blocks
    }

    /// Mean lifetime of the blocks that were given back, in events.
    pub fn mean_lifetime(&self) -> Option<u64> {
        self.lifetimes.checked_div(self.given_back())
    }
}

/// Counts by call stack.
#[derive(Debug)]
pub(crate) struct SiteCounts {
    rows: Vec<SiteRow>,
    events: u64,
}

impl SiteCounts {
    pub(crate) fn new(events: u64) -> Self {
        Self {
            rows: Vec::new(),
            events,
        }
    }

    fn row(&mut self, site: u32) -> &mut SiteRow {
        let index = site as usize;
        if self.rows.len() <= index {
            self.rows.resize(index + 1, SiteRow::default());
        }
        &mut self.rows[index]
    }

    pub(crate) fn born(&mut self, block: &Block, is_resize: bool) {
        let row = self.row(block.site);
        row.size_min = if row.taken.blocks == 0 {
            block.size
        } else {
            row.size_min.min(block.size)
        };
        row.size_max = row.size_max.max(block.size);
        row.taken.add(block);
        row.live.add(block);
        if is_resize {
            row.resized += block.weight;
        }
        if row.live.bytes > row.most.bytes {
            row.most = row.live;
        }
    }

    pub(crate) fn died(&mut self, block: &Block, moment: u64, time_ns: u64) {
        let row = self.row(block.site);
        row.live.subtract(block);
        let events = (moment - block.born).saturating_mul(block.weight);
        row.lifetimes = row.lifetimes.saturating_add(events);
        let ns = time_ns.saturating_sub(block.born_ns);
        row.lifetimes_ns = row
            .lifetimes_ns
            .saturating_add(ns.saturating_mul(block.weight));
    }

    /// Keeps what is live now as what is live at the peak.
    pub(crate) fn at_peak(&mut self) {
        for row in &mut self.rows {
            row.peak = row.live;
        }
    }

    pub(crate) fn stayed(&mut self, block: &Block) {
        let before = u128::from(block.born.saturating_sub(1)) * QUARTERS as u128;
        let quarter = before.checked_div(u128::from(self.events)).unwrap_or(0);
        let quarter = usize::try_from(quarter).map_or(QUARTERS - 1, |at| at.min(QUARTERS - 1));
        self.row(block.site).stayed_by_quarter[quarter] += block.weight;
    }

    /// The sites that took blocks, most bytes first.
    pub(crate) fn finish(self) -> Vec<SiteRow> {
        let rows = self.rows.into_iter().enumerate();
        let mut rows: Vec<SiteRow> = rows
            .filter(|(_, row)| row.taken.blocks > 0)
            .map(|(site, row)| SiteRow {
                site: u32::try_from(site).unwrap_or(u32::MAX),
                end: row.live,
                ..row
            })
            .collect();
        rows.sort_by_key(|row| (core::cmp::Reverse(row.taken.bytes), row.site));
        rows
    }
}

/// Functions of languages' libraries between the program and the allocator: not what a reader looks for.
const LIBRARIES: [&str; 16] = [
    "alloc::",
    "core::",
    "std::",
    "hashbrown::",
    "__rust",
    "__rdl",
    "__rg_",
    "__wbindgen_",
    "cabi_realloc",
    "operator new",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "__libc_",
];

/// Whether a function belongs to a language's library. One of a trait does, `<type as trait>::name`, if neither its type
/// nor its trait is anybody else's.
fn is_library(name: &str) -> bool {
    let begins = |name: &str| LIBRARIES.iter().any(|prefix| name.starts_with(prefix));
    match name.strip_prefix('<') {
        Some(rest) => {
            let alone = rest.split('>').next().unwrap_or(rest);
            let (own, of) = rest.split_once(" as ").unwrap_or((alone, "core::"));
            // A reference or a trait object is what it is to.
            let own = own.trim_start_matches(['&', '*', '(', '[']);
            let words = ["mut ", "const ", "dyn "].iter();
            let own = words.fold(own, |own, word| own.strip_prefix(word).unwrap_or(own));
            let is_plain = !own.contains("::");
            (is_plain || begins(own)) && begins(of)
        }
        None => begins(name),
    }
}

/// Where a frame is, `file:line`, if that is known.
pub(crate) fn frame_place(frame: &Frame<'_>) -> Option<String> {
    let file = frame.file?;
    (frame.line > 0).then(|| format!("{file}:{}", frame.line))
}

/// What a frame is called: its function, and where it is if that is known.
pub(crate) fn frame_name(frame: &Frame<'_>) -> String {
    match frame_place(frame) {
        Some(place) => format!("{} ({place})", frame.name),
        None => frame.name.to_owned(),
    }
}

/// What a call stack is called in one line: the two innermost functions that are the program's own.
pub fn site_name(stacks: &Sites, site: u32) -> String {
    let frames: Vec<Frame<'_>> = stacks.frames(StackId(site)).collect();
    let Some(innermost) = frames.first() else {
        return "(no call stack)".to_owned();
    };
    let own = frames.iter().position(|frame| !is_library(frame.name));
    let at = own.unwrap_or(0);
    let frame = frames.get(at).unwrap_or(innermost);
    let mut name = frame.name.to_owned();
    if let (Some(file), true) = (frame.file, frame.line > 0) {
        let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let _ = write!(name, " {file}:{}", frame.line);
    }
    let mut callers = frames.iter().skip(at + 1);
    if let Some(caller) = callers.find(|frame| !is_library(frame.name)) {
        name.push_str(" < ");
        name.push_str(caller.name);
    }
    name
}

/// The names of a call stack, the outermost first, without anything that a new build may change.
pub(crate) fn stack_key(stacks: &Sites, site: u32) -> Vec<String> {
    let mut names: Vec<String> = stacks
        .frames(StackId(site))
        .map(|frame| frame.name.to_owned())
        .collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_by_its_names() {
        let libraries = [
            "alloc::vec::Vec<T,A>::push",
            "<u8 as alloc::vec::spec_from_elem::SpecFromElem>::from_elem",
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
            "<[T]>::to_vec",
            "<&dyn core::ops::Fn() as core::ops::FnOnce<()>>::call_once",
            "__rustc::__rust_alloc",
            "operator new(unsigned long)",
        ];
        let programs = [
            "main",
            "app::core::start",
            "<app::Thing as core::clone::Clone>::clone",
            "<u8 as app::Write>::write",
            "<app::Thing>::new",
            "<&mut app::Thing as core::fmt::Debug>::fmt",
        ];
        assert!(libraries.iter().all(|name| is_library(name)));
        assert!(!programs.iter().any(|name| is_library(name)));
    }
}

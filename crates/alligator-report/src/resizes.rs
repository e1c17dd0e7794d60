//! Blocks that were resized, and those that were resized again and again.

use crate::heap::FxHashMap;
use serde::Serialize;

use crate::heap::{Block, Change, Heap};

/// Biggest resizes that are kept.
const BIGGEST: usize = 10;

/// A resize, and all like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resize {
    /// How many there were.
    pub count: u64,
    /// The first one's moment.
    pub moment: u64,
    /// Number of the call stack that asked for it.
    pub site: u32,
    /// Bytes before.
    pub old_size: u64,
    /// Bytes after.
    pub new_size: u64,
    /// Whether the block moved.
    pub moved: bool,
}

impl Resize {
    /// Whether another is of the same site and sizes.
    fn is_like(&self, other: &Self) -> bool {
        let what = |resize: &Self| (resize.site, resize.old_size, resize.new_size, resize.moved);
        what(self) == what(other)
    }

    /// Bytes that had to be copied.
    fn copied(&self) -> u64 {
        if self.moved {
            self.old_size.min(self.new_size)
        } else {
            0
        }
    }
}

/// The chains of one site: blocks that were resized at least twice. The site is that of the last resize.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChainRow {
    /// Number of the call stack.
    pub site: u32,
    /// How many chains.
    pub chains: u64,
    /// Resizes of all of them.
    pub resizes: u64,
    /// Of these, those to at least one and a half times the size.
    pub leaps: u64,
    /// The longest chain's resizes.
    pub longest: u64,
    /// The smallest first size, in bytes.
    pub first_size: u64,
    /// The largest last size, in bytes.
    pub last_size: u64,
    /// Sum of the last sizes, in bytes.
    pub last_sizes: u64,
    /// Bytes copied.
    pub copied: u64,
}

/// Blocks that were resized. Not scaled where a trace is sampled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ResizeFigures {
    /// Resizes.
    pub count: u64,
    /// Of these, those that moved the block.
    pub moved: u64,
    /// Those that made it larger.
    pub grown: u64,
    /// Bytes copied.
    pub copied: u64,
    /// Those that copied the most, then those to the largest size.
    pub biggest: Vec<Resize>,
    /// By site, most bytes copied first.
    pub chains: Vec<ChainRow>,
}

/// Counts resizes.
#[derive(Debug, Default)]
pub(crate) struct Resizes {
    figures: ResizeFigures,
    chains: FxHashMap<u32, ChainRow>,
}

impl Resizes {
    pub(crate) fn take(&mut self, heap: &Heap, change: &Change) {
        if let Some(replaced) = &change.replaced {
            self.chain_ends(replaced);
        }
        match (&change.died, &change.born) {
            (Some(old), Some(new)) if change.is_resize => self.resize(heap.moment, old, new),
            (Some(died), _) => self.chain_ends(died),
            _ => {}
        }
    }

    fn resize(&mut self, moment: u64, old: &Block, new: &Block) {
        let resize = Resize {
            count: 1,
            moment,
            site: new.site,
            old_size: old.size,
            new_size: new.size,
            moved: old.address != new.address,
        };
        let figures = &mut self.figures;
        figures.count += 1;
        figures.moved += u64::from(resize.moved);
        figures.grown += u64::from(new.size > old.size);
        figures.copied = figures.copied.saturating_add(resize.copied());
        // What is among the biggest in the end has been since the first of its kind: its count is exact.
        if let Some(like) = figures
            .biggest
            .iter_mut()
            .find(|other| other.is_like(&resize))
        {
            like.count += 1;
            return;
        }
        let rank = |resize: &Resize| (resize.copied(), resize.new_size);
        let at = figures
            .biggest
            .partition_point(|other| rank(other) >= rank(&resize));
        if at < BIGGEST {
            figures.biggest.insert(at, resize);
            figures.biggest.truncate(BIGGEST);
        }
    }

    /// A block was given back, or the trace ended.
    pub(crate) fn chain_ends(&mut self, block: &Block) {
        let chain = &block.chain;
        if chain.resizes < 2 {
            return;
        }
        let row = self.chains.entry(block.site).or_insert(ChainRow {
            site: block.site,
            first_size: u64::MAX,
            ..ChainRow::default()
        });
        row.chains += 1;
        row.resizes += chain.resizes;
        row.leaps += chain.leaps;
        row.longest = row.longest.max(chain.resizes);
        row.first_size = row.first_size.min(chain.first_size);
        row.last_size = row.last_size.max(block.size);
        row.last_sizes = row.last_sizes.saturating_add(block.size);
        row.copied = row.copied.saturating_add(chain.copied);
    }

    pub(crate) fn finish(mut self) -> ResizeFigures {
        let mut chains: Vec<ChainRow> = self.chains.into_values().collect();
        chains.sort_by_key(|row| {
            let most = (row.copied, row.resizes);
            (core::cmp::Reverse(most), row.site)
        });
        self.figures.chains = chains;
        self.figures
    }
}

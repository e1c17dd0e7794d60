//! Blocks by size and by lifetime.

use serde::Serialize;

use crate::heap::Block;
use crate::report::Counts;

/// Blocks of a range of sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SizeRow {
    /// The largest size of the range, in bytes; the next smaller row's is the largest below.
    pub size_max: u64,
    /// Blocks taken.
    pub taken: u64,
    /// Bytes of these.
    pub taken_bytes: u64,
    /// Blocks live at the peak.
    pub peak_blocks: u64,
    /// Bytes of these.
    pub peak_bytes: u64,
    /// Blocks live at the end.
    pub end_blocks: u64,
    /// Bytes of these.
    pub end_bytes: u64,
}

/// The range of a size: up to 8, 16, 24, 32, 48, 64, 96 bytes and so on, two to a doubling.
fn range_of(size: u64) -> usize {
    match size {
        0..=8 => 0,
        9..=16 => 1,
        _ => {
            let log = (size - 1).ilog2();
            let middle = 3 << (log - 1);
            2 * (log as usize - 4) + if size > middle { 3 } else { 2 }
        }
    }
}

/// The largest size of a range.
fn size_max(range: usize) -> u64 {
    match range {
        0 => 8,
        1 => 16,
        _ => {
            let log = (range - 2) / 2 + 4;
            if range % 2 == 0 {
                3_u64 << (log - 1)
            } else {
                2_u64.saturating_mul(1 << log)
            }
        }
    }
}

/// Counts blocks by size.
#[derive(Debug, Default)]
pub(crate) struct Sizes(Vec<SizeRow>);

impl Sizes {
    fn row(&mut self, size: u64) -> &mut SizeRow {
        let range = range_of(size);
        if self.0.len() <= range {
            self.0.resize(range + 1, SizeRow::default());
        }
        &mut self.0[range]
    }

    pub(crate) fn born(&mut self, block: &Block) {
        let row = self.row(block.size);
        row.taken += block.weight;
        row.taken_bytes = row.taken_bytes.saturating_add(block.bytes());
    }

    pub(crate) fn at_peak(&mut self, block: &Block) {
        let row = self.row(block.size);
        row.peak_blocks += block.weight;
        row.peak_bytes = row.peak_bytes.saturating_add(block.bytes());
    }

    pub(crate) fn at_end(&mut self, block: &Block) {
        let row = self.row(block.size);
        row.end_blocks += block.weight;
        row.end_bytes = row.end_bytes.saturating_add(block.bytes());
    }

    /// The ranges that have blocks.
    pub(crate) fn finish(self) -> Vec<SizeRow> {
        let rows = self.0.into_iter().enumerate();
        rows.filter(|(_, row)| row.taken > 0)
            .map(|(range, row)| SizeRow {
                size_max: size_max(range),
                ..row
            })
            .collect()
    }
}

/// Blocks that lived for a range of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LifetimeRow {
    /// The longest lifetime of the range, in events; none for blocks that were never given back.
    pub events_max: Option<u64>,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Sum of their lifetimes in nanoseconds.
    pub total_ns: u64,
}

/// Counts blocks by lifetime: 1 event, up to 4, 16, 64 and so on.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes {
    rows: Vec<LifetimeRow>,
    stayed: LifetimeRow,
}

impl Lifetimes {
    pub(crate) fn died(&mut self, block: &Block, moment: u64, time_ns: u64) {
        let lifetime = moment - block.born;
        let range = if lifetime <= 1 {
            0
        } else {
            ((lifetime - 1).ilog2() / 2 + 1) as usize
        };
        if self.rows.len() <= range {
            self.rows.resize(range + 1, LifetimeRow::default());
        }
        let row = &mut self.rows[range];
        row.blocks += block.weight;
        row.bytes = row.bytes.saturating_add(block.bytes());
        row.total_ns = row
            .total_ns
            .saturating_add(time_ns.saturating_sub(block.born_ns));
    }

    pub(crate) fn stayed(&mut self, block: &Block) {
        self.stayed.blocks += block.weight;
        self.stayed.bytes = self.stayed.bytes.saturating_add(block.bytes());
    }

    pub(crate) fn finish(self) -> Vec<LifetimeRow> {
        let rows = (0_u32..).zip(self.rows);
        let mut rows: Vec<LifetimeRow> = rows
            .filter(|(_, row)| row.blocks > 0)
            .map(|(range, row)| LifetimeRow {
                events_max: Some(1_u64.checked_shl(2 * range).unwrap_or(u64::MAX)),
                ..row
            })
            .collect();
        if self.stayed.blocks > 0 {
            rows.push(self.stayed);
        }
        rows
    }
}

impl Counts {
    pub(crate) fn born(&mut self, block: &Block, is_resize: bool) {
        self.taken += block.weight;
        self.taken_bytes = self.taken_bytes.saturating_add(block.bytes());
        if is_resize {
            self.resized += block.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_at_its_largest_size() {
        for size in (0..5000).chain([1 << 31, u64::MAX >> 1]) {
            let range = range_of(size);
            assert!(size <= size_max(range), "{size}");
            assert!(range == 0 || size > size_max(range - 1), "{size}");
        }
        let ends: Vec<u64> = (0..8).map(size_max).collect();
        assert_eq!(ends, [8, 16, 24, 32, 48, 64, 96, 128]);
        assert_eq!(size_max(range_of(u64::MAX)), u64::MAX);
    }
}

//! What any allocator owes its caller, checked while a trace runs: alignment, no overlap, zeroes
//! where asked for, and contents that stay.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::ops::Block;

/// The blocks that are live, by address, each with its end.
#[derive(Debug, Default)]
pub struct LiveRanges(BTreeMap<u64, u64>);

impl LiveRanges {
    /// Notes a block that the allocator returned.
    ///
    /// # Errors
    /// Null, not aligned, outside memory, or over a live block.
    pub fn insert(&mut self, ptr: u32, block: Block, memory_bytes: usize) -> Result<()> {
        let Block { size, align } = block;
        ensure!(ptr != 0, "null for {size} bytes");
        ensure!(
            ptr.is_multiple_of(align),
            "{ptr:#x} is not aligned to {align}"
        );
        let (start, end) = (u64::from(ptr), u64::from(ptr) + u64::from(size));
        ensure!(end <= memory_bytes as u64, "{ptr:#x} ends outside memory");
        if let Some((other, other_end)) = self.0.range(..end).next_back() {
            ensure!(
                *other_end <= start,
                "{start:#x}..{end:#x} overlaps {other:#x}..{other_end:#x}"
            );
        }
        self.0.insert(start, end);
        Ok(())
    }

    /// The blocks, by address: each with its end.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(start, end)| (*start, *end))
    }

    /// Forgets a block.
    pub fn remove(&mut self, ptr: u32) {
        self.0.remove(&u64::from(ptr));
    }
}

/// Writes a pattern to both ends of a block.
///
/// # Panics
/// When the block is not inside the memory.
pub fn mark(memory: &mut [u8], ptr: u32, size: u32, pattern: u8) {
    let ptr = ptr as usize;
    memory[ptr] = pattern;
    memory[ptr + size as usize - 1] = !pattern;
}

/// Verifies what `mark` wrote.
///
/// # Errors
/// One of the two bytes is another.
///
/// # Panics
/// When the block is not inside the memory.
pub fn verify(memory: &[u8], ptr: u32, size: u32, pattern: u8) -> Result<()> {
    let (first, last) = (ptr as usize, ptr as usize + size as usize - 1);
    let first_is = size == 1 || memory[first] == pattern;
    ensure!(
        first_is && memory[last] == !pattern,
        "the contents of {ptr:#x} ({size} bytes) changed"
    );
    Ok(())
}

/// Verifies that a block is zero.
///
/// # Errors
/// It is not.
///
/// # Panics
/// When the block is not inside the memory.
pub fn verify_zero(memory: &[u8], ptr: u32, size: u32) -> Result<()> {
    let block = &memory[ptr as usize..ptr as usize + size as usize];
    ensure!(
        block.iter().all(|&byte| byte == 0),
        "{ptr:#x} ({size} bytes) is not zero"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block { size: 24, align: 8 };
    const MEMORY: usize = 65_536;

    #[test]
    fn neighbours_are_accepted_in_any_order() -> Result<()> {
        let mut ranges = LiveRanges::default();
        for ptr in [1_024, 1_048, 1_000] {
            ranges.insert(ptr, BLOCK, MEMORY)?;
        }
        Ok(())
    }

    #[test]
    fn a_block_over_a_live_one_is_refused() {
        for ptr in [1_000, 1_008, 1_016, 1_024, 1_032, 1_040] {
            let mut ranges = LiveRanges::default();
            let live = Block { size: 40, align: 8 };
            assert!(ranges.insert(1_008, live, MEMORY).is_ok());
            assert!(ranges.insert(ptr, BLOCK, MEMORY).is_err(), "{ptr}");
        }
    }

    #[test]
    fn the_place_of_a_freed_block_is_accepted() -> Result<()> {
        let mut ranges = LiveRanges::default();
        ranges.insert(1_000, BLOCK, MEMORY)?;
        ranges.remove(1_000);
        ranges.insert(1_008, BLOCK, MEMORY)
    }

    #[test]
    fn null_misaligned_and_outside_are_refused() {
        let mut ranges = LiveRanges::default();
        for ptr in [0, 1_004, 65_528] {
            assert!(ranges.insert(ptr, BLOCK, MEMORY).is_err(), "{ptr}");
        }
    }

    #[test]
    fn a_changed_end_is_noticed() {
        for changed in [100, 123] {
            let mut memory = [0; 200];
            mark(&mut memory, 100, 24, 7);
            assert!(verify(&memory, 100, 24, 7).is_ok());
            memory[changed] = 1;
            assert!(verify(&memory, 100, 24, 7).is_err(), "{changed}");
        }
    }
}

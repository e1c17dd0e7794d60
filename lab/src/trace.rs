//! A trace: the operations of a program on its heap, without the program.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::engines::TraceFile;

/// Index of a block in a trace's table. Indices of blocks given back are used again.
pub(crate) type BlockId = u32;

/// One operation. Sizes and alignments in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Alloc {
        id: BlockId,
        size: u32,
        align: u32,
        zeroed: bool,
    },
    Dealloc {
        id: BlockId,
    },
    Realloc {
        id: BlockId,
        size: u32,
    },
}

/// Operations that give back only what they own, and in the end everything.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) ops: Vec<Op>,
    /// One more than the highest block index.
    pub(crate) block_count: u32,
    /// The most bytes requested and not given back at one time.
    pub(crate) peak_live_bytes: u64,
}

impl Trace {
    /// Writes the trace into a file of `dir`, for the engines.
    pub(crate) fn write(&self, dir: &Path) -> Result<TraceFile> {
        let path = dir.join(format!("{}.trace", self.name));
        std::fs::write(&path, self.encode())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(TraceFile {
            path,
            ops: self.ops.len(),
            blocks: self.block_count,
        })
    }

    /// The trace as `lab/driver/replay.rs` reads it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut blocks = vec![Block { size: 0, align: 1 }; self.block_count as usize];
        let mut words = Vec::with_capacity(self.ops.len() * 3);
        for &op in &self.ops {
            let (kind, id, new) = match op {
                Op::Alloc {
                    id,
                    size,
                    align,
                    zeroed,
                } => {
                    blocks[id as usize] = Block { size, align };
                    (if zeroed { 3 } else { 0 }, id, size)
                }
                Op::Dealloc { id } => (1, id, 0),
                Op::Realloc { id, size } => (2, id, size),
            };
            let Block { size, align } = blocks[id as usize];
            words.extend([kind | align.ilog2() << 2 | id << 8, size, new]);
            blocks[id as usize].size = new;
        }
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// A block as its owner knows it, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) size: u32,
    pub(crate) align: u32,
}

/// Writes a trace while keeping track of what is live.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    ops: Vec<Op>,
    live: HashMap<BlockId, Block>,
    unused_ids: Vec<BlockId>,
    block_count: u32,
    live_bytes: u64,
    peak_live_bytes: u64,
}

impl Recorder {
    pub(crate) fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// Allocates at the alignment that Rust data of this size usually has.
    pub(crate) fn alloc(&mut self, size: u32) -> BlockId {
        self.alloc_aligned(size, natural_align(size))
    }

    pub(crate) fn alloc_aligned(&mut self, size: u32, align: u32) -> BlockId {
        self.push_alloc(Block { size, align }, false)
    }

    pub(crate) fn alloc_zeroed(&mut self, size: u32) -> BlockId {
        let align = natural_align(size);
        self.push_alloc(Block { size, align }, true)
    }

    pub(crate) fn push_alloc(&mut self, block: Block, zeroed: bool) -> BlockId {
        let id = self.unused_ids.pop().unwrap_or_else(|| {
            self.block_count += 1;
            self.block_count - 1
        });
        let Block { size, align } = block;
        self.ops.push(Op::Alloc {
            id,
            size,
            align,
            zeroed,
        });
        self.live.insert(id, block);
        self.count_live(0, size);
        id
    }

    pub(crate) fn dealloc(&mut self, id: BlockId) {
        let block = self.live.remove(&id).expect("a trace frees what is live");
        self.ops.push(Op::Dealloc { id });
        self.unused_ids.push(id);
        self.count_live(block.size, 0);
    }

    pub(crate) fn realloc(&mut self, id: BlockId, size: u32) {
        let block = self
            .live
            .get_mut(&id)
            .expect("a trace resizes what is live");
        let old = core::mem::replace(&mut block.size, size);
        self.ops.push(Op::Realloc { id, size });
        self.count_live(old, size);
    }

    /// The size a live block has now, in bytes.
    pub(crate) fn size_of(&self, id: BlockId) -> u32 {
        self.live[&id].size
    }

    /// Gives back what is still live, in the order of the table, and ends the trace.
    pub(crate) fn finish(mut self, name: &str) -> Trace {
        let mut rest: Vec<BlockId> = self.live.keys().copied().collect();
        rest.sort_unstable();
        for id in rest {
            self.dealloc(id);
        }
        Trace {
            name: name.to_owned(),
            ops: self.ops,
            block_count: self.block_count,
            peak_live_bytes: self.peak_live_bytes,
        }
    }

    fn count_live(&mut self, old: u32, new: u32) {
        self.live_bytes = self.live_bytes - u64::from(old) + u64::from(new);
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }
}

/// Eight for sizes that are multiples of it, as of structs with pointers in pairs and 64-bit
/// numbers; four for multiples of four; one for strings.
fn natural_align(size: u32) -> u32 {
    match size % 8 {
        0 => 8,
        4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_carries_the_size_a_block_has() {
        let mut recorder = Recorder::default();
        let id = recorder.alloc_aligned(10, 16);
        recorder.realloc(id, 20);
        let bytes = recorder.finish("test").encode();
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
            .collect();
        let align = 4 << 2;
        assert_eq!(words[..3], [align, 10, 10]);
        assert_eq!(words[3..6], [align | 2, 10, 20]);
        assert_eq!(words[6..], [align | 1, 20, 0]);
    }

    #[test]
    fn the_peak_is_the_most_that_was_live() {
        let mut recorder = Recorder::default();
        let first = recorder.alloc(100);
        recorder.alloc(50);
        recorder.dealloc(first);
        recorder.alloc(40);
        assert_eq!(recorder.finish("test").peak_live_bytes, 150);
    }
}

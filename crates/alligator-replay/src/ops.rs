//! Operations on a heap, without the program that makes them; and the lab's format for them.

use std::collections::HashMap;

use anyhow::{Result, ensure};

/// Index of a block in a table. Indices of blocks given back are used again.
pub type BlockId = u32;

/// One operation. Sizes and alignments in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A new block.
    Alloc {
        /// Its index.
        id: BlockId,
        /// Its size.
        size: u32,
        /// Its alignment.
        align: u32,
        /// Whether it has to be zero.
        zeroed: bool,
    },
    /// A block is given back.
    Dealloc {
        /// Its index.
        id: BlockId,
    },
    /// A block is resized.
    Realloc {
        /// Its index, before and after.
        id: BlockId,
        /// Its new size.
        size: u32,
    },
}

/// Operations that give back only what they own, and in the end everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What it is called.
    pub name: String,
    /// In order.
    pub ops: Vec<Op>,
    /// One more than the highest block index.
    pub block_count: u32,
    /// The most bytes requested and not given back at one time.
    pub peak_live_bytes: u64,
}

/// Bytes of an operation in the lab's format.
const OP_BYTES: usize = 12;

impl Trace {
    /// The trace as `lab/driver/replay.rs` reads it: three words for each operation, of 32 bits and little-endian. The
    /// first has the kind in bits 0 and 1 (alloc, dealloc, realloc, `alloc_zeroed`), the logarithm of the alignment in
    /// bits 2 to 7, and the block's index above. The second is the size of the block, the third its size afterwards.
    pub fn encode(&self) -> Vec<u8> {
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

    /// The trace from the lab's format.
    ///
    /// # Errors
    /// Operations on blocks that are not live, or are live already; other sizes than a block has; blocks of no bytes, or
    /// that end beyond 32 bits; and what is not given back in the end.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let (ops, rest) = bytes.as_chunks::<OP_BYTES>();
        ensure!(rest.is_empty(), "a length that is no multiple of 12 bytes");
        let mut blocks: HashMap<BlockId, Block> = HashMap::new();
        let mut trace = Self {
            name: name.to_owned(),
            ops: Vec::with_capacity(ops.len()),
            block_count: 0,
            peak_live_bytes: 0,
        };
        let mut live_bytes = 0_u64;
        for (index, op) in ops.iter().enumerate() {
            let [head, size, new] = [0, 4, 8].map(|at| {
                let word = [op[at], op[at + 1], op[at + 2], op[at + 3]];
                u32::from_le_bytes(word)
            });
            let (id, log) = (head >> 8, head >> 2 & 63);
            ensure!(log < 32, "operation {index}: an alignment of 2^{log}");
            let align = 1 << log;
            let block = blocks.get(&id).copied();
            let op = match (head & 3, block) {
                (kind @ (0 | 3), None) => {
                    let zeroed = kind == 3;
                    ensure!(new == size, "operation {index}: two sizes for one block");
                    Op::Alloc {
                        id,
                        size,
                        align,
                        zeroed,
                    }
                }
                (0 | 3, Some(_)) => anyhow::bail!("operation {index}: block {id} is live already"),
                (_, Some(live)) if live != (Block { size, align }) => {
                    anyhow::bail!("operation {index}: block {id} has another size or alignment")
                }
                (1, Some(_)) => Op::Dealloc { id },
                (_, Some(_)) => Op::Realloc { id, size: new },
                (_, None) => anyhow::bail!("operation {index}: block {id} is not live"),
            };
            if let Some(old) = blocks.remove(&id) {
                live_bytes -= u64::from(old.size);
            }
            if let Op::Alloc { size, .. } | Op::Realloc { size, .. } = op {
                ensure!(
                    size > 0 && size <= i32::MAX.cast_unsigned(),
                    "operation {index}: a block of {size} bytes"
                );
                blocks.insert(id, Block { size, align });
                live_bytes += u64::from(size);
                trace.peak_live_bytes = trace.peak_live_bytes.max(live_bytes);
            }
            trace.block_count = trace.block_count.max(id + 1);
            trace.ops.push(op);
        }
        ensure!(
            blocks.is_empty(),
            "{} blocks are not given back",
            blocks.len()
        );
        Ok(trace)
    }
}

/// A block as its owner knows it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its size.
    pub size: u32,
    /// Its alignment, a power of two.
    pub align: u32,
}

/// Indices for blocks: the one given back last is the next.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    unused: Vec<BlockId>,
    pub(crate) count: u32,
}

impl Ids {
    pub(crate) fn take(&mut self) -> BlockId {
        self.unused.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }

    pub(crate) fn give_back(&mut self, id: BlockId) {
        self.unused.push(id);
    }
}

/// Writes a trace while keeping track of what is live.
#[derive(Debug, Default)]
pub struct Recorder {
    ops: Vec<Op>,
    live: HashMap<BlockId, Block>,
    ids: Ids,
    live_bytes: u64,
    peak_live_bytes: u64,
}

impl Recorder {
    /// Operations so far.
    pub fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// Allocates at the alignment that Rust data of this size usually has.
    pub fn alloc(&mut self, size: u32) -> BlockId {
        self.alloc_aligned(size, natural_align(size))
    }

    /// Allocates.
    pub fn alloc_aligned(&mut self, size: u32, align: u32) -> BlockId {
        self.push_alloc(Block { size, align }, false)
    }

    /// Allocates zeroes, at the alignment that Rust data of this size usually has.
    pub fn alloc_zeroed(&mut self, size: u32) -> BlockId {
        let align = natural_align(size);
        self.push_alloc(Block { size, align }, true)
    }

    /// Allocates.
    pub fn push_alloc(&mut self, block: Block, zeroed: bool) -> BlockId {
        let id = self.ids.take();
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

    /// Gives a block back.
    ///
    /// # Panics
    /// When it is not live.
    pub fn dealloc(&mut self, id: BlockId) {
        let block = self.live.remove(&id).expect("a trace frees what is live");
        self.ops.push(Op::Dealloc { id });
        self.ids.give_back(id);
        self.count_live(block.size, 0);
    }

    /// Resizes a block.
    ///
    /// # Panics
    /// When it is not live.
    pub fn realloc(&mut self, id: BlockId, size: u32) {
        let block = self
            .live
            .get_mut(&id)
            .expect("a trace resizes what is live");
        let old = core::mem::replace(&mut block.size, size);
        self.ops.push(Op::Realloc { id, size });
        self.count_live(old, size);
    }

    /// The size a live block has now, in bytes.
    ///
    /// # Panics
    /// When it is not live.
    pub fn size_of(&self, id: BlockId) -> u32 {
        self.live[&id].size
    }

    /// Gives back what is still live, in the order of the table, and ends the trace.
    pub fn finish(mut self, name: &str) -> Trace {
        let mut rest: Vec<BlockId> = self.live.keys().copied().collect();
        rest.sort_unstable();
        for id in rest {
            self.dealloc(id);
        }
        Trace {
            name: name.to_owned(),
            ops: self.ops,
            block_count: self.ids.count,
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
        let trace = recorder.finish("test");
        let bytes = trace.encode();
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
            .collect();
        let align = 4 << 2;
        assert_eq!(words[..3], [align, 10, 10]);
        assert_eq!(words[3..6], [align | 2, 10, 20]);
        assert_eq!(words[6..], [align | 1, 20, 0]);
        assert_eq!(Trace::decode("test", &bytes).expect("is whole"), trace);
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

    #[test]
    fn what_no_heap_can_do_is_refused_with_its_place() {
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let refused = |bytes: &[u8]| {
            let error = Trace::decode("test", bytes).expect_err("is refused");
            error.to_string()
        };
        assert_eq!(refused(&[0]), "a length that is no multiple of 12 bytes");
        assert_eq!(
            refused(&words(&[1, 8, 0])),
            "operation 0: block 0 is not live"
        );
        assert_eq!(
            refused(&words(&[0, 0, 0])),
            "operation 0: a block of 0 bytes"
        );
        assert_eq!(refused(&words(&[0, 8, 8])), "1 blocks are not given back");
        let twice = words(&[0, 8, 8, 0, 8, 8]);
        assert_eq!(refused(&twice), "operation 1: block 0 is live already");
        let other = words(&[0, 8, 8, 1, 9, 0]);
        assert_eq!(
            refused(&other),
            "operation 1: block 0 has another size or alignment"
        );
    }
}

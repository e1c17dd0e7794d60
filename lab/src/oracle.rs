//! What a trace's checksum must be, computed from the trace alone: a model of the guest's check
//! (`lab/driver/check.rs`) in which every block has the contents it should have.

use super::workloads::Checksum;
use alligator_replay::{Op, Trace};

/// As in the guest.
const FULL_BYTES: u32 = 16_384;
const EDGE_BYTES: u32 = 4_096;
const STRIDE_BYTES: u32 = 256;
const WORD_BYTES: u32 = 8;

/// A live block: its size, and the operation that filled it.
#[derive(Clone, Copy, Default)]
struct Filled {
    size: u32,
    fill: u32,
}

/// The checksum of all contents that the check reads back.
pub(crate) fn checksum(trace: &Trace) -> Checksum {
    let mut blocks = vec![Filled::default(); trace.block_count as usize];
    let mut hash = 0;
    for (fill, &op) in (0_u32..).zip(&trace.ops) {
        match op {
            Op::Alloc { id, size, .. } => blocks[id as usize] = Filled { size, fill },
            Op::Dealloc { id } => read(&mut hash, blocks[id as usize]),
            Op::Realloc { id, size } => {
                let old = blocks[id as usize];
                read(&mut hash, old);
                let kept = old.size.min(size);
                read(&mut hash, Filled { size: kept, ..old });
                blocks[id as usize] = Filled { size, fill };
            }
        }
    }
    let [low, high] = [hash, hash >> 32].map(|half| half & u64::from(u32::MAX));
    u32::try_from(low ^ high).unwrap_or(0)
}

/// Adds a block's contents to the hash.
fn read(hash: &mut u64, block: Filled) {
    let mut offset = 0;
    while offset < block.size {
        let count = WORD_BYTES.min(block.size - offset);
        let kept = u64::MAX >> (64 - 8 * count);
        *hash = (*hash ^ word(block.fill, offset) & kept)
            .rotate_left(23)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let is_inside = offset >= EDGE_BYTES && offset < block.size.saturating_sub(EDGE_BYTES);
        offset += if block.size > FULL_BYTES && is_inside {
            STRIDE_BYTES
        } else {
            WORD_BYTES
        };
    }
}

/// The word at `offset` of a block filled by operation `fill`.
fn word(fill: u32, offset: u32) -> u64 {
    let seed = u64::from(fill).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (seed ^ u64::from(offset)).wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use alligator_replay::Recorder;

    fn checksum_of(write: impl FnOnce(&mut Recorder)) -> Checksum {
        let mut recorder = Recorder::default();
        write(&mut recorder);
        checksum(&recorder.finish("test"))
    }

    #[test]
    fn a_byte_more_is_another_checksum() {
        let one = |size| {
            checksum_of(|heap| {
                heap.alloc(size);
            })
        };
        assert_ne!(one(24), one(25));
        assert_ne!(one(20_000), one(20_001));
    }

    #[test]
    fn another_order_is_another_checksum() {
        let two = |first: usize| {
            checksum_of(|heap| {
                let blocks = [heap.alloc(24), heap.alloc(24)];
                heap.dealloc(blocks[first]);
            })
        };
        assert_ne!(two(0), two(1));
    }
}

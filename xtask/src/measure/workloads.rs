//! The synthetic workloads: each a trace, the same on every run.

use super::random::Random;
use super::trace::{BlockId, Recorder, Trace};

/// Bytes of a Wasm page.
const PAGE: u32 = 65_536;

/// A workload's name and the function that writes it. `scale` is 4 for a whole run and 1 for a
/// quick one; it sets the length, not the size of the heap.
type Workload = (&'static str, fn(&mut Recorder, &mut Random, u32));

const WORKLOADS: &[Workload] = &[
    ("random", random),
    ("random-realloc", random_realloc),
    ("small", small),
    ("lifo", lifo),
    ("fifo", fifo),
    ("server", server),
    ("vec", vec),
    ("string", string),
    ("big", big),
    ("frag", frag),
    ("holes", holes),
    ("saw", saw),
    ("ratchet", ratchet),
    ("realloc-ratchet", realloc_ratchet),
    ("pow2", pow2),
    ("audio", audio),
    ("tree", tree),
];

/// The workloads that `wanted` names; a quarter of their length if `quick`.
pub(crate) fn generate(wanted: impl Fn(&str) -> bool, quick: bool) -> Vec<Trace> {
    let scale = if quick { 1 } else { 4 };
    let chosen = WORKLOADS.iter().zip(1_u64..);
    chosen
        .filter(|((name, _), _)| wanted(name))
        .map(|(&(name, write), seed)| {
            let mut recorder = Recorder::default();
            write(&mut recorder, &mut Random::new(seed), scale);
            recorder.finish(name)
        })
        .collect()
}

/// Sizes of a mixed program: mostly small, rarely large, now and then aligned for SIMD.
fn alloc_mixed(heap: &mut Recorder, random: &mut Random) -> BlockId {
    if random.one_in(64) {
        let size = random.log_uniform(4, 12);
        return heap.alloc_aligned(size, random.pick(&[16, 16, 16, 32, 64]));
    }
    let size = mixed_size(random);
    heap.alloc(size)
}

fn mixed_size(random: &mut Random) -> u32 {
    if random.one_in(12) {
        random.log_uniform(12, 16)
    } else {
        random.log_uniform(2, 12)
    }
}

/// A random block of 2,000 is replaced, over and over.
fn random(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut live: Vec<BlockId> = (0..2_000).map(|_| alloc_mixed(heap, random)).collect();
    for _ in 0..5_000 * scale {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = alloc_mixed(heap, random);
    }
}

/// The same, but every third step resizes a block to between half and twice its size, and some
/// blocks are asked for zeroed.
fn random_realloc(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut live: Vec<BlockId> = (0..2_000).map(|_| alloc_mixed(heap, random)).collect();
    for _ in 0..5_000 * scale {
        let slot = random.index(live.len());
        if random.one_in(3) {
            let old = heap.size_of(live[slot]);
            let new = random.between(old.div_ceil(2), old * 2).min(PAGE);
            heap.realloc(live[slot], new);
            continue;
        }
        heap.dealloc(live[slot]);
        live[slot] = if random.one_in(8) {
            heap.alloc_zeroed(mixed_size(random))
        } else {
            alloc_mixed(heap, random)
        };
    }
}

/// 10,000 small objects, a random one replaced.
fn small(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let size = |random: &mut Random| random.pick(&[8, 12, 16, 16, 24, 24, 32, 40, 48, 64, 96, 128]);
    let mut live: Vec<BlockId> = (0..10_000).map(|_| heap.alloc(size(random))).collect();
    for _ in 0..5_000 * scale {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = heap.alloc(size(random));
    }
}

/// Bursts as of recursion: last in, first out, over a few lasting blocks.
fn lifo(heap: &mut Recorder, random: &mut Random, scale: u32) {
    for _ in 0..6 * scale {
        heap.alloc(random.log_uniform(4, 10));
        let burst = random.log_uniform(4, 12);
        let blocks: Vec<BlockId> = (0..burst)
            .map(|_| heap.alloc(random.log_uniform(4, 10)))
            .collect();
        for id in blocks.into_iter().rev() {
            heap.dealloc(id);
        }
    }
}

/// A queue whose length wanders: messages arrive and leave in bursts, first in, first out.
fn fifo(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut queue = std::collections::VecDeque::new();
    while heap.op_count() < 10_000 * scale as usize {
        for _ in 0..random.between(1, 400) {
            queue.push_back(heap.alloc(random.between(16, 400)));
        }
        let served = random.between(1, 400) as usize;
        for id in queue.drain(..served.min(queue.len())) {
            heap.dealloc(id);
        }
    }
}

/// Larson's server: each request replaces a random one of 1,000 objects; sometimes a session of
/// 50 ends at once.
fn server(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut live: Vec<BlockId> = (0..1_000)
        .map(|_| heap.alloc(random.between(10, 500)))
        .collect();
    for _ in 0..4_500 * scale {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = heap.alloc(random.between(10, 500));
        if random.one_in(500) {
            let session = random.index(live.len() / 50) * 50;
            for id in &live[session..session + 50] {
                heap.dealloc(*id);
            }
            for id in &mut live[session..session + 50] {
                *id = heap.alloc(random.between(10, 500));
            }
        }
    }
}

/// Forty Vecs that double until they are dropped, the largest at 256 KiB; half of them through
/// realloc, half by a new block and a copy.
fn vec(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let capacity = |random: &mut Random| random.pick(&[16, 32, 48, 64, 96]);
    let mut vecs: Vec<BlockId> = (0..40).map(|_| heap.alloc(capacity(random))).collect();
    for _ in 0..6_000 * scale {
        let slot = random.index(vecs.len());
        let size = heap.size_of(vecs[slot]);
        if size >= 4 * PAGE || random.one_in(14) {
            heap.dealloc(vecs[slot]);
            vecs[slot] = heap.alloc(capacity(random));
        } else if slot.is_multiple_of(2) {
            heap.realloc(vecs[slot], size * 2);
        } else {
            let copy = heap.alloc(size * 2);
            heap.dealloc(vecs[slot]);
            vecs[slot] = copy;
        }
    }
}

/// Strings that are pushed to, cut to fit, cloned and dropped.
fn string(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut live: Vec<BlockId> = Vec::new();
    for _ in 0..1_500 * scale {
        let len = random.log_uniform(2, 11);
        let building = heap.alloc_aligned(8, 1);
        let mut capacity = 8;
        while capacity < len {
            capacity *= 2;
            heap.realloc(building, capacity);
        }
        if random.one_in(2) && capacity > len {
            heap.realloc(building, len);
        }
        live.push(building);
        if random.one_in(3) {
            live.push(heap.alloc_aligned(len, 1));
        }
        while live.len() > 1_500 {
            let dropped = random.index(live.len());
            heap.dealloc(live.swap_remove(dropped));
        }
    }
}

/// Sixty blocks from 2 KiB to 1 MiB, a random one replaced; one in eight is asked for zeroed.
fn big(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut live: Vec<BlockId> = (0..60)
        .map(|_| heap.alloc(random.log_uniform(11, 20)))
        .collect();
    for _ in 0..2_500 * scale {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        let size = random.log_uniform(11, 20);
        live[slot] = if random.one_in(8) {
            heap.alloc_zeroed(size)
        } else {
            heap.alloc(size)
        };
    }
}

/// Fill, free every second at random, fill the gaps with other sizes, free everything.
fn frag(heap: &mut Recorder, random: &mut Random, scale: u32) {
    for round in 0..scale {
        let shift = round % 2;
        let mut live: Vec<BlockId> = (0..4_000)
            .map(|_| heap.alloc(random.log_uniform(4 + shift, 8 + shift)))
            .collect();
        free_every_second(heap, random, &mut live);
        live.extend((0..1_500).map(|_| heap.alloc(random.log_uniform(7, 10))));
        free_every_second(heap, random, &mut live);
        free_shuffled(heap, random, live);
    }
}

/// Holes that the next requests almost fit: one of 1,000 sizes is freed between pinned blocks,
/// then blocks a little larger are asked for.
fn holes(heap: &mut Recorder, random: &mut Random, scale: u32) {
    for round in 0..scale {
        let base = 200 << (2 * (round % 4));
        let mut pins = Vec::new();
        let mut freed = Vec::new();
        for _ in 0..2_000 {
            freed.push(heap.alloc(base + random.below(base / 8)));
            pins.push(heap.alloc(24));
        }
        for id in freed {
            heap.dealloc(id);
        }
        let larger = base + base / 8;
        let wanted: Vec<BlockId> = (0..1_000)
            .map(|_| heap.alloc(larger + random.below(base / 8)))
            .collect();
        pins.extend(wanted);
        free_shuffled(heap, random, pins);
    }
}

/// Phases of one size each: every phase fills half a MiB and leaves one block in a hundred.
fn saw(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut left = Vec::new();
    for phase in 0..2 * scale {
        for size in [24, 1_000, 96, 5_000, 48, 20_000, 300, 2_100] {
            let size = size + 8 * (phase % 4);
            let count = 512 * 1024 / size;
            let blocks: Vec<BlockId> = (0..count.min(2_500)).map(|_| heap.alloc(size)).collect();
            for id in blocks {
                if random.one_in(100) {
                    left.push(id);
                } else {
                    heap.dealloc(id);
                }
            }
            while left.len() > 200 {
                let dropped = random.index(left.len());
                heap.dealloc(left.swap_remove(dropped));
            }
        }
    }
}

/// A buffer grows by one page per step to 200: the new one is taken, then the old one freed.
fn ratchet(heap: &mut Recorder, _: &mut Random, _: u32) {
    let mut buffer = heap.alloc(PAGE);
    for pages in 2..=200 {
        let larger = heap.alloc(pages * PAGE);
        heap.dealloc(buffer);
        buffer = larger;
    }
}

/// The same through realloc.
fn realloc_ratchet(heap: &mut Recorder, _: &mut Random, _: u32) {
    let buffer = heap.alloc(PAGE);
    for pages in 2..=200 {
        heap.realloc(buffer, pages * PAGE);
    }
}

/// Forty buffers of 16, 32 and 64 KiB, a random one replaced.
fn pow2(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let sizes = [PAGE / 4, PAGE / 4, PAGE / 2, PAGE];
    let mut live: Vec<BlockId> = (0..40).map(|_| heap.alloc(random.pick(&sizes))).collect();
    for _ in 0..2_500 * scale {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = heap.alloc(random.pick(&sizes));
    }
}

/// A synthesiser: voices of a few fixed blocks each are started and stopped, up to 48 at once.
fn audio(heap: &mut Recorder, random: &mut Random, scale: u32) {
    let mut voices: Vec<Vec<BlockId>> = Vec::new();
    while heap.op_count() < 6_000 * scale as usize {
        if voices.len() < 8 || (voices.len() < 48 && random.one_in(2)) {
            let mut voice: Vec<BlockId> = [176, 96, 48].map(|size| heap.alloc(size)).into();
            for size in [512, 512, 2_048] {
                voice.push(heap.alloc_aligned(size, 16));
            }
            if random.one_in(4) {
                voice.push(heap.alloc_aligned(8_192, 16));
            }
            voices.push(voice);
        } else {
            let stopped = random.index(voices.len());
            for id in voices.swap_remove(stopped).into_iter().rev() {
                heap.dealloc(id);
            }
        }
    }
}

/// A map from strings: B-tree leaves and inner nodes, keys and values, growing to 3,000 entries,
/// then as many removed as inserted.
fn tree(heap: &mut Recorder, random: &mut Random, scale: u32) {
    /// Keys and values of one leaf, with the leaf itself.
    fn leaf(heap: &mut Recorder, random: &mut Random) -> Vec<BlockId> {
        let mut blocks = vec![heap.alloc_aligned(if random.one_in(8) { 328 } else { 280 }, 4)];
        for _ in 0..random.between(5, 11) {
            blocks.push(heap.alloc_aligned(random.between(4, 30), 1));
            if random.one_in(2) {
                blocks.push(heap.alloc_aligned(random.pick(&[24, 32, 48]), 8));
            }
        }
        blocks
    }
    let mut leaves: Vec<Vec<BlockId>> = (0..400).map(|_| leaf(heap, random)).collect();
    while heap.op_count() < 10_000 * scale as usize {
        let slot = random.index(leaves.len());
        let entry = random.index(leaves[slot].len());
        if entry == 0 || random.one_in(12) {
            for id in core::mem::take(&mut leaves[slot]) {
                heap.dealloc(id);
            }
            leaves[slot] = leaf(heap, random);
        } else {
            heap.dealloc(leaves[slot][entry]);
            leaves[slot][entry] = heap.alloc_aligned(random.between(4, 30), 1);
        }
    }
}

/// Gives back half of `live`, chosen at random, in order.
fn free_every_second(heap: &mut Recorder, random: &mut Random, live: &mut Vec<BlockId>) {
    live.retain(|&id| {
        let kept = random.one_in(2);
        if !kept {
            heap.dealloc(id);
        }
        kept
    });
}

fn free_shuffled(heap: &mut Recorder, random: &mut Random, mut live: Vec<BlockId>) {
    while !live.is_empty() {
        let freed = random.index(live.len());
        heap.dealloc(live.swap_remove(freed));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::trace::Op;
    use super::*;

    #[test]
    fn every_trace_ends_with_nothing_live() {
        for trace in generate(|_| true, true) {
            let mut live = HashSet::new();
            for op in &trace.ops {
                match *op {
                    Op::Alloc { id, .. } => assert!(live.insert(id), "{}", trace.name),
                    Op::Dealloc { id } => assert!(live.remove(&id), "{}", trace.name),
                    Op::Realloc { id, .. } => assert!(live.contains(&id), "{}", trace.name),
                }
            }
            assert!(live.is_empty(), "{}", trace.name);
        }
    }

    #[test]
    fn traces_are_the_same_each_time() {
        let [first, second] = [0; 2].map(|_| generate(|_| true, true));
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.ops, second.ops, "{}", first.name);
        }
    }

    #[test]
    fn no_block_is_empty() {
        for trace in generate(|_| true, true) {
            let empty = trace.ops.iter().any(|op| match *op {
                Op::Alloc { size, .. } | Op::Realloc { size, .. } => size == 0,
                Op::Dealloc { .. } => false,
            });
            assert!(!empty, "{}", trace.name);
        }
    }
}

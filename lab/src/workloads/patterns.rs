//! What programs do with their heap, drawn at random from a seed. Lengths are multiplied by `scale`.

use serde::Deserialize;

use alligator_replay::{BlockId, Recorder};
use alligator_tools::random::Random;

/// Bytes of a Wasm page.
const PAGE: u32 = 65_536;

/// From the first to the second, both included.
pub(super) type Range = [u32; 2];

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

/// Parameters of `mixed`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Mixed {
    live: u32,
    steps: u32,
    realloc_one_in: Option<u32>,
    zeroed_one_in: Option<u32>,
}

/// A random block is replaced, over and over. If so asked, some steps resize a block to between
/// half and twice its size, and some blocks are asked for zeroed.
pub(super) fn mixed(heap: &mut Recorder, random: &mut Random, mix: &Mixed, scale: u32) {
    let mut live: Vec<BlockId> = (0..mix.live).map(|_| alloc_mixed(heap, random)).collect();
    for _ in 0..mix.steps * scale {
        let slot = random.index(live.len());
        if mix.realloc_one_in.is_some_and(|turns| random.one_in(turns)) {
            let old = heap.size_of(live[slot]);
            let new = random.between(old.div_ceil(2), old * 2).min(PAGE);
            heap.realloc(live[slot], new);
            continue;
        }
        heap.dealloc(live[slot]);
        live[slot] = if mix.zeroed_one_in.is_some_and(|turns| random.one_in(turns)) {
            heap.alloc_zeroed(mixed_size(random))
        } else {
            alloc_mixed(heap, random)
        };
    }
}

/// Objects of a few sizes, a random one replaced.
pub(super) fn objects(
    heap: &mut Recorder,
    random: &mut Random,
    live: u32,
    steps: u32,
    sizes: &[u32],
) {
    let mut live: Vec<BlockId> = (0..live).map(|_| heap.alloc(random.pick(sizes))).collect();
    for _ in 0..steps {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = heap.alloc(random.pick(sizes));
    }
}

/// Bursts as of recursion: last in, first out, over a few lasting blocks.
pub(super) fn stack(
    heap: &mut Recorder,
    random: &mut Random,
    bursts: u32,
    burst: Range,
    size: Range,
) {
    for _ in 0..bursts {
        heap.alloc(random.log_uniform(size[0], size[1]));
        let count = random.log_uniform(burst[0], burst[1]);
        let blocks: Vec<BlockId> = (0..count)
            .map(|_| heap.alloc(random.log_uniform(size[0], size[1])))
            .collect();
        for id in blocks.into_iter().rev() {
            heap.dealloc(id);
        }
    }
}

/// A queue whose length wanders: messages arrive and leave in bursts, first in, first out.
pub(super) fn queue(
    heap: &mut Recorder,
    random: &mut Random,
    ops: usize,
    burst: Range,
    size: Range,
) {
    let mut queue = std::collections::VecDeque::new();
    while heap.op_count() < ops {
        for _ in 0..random.between(burst[0], burst[1]) {
            queue.push_back(heap.alloc(random.between(size[0], size[1])));
        }
        let served = random.between(burst[0], burst[1]) as usize;
        for id in queue.drain(..served.min(queue.len())) {
            heap.dealloc(id);
        }
    }
}

/// Parameters of `server`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Server {
    objects: u32,
    steps: u32,
    size: Range,
    session: usize,
    session_one_in: u32,
}

/// Larson's server: each request replaces a random object; sometimes a session ends at once.
pub(super) fn server(heap: &mut Recorder, random: &mut Random, traffic: &Server, scale: u32) {
    let [low, high] = traffic.size;
    let session_len = traffic.session;
    let mut live: Vec<BlockId> = (0..traffic.objects)
        .map(|_| heap.alloc(random.between(low, high)))
        .collect();
    for _ in 0..traffic.steps * scale {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = heap.alloc(random.between(low, high));
        if random.one_in(traffic.session_one_in) {
            let session = random.index(live.len() / session_len) * session_len;
            for id in &live[session..session + session_len] {
                heap.dealloc(*id);
            }
            for id in &mut live[session..session + session_len] {
                *id = heap.alloc(random.between(low, high));
            }
        }
    }
}

/// Vecs that double until they are dropped; half of them through realloc, half by a new block and
/// a copy.
pub(super) struct Vectors<'a> {
    /// Capacities to start from.
    pub(super) starts: &'a [u32],
    /// No larger one doubles.
    pub(super) largest: u32,
    pub(super) drop_one_in: u32,
}

impl Vectors<'_> {
    pub(super) fn write(
        &mut self,
        heap: &mut Recorder,
        random: &mut Random,
        count: u32,
        steps: u32,
    ) {
        let mut vecs: Vec<BlockId> = (0..count)
            .map(|_| heap.alloc(random.pick(self.starts)))
            .collect();
        for _ in 0..steps {
            let slot = random.index(vecs.len());
            let size = heap.size_of(vecs[slot]);
            if size >= self.largest || random.one_in(self.drop_one_in) {
                heap.dealloc(vecs[slot]);
                vecs[slot] = heap.alloc(random.pick(self.starts));
            } else if slot.is_multiple_of(2) {
                heap.realloc(vecs[slot], size * 2);
            } else {
                let copy = heap.alloc(size * 2);
                heap.dealloc(vecs[slot]);
                vecs[slot] = copy;
            }
        }
    }
}

/// Strings that are pushed to, cut to fit, cloned and dropped.
pub(super) fn strings(
    heap: &mut Recorder,
    random: &mut Random,
    steps: u32,
    most: usize,
    length: Range,
) {
    let mut live: Vec<BlockId> = Vec::new();
    for _ in 0..steps {
        let len = random.log_uniform(length[0], length[1]);
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
        while live.len() > most {
            let dropped = random.index(live.len());
            heap.dealloc(live.swap_remove(dropped));
        }
    }
}

/// Large blocks, a random one replaced; some are asked for zeroed.
pub(super) fn large(
    heap: &mut Recorder,
    random: &mut Random,
    count: u32,
    steps: u32,
    size: Range,
    zeroed_one_in: u32,
) {
    let mut live: Vec<BlockId> = (0..count)
        .map(|_| heap.alloc(random.log_uniform(size[0], size[1])))
        .collect();
    for _ in 0..steps {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        let size = random.log_uniform(size[0], size[1]);
        live[slot] = if random.one_in(zeroed_one_in) {
            heap.alloc_zeroed(size)
        } else {
            heap.alloc(size)
        };
    }
}

/// Fill, free every second at random, fill the gaps with other sizes, free everything.
pub(super) fn fragments(
    heap: &mut Recorder,
    random: &mut Random,
    rounds: u32,
    blocks: u32,
    gaps: u32,
) {
    for round in 0..rounds {
        let shift = round % 2;
        let mut live: Vec<BlockId> = (0..blocks)
            .map(|_| heap.alloc(random.log_uniform(4 + shift, 8 + shift)))
            .collect();
        free_every_second(heap, random, &mut live);
        live.extend((0..gaps).map(|_| heap.alloc(random.log_uniform(7, 10))));
        free_every_second(heap, random, &mut live);
        free_shuffled(heap, random, live);
    }
}

/// Holes that the next requests almost fit: blocks are freed between pinned ones, then blocks a
/// little larger are asked for; `counts` of each.
pub(super) fn near_holes(
    heap: &mut Recorder,
    random: &mut Random,
    rounds: u32,
    [holes, requests]: [u32; 2],
    base: u32,
) {
    for round in 0..rounds {
        let base = base << (2 * (round % 4));
        let mut pins = Vec::new();
        let mut freed = Vec::new();
        for _ in 0..holes {
            freed.push(heap.alloc(base + random.below(base / 8)));
            pins.push(heap.alloc(24));
        }
        for id in freed {
            heap.dealloc(id);
        }
        let larger = base + base / 8;
        let wanted: Vec<BlockId> = (0..requests)
            .map(|_| heap.alloc(larger + random.below(base / 8)))
            .collect();
        pins.extend(wanted);
        free_shuffled(heap, random, pins);
    }
}

/// Phases of one size each: every phase fills as many bytes and leaves one block in so many.
pub(super) struct Sawtooth<'a> {
    pub(super) phase_bytes: u32,
    pub(super) sizes: &'a [u32],
    pub(super) keep_one_in: u32,
    /// Blocks left at most.
    pub(super) kept: usize,
}

impl Sawtooth<'_> {
    pub(super) fn write(&self, heap: &mut Recorder, random: &mut Random, phases: u32) {
        let mut left = Vec::new();
        for phase in 0..phases {
            for size in self.sizes {
                let size = size + 8 * (phase % 4);
                let count = (self.phase_bytes / size).min(2_500);
                let blocks: Vec<BlockId> = (0..count).map(|_| heap.alloc(size)).collect();
                for id in blocks {
                    if random.one_in(self.keep_one_in) {
                        left.push(id);
                    } else {
                        heap.dealloc(id);
                    }
                }
                while left.len() > self.kept {
                    let dropped = random.index(left.len());
                    heap.dealloc(left.swap_remove(dropped));
                }
            }
        }
    }
}

/// A buffer grows by one page per step: through realloc, or the new one is taken and then the old
/// one freed.
pub(super) fn ratchet(heap: &mut Recorder, pages: u32, realloc: bool) {
    let mut buffer = heap.alloc(PAGE);
    for pages in 2..=pages {
        if realloc {
            heap.realloc(buffer, pages * PAGE);
        } else {
            let larger = heap.alloc(pages * PAGE);
            heap.dealloc(buffer);
            buffer = larger;
        }
    }
}

/// A synthesiser: voices of a few fixed blocks each are started and stopped, from so many to so
/// many at once.
pub(super) fn synthesiser(
    heap: &mut Recorder,
    random: &mut Random,
    ops: usize,
    [least, most]: [usize; 2],
) {
    let mut voices: Vec<Vec<BlockId>> = Vec::new();
    while heap.op_count() < ops {
        if voices.len() < least || (voices.len() < most && random.one_in(2)) {
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

/// An audio worklet: for every quantum of 128 frames each voice takes two buffers of `f32` and
/// gives them back; events arrive, start voices with delay lines, stop others and are dropped.
pub(super) fn worklet(
    heap: &mut Recorder,
    random: &mut Random,
    quanta: u32,
    most: usize,
    event_one_in: u32,
) {
    const QUANTUM_BYTES: u32 = 128 * 4;
    let mut voices: Vec<Vec<BlockId>> = Vec::new();
    for _ in 0..quanta {
        if random.one_in(event_one_in) {
            let event = heap.alloc(random.between(24, 160));
            if voices.len() < most && random.one_in(2) || voices.is_empty() {
                let mut voice = vec![heap.alloc(208), heap.alloc(64)];
                let delay = random.between(2, 40) * QUANTUM_BYTES;
                voice.push(heap.alloc_aligned(delay, 16));
                voices.push(voice);
            } else {
                let stopped = random.index(voices.len());
                for id in voices.swap_remove(stopped) {
                    heap.dealloc(id);
                }
            }
            heap.dealloc(event);
        }
        let mix = heap.alloc_aligned(2 * QUANTUM_BYTES, 16);
        for _ in &voices {
            let scratch = [0; 2].map(|_| heap.alloc_aligned(QUANTUM_BYTES, 16));
            for id in scratch {
                heap.dealloc(id);
            }
        }
        heap.dealloc(mix);
    }
}

/// Parameters of `game`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Game {
    frames: u32,
    /// Alive at one time.
    entities: usize,
    /// Frames from one level to the next.
    level_frames: u32,
    /// Of one level.
    assets: u32,
}

/// A game: each frame builds a draw list and a few strings and drops them, spawns and kills
/// entities of several components; a level brings large assets and takes away the last level's.
pub(super) fn game(heap: &mut Recorder, random: &mut Random, world: &Game, scale: u32) {
    let mut entities: Vec<Vec<BlockId>> = Vec::new();
    let mut assets: Vec<BlockId> = Vec::new();
    for frame in 0..world.frames * scale {
        if frame.is_multiple_of(world.level_frames) {
            for id in core::mem::take(&mut assets) {
                heap.dealloc(id);
            }
            assets.extend((0..world.assets).map(|_| heap.alloc(random.log_uniform(13, 19))));
        }
        let list = heap.alloc(64);
        let mut capacity = 64;
        let drawn = u32::try_from(entities.len()).unwrap_or(u32::MAX) * 40;
        while capacity < drawn {
            capacity *= 2;
            heap.realloc(list, capacity);
        }
        let texts: Vec<BlockId> = (0..random.between(2, 12))
            .map(|_| heap.alloc_aligned(random.between(8, 60), 1))
            .collect();
        for _ in 0..random.between(1, 30) {
            if entities.len() < world.entities {
                let sizes = [48, 96, random.pick(&[32, 128, 272])];
                entities.push(sizes.map(|size| heap.alloc(size)).into());
            } else {
                let killed = random.index(entities.len());
                for id in entities.swap_remove(killed) {
                    heap.dealloc(id);
                }
            }
        }
        for id in texts {
            heap.dealloc(id);
        }
        heap.dealloc(list);
    }
}

/// Holes of one size between pinned blocks, and requests that none of them fits; the `request`
/// and how many.
pub(super) fn near_fit(heap: &mut Recorder, holes: u32, hole: u32, [request, requests]: [u32; 2]) {
    let freed: Vec<BlockId> = (0..holes)
        .map(|_| {
            let id = heap.alloc(hole);
            heap.alloc(24);
            id
        })
        .collect();
    for id in freed {
        heap.dealloc(id);
    }
    for _ in 0..requests {
        heap.alloc(request);
    }
}

/// A map from strings: B-tree leaves and inner nodes, keys and values, then as many removed as
/// inserted.
pub(super) fn tree(heap: &mut Recorder, random: &mut Random, ops: usize, leaves: u32) {
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
    let mut leaves: Vec<Vec<BlockId>> = (0..leaves).map(|_| leaf(heap, random)).collect();
    while heap.op_count() < ops {
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
pub(super) fn free_every_second(heap: &mut Recorder, random: &mut Random, live: &mut Vec<BlockId>) {
    live.retain(|&id| {
        let kept = random.one_in(2);
        if !kept {
            heap.dealloc(id);
        }
        kept
    });
}

pub(super) fn free_shuffled(heap: &mut Recorder, random: &mut Random, mut live: Vec<BlockId>) {
    while !live.is_empty() {
        let freed = random.index(live.len());
        heap.dealloc(live.swap_remove(freed));
    }
}

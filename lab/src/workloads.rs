//! The workloads: data in `lab/workloads`, and the generators that turn it into traces.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::trace::{BlockId, Recorder, Trace};
use alligator_tools::random::Random;

/// Bytes of a Wasm page.
const PAGE: u32 = 65_536;

/// A checksum, as a workload's file has it.
pub(crate) type Checksum = u32;

/// A synthetic workload.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Synthetic {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) seed: u64,
    /// One of those over which the project's targets are computed.
    #[serde(default)]
    pub(crate) targets: bool,
    #[serde(default)]
    checksum: Option<Checksums>,
    #[serde(flatten)]
    generator: Generator,
}

/// Of the whole trace, and of a quick one.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checksums {
    full: Checksum,
    quick: Checksum,
}

/// A real program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) about: String,
    /// In `lab/programs/src/lib.rs`.
    pub(crate) number: u32,
    #[serde(default)]
    pub(crate) targets: bool,
    /// Of its output.
    #[serde(default)]
    pub(crate) checksum: Option<Checksum>,
}

/// From the first to the second, both included.
type Range = [u32; 2];

/// The generators and their parameters. Lengths are multiplied by `scale`: 4 for a whole run and 1
/// for a quick one. It does not change the size of the heap.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Generator {
    Mixed(Mixed),
    Objects {
        live: u32,
        steps: u32,
        sizes: Vec<u32>,
    },
    Stack {
        bursts: u32,
        burst_log2: Range,
        size_log2: Range,
    },
    Queue {
        ops: usize,
        burst: Range,
        size: Range,
    },
    Server(Server),
    Vectors {
        vectors: u32,
        steps: u32,
        starts: Vec<u32>,
        largest: u32,
        drop_one_in: u32,
    },
    Strings {
        steps: u32,
        live: usize,
        length_log2: Range,
    },
    Large {
        live: u32,
        steps: u32,
        size_log2: Range,
        zeroed_one_in: u32,
    },
    Fragments {
        rounds: u32,
        blocks: u32,
        gaps: u32,
    },
    Holes {
        rounds: u32,
        holes: u32,
        requests: u32,
        base: u32,
    },
    Sawtooth {
        phases: u32,
        phase_bytes: u32,
        sizes: Vec<u32>,
        keep_one_in: u32,
        kept: usize,
    },
    Ratchet {
        pages: u32,
        realloc: bool,
    },
    Voices {
        ops: usize,
        voices: [usize; 2],
    },
    Tree {
        ops: usize,
        leaves: u32,
    },
    Worklet {
        quanta: u32,
        voices: usize,
        event_one_in: u32,
    },
    Game(Game),
    NearFit {
        holes: u32,
        hole: u32,
        request: u32,
        requests: u32,
    },
}

/// The synthetic workloads, in the order of the report.
pub(crate) fn synthetic() -> Result<Vec<Synthetic>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        workload: Vec<Synthetic>,
    }
    Ok(read::<File>("synthetic.toml")?.workload)
}

/// The real programs, in the order of the report.
pub(crate) fn programs() -> Result<Vec<Program>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        program: Vec<Program>,
    }
    Ok(read::<File>("programs.toml")?.program)
}

fn read<T: for<'de> Deserialize<'de>>(file: &str) -> Result<T> {
    let path = super::dir().join("workloads").join(file);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

impl Synthetic {
    /// The trace; a quarter of its length if `quick`.
    pub(crate) fn trace(&self, quick: bool) -> Trace {
        let scale = if quick { 1 } else { 4 };
        let mut recorder = Recorder::default();
        let mut random = Random::new(self.seed);
        self.generator.write(&mut recorder, &mut random, scale);
        recorder.finish(&self.name)
    }

    /// What the file says is the checksum of the trace's contents.
    pub(crate) fn checksum(&self, quick: bool) -> Option<Checksum> {
        let checksums = self.checksum?;
        Some(if quick {
            checksums.quick
        } else {
            checksums.full
        })
    }
}

impl Generator {
    fn write(&self, heap: &mut Recorder, random: &mut Random, scale: u32) {
        match *self {
            Self::Mixed(ref mix) => mixed(heap, random, mix, scale),
            Self::Objects {
                live,
                steps,
                ref sizes,
            } => objects(heap, random, live, steps * scale, sizes),
            Self::Stack {
                bursts,
                burst_log2,
                size_log2,
            } => stack(heap, random, bursts * scale, burst_log2, size_log2),
            Self::Queue { ops, burst, size } => {
                queue(heap, random, ops * scale as usize, burst, size);
            }
            Self::Server(ref traffic) => server(heap, random, traffic, scale),
            Self::Vectors {
                vectors,
                steps,
                ref starts,
                largest,
                drop_one_in,
            } => {
                let mut vecs = Vectors {
                    starts,
                    largest,
                    drop_one_in,
                };
                vecs.write(heap, random, vectors, steps * scale);
            }
            Self::Strings {
                steps,
                live,
                length_log2,
            } => strings(heap, random, steps * scale, live, length_log2),
            Self::Large {
                live,
                steps,
                size_log2,
                zeroed_one_in,
            } => large(heap, random, live, steps * scale, size_log2, zeroed_one_in),
            Self::Fragments {
                rounds,
                blocks,
                gaps,
            } => fragments(heap, random, rounds * scale, blocks, gaps),
            Self::Holes {
                rounds,
                holes,
                requests,
                base,
            } => near_holes(heap, random, rounds * scale, [holes, requests], base),
            Self::Sawtooth {
                phases,
                phase_bytes,
                ref sizes,
                keep_one_in,
                kept,
            } => {
                let saw = Sawtooth {
                    phase_bytes,
                    sizes,
                    keep_one_in,
                    kept,
                };
                saw.write(heap, random, phases * scale);
            }
            Self::Ratchet { pages, realloc } => ratchet(heap, pages, realloc),
            Self::Voices { ops, voices } => {
                synthesiser(heap, random, ops * scale as usize, voices);
            }
            Self::Tree { ops, leaves } => tree(heap, random, ops * scale as usize, leaves),
            Self::Worklet {
                quanta,
                voices,
                event_one_in,
            } => worklet(heap, random, quanta * scale, voices, event_one_in),
            Self::Game(ref world) => game(heap, random, world, scale),
            Self::NearFit {
                holes,
                hole,
                request,
                requests,
            } => near_fit(heap, holes, hole, [request, requests]),
        }
    }
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

/// Parameters of `mixed`.
#[derive(Clone, Debug, Deserialize)]
struct Mixed {
    live: u32,
    steps: u32,
    realloc_one_in: Option<u32>,
    zeroed_one_in: Option<u32>,
}

/// A random block is replaced, over and over. If so asked, some steps resize a block to between
/// half and twice its size, and some blocks are asked for zeroed.
fn mixed(heap: &mut Recorder, random: &mut Random, mix: &Mixed, scale: u32) {
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
fn objects(heap: &mut Recorder, random: &mut Random, live: u32, steps: u32, sizes: &[u32]) {
    let mut live: Vec<BlockId> = (0..live).map(|_| heap.alloc(random.pick(sizes))).collect();
    for _ in 0..steps {
        let slot = random.index(live.len());
        heap.dealloc(live[slot]);
        live[slot] = heap.alloc(random.pick(sizes));
    }
}

/// Bursts as of recursion: last in, first out, over a few lasting blocks.
fn stack(heap: &mut Recorder, random: &mut Random, bursts: u32, burst: Range, size: Range) {
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
fn queue(heap: &mut Recorder, random: &mut Random, ops: usize, burst: Range, size: Range) {
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
struct Server {
    objects: u32,
    steps: u32,
    size: Range,
    session: usize,
    session_one_in: u32,
}

/// Larson's server: each request replaces a random object; sometimes a session ends at once.
fn server(heap: &mut Recorder, random: &mut Random, traffic: &Server, scale: u32) {
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
struct Vectors<'a> {
    /// Capacities to start from.
    starts: &'a [u32],
    /// No larger one doubles.
    largest: u32,
    drop_one_in: u32,
}

impl Vectors<'_> {
    fn write(&mut self, heap: &mut Recorder, random: &mut Random, count: u32, steps: u32) {
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
fn strings(heap: &mut Recorder, random: &mut Random, steps: u32, most: usize, length: Range) {
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
fn large(
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
fn fragments(heap: &mut Recorder, random: &mut Random, rounds: u32, blocks: u32, gaps: u32) {
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
fn near_holes(
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
struct Sawtooth<'a> {
    phase_bytes: u32,
    sizes: &'a [u32],
    keep_one_in: u32,
    /// Blocks left at most.
    kept: usize,
}

impl Sawtooth<'_> {
    fn write(&self, heap: &mut Recorder, random: &mut Random, phases: u32) {
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
fn ratchet(heap: &mut Recorder, pages: u32, realloc: bool) {
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
fn synthesiser(heap: &mut Recorder, random: &mut Random, ops: usize, [least, most]: [usize; 2]) {
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
fn worklet(heap: &mut Recorder, random: &mut Random, quanta: u32, most: usize, event_one_in: u32) {
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
struct Game {
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
fn game(heap: &mut Recorder, random: &mut Random, world: &Game, scale: u32) {
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
fn near_fit(heap: &mut Recorder, holes: u32, hole: u32, [request, requests]: [u32; 2]) {
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
fn tree(heap: &mut Recorder, random: &mut Random, ops: usize, leaves: u32) {
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

    use super::*;
    use crate::oracle;
    use crate::trace::Op;

    fn quick_traces() -> Result<Vec<Trace>> {
        Ok(synthetic()?.iter().map(|one| one.trace(true)).collect())
    }

    #[test]
    fn every_trace_ends_with_nothing_live() -> Result<()> {
        for trace in quick_traces()? {
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
        Ok(())
    }

    #[test]
    fn traces_are_the_same_each_time() -> Result<()> {
        let (first, second) = (quick_traces()?, quick_traces()?);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.ops, second.ops, "{}", first.name);
        }
        Ok(())
    }

    #[test]
    fn no_block_is_empty() -> Result<()> {
        for trace in quick_traces()? {
            let empty = trace.ops.iter().any(|op| match *op {
                Op::Alloc { size, .. } | Op::Realloc { size, .. } => size == 0,
                Op::Dealloc { .. } => false,
            });
            assert!(!empty, "{}", trace.name);
        }
        Ok(())
    }

    #[test]
    fn checksums_in_the_file_are_those_of_the_traces() -> Result<()> {
        for workload in synthetic()? {
            let computed = oracle::checksum(&workload.trace(true));
            assert_eq!(workload.checksum(true), Some(computed), "{}", workload.name);
        }
        Ok(())
    }

    #[test]
    fn names_are_not_taken_twice() -> Result<()> {
        let mut names: HashSet<String> = HashSet::new();
        let synthetic = synthetic()?.into_iter().map(|workload| workload.name);
        let programs = programs()?.into_iter().map(|program| program.name);
        for name in synthetic.chain(programs) {
            assert!(names.insert(name.clone()), "{name}");
        }
        Ok(())
    }
}

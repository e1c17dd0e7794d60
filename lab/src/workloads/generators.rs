//! The generators, as the data of `lab/workloads` chooses them.

use serde::Deserialize;

use super::patterns::{self, Game, Mixed, Range, Sawtooth, Server, Vectors};
use alligator_replay::Recorder;
use alligator_tools::random::Random;

/// The generators and their parameters. Lengths are multiplied by `scale`: 4 for a whole run and 1
/// for a quick one. It does not change the size of the heap.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Generator {
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

impl Generator {
    /// Writes the generator's trace, `scale` times its shortest length.
    pub(super) fn write(&self, heap: &mut Recorder, random: &mut Random, scale: u32) {
        match *self {
            Self::Mixed(ref mix) => patterns::mixed(heap, random, mix, scale),
            Self::Objects {
                live,
                steps,
                ref sizes,
            } => patterns::objects(heap, random, live, steps * scale, sizes),
            Self::Stack {
                bursts,
                burst_log2,
                size_log2,
            } => patterns::stack(heap, random, bursts * scale, burst_log2, size_log2),
            Self::Queue { ops, burst, size } => {
                patterns::queue(heap, random, ops * scale as usize, burst, size);
            }
            Self::Server(ref traffic) => patterns::server(heap, random, traffic, scale),
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
            } => patterns::strings(heap, random, steps * scale, live, length_log2),
            Self::Large {
                live,
                steps,
                size_log2,
                zeroed_one_in,
            } => patterns::large(heap, random, live, steps * scale, size_log2, zeroed_one_in),
            Self::Fragments {
                rounds,
                blocks,
                gaps,
            } => patterns::fragments(heap, random, rounds * scale, blocks, gaps),
            Self::Holes {
                rounds,
                holes,
                requests,
                base,
            } => patterns::near_holes(heap, random, rounds * scale, [holes, requests], base),
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
            Self::Ratchet { pages, realloc } => patterns::ratchet(heap, pages, realloc),
            Self::Voices { ops, voices } => {
                patterns::synthesiser(heap, random, ops * scale as usize, voices);
            }
            Self::Tree { ops, leaves } => {
                patterns::tree(heap, random, ops * scale as usize, leaves);
            }
            Self::Worklet {
                quanta,
                voices,
                event_one_in,
            } => patterns::worklet(heap, random, quanta * scale, voices, event_one_in),
            Self::Game(ref world) => patterns::game(heap, random, world, scale),
            Self::NearFit {
                holes,
                hole,
                request,
                requests,
            } => patterns::near_fit(heap, holes, hole, [request, requests]),
        }
    }
}

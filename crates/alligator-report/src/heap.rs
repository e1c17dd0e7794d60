//! The blocks that are live, event by event.

use alligator_trace::{Event, Header, Kind};
use rustc_hash::FxBuildHasher;

/// A map with a fast hash.
pub(crate) type FxHashMap<K, V> = std::collections::HashMap<K, V, FxBuildHasher>;

/// A block, from the moment it was given to the moment it was resized or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) address: u64,
    /// As asked for, in bytes.
    pub(crate) size: u64,
    /// How many blocks it stands for: more than 1 in a sampled trace only.
    pub(crate) weight: u64,
    /// Number of the call stack that asked for it.
    pub(crate) site: u32,
    /// Moment from which it is live: the number of events up to and with the one that gave it.
    pub(crate) born: u64,
    pub(crate) born_ns: u64,
    pub(crate) chain: Chain,
}

impl Block {
    /// The bytes that it stands for.
    pub(crate) fn bytes(&self) -> u64 {
        self.size.saturating_mul(self.weight)
    }

    /// The first address after it.
    pub(crate) fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }
}

/// What a block of a sampled trace stands for, at most.
const WEIGHT_MAX: u64 = 1 << 32;

/// What resizes a block has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// How many.
    pub(crate) resizes: u64,
    /// How many of them went to at least one and a half times the size.
    pub(crate) leaps: u64,
    /// The size before the first.
    pub(crate) first_size: u64,
    /// Bytes that had to be copied, since the block moved.
    pub(crate) copied: u64,
}

impl Chain {
    fn start(size: u64) -> Self {
        Self {
            resizes: 0,
            leaps: 0,
            first_size: size,
            copied: 0,
        }
    }
}

/// What an event did to the blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Given back, or resized.
    pub(crate) died: Option<Block>,
    /// Still live for all we know, but its address was given away.
    pub(crate) replaced: Option<Block>,
    pub(crate) born: Option<Block>,
    /// `died` went on as `born`.
    pub(crate) is_resize: bool,
}

/// Events that say something impossible or nothing at all of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Oddities {
    /// Requests that were refused.
    pub refused: u64,
    /// Blocks given back or resized that were not live: taken before the recording began, or given back twice.
    pub unknown: u64,
    /// Blocks that were live when their address was given away again: given back unseen.
    pub replaced: u64,
    /// Events that the recorder lost.
    pub lost: u64,
}

/// The heap at a moment.
#[derive(Debug)]
pub(crate) struct Heap {
    live: FxHashMap<u64, Block>,
    sample_bytes: u64,
    /// Events so far.
    pub(crate) moment: u64,
    pub(crate) time_ns: u64,
    /// Live bytes and blocks.
    pub(crate) bytes: u64,
    pub(crate) blocks: u64,
    pub(crate) pages: u64,
    pub(crate) oddities: Oddities,
}

impl Heap {
    pub(crate) fn new(header: &Header) -> Self {
        Self {
            live: FxHashMap::default(),
            sample_bytes: header.sample_bytes,
            moment: 0,
            time_ns: 0,
            bytes: 0,
            blocks: 0,
            pages: header.pages,
            oddities: Oddities::default(),
        }
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Block> {
        self.live.values()
    }

    /// The live blocks, by address.
    pub(crate) fn by_address(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = self.live().copied().collect();
        blocks.sort_unstable_by_key(|block| block.address);
        blocks
    }

    /// Takes one event in. Time: constant.
    pub(crate) fn apply(&mut self, event: &Event) -> Change {
        self.moment += 1;
        self.time_ns = event.time_ns;
        match event.kind {
            Kind::Alloc { address, size, .. } => self.give(event, address, size, None),
            Kind::Free { address } => Change {
                died: self.take(address),
                ..Change::default()
            },
            Kind::Realloc {
                old, address, size, ..
            } => self.resize(event, old, address, size),
            Kind::Grow { after, .. } => {
                self.pages = after;
                Change::default()
            }
            Kind::Lost { events } => {
                self.oddities.lost = self.oddities.lost.saturating_add(events);
                Change::default()
            }
            Kind::Mark { .. } => Change::default(),
        }
    }

    fn resize(&mut self, event: &Event, old: u64, address: u64, size: u64) -> Change {
        if address == 0 {
            self.oddities.refused += 1;
            return Change::default();
        }
        let died = if old == 0 { None } else { self.take(old) };
        let change = self.give(event, address, size, died.as_ref());
        Change {
            died,
            is_resize: died.is_some(),
            ..change
        }
    }

    /// A block for `size` bytes, which goes on from `before` if it is a resized one.
    fn give(&mut self, event: &Event, address: u64, size: u64, before: Option<&Block>) -> Change {
        if address == 0 {
            self.oddities.refused += 1;
            return Change::default();
        }
        let weight = match before {
            Some(before) => before.weight,
            None if size > 0 => {
                (self.sample_bytes.saturating_add(size / 2) / size).clamp(1, WEIGHT_MAX)
            }
            None => 1,
        };
        let block = Block {
            address,
            size,
            weight,
            site: event.site.0,
            born: self.moment,
            born_ns: event.time_ns,
            chain: before.map_or(Chain::start(size), |before| {
                let moved = before.address != address;
                Chain {
                    resizes: before.chain.resizes + 1,
                    leaps: before.chain.leaps
                        + u64::from(size >= before.size.saturating_add(before.size / 2)),
                    copied: before.chain.copied.saturating_add(if moved {
                        before.size.min(size)
                    } else {
                        0
                    }),
                    ..before.chain
                }
            }),
        };
        self.bytes = self.bytes.saturating_add(block.bytes());
        self.blocks = self.blocks.saturating_add(weight);
        let replaced = self.live.insert(address, block);
        if let Some(replaced) = &replaced {
            self.forget(replaced);
            self.oddities.replaced += 1;
        }
        Change {
            born: Some(block),
            replaced,
            ..Change::default()
        }
    }

    fn take(&mut self, address: u64) -> Option<Block> {
        if address == 0 {
            return None;
        }
        let block = self.live.remove(&address);
        match &block {
            Some(block) => self.forget(block),
            None => self.oddities.unknown += 1,
        }
        block
    }

    fn forget(&mut self, block: &Block) {
        self.bytes = self.bytes.saturating_sub(block.bytes());
        self.blocks = self.blocks.saturating_sub(block.weight);
    }
}

//! Random attack programs: legal requests of few sizes, so that memory is used again, around one kind of bug.
//!
//! *Source:* Yun and others: Automatic Techniques to Systematically Discover New Heap Exploitation Primitives
//! (`ArcHeap`, USENIX Security 2020), whose actions and choice of values these are: sizes near each other and
//! near other blocks' sizes, pointers into the heap and to statics, distances, small numbers.

use super::program::{Action, Class, Place, Program, Value};
use alligator_tools::random::Random;

/// The program of number `index` in the search that `seed` stands for.
pub(crate) fn program(seed: u64, class: Class, index: u64) -> Program {
    let mixed = mix(mix(seed ^ (class as u64) << 56) ^ index);
    let mut random = Random::new(mixed);
    let regime = Regime::pick(&mut random);
    let sizes = (0..random.between(1, 4))
        .map(|_| regime.size(&mut random))
        .collect();
    let mut generator = Generator {
        random,
        class,
        regime,
        sizes,
        blocks: Vec::new(),
        actions: Vec::new(),
    };
    generator.write();
    generator.actions
}

/// Numbers that are near become numbers that are far apart. *Source:* Steele and others: Fast splittable
/// pseudorandom number generators, OOPSLA 2014 (`SplitMix64`).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// How large a program's blocks are, as powers of two: from, and below.
#[derive(Clone, Copy)]
struct Regime {
    low_log2: u32,
    high_log2: u32,
}

impl Regime {
    fn pick(random: &mut Random) -> Self {
        // Half of the programs have small blocks only. Large ones are what makes heaps take in more memory.
        let (low_log2, high_log2) = random.pick(&[
            (3, 8),
            (3, 8),
            (3, 8),
            (3, 11),
            (3, 11),
            (5, 13),
            (10, 14),
            (3, 16),
            (12, 17),
            (14, 18),
        ]);
        Self {
            low_log2,
            high_log2,
        }
    }

    fn size(self, random: &mut Random) -> u32 {
        let size = random.log_uniform(self.low_log2, self.high_log2);
        match random.below(4) {
            0 => size,
            1 => size.next_multiple_of(8),
            2 => size.next_multiple_of(16) - 4,
            _ => size.next_power_of_two() - random.pick(&[0, 0, 4, 8, 1]),
        }
    }
}

/// A block as the program expects it.
#[derive(Clone, Copy)]
struct Block {
    size: u32,
    is_live: bool,
}

struct Generator {
    random: Random,
    class: Class,
    regime: Regime,
    /// The sizes that are used over and over.
    sizes: Vec<u32>,
    blocks: Vec<Block>,
    actions: Program,
}

impl Generator {
    fn write(&mut self) {
        for _ in 0..self.random.between(1, 4) {
            self.allocate();
        }
        let bugs = self.random.between(1, 4);
        for _ in 0..bugs {
            for _ in 0..self.random.between(0, 8) {
                self.legal();
            }
            self.bug();
        }
        // What the bug has done shows when the heap is used.
        for _ in 0..self.random.between(3, 12) {
            self.legal();
        }
        for _ in 0..self.random.between(1, 4) {
            self.allocate();
        }
    }

    fn legal(&mut self) {
        match self.random.below(40) {
            0..=15 => self.allocate(),
            16..=26 => self.free(),
            27..=30 => self.reallocate(),
            31..=33 => self.fill(),
            34..=35 => self.use_up(),
            36..=38 => self.forge(),
            _ => self.burst(),
        }
    }

    fn allocate(&mut self) {
        let size = self.size();
        let plain = match size {
            Value::Number(number) => number,
            _ => 64,
        };
        let align = self.align();
        self.actions.push(Action::Allocate {
            block: self.blocks.len(),
            size,
            align,
            zeroed: self.random.one_in(8),
        });
        self.blocks.push(Block {
            size: plain,
            is_live: true,
        });
        if self.random.one_in(3) {
            self.actions.push(Action::Use {
                block: self.blocks.len() - 1,
            });
        }
    }

    fn free(&mut self) {
        if let Some(block) = self.pick(true) {
            self.blocks[block].is_live = false;
            self.actions.push(Action::Free { block });
        }
    }

    fn reallocate(&mut self) {
        if let Some(block) = self.pick(true) {
            let size = self.size();
            if let Value::Number(number) = size {
                self.blocks[block].size = number;
            }
            self.actions.push(Action::Reallocate { block, size });
        }
    }

    fn fill(&mut self) {
        if let Some(block) = self.pick(true) {
            let at = self.offset(self.blocks[block].size);
            let words = self.words();
            self.actions.push(Action::Fill { block, at, words });
        }
    }

    fn use_up(&mut self) {
        if let Some(block) = self.pick(true) {
            self.actions.push(Action::Use { block });
        }
    }

    fn forge(&mut self) {
        let at = self.random.below(16) * 8;
        let words = self.words();
        self.actions.push(Action::Forge { at, words });
    }

    /// Many blocks of one size, and most of them given back: what fills caches and empties them.
    fn burst(&mut self) {
        let size = self.random.pick(&self.sizes.clone());
        let count = if size > 4096 {
            4
        } else {
            self.random.between(8, 70)
        };
        let first = self.blocks.len();
        for block in (first..).take(count as usize) {
            self.actions.push(Action::Allocate {
                block,
                size: Value::Number(size),
                align: 8,
                zeroed: false,
            });
            self.blocks.push(Block {
                size,
                is_live: true,
            });
        }
        if self.random.one_in(4) {
            return;
        }
        for block in first..self.blocks.len() {
            if !self.random.one_in(8) {
                self.blocks[block].is_live = false;
                self.actions.push(Action::Free { block });
            }
        }
    }

    fn bug(&mut self) {
        let action = match self.class {
            Class::None => None,
            Class::Overflow => self.overflow(),
            Class::OffByOne => {
                let byte = self.random.below(256).to_le_bytes()[0];
                self.pick(true)
                    .map(|block| Action::OffByOne { block, byte })
            }
            Class::OffByOneNull => self
                .pick(true)
                .map(|block| Action::OffByOne { block, byte: 0 }),
            Class::WriteAfterFree => self.write_after_free(),
            Class::DoubleFree | Class::StaleFree => {
                self.pick(false).map(|block| Action::FreeAgain {
                    block,
                    stale: self.class == Class::StaleFree,
                })
            }
            Class::InvalidFree => Some(self.invalid_free()),
            Class::WrongLayout => self.wrong_layout(),
        };
        self.actions.extend(action);
    }

    fn overflow(&mut self) -> Option<Action> {
        let block = self.pick(true)?;
        let words = self.words();
        let bytes = match self.random.below(20) {
            0..=9 => 4 * self.random.between(1, 16),
            10..=14 => self.random.log_uniform(4, 11),
            15..=17 => self.random.log_uniform(10, 14),
            _ => self.random.log_uniform(13, 18),
        };
        Some(Action::Overflow {
            block,
            bytes,
            words,
        })
    }

    fn write_after_free(&mut self) -> Option<Action> {
        let block = self.pick(false)?;
        let at = self.offset(self.blocks[block].size);
        let words = self.words();
        Some(Action::WriteAfterFree { block, at, words })
    }

    fn invalid_free(&mut self) -> Action {
        let inside = [4, 8, 16, 24, 32, 64, 128, 1024, 2048, 4096, 1, 65_536];
        let pointer = match self.random.below(10) {
            0..=4 => {
                let block = self.random.index(self.blocks.len().max(1));
                let plus = self.random.pick(&inside);
                let plus = if self.random.one_in(5) { -plus } else { plus };
                Value::Address(Place::Block(block), plus)
            }
            5 | 6 => Value::Address(Place::Target, self.near() + 8),
            7 => Value::Address(Place::HeapBase, self.granular()),
            8 => Value::Address(Place::MemoryEnd, -self.granular()),
            _ => self.word(),
        };
        Action::InvalidFree {
            pointer,
            size: self.size(),
            align: self.align(),
        }
    }

    fn wrong_layout(&mut self) -> Option<Action> {
        let block = self.pick(true)?;
        let size = match self.random.below(3) {
            0 => Value::Size {
                block,
                plus: self.random.pick(&[-1, 1, 8, -8, 64, 2048, -2048]),
            },
            1 => Value::Number(self.regime.size(&mut self.random)),
            _ => Value::Number(self.random.log_uniform(3, 18)),
        };
        let resize = self.random.one_in(3).then(|| self.size());
        if resize.is_none() {
            self.blocks[block].is_live = false;
        }
        Some(Action::WrongLayout {
            block,
            size,
            align: self.align(),
            resize,
        })
    }

    /// A block that is live, or is not; mostly one of the latest.
    fn pick(&mut self, is_live: bool) -> Option<usize> {
        let numbers = self.blocks.iter().enumerate();
        let candidates: Vec<usize> = numbers
            .filter(|(_, block)| block.is_live == is_live)
            .map(|(number, _)| number)
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let latest = candidates.len().min(4);
        let first = if self.random.one_in(2) {
            0
        } else {
            candidates.len() - latest
        };
        let candidates = &candidates[first..];
        Some(self.random.pick(candidates))
    }

    fn size(&mut self) -> Value {
        match self.random.below(40) {
            0..=27 => Value::Number(self.random.pick(&self.sizes.clone())),
            28..=31 => {
                let near = self.random.pick(&self.sizes.clone());
                Value::Number(near.saturating_add_signed(self.near()).max(1))
            }
            32..=37 => Value::Number(self.regime.size(&mut self.random)),
            38 => Value::Distance {
                from: self.place(),
                to: self.place(),
                plus: self.near(),
            },
            _ => Value::Number(self.random.pick(&[
                1,
                1 << 17,
                1 << 19,
                (1 << 20) + 1,
                i32::MAX as u32,
                (i32::MAX as u32) - 65_536,
            ])),
        }
    }

    fn align(&mut self) -> u32 {
        match self.random.below(40) {
            0..=33 => 1 << self.random.between(0, 3),
            34..=38 => 1 << self.random.between(4, 12),
            _ => 1 << self.random.between(13, 17),
        }
    }

    /// Where in a block of `size` to write: mostly its first words, where free blocks have their links.
    fn offset(&mut self, size: u32) -> u32 {
        if self.random.one_in(3) {
            self.random.below(size.max(1)) & !3
        } else {
            4 * self.random.below(4)
        }
    }

    fn words(&mut self) -> Vec<Value> {
        let count = self.random.pick(&[1, 1, 2, 2, 4, 4, 8]);
        (0..count).map(|_| self.word()).collect()
    }

    /// A word as an attacker chooses it.
    fn word(&mut self) -> Value {
        match self.random.below(16) {
            0 => Value::Number(0),
            1 => Value::Number(self.random.below(64)),
            2 => Value::Number(u32::MAX - self.random.below(64)),
            3 => Value::Number(self.random.log_uniform(0, 31)),
            4 | 5 => Value::Size {
                block: self.random.index(self.blocks.len().max(1)),
                plus: self.near(),
            },
            6 => Value::Distance {
                from: self.place(),
                to: self.place(),
                plus: self.near(),
            },
            7 => Value::Address(Place::HeapBase, self.granular()),
            _ => Value::Address(self.place(), self.near()),
        }
    }

    fn place(&mut self) -> Place {
        match self.random.below(8) {
            0..=2 => Place::Target,
            3 => Place::Victim,
            _ => Place::Block(self.random.index(self.blocks.len().max(1))),
        }
    }

    /// A small distance: as headers and flags make them.
    fn near(&mut self) -> i32 {
        self.random
            .pick(&[0, 0, 0, 0, 8, -8, 16, -16, 4, -4, 12, -12, 1, 2, 3, 32, 64])
    }

    /// Up to two pages, mostly a multiple of a power of two.
    fn granular(&mut self) -> i32 {
        let shift = self.random.pick(&[2, 5, 8, 11, 11, 12]);
        self.random.below(131_072).cast_signed() >> shift << shift
    }
}

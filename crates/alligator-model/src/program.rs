//! Programs made from a seed, the same on every machine.

use crate::step::Step;

/// What sizes and alignments a program asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// 1 to 64 bytes.
    Tiny,
    /// Up to 1 KiB, the small ones more often.
    Small,
    /// One of a few sizes at a time, as in programs with few types.
    FewSizes,
    /// Multiples of 8 up to 1 KiB, and one more and one less: the edges of size classes.
    Edges,
    /// Up to 64 KiB, every doubling equally often.
    Mixed,
    /// 1 to 64 KiB: runs only.
    Runs,
    /// Up to 1 MiB, at few blocks.
    Large,
    /// As `Mixed`, at alignments up to 64 KiB.
    Aligned,
}

/// All of them.
pub const MIXES: [Mix; 8] = [
    Mix::Tiny,
    Mix::Small,
    Mix::FewSizes,
    Mix::Edges,
    Mix::Mixed,
    Mix::Runs,
    Mix::Large,
    Mix::Aligned,
];

/// Numbers that look random. *Source:* Blackman, Vigna, *Scrambled Linear Pseudorandom Number Generators*,
/// 2021: the first stage of splitmix64.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u32) -> u32 {
        let high = self.next() >> 32;
        u32::try_from((high * u64::from(bound)) >> 32).unwrap_or(0)
    }

    /// From 1 up to below `1 << doublings`: every doubling is equally likely.
    fn log_uniform(&mut self, doublings: u32) -> u32 {
        let low = 1 << self.below(doublings);
        low + self.below(low)
    }
}

/// The slots of a program's table: few where blocks are large.
pub fn slots_of(mix: Mix) -> u32 {
    match mix {
        Mix::Tiny | Mix::Small | Mix::FewSizes | Mix::Edges => 4096,
        Mix::Mixed | Mix::Aligned => 512,
        Mix::Runs => 256,
        Mix::Large => 32,
    }
}

/// The steps a program of this mix has when one of small blocks has `length`: large blocks take time to copy.
pub fn steps_of(mix: Mix, length: usize) -> usize {
    match mix {
        Mix::Tiny | Mix::Small | Mix::FewSizes | Mix::Edges => length,
        Mix::Mixed | Mix::Aligned => length.div_ceil(2),
        Mix::Runs => length.div_ceil(8),
        Mix::Large => length.div_ceil(16),
    }
}

/// The endless steps of one program.
#[derive(Clone, Debug)]
pub struct Program {
    mix: Mix,
    random: Random,
    /// Whether each slot has a block, if no request is refused.
    is_used: Vec<bool>,
    used: u32,
    /// The phase: how full the table is to become, and in how many steps the next phase starts.
    wanted: u32,
    phase_left: u32,
    /// What `FewSizes` asks for now.
    few: [u32; 4],
    /// How a phase walks through the slots: at random, or upwards, or downwards.
    walk: Walk,
    slot: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    Random,
    Up,
    Down,
}

impl Program {
    /// The program of this seed.
    pub fn new(seed: u64, mix: Mix) -> Self {
        let slots = slots_of(mix);
        Self {
            mix,
            random: Random(seed.wrapping_mul(0xD134_2543_DE82_EF95)),
            is_used: vec![false; slots as usize],
            used: 0,
            wanted: 0,
            phase_left: 0,
            few: [1; 4],
            walk: Walk::Random,
            slot: 0,
        }
    }

    /// Another goal, another way to it.
    fn start_phase(&mut self) {
        let slots = slots_of(self.mix);
        self.wanted = match self.random.below(4) {
            0 => slots,
            1 => 0,
            _ => self.random.below(slots),
        };
        self.phase_left = 1 + self.random.below(slots * 4);
        self.walk = match self.random.below(4) {
            0 => Walk::Up,
            1 => Walk::Down,
            _ => Walk::Random,
        };
        for size in &mut self.few {
            *size = self.random.log_uniform(11);
        }
    }

    fn next_slot(&mut self) -> u32 {
        let slots = slots_of(self.mix);
        self.slot = match self.walk {
            Walk::Random => self.random.below(slots),
            Walk::Up => (self.slot + 1) % slots,
            Walk::Down => self.slot.checked_sub(1).unwrap_or(slots - 1),
        };
        self.slot
    }

    fn size(&mut self) -> u32 {
        let random = &mut self.random;
        match self.mix {
            Mix::Tiny => 1 + random.below(64),
            Mix::Small => random.log_uniform(10),
            Mix::FewSizes => self.few[random.below(4) as usize],
            Mix::Edges => (8 * (1 + random.below(128)) + random.below(3)).saturating_sub(1),
            Mix::Mixed | Mix::Aligned => random.log_uniform(16),
            Mix::Runs => 1025 + random.below(1 << 16),
            Mix::Large => random.log_uniform(20),
        }
    }

    fn align_log2(&mut self) -> u8 {
        let shift = match self.mix {
            Mix::Aligned => self.random.below(17),
            _ if self.random.below(16) == 0 => self.random.below(10),
            _ => self.random.below(4),
        };
        shift.to_le_bytes()[0]
    }

    /// What happens to the memory itself, seldom.
    fn rare(&mut self) -> Step {
        let random = &mut self.random;
        match random.below(3) {
            0 => Step::Reserve {
                bytes: random.log_uniform(20),
            },
            1 => Step::GrowBySomebodyElse {
                pages: 1 + random.below(3),
            },
            _ => Step::Limit {
                pages: random.below(64),
            },
        }
    }
}

impl Iterator for Program {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.phase_left == 0 {
            self.start_phase();
            return Some(self.rare());
        }
        self.phase_left -= 1;
        let slot = self.next_slot();
        if !self.is_used[slot as usize] {
            // Beyond the goal, an empty slot is filled now and then only.
            if self.used > self.wanted && self.random.below(4) > 0 {
                return self.next();
            }
            self.is_used[slot as usize] = true;
            self.used += 1;
            return Some(Step::Allocate {
                slot,
                size: self.size(),
                align_log2: self.align_log2(),
                zeroed: self.random.below(8) == 0,
            });
        }
        match self.random.below(8) {
            0 | 1 => Some(Step::Reallocate {
                slot,
                size: self.size(),
            }),
            // Below the goal, a full slot is emptied now and then only.
            chance if self.used < self.wanted && chance > 3 => self.next(),
            _ => {
                self.is_used[slot as usize] = false;
                self.used -= 1;
                Some(Step::Free { slot })
            }
        }
    }
}

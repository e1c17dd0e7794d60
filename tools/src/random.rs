//! Numbers that look random and are the same on every machine.

/// Marsaglia's xorshift64*.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Uniform below `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        u32::try_from((high * u64::from(bound)) >> 32).unwrap_or(0)
    }

    /// Uniform from `low` to `high`, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True once in `turns`.
    pub fn one_in(&mut self, turns: u32) -> bool {
        self.below(turns) == 0
    }

    /// From `1 << low_log2` up to below `1 << high_log2`: each doubling is equally likely, and
    /// uniform in itself.
    pub fn log_uniform(&mut self, low_log2: u32, high_log2: u32) -> u32 {
        let low = 1 << self.between(low_log2, high_log2 - 1);
        low + self.below(low)
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// An index into something of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        let len = u32::try_from(len).expect("fewer than 2^32 elements");
        self.below(len) as usize
    }
}

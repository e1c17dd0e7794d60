//! Text that looks written and is the same on every run.

const SYLLABLES: [&str; 24] = [
    "al", "li", "ga", "tor", "me", "mo", "ry", "pa", "ge", "heap", "re", "gi", "on", "sta", "ble",
    "gran", "ule", "mer", "split", "bin", "run", "con", "stant", "time",
];

/// Knuth's linear congruential generator, its upper bits.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % bound
    }

    /// A word of one to four syllables; short ones are frequent.
    pub(crate) fn word(&mut self) -> String {
        let syllables = 1 + self.below(4).min(self.below(4));
        (0..syllables)
            .map(|_| SYLLABLES[self.below(24) as usize])
            .collect()
    }

    /// `count` words with spaces between.
    pub(crate) fn words(&mut self, count: u32) -> String {
        let words: Vec<String> = (0..count).map(|_| self.word()).collect();
        words.join(" ")
    }

    /// A sentence of 4 to 20 words.
    pub(crate) fn sentence(&mut self) -> String {
        let count = 4 + self.below(17);
        let mut text = self.words(count);
        text[..1].make_ascii_uppercase();
        text + "."
    }
}

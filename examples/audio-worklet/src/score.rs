//! A score that is made up as it is played, the same each time: chords and runs, now thin, now dense.

/// Quanta in which it becomes as dense as it gets, and thin again.
const SWELL_QUANTA: u32 = 12_000;

pub struct Note {
    pub key: u32,
    pub echo_seconds: f32,
    pub quanta: u32,
}

pub struct Score {
    quantum: u32,
    random: u32,
}

impl Score {
    pub fn new() -> Self {
        Self {
            quantum: 0,
            random: 0x2545_F491,
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % end
    }

    /// The notes that begin with the next quantum.
    pub fn next_quantum(&mut self) -> impl Iterator<Item = Note> {
        let quantum = self.quantum;
        self.quantum = quantum.wrapping_add(1);
        let phase = quantum % SWELL_QUANTA;
        let density = phase.min(SWELL_QUANTA - phase) / 1000 + 1 + quantum / SWELL_QUANTA;
        let count = match self.below(160) {
            it if it < density => 1,
            // A chord.
            159 => density.min(5),
            _ => 0,
        };
        let root = self.below(36) + 36;
        (0..count).map(move |place| Note {
            key: root + [0, 4, 7, 12, 16][place as usize],
            echo_seconds: 0.02 + self.below(1000) as f32 / 2500.0,
            quanta: 150 + self.below(600),
        })
    }
}

//! A plucked string, after Karplus and Strong: noise that goes round in a line as long as one wave, and is smoothed each
//! time.

/// How much is left of a string's swing after each round, held and released.
const HELD: f32 = 0.4985;
const RELEASED: f32 = 0.49;

/// Quanta after which a released note is over.
const RELEASE_QUANTA: u32 = 120;

pub struct Voice {
    key: u32,
    string: Vec<f32>,
    string_at: usize,
    echo: Vec<f32>,
    echo_at: usize,
    /// How far to the right it stands, from 0 to 1.
    right: f32,
    keep: f32,
    quanta_left: u32,
}

/// Zeros, if there is memory for them.
fn zeros(count: usize) -> Option<Vec<f32>> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(count).ok()?;
    numbers.resize(count, 0.0);
    Some(numbers)
}

impl Voice {
    /// The note of `key` for so many quanta, then released; `None` if there is no memory for it.
    pub fn new(key: u32, echo_seconds: f32, quanta: u32, sample_rate: f32) -> Option<Self> {
        let frequency = 440.0 * f32::powf(2.0, (key.min(127) as f32 - 69.0) / 12.0);
        let mut string = zeros((sample_rate / frequency) as usize + 2)?;
        let echo = zeros((sample_rate * echo_seconds.clamp(0.01, 2.0)) as usize)?;
        let mut noise = key.wrapping_mul(0x9E37_79B9) | 1;
        for place in &mut string {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            *place = (noise >> 8) as f32 / 8_388_608.0 - 1.0;
        }
        Some(Self {
            key,
            string,
            string_at: 0,
            echo,
            echo_at: 0,
            right: (key % 12) as f32 / 11.0,
            keep: HELD,
            quanta_left: quanta,
        })
    }

    pub fn key(&self) -> u32 {
        self.key
    }

    /// The key is released: the note will soon be over.
    pub fn release(&mut self) {
        self.keep = RELEASED;
        self.quanta_left = self.quanta_left.min(RELEASE_QUANTA);
    }

    /// Adds the next frames to both channels. False if the note is over.
    pub fn add_to(&mut self, left: &mut [f32], right: &mut [f32]) -> bool {
        for (left, right) in left.iter_mut().zip(right) {
            let next_at = if self.string_at + 1 == self.string.len() {
                0
            } else {
                self.string_at + 1
            };
            let swing = self.string[self.string_at];
            self.string[self.string_at] = self.keep * (swing + self.string[next_at]);
            self.string_at = next_at;
            let echo = self.echo[self.echo_at];
            self.echo[self.echo_at] = swing * 0.5 + echo * 0.3;
            self.echo_at = if self.echo_at + 1 == self.echo.len() {
                0
            } else {
                self.echo_at + 1
            };
            let sample = (swing + echo * 0.5) * 0.06;
            *left += sample * (1.0 - self.right);
            *right += sample * self.right;
        }
        self.quanta_left -= 1;
        if self.quanta_left == RELEASE_QUANTA {
            self.release();
        }
        self.quanta_left > 0
    }
}

//! Plucked strings, after Karplus and Strong. Each note allocates its string in the audio callback and frees it there.

use alligator_alloc::ReservedHeap;

use crate::heap::Line;

/// Frames of a quantum: what an AudioWorklet asks for at a time.
pub const FRAMES: usize = 128;

const VOICES: usize = 32;

/// Hertz of the lowest note, and from one note to the next.
const LOWEST: f32 = 55.0;
const SEMITONE: f32 = 1.059_463_1;

struct Voice {
    string: Line,
    at: usize,
    quanta_left: u32,
}

pub struct Synth {
    pub heap: &'static ReservedHeap,
    voices: [Option<Voice>; VOICES],
    random: u32,
    sample_rate: f32,
    pub output: [f32; FRAMES],
    pub notes: u32,
    /// Notes for which there was no room.
    pub refused: u32,
}

impl Synth {
    pub fn new(heap: &'static ReservedHeap, sample_rate: f32) -> Self {
        Self {
            heap,
            voices: [const { None }; VOICES],
            random: 0x2545_F491,
            sample_rate,
            output: [0.0; FRAMES],
            notes: 0,
            refused: 0,
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % end
    }

    /// A note of the score, in the place of one that has died away.
    fn begin(&mut self) {
        let (semitones, quanta_left) = (self.below(48), 40 + self.below(400));
        let hertz = (0..semitones).fold(LOWEST, |hertz, _| hertz * SEMITONE);
        let Some(free) = self.voices.iter().position(Option::is_none) else {
            return;
        };
        let Some(mut string) = Line::new(self.heap, (self.sample_rate / hertz) as usize + 2) else {
            self.refused += 1;
            return;
        };
        for sample in string.samples() {
            *sample = self.below(1 << 24) as f32 / 8_388_608.0 - 1.0;
        }
        self.voices[free] = Some(Voice {
            string,
            at: 0,
            quanta_left,
        });
        self.notes += 1;
    }

    /// Renders the next quantum.
    pub fn process(&mut self) {
        if self.below(8) == 0 {
            self.begin();
        }
        self.output.fill(0.0);
        for place in &mut self.voices {
            let Some(voice) = place else {
                continue;
            };
            let string = voice.string.samples();
            for frame in &mut self.output {
                let next = if voice.at + 1 < string.len() {
                    voice.at + 1
                } else {
                    0
                };
                let swing = string[voice.at];
                string[voice.at] = 0.4985 * (swing + string[next]);
                voice.at = next;
                *frame += swing * 0.1;
            }
            voice.quanta_left -= 1;
            if voice.quanta_left == 0 {
                *place = None; // Frees its string.
            }
        }
    }

    /// A copy of the last quantum, for another thread to look at.
    pub fn snapshot(&mut self) -> Option<Line> {
        let mut line = Line::new(self.heap, FRAMES)?;
        line.samples().copy_from_slice(&self.output);
        Some(line)
    }
}

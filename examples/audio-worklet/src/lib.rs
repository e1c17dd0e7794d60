//! Plucked strings, as many as are played. Each note allocates its string, as long as a wave of its tone, and an echo, and
//! frees both when it has died away: in the audio callback, as a program does that is written without fear of it.
//!
//! Exports are plain functions and numbers: an AudioWorklet's scope has neither `fetch` nor `TextDecoder`, which
//! wasm-bindgen's JavaScript calls.

mod heap;
mod score;
mod voice;

use std::cell::UnsafeCell;

use score::Score;
use voice::Voice;

/// Frames of a quantum: what an AudioWorklet asks for at a time.
const FRAMES: usize = 128;

/// Notes at a time.
const VOICES_MAX: usize = 64;

/// What JavaScript reads, at `counters()`: its order is in `processor.js`.
#[repr(C)]
#[derive(Default)]
struct Counters {
    quanta: u32,
    notes: u32,
    /// Notes for which there was no memory.
    refused: u32,
    sounding: u32,
}

struct Synth {
    /// The left channel, then the right one.
    output: [f32; 2 * FRAMES],
    counters: Counters,
    voices: Vec<Voice>,
    score: Option<Score>,
    sample_rate: f32,
}

struct Single(UnsafeCell<Option<Synth>>);

// SAFETY: the module's memory is not shared.
unsafe impl Sync for Single {}

static SYNTH: Single = Single(UnsafeCell::new(None));

fn synth() -> Option<&'static mut Synth> {
    // SAFETY: the host calls one export at a time, and each calls this once.
    unsafe { (*SYNTH.0.get()).as_mut() }
}

/// Makes the synthesizer. `reserve_bytes` are brought in beforehand. 1 if there is as much memory.
#[unsafe(no_mangle)]
pub extern "C" fn start(sample_rate: f32, reserve_bytes: usize) -> u32 {
    if !heap::reserve(reserve_bytes) {
        return 0;
    }
    let mut voices = Vec::new();
    if voices.try_reserve_exact(VOICES_MAX).is_err() {
        return 0;
    }
    let synth = Synth {
        output: [0.0; 2 * FRAMES],
        counters: Counters::default(),
        voices,
        score: None,
        sample_rate,
    };
    // SAFETY: the host calls one export at a time.
    unsafe { *SYNTH.0.get() = Some(synth) };
    1
}

/// Has the built-in score played, the same each time; or no longer.
#[unsafe(no_mangle)]
pub extern "C" fn play_score(is_on: u32) {
    if let Some(synth) = synth() {
        synth.score = (is_on != 0).then(Score::new);
    }
}

/// A key is pressed: 69 is a', 440 Hz.
#[unsafe(no_mangle)]
pub extern "C" fn note_on(key: u32, echo_seconds: f32) {
    if let Some(synth) = synth() {
        synth.begin(key, echo_seconds, u32::MAX);
    }
}

/// A key is released: its note dies away.
#[unsafe(no_mangle)]
pub extern "C" fn note_off(key: u32) {
    if let Some(synth) = synth() {
        let voices = synth.voices.iter_mut();
        voices
            .filter(|voice| voice.key() == key)
            .for_each(Voice::release);
    }
}

/// Writes the next 128 frames to `output()`.
#[unsafe(no_mangle)]
pub extern "C" fn process() {
    if let Some(synth) = synth() {
        synth.process();
    }
}

/// Where the frames are: 128 of the left channel, then 128 of the right one.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const f32 {
    synth().map_or(std::ptr::null(), |synth| synth.output.as_ptr())
}

/// Where the counters are.
#[unsafe(no_mangle)]
pub extern "C" fn counters() -> *const u32 {
    synth().map_or(std::ptr::null(), |synth| (&raw const synth.counters).cast())
}

impl Synth {
    /// Begins a note that sounds for so many quanta, if there is memory for it.
    fn begin(&mut self, key: u32, echo_seconds: f32, quanta: u32) {
        if self.voices.len() == VOICES_MAX {
            return;
        }
        match Voice::new(key, echo_seconds, quanta, self.sample_rate) {
            Some(voice) => {
                self.voices.push(voice);
                self.counters.notes += 1;
            }
            None => self.counters.refused += 1,
        }
    }

    fn process(&mut self) {
        if let Some(mut score) = self.score.take() {
            for note in score.next_quantum() {
                self.begin(note.key, note.echo_seconds, note.quanta);
            }
            self.score = Some(score);
        }
        self.output.fill(0.0);
        let (left, right) = self.output.split_at_mut(FRAMES);
        // Those that have died away are dropped here, and their memory freed.
        self.voices.retain_mut(|voice| voice.add_to(left, right));
        self.counters.quanta += 1;
        self.counters.sounding = self.voices.len() as u32;
    }
}

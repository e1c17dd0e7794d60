//! `examples/audio-worklet` without a browser: its score on each allocator. The samples are the same everywhere; what
//! differs is how often a callback grows the memory, and what its dearest one costs.

use alligator_meter::counting_engine;
use alligator_tools::guest;
use anyhow::{Result, ensure};
use wasmtime::{Engine, Module};

use super::{Running, build};

/// The allocators, by feature.
const DEMAND: [&str; 3] = ["dlmalloc", "talc", "alligator"];
const FIXED: &str = "alligator-fixed";

/// Quanta that are rendered: 53 seconds.
const QUANTA: u32 = 20_000;

/// Enough for the score.
const RESERVE_BYTES: u32 = 8 << 20;

/// Too little for it.
const TOO_LITTLE_BYTES: u32 = 1 << 20;

const SAMPLE_RATE: f32 = 48_000.0;

/// What became of a performance.
struct Played {
    /// Callbacks that have grown the memory.
    growths: u32,
    notes: u32,
    refused: u32,
    /// Instructions of the dearest callback, and what it played.
    dearest: u64,
    /// Of the dearest callback that has grown the memory.
    dearest_growing: u64,
    pages: u64,
    /// Of all samples: FNV-1a.
    hash: u32,
}

/// Runs the example.
pub(super) fn run() -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let engine = counting_engine()?;
    println!(
        "{QUANTA} quanta            growths  notes refused  dearest  growing  pages   samples"
    );
    let mut all = Vec::new();
    for reserve in [0, RESERVE_BYTES] {
        for feature in DEMAND {
            all.push((reserve, feature, play(&engine, feature, reserve)?));
        }
    }
    all.push((RESERVE_BYTES, FIXED, play(&engine, FIXED, RESERVE_BYTES)?));
    for (reserve, feature, played) in &all {
        ensure!(
            played.refused == 0 && played.hash == all[0].2.hash,
            "{feature}: other samples than {}'s",
            all[0].1
        );
        if *reserve == 0 {
            ensure!(played.growths > 10, "{feature}: nothing to be seen");
        } else if feature.starts_with("alligator") {
            ensure!(
                played.growths == 0,
                "{feature}: a callback grows the memory"
            );
        }
    }
    let refusing = play(&engine, FIXED, TOO_LITTLE_BYTES)?;
    ensure!(
        refusing.refused > 0 && refusing.growths == 0,
        "{FIXED}: with too little memory, notes are refused and nothing grows"
    );
    Ok(())
}

/// Has the score played, and prints a line.
fn play(engine: &Engine, feature: &str, reserve: u32) -> Result<Played> {
    let path = build("audio-worklet", guest::TARGET, Some(feature))?;
    let module = Module::from_file(engine, path)?;
    let mut running = Running::new(engine, &module)?;
    let start = running.function::<(f32, u32), u32>("start")?;
    let (is_started, _) = running.call(&start, (SAMPLE_RATE, reserve))?;
    ensure!(is_started == 1, "{feature}: no memory");
    let score = running.function::<u32, ()>("play_score")?;
    running.call(&score, 1)?;
    let process = running.function::<(), ()>("process")?;
    let output = running.function::<(), u32>("output")?;
    let (output, _) = running.call(&output, ())?;
    let counters = running.function::<(), u32>("counters")?;
    let (counters, _) = running.call(&counters, ())?;
    let mut played = Played {
        growths: 0,
        notes: 0,
        refused: 0,
        dearest: 0,
        dearest_growing: 0,
        pages: running.pages()?,
        hash: 0x811C_9DC5,
    };
    let mut samples = 0;
    for _ in 0..QUANTA {
        let ((), cost) = running.call(&process, ())?;
        let pages = running.pages()?;
        if pages == played.pages {
            played.dearest = played.dearest.max(cost);
        } else {
            played.growths += 1;
            played.pages = pages;
            played.dearest_growing = played.dearest_growing.max(cost);
        }
        for byte in running.read(output, 1024)?.chunks_exact(4) {
            let bits = u32::from_le_bytes([byte[0], byte[1], byte[2], byte[3]]);
            samples |= bits;
            played.hash = (played.hash ^ bits).wrapping_mul(0x0100_0193);
        }
    }
    ensure!(samples != 0, "{feature}: silence");
    let numbers = running.read(counters, 16)?;
    let number = |at: usize| {
        let bytes = &numbers[4 * at..4 * at + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    ensure!(number(0) == QUANTA, "{feature}: {} quanta", number(0));
    (played.notes, played.refused) = (number(1), number(2));
    println!(
        "{feature:<16} {:>4} KiB {:>7} {:>6} {:>7} {:>8} {:>8} {:>6}  {:08x}",
        reserve >> 10,
        played.growths,
        played.notes,
        played.refused,
        played.dearest,
        played.dearest_growing,
        played.pages,
        played.hash
    );
    Ok(played)
}

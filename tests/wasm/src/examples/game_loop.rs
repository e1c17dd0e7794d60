//! `examples/game-loop`: no frame grows the memory, and frames do not become dearer from level to level.

use alligator_meter::counting_engine;
use alligator_tools::guest;
use anyhow::{Result, ensure};
use wasmtime::Module;

use super::{Running, build};

/// Levels played, and how many there are before they begin again.
const LEVELS: u32 = 40;
const KINDS: u32 = 8;

/// Frames of each: five seconds.
const FRAMES: u32 = 300;

/// Runs the example.
pub(super) fn run() -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let engine = counting_engine()?;
    let module = Module::from_file(&engine, build("game-loop", guest::TARGET, None)?)?;
    let mut running = Running::new(&engine, &module)?;
    let start = running.function::<(), u32>("start")?;
    let level = running.function::<u32, ()>("level")?;
    let frame = running.function::<(), u32>("frame")?;
    let beyond = running.function::<(), u32>("frame_bytes_beyond")?;
    let (is_started, _) = running.call(&start, ())?;
    ensure!(is_started == 1, "no memory");
    let pages = running.pages()?;
    let mut dearest = Vec::new();
    let mut asteroids = 0;
    for number in 0..LEVELS {
        running.call(&level, number)?;
        let mut most = 0;
        for _ in 0..FRAMES {
            let (count, cost) = running.call(&frame, ())?;
            ensure!(count > 0, "level {number}: a frame failed");
            let (bytes, _) = running.call(&beyond, ())?;
            ensure!(
                bytes == 0,
                "level {number}: a frame keeps {bytes} bytes beyond its reserve"
            );
            asteroids += u64::from(count);
            most = cost.max(most);
        }
        dearest.push(most);
    }
    ensure!(running.pages()? == pages, "a frame has grown the memory");
    let (first, last) = dearest.split_at((LEVELS - KINDS) as usize);
    println!(
        "{LEVELS} levels of {FRAMES} frames, {} asteroids on average: {pages} pages all along; the dearest frames of the first \
         {KINDS} levels cost {:?} instructions, those of the last {last:?}",
        asteroids / u64::from(LEVELS * FRAMES),
        &first[..last.len()]
    );
    for (first, last) in first.iter().zip(last) {
        ensure!(
            last.abs_diff(*first) * 50 <= *first,
            "a level costs {last} instructions when it is played again, {first} at first"
        );
    }
    Ok(())
}

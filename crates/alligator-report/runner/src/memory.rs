//! Memory is taken for what is live, not for events.

use std::fs::{self, File};
use std::io::BufWriter;
use std::time::Instant;

use alligator_report::{Options, analyse};
use alligator_tools::guest;
use anyhow::{Context, Result, ensure};

use crate::{Outcome, sample};

/// Blocks that the program has from its start, in both traces.
const BLOCKS: u64 = 20_000;

/// KiB that the longer trace may take more, whatever is live: what the system's allocator keeps.
const MORE_KIB: u64 = 8192;

/// Bytes that it may take more for each block that is live at its end, since the program forgets some.
const BLOCK_BYTES: u64 = 256;

/// Where Linux says how much memory this process has had at most.
const STATUS: &str = "/proc/self/status";

/// The most memory so far, in KiB; nothing where the system does not say it.
fn most_kib() -> Option<u64> {
    let status = fs::read_to_string(STATUS).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Analyses the shorter trace, then the longer one, each from a file.
pub(crate) fn run(events: u64) -> Result<Outcome> {
    if most_kib().is_none() {
        println!("memory: left out, there is no VmHWM in {STATUS}");
        return Ok(Outcome::LeftOut);
    }
    let folder = guest::root().join("target/reports");
    fs::create_dir_all(&folder)?;
    let path = folder.join("long.trace");
    let (mut most, mut live) = (Vec::new(), Vec::new());
    for events in [events / 10, events] {
        sample::write(BufWriter::new(File::create(&path)?), events, BLOCKS)?;
        let bytes = fs::metadata(&path)?.len();
        let start = Instant::now();
        let report = analyse("long.trace", || File::open(&path), &Options::default())?.report;
        let seconds = start.elapsed().as_secs_f64();
        let kib = most_kib().context("it was there")?;
        println!(
            "{} events, {} KiB as a file: {seconds:.1} s, {kib} KiB of memory at most",
            report.events,
            bytes / 1024
        );
        most.push(kib);
        live.push(report.end.blocks);
    }
    fs::remove_file(&path)?;
    let blocks = live[1].saturating_sub(live[0]);
    ensure!(
        most[1] <= most[0] + MORE_KIB + blocks * BLOCK_BYTES / 1024,
        "ten times the events take {} KiB more memory",
        most[1] - most[0]
    );
    Ok(Outcome::Passed)
}

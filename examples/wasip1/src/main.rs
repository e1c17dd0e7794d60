//! Counts the words of its input, prints the most frequent ones, and says what its heap has done.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use alligator_alloc::AlligatorAlloc;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

/// How many words are printed.
const SHOWN: usize = 10;

fn main() -> io::Result<()> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for line in io::stdin().lock().lines() {
        for word in line?.split(|character: char| !character.is_alphanumeric()) {
            if !word.is_empty() {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
        }
    }
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));

    let mut out = io::stdout().lock();
    for (word, count) in words.iter().take(SHOWN) {
        writeln!(out, "{count:8} {word}")?;
    }
    #[cfg(target_family = "wasm")]
    report(&mut out)?;
    Ok(())
}

#[cfg(target_family = "wasm")]
fn report(out: &mut impl Write) -> io::Result<()> {
    let metrics = ALLOCATOR.metrics();
    let blocks: u64 = metrics
        .classes()
        .iter()
        .map(|class| class.blocks.allocations)
        .sum();
    writeln!(
        out,
        "{} blocks, at most {} bytes at a time, in a heap of {} bytes",
        blocks + metrics.runs.allocations,
        metrics.requested_bytes_peak,
        metrics.heap_bytes
    )
}

//! A heap with no block in use is one piece, from 1 MiB to 4 GiB: filled with blocks of a page and emptied in any order,
//! it serves 97 % of its memory at once.

use anyhow::{Result, ensure};
use wasmtime::Module;

use super::exact::{first_granule, module};
use super::host::{Heap, PAGE};
use super::{HEAPS, Outcomes};

/// Bytes of the blocks that fill it.
const BLOCK: usize = PAGE;
/// Of the memory from where the heap begins, in percent.
const SHARE: usize = 97;
/// No block is longer.
const LONGEST: usize = (2 << 30) - PAGE;

/// All of it.
pub(super) fn run() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let name = if heap.is_empty() { "default" } else { heap };
        let growing = module(heap, &[])?;
        for mebibytes in [1, 16, 256] {
            let pages = 17 + mebibytes * 16;
            outcomes.add(
                &format!("{name}: {mebibytes} MiB that the memory grows by"),
                is_one_piece(&growing, pages),
            );
        }
        // To grow so far would touch all of it, since the table moves each time.
        let initial = module(heap, &["--initial-memory=4294967296"]);
        outcomes.add(
            &format!("{name}: 4 GiB from the beginning"),
            initial.and_then(|initial| is_one_piece(&initial, 65_536)),
        );
    }
    outcomes.finish()
}

/// In a memory of `pages` at most.
fn is_one_piece(module: &Module, pages: usize) -> Result<()> {
    let mut heap = Heap::of(module)?;
    heap.refuse_beyond(pages);
    let bytes = pages * PAGE - first_granule(&mut heap)?;
    for order in ["forwards", "backwards", "in a random order"] {
        let mut blocks = Vec::new();
        loop {
            let at = heap.take_untouched(BLOCK)?;
            if at == 0 {
                break;
            }
            blocks.push(at);
        }
        let filled = blocks.len() * BLOCK;
        ensure!(
            filled + 2 * BLOCK > bytes / 100 * SHARE,
            "{filled} of {bytes} bytes are filled"
        );
        match order {
            "forwards" => {}
            "backwards" => blocks.reverse(),
            _ => shuffle(&mut blocks),
        }
        heap.give_back_untouched(blocks, BLOCK)?;
        // In as few blocks as there can be.
        let share = bytes / 100 * SHARE;
        let count = share.div_ceil(LONGEST);
        let mut long = Vec::new();
        for _ in 0..count {
            let at = heap.take_untouched(share / count)?;
            ensure!(
                at != 0,
                "given back {order}: {} of {bytes} bytes are refused, after {}",
                share / count,
                long.len()
            );
            long.push(at);
        }
        heap.check()?;
        heap.give_back_untouched(long, share / count)?;
    }
    Ok(())
}

/// Puts the blocks into an order that has nothing to do with theirs, the same each time.
fn shuffle(blocks: &mut [u32]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for index in (1..blocks.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bound = index as u64 + 1;
        let other = usize::try_from((state >> 33) % bound).unwrap_or(0);
        blocks.swap(index, other);
    }
}

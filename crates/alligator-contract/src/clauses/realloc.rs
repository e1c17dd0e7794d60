//! `realloc`, which keeps contents.

use super::{Outcome, Verdict, free_all_if_much, sizes};
use crate::ledger::Ledger;

/// `realloc` from any size to any other, and back, at alignments of 1 to 64 KiB, keeps the bytes that both
/// sizes have.
///
/// # Errors
///
/// What is not kept.
pub fn realloc_keeps_the_contents_both_ways(ledger: &mut Ledger<'_>) -> Outcome {
    let room = ledger.world().room_bytes();
    let step = if cfg!(miri) { 23 } else { 7 };
    for align in [1, 8, 16, 64, 1024, 4096, 65_536] {
        if align * 16 > room {
            continue;
        }
        let some = |step| sizes().filter(move |size| size * 8 <= room).step_by(step);
        for old in some(step) {
            for new in some(step + 2) {
                let pin = ledger.allocate(old, align)?;
                let block = ledger.allocate(old, align)?;
                let block = ledger.reallocate(block, new)?;
                let block = ledger.reallocate(block, old)?;
                ledger.free(pin)?;
                ledger.free(block)?;
            }
        }
    }
    Ok(Verdict::Kept)
}

/// A block that grows to an eighth of the room by steps of many lengths, beside others that grow as well,
/// and shrinks again, keeps its contents.
///
/// # Errors
///
/// What is not kept.
pub fn realloc_keeps_large_contents(ledger: &mut Ledger<'_>) -> Outcome {
    let most = (ledger.world().room_bytes() / 16).min(256 << 20);
    for align in [8, 4096] {
        let mut blocks = [ledger.allocate(1, align)?, ledger.allocate(1, align)?];
        let mut size = 1;
        while size < most {
            size = (size + size / 3 + 1).min(most);
            for (index, block) in blocks.iter_mut().enumerate() {
                *block = ledger.reallocate(*block, (size / (index + 1)).max(1))?;
            }
        }
        while size > 1 {
            size = size / 5 * 2 + 1;
            for block in &mut blocks {
                *block = ledger.reallocate(*block, size)?;
            }
            if size < 4 {
                break;
            }
        }
        for block in blocks {
            ledger.free(block)?;
        }
        free_all_if_much(ledger, align)?;
    }
    Ok(Verdict::Kept)
}

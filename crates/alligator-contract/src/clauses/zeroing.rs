//! `alloc_zeroed`, which gives zeros.

use super::{Outcome, Verdict, sizes};
use crate::ledger::Ledger;

/// `alloc_zeroed` gives zeros, also where other bytes have just been.
///
/// # Errors
///
/// What is not kept.
pub fn zeroed_blocks_are_zero_after_dirty_ones(ledger: &mut Ledger<'_>) -> Outcome {
    let room = ledger.world().room_bytes();
    for align in [1, 16, 256, 4096] {
        for size in sizes().filter(|size| size * 8 <= room) {
            let dirty = ledger.allocate(size, align)?;
            let pin = ledger.allocate(size, align)?;
            ledger.free(dirty)?;
            let zeroed = ledger.allocate_zeroed(size, align)?;
            ledger.free(zeroed)?;
            ledger.free(pin)?;
        }
    }
    Ok(Verdict::Kept)
}

/// Blocks of pages are zero when the memory grows for them, when some of it was used before, and when all
/// of it was.
///
/// # Errors
///
/// What is not kept.
pub fn zeroed_large_blocks_are_zero(ledger: &mut Ledger<'_>) -> Outcome {
    let most = (ledger.world().room_bytes() / 16).min(16 << 20);
    let mut size = most / 8;
    while size <= most && size > 0 {
        let zeroed = ledger.allocate_zeroed(size, 8)?;
        ledger.free(zeroed)?;
        // The first part is dirty, the rest may be fresh.
        let zeroed = ledger.allocate_zeroed(size + size / 2, 16)?;
        ledger.free(zeroed)?;
        let again = ledger.allocate_zeroed(size, 4096)?;
        ledger.free(again)?;
        size += most / 8 + 1;
    }
    Ok(Verdict::Kept)
}

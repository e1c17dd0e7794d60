//! The memory as a whole: its beginning, its end, and what others have of it.

use super::{Outcome, Verdict};
use crate::failure::{Failure, Fault, Request};
use crate::ledger::Ledger;

const PAGE_BYTES: usize = 65_536;

/// What foreign pages are filled with.
const FOREIGN: u8 = 0xF0;

/// Most growths by somebody else.
const GROWTHS_MAX: usize = 40;

/// Pages that somebody else adds to the memory, between any two growths of the allocator's, are not touched,
/// and the allocator goes on behind them.
///
/// # Errors
///
/// What is not kept.
pub fn memory_of_somebody_else_is_left_alone(ledger: &mut Ledger<'_>) -> Outcome {
    let world = ledger.world();
    let mut foreign = [(core::ptr::null_mut(), 0); GROWTHS_MAX];
    let room = world.room_bytes().min(64 << 20);
    let mut theirs = 0;
    for (turn, place) in foreign.iter_mut().enumerate() {
        let pages = [1, 3, 8, 2][turn % 4];
        let is_much = ledger.bytes() + (theirs + pages) * PAGE_BYTES > room / 2;
        let Some(first) = (!is_much)
            .then(|| world.grow_by_somebody_else(pages))
            .flatten()
        else {
            break;
        };
        *place = (first, pages * PAGE_BYTES);
        theirs += pages;
        // SAFETY: these bytes are the kit's, as the world says.
        unsafe { first.write_bytes(FOREIGN, pages * PAGE_BYTES) };
        for size in [70, 1_500, 40_000, (turn % 5 + 1) * PAGE_BYTES / 2] {
            ledger.allocate(size.min(room / 64), 8)?;
        }
        if let Some(block) = ledger.nth(ledger.count() * 2 / 3) {
            ledger.free(block)?;
        }
    }
    if theirs == 0 {
        return Ok(Verdict::DoesNotApply);
    }
    ledger.require_all_intact()?;
    ledger.free_all()?;
    for (first, bytes) in foreign {
        require_filled(ledger, first, bytes)?;
    }
    Ok(Verdict::Kept)
}

fn require_filled(ledger: &Ledger<'_>, first: *mut u8, bytes: usize) -> Result<(), Failure> {
    for at in (0..bytes).step_by(if cfg!(miri) { 1021 } else { 13 }) {
        // SAFETY: these bytes are the kit's, as the world said.
        let place = unsafe { first.add(at) };
        // SAFETY: as above; all of them were written.
        let found = unsafe { place.read_volatile() };
        ledger.require(found == FOREIGN, place.addr(), Fault::WroteElsewhere)?;
    }
    Ok(())
}

/// The part of the first memory that nobody uses serves blocks: of a heap that has filled it, less than a
/// tenth and 24 KiB are missing. To be run on an allocator that has served nothing yet.
///
/// # Errors
///
/// What is not kept.
pub fn the_tail_of_the_initial_memory_is_used(ledger: &mut Ledger<'_>) -> Outcome {
    const BLOCK_BYTES: usize = 1_000;
    let tail = ledger.world().initial_tail();
    if tail.is_empty() || ledger.bytes() > 0 {
        return Ok(Verdict::DoesNotApply);
    }
    let mut inside = 0;
    // What is not in the tail is elsewhere: three times its length is enough to see that it is full.
    while ledger.bytes() < tail.len() * 3 + 4 * PAGE_BYTES {
        let Some(block) = ledger.try_allocate(BLOCK_BYTES, 8)? else {
            break;
        };
        if tail.contains(&block) {
            inside += BLOCK_BYTES;
        }
    }
    let least = (tail.len() / 10 * 9).saturating_sub(24 << 10);
    let fault = Fault::TooFew {
        found: inside,
        least,
    };
    ledger.require(inside >= least, tail.start, fault)?;
    Ok(Verdict::Kept)
}

/// A heap in a memory that has grown to its end uses that to its end, but for the allocator's own records, one part in
/// 32 of the memory at most, and nothing after it.
///
/// # Errors
///
/// What is not kept.
pub fn the_end_of_memory_is_used(ledger: &mut Ledger<'_>) -> Outcome {
    let Some(last) = ledger.world().last_byte() else {
        return Ok(Verdict::DoesNotApply);
    };
    let mut size = ledger.world().room_bytes() / 4;
    let mut highest = 0;
    while size >= 64 {
        while let Some(block) = ledger.try_allocate(size, 8)? {
            highest = highest.max(block + (size - 1));
        }
        size /= 4;
    }
    let lowest_end = last - PAGE_BYTES / 4 - ledger.world().room_bytes() / 32;
    if highest < lowest_end {
        let fault = Fault::TooFew {
            found: highest,
            least: lowest_end,
        };
        return Err(ledger.failure(Request::Look, highest, fault));
    }
    ledger.require_all_intact()?;
    ledger.free_all()?;
    Ok(Verdict::Kept)
}

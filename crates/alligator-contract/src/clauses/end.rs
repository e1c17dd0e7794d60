//! Requests that cannot be met, and the heap after them.

use super::{Outcome, Verdict};
use crate::failure::{Failure, Fault, Request};
use crate::ledger::Ledger;
use core::alloc::Layout;

/// Memories above this are not filled with small blocks: that takes too long, and too much of the ledger.
const FILLED_BYTES_MAX: usize = 8 << 20;

/// Sizes of up to `isize::MAX` bytes at every alignment get null, and so does `realloc` to them; the heap is
/// then as it was.
///
/// # Errors
///
/// What is not kept.
pub fn impossible_layouts_get_null_and_nothing_breaks(ledger: &mut Ledger<'_>) -> Outcome {
    let small = ledger.allocate(100, 8)?;
    let room = ledger.world().room_bytes();
    // A 32-bit memory whose end is not known may have room for half of the address space.
    let is_known = ledger.world().last_byte().is_some() || usize::BITS > 32;
    let most = if is_known { room } else { usize::MAX };
    for shift in 0..usize::BITS - 1 {
        let align = 1_usize << shift;
        let largest = isize::MAX.unsigned_abs() - (align - 1);
        for size in [largest, largest - 1, largest / 2, largest / 4 * 3] {
            if Layout::from_size_align(size, align).is_ok() && size > most {
                require_null(ledger, size, align)?;
            }
        }
    }
    let large = ledger.allocate(100_000.min(room / 8), 8)?;
    let largest = isize::MAX.unsigned_abs() - 7;
    for block in [small, large] {
        for size in [largest, largest / 2 + 1, largest / 4 * 3] {
            if size > most {
                let moved = ledger.raw_reallocate(block, size);
                ledger.require(moved.is_null(), moved.addr(), Fault::NotNull)?;
            }
        }
    }
    ledger.require_all_intact()?;
    for size in [1, 100, room / 16] {
        ledger.allocate(size.max(1), 8)?;
    }
    Ok(Verdict::Kept)
}

fn require_null(ledger: &mut Ledger<'_>, size: usize, align: usize) -> Result<(), Failure> {
    let layout = Layout::from_size_align(size, align).expect("a layout");
    // The ledger would fill a block that it got. There is no room to do so.
    for (request, block) in [
        (Request::Allocate(layout), ledger.raw_allocate(layout)),
        (
            Request::AllocateZeroed(layout),
            ledger.raw_allocate_zeroed(layout),
        ),
    ] {
        if !block.is_null() {
            return Err(ledger.failure(request, block.addr(), Fault::NotNull));
        }
    }
    ledger.check(Request::Allocate(layout))
}

/// Allocates `size` until there is no room; returns how many blocks there was room for.
fn fill_up(ledger: &mut Ledger<'_>, size: usize, align: usize) -> Result<usize, Failure> {
    let before = ledger.count();
    while ledger.try_allocate(size, align)?.is_some() {}
    Ok(ledger.count() - before)
}

/// Blocks of a quarter, a 16th, and so on of the room, until not a byte more can be had: what is refused is
/// null, what is in use stays, and what is given back serves again, at once.
///
/// # Errors
///
/// What is not kept.
pub fn the_end_of_memory_is_null_and_the_heap_goes_on(ledger: &mut Ledger<'_>) -> Outcome {
    if ledger.world().last_byte().is_none() {
        return Ok(Verdict::DoesNotApply);
    }
    let largest = ledger.world().room_bytes() / 4;
    let mut size = largest;
    while size > 0 {
        fill_up(ledger, size, 8)?;
        let zeroed = ledger.try_allocate_zeroed(largest + 1, 4096)?;
        ledger.require(zeroed.is_none(), 0, Fault::NotNull)?;
        // Refused, most likely, and then the ledger sees to it that the block stays as it is. The last block may
        // have room to grow where it is.
        let block = ledger.nth(ledger.count() / 2);
        let block = block.ok_or_else(|| ledger.failure(Request::Look, 0, Fault::Null))?;
        ledger.try_reallocate(block, largest / 2 * 3)?;
        size /= 4;
    }
    ledger.require_all_intact()?;
    // The heap goes on: a third of the blocks comes back, and there is room again.
    ledger.free_every(3)?;
    for size in [1, 10, 100, 1000, largest / 64] {
        ledger.allocate(size.max(1), 8)?;
    }
    ledger.require_all_intact()?;
    ledger.free_all()?;
    let again = ledger.allocate(largest / 2, 8)?;
    ledger.free(again)?;
    Ok(Verdict::Kept)
}

/// A memory filled with blocks of one size, emptied, and filled again has room for as many blocks, 5 % apart,
/// in turn for sizes from 400 bytes to 70,000.
///
/// # Errors
///
/// What is not kept.
pub fn all_comes_back_after_frees(ledger: &mut Ledger<'_>) -> Outcome {
    let world = ledger.world();
    if world.last_byte().is_none() || world.room_bytes() > FILLED_BYTES_MAX {
        return Ok(Verdict::DoesNotApply);
    }
    for (size, align) in [
        (70_000, 8),
        (3_000, 8),
        (1_500, 16),
        (8_000, 4096),
        (400, 8),
    ] {
        let first = fill_up(ledger, size, align)?;
        ledger.require(first > 0, 0, Fault::Null)?;
        ledger.require_all_intact()?;
        ledger.free_all()?;
        // What a heap keeps at hand may pin some pieces, but no more than that.
        let second = fill_up(ledger, size, align)?;
        let least = first * 19 / 20;
        let fault = Fault::TooFew {
            found: second,
            least,
        };
        ledger.require(second >= least, 0, fault)?;
        ledger.free_all()?;
    }
    Ok(Verdict::Kept)
}

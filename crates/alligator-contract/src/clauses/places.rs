//! Where blocks are: aligned, apart from each other, of every size.

use super::{Outcome, Verdict, free_all_if_much, sizes};
use crate::failure::Failure;
use crate::ledger::Ledger;

/// Alignments up to a mebibyte, if the room has a few blocks at such places.
fn alignments(room_bytes: usize) -> impl Iterator<Item = usize> {
    (0..if cfg!(miri) { 13 } else { 21 })
        .map(|shift| 1 << shift)
        .filter(move |align| align * 16 <= room_bytes)
}

/// Blocks of 1 byte to 256 KiB, at alignments of 1 to a mebibyte, are aligned, share no byte, and keep what is
/// written to them.
///
/// # Errors
///
/// What is not kept.
pub fn blocks_of_every_size_and_alignment_are_apart(ledger: &mut Ledger<'_>) -> Outcome {
    let room = ledger.world().room_bytes();
    for align in alignments(room) {
        let served = |size: &usize| size * 8 <= room && (size * 4 >= align || size % 3 == 0);
        for size in sizes().filter(served) {
            ledger.allocate(size, align)?;
            free_all_if_much(ledger, align)?;
        }
        ledger.require_all_intact()?;
        ledger.free_all()?;
    }
    Ok(Verdict::Kept)
}

/// When every second block was given back, blocks of other sizes and alignments come into their places, and
/// nothing happens to those that stayed.
///
/// # Errors
///
/// What is not kept.
pub fn a_freed_half_is_filled_again(ledger: &mut Ledger<'_>) -> Outcome {
    let most = (ledger.world().room_bytes() / 100).min(20_000);
    let small = move || sizes().filter(move |&size| size < most);
    for size in small() {
        ledger.allocate(size, 8)?;
    }
    for turn in 0..4 {
        ledger.free_every(2)?;
        for size in small().step_by(2) {
            ledger.allocate(size, 1 << (turn * 2))?;
        }
        ledger.require_all_intact()?;
    }
    Ok(Verdict::Kept)
}

/// Blocks of 1 MiB to 1.25 GiB are served, each beside another, and their places serve again.
///
/// # Errors
///
/// What is not kept.
pub fn blocks_above_a_gibibyte_are_served(ledger: &mut Ledger<'_>) -> Outcome {
    const GIBIBYTE: usize = 1 << 30;
    if ledger.world().room_bytes() < 2 * GIBIBYTE {
        return Ok(Verdict::DoesNotApply);
    }
    let doublings = (0..=10).rev().map(|shift| (1 << 20) << shift);
    for size in [GIBIBYTE / 4 * 5].into_iter().chain(doublings) {
        for (size, align) in [(size, 8), (size + 1, 65_536), (size - 1, 1)] {
            let block = ledger.allocate(size, align)?;
            let beside = ledger.allocate(1000, 8)?;
            ledger.free(block)?;
            ledger.free(beside)?;
        }
    }
    Ok(Verdict::Kept)
}

/// Numbers that look random and are the same in every run: Marsaglia's xorshift.
struct Random(u32);

impl Random {
    /// A number below `bound`, which is at most 2^24.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as usize % bound
    }

    /// A size of up to `1 << doublings` bytes: every doubling is equally likely.
    fn size(&mut self, doublings: usize) -> usize {
        let low = 1 << self.below(doublings);
        low + self.below(low)
    }
}

/// Thousands of requests in random order, of random sizes and alignments, on a heap that fills and empties.
///
/// # Errors
///
/// What is not kept.
pub fn random_programs_find_nothing_wrong(ledger: &mut Ledger<'_>) -> Outcome {
    let steps = if cfg!(miri) { 60 } else { 4_000 };
    for seed in 1..=5 {
        let mut random = Random(seed * 0x1E37_79B9);
        for step in 0..steps {
            // The heap fills for a while, then empties.
            let wanted = if step / 500 % 2 == 0 { 400 } else { 20 };
            random_step(ledger, &mut random, wanted)?;
        }
        ledger.free_every(3)?;
        ledger.require_all_intact()?;
        ledger.free_all()?;
    }
    Ok(Verdict::Kept)
}

/// One request, which brings the number of blocks rather nearer to `wanted` than farther.
fn random_step(ledger: &mut Ledger<'_>, random: &mut Random, wanted: usize) -> Result<(), Failure> {
    // The largest blocks take a 64th of the room.
    let doublings = (ledger.world().room_bytes() / 64).ilog2() as usize;
    let doublings = doublings.min(if random.below(8) == 0 { 17 } else { 11 });
    let size = random.size(doublings);
    let align = 1
        << if random.below(8) == 0 {
            random.below(13)
        } else {
            random.below(5)
        };
    let count = ledger.count();
    let chance = if count < wanted { 5 } else { 2 };
    if count == 0 || random.below(8) < chance {
        match random.below(4) {
            0 => ledger.allocate_zeroed(size, align)?,
            _ => ledger.allocate(size, align)?,
        };
        return free_all_if_much(ledger, align);
    }
    let Some(block) = ledger.nth(random.below(count)) else {
        return Ok(());
    };
    if random.below(3) == 0 {
        ledger.reallocate(block, size)?;
        return free_all_if_much(ledger, align);
    }
    ledger.free(block)
}

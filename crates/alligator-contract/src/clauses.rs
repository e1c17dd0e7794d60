//! The clauses: what every allocator owes, one function each.
//!
//! A clause takes a ledger of the allocator without blocks, and leaves none behind when it is kept. Which
//! sizes it asks for depends on [`World::room_bytes`].

mod end;
mod memory;
mod places;
mod realloc;
mod zeroing;

use core::alloc::GlobalAlloc;

use crate::failure::Failure;
use crate::ledger::{Block, Ledger, LedgerOver};
use crate::world::World;

pub use end::{
    all_comes_back_after_frees, impossible_layouts_get_null_and_nothing_breaks,
    the_end_of_memory_is_null_and_the_heap_goes_on,
};
pub use memory::{
    memory_of_somebody_else_is_left_alone, the_end_of_memory_is_used,
    the_tail_of_the_initial_memory_is_used,
};
pub use places::{
    a_freed_half_is_filled_again, blocks_above_a_gibibyte_are_served,
    blocks_of_every_size_and_alignment_are_apart, random_programs_find_nothing_wrong,
};
pub use realloc::{realloc_keeps_large_contents, realloc_keeps_the_contents_both_ways};
pub use zeroing::{zeroed_blocks_are_zero_after_dirty_ones, zeroed_large_blocks_are_zero};

/// What became of a clause that was not broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The allocator keeps it.
    Kept,
    /// It needs surroundings that are not there: a larger memory, or one with an end.
    DoesNotApply,
}

/// What became of a clause.
pub type Outcome = Result<Verdict, Failure>;

/// One clause.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// Its name: a sentence, and the function's.
    pub name: &'static str,
    run: fn(&mut Ledger<'_>) -> Outcome,
}

impl Clause {
    /// Runs the clause on `allocator`. Failed, it leaves blocks behind.
    ///
    /// # Errors
    ///
    /// What the allocator did not keep.
    pub fn run(
        &self,
        allocator: &dyn GlobalAlloc,
        world: &dyn World,
        storage: &mut [Block],
    ) -> Outcome {
        let mut ledger = LedgerOver::new(allocator, world, storage);
        ledger.start(self.name);
        let verdict = (self.run)(&mut ledger)?;
        ledger.require_all_intact()?;
        ledger.free_all()?;
        Ok(verdict)
    }
}

macro_rules! clauses {
    ($($name:ident),* $(,)?) => {
        &[$(Clause { name: stringify!($name), run: $name }),*]
    };
}

/// All clauses. Those that use up the memory come last.
pub const CLAUSES: &[Clause] = clauses![
    blocks_of_every_size_and_alignment_are_apart,
    a_freed_half_is_filled_again,
    random_programs_find_nothing_wrong,
    blocks_above_a_gibibyte_are_served,
    realloc_keeps_the_contents_both_ways,
    realloc_keeps_large_contents,
    zeroed_blocks_are_zero_after_dirty_ones,
    zeroed_large_blocks_are_zero,
    impossible_layouts_get_null_and_nothing_breaks,
    memory_of_somebody_else_is_left_alone,
    the_tail_of_the_initial_memory_is_used,
    the_end_of_memory_is_null_and_the_heap_goes_on,
    all_comes_back_after_frees,
    the_end_of_memory_is_used,
];

/// Sizes around every boundary up to 256 KiB: four to a doubling, one less and one more.
fn sizes() -> impl Iterator<Item = usize> + Clone {
    let doublings = if cfg!(miri) { 2..8 } else { 2..17 };
    let quarters = doublings.flat_map(|shift| (4..8).map(move |quarter| quarter << shift));
    (1..16).chain(quarters.flat_map(|size| [size - 1, size, size + 1]))
}

/// Gives back all blocks when more than a quarter of the room is in use: alignments, and headers beside
/// blocks, may cost as much again.
fn free_all_if_much(ledger: &mut Ledger<'_>, align: usize) -> Result<(), Failure> {
    let used = ledger.bytes() + ledger.count() * align;
    if used > ledger.world().room_bytes() / 4 {
        ledger.free_all()?;
    }
    Ok(())
}

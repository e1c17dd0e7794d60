//! Allocators that are wrong in one way each, and the clauses that must find it.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests have std"
)]

mod faulty;

use std::alloc::System;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use alligator_contract::{
    Block, CLAUSES, Failure, Fault, Request, Unknown, Unsound, Verdict, World, clauses,
};
use faulty::{Faulty, Wrong, Zone};

/// What a clause says of `allocator`; `None` if it did not come to an end.
fn outcome_of(
    name: &str,
    allocator: &dyn std::alloc::GlobalAlloc,
    world: &dyn World,
) -> Option<alligator_contract::Outcome> {
    let clause = CLAUSES.iter().find(|clause| clause.name == name);
    let mut storage = vec![Block::NONE; 1 << 15];
    let run = || {
        clause
            .expect("a clause")
            .run(allocator, world, &mut storage)
    };
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Runs a clause on an allocator that is wrong in this way, and on one that is not.
#[track_caller]
fn assert_caught(name: &str, wrong: Wrong, is_expected: impl Fn(Fault) -> bool) -> Failure {
    let right = Zone::new();
    let outcome = outcome_of(name, &Faulty::new(&right, Wrong::Nothing), &right);
    assert_eq!(
        outcome,
        Some(Ok(Verdict::Kept)),
        "{name} of a right allocator"
    );
    let zone = Zone::new();
    let outcome = outcome_of(name, &Faulty::new(&zone, wrong), &zone);
    let failure = outcome.expect("it ends").expect_err("a fault");
    assert!(is_expected(failure.fault), "{failure}");
    assert_eq!(failure.clause, name);
    failure
}

#[test]
fn the_hosts_allocator_keeps_every_clause_that_applies() {
    let mut kept = 0;
    for clause in CLAUSES {
        let outcome = outcome_of(clause.name, &System, &Unknown).expect("it ends");
        kept += usize::from(outcome.expect(clause.name) == Verdict::Kept);
    }
    assert_eq!(kept, 8);
}

#[test]
fn a_right_allocator_keeps_every_clause_but_that_of_large_blocks() {
    for clause in CLAUSES {
        let zone = Zone::new();
        let outcome = outcome_of(clause.name, &Faulty::new(&zone, Wrong::Nothing), &zone);
        let is_too_large = clause.name == "blocks_above_a_gibibyte_are_served";
        let expected = if is_too_large {
            Verdict::DoesNotApply
        } else {
            Verdict::Kept
        };
        assert_eq!(outcome, Some(Ok(expected)), "{}", clause.name);
    }
}

#[test]
fn blocks_that_are_not_aligned_are_found() {
    let failure = assert_caught(
        "blocks_of_every_size_and_alignment_are_apart",
        Wrong::AlignsTo(512),
        |fault| fault == Fault::NotAligned,
    );
    let Request::Allocate(layout) = failure.request else {
        panic!("{failure}");
    };
    assert!(layout.align() > 512 && failure.address % layout.align() != 0);
}

#[test]
fn blocks_that_share_their_last_bytes_are_found() {
    let name = "blocks_of_every_size_and_alignment_are_apart";
    let found = |fault| matches!(fault, Fault::Overlap(_));
    let failure = assert_caught(name, Wrong::TooShortBy(1), found);
    assert_ne!(failure.address, 0);
    assert_caught(
        "random_programs_find_nothing_wrong",
        Wrong::TooShortBy(9),
        found,
    );
}

#[test]
fn a_place_given_twice_is_found() {
    let found = |fault| matches!(fault, Fault::Overlap(_));
    assert_caught("a_freed_half_is_filled_again", Wrong::GivesTwice, found);
}

#[test]
fn writing_to_freed_and_to_used_blocks_is_found() {
    let found = |fault| matches!(fault, Fault::Changed(_));
    assert_caught("a_freed_half_is_filled_again", Wrong::WritesBeyond, found);
    assert_caught(
        "random_programs_find_nothing_wrong",
        Wrong::WritesBeyond,
        found,
    );
}

#[test]
fn contents_that_realloc_loses_are_found() {
    let lost = |fault| matches!(fault, Fault::NotKept(_));
    for name in [
        "realloc_keeps_the_contents_both_ways",
        "realloc_keeps_large_contents",
        "random_programs_find_nothing_wrong",
    ] {
        let failure = assert_caught(name, Wrong::LosesLastByte, lost);
        assert!(
            matches!(failure.request, Request::Reallocate(..)),
            "{failure}"
        );
    }
}

#[test]
fn a_block_that_a_refused_realloc_gave_up_is_found() {
    let name = "the_end_of_memory_is_null_and_the_heap_goes_on";
    let damaged = |fault| matches!(fault, Fault::Changed(_) | Fault::Overlap(_));
    assert_caught(name, Wrong::FreesWhatItCannotResize, damaged);
}

#[test]
fn bytes_that_are_not_zero_are_found() {
    let found = |fault| matches!(fault, Fault::NotZero(_));
    for name in [
        "zeroed_blocks_are_zero_after_dirty_ones",
        "zeroed_large_blocks_are_zero",
    ] {
        let failure = assert_caught(name, Wrong::DoesNotZero, found);
        assert!(
            matches!(failure.request, Request::AllocateZeroed(_)),
            "{failure}"
        );
    }
}

#[test]
fn a_block_of_more_than_there_is_is_found() {
    let name = "impossible_layouts_get_null_and_nothing_breaks";
    assert_caught(name, Wrong::WrapsAround, |fault| fault == Fault::NotNull);
}

#[test]
fn a_heap_that_stays_refused_is_found() {
    let name = "the_end_of_memory_is_null_and_the_heap_goes_on";
    assert_caught(name, Wrong::StaysFull, |fault| fault == Fault::Null);
}

#[test]
fn a_block_past_the_end_of_memory_is_found() {
    let name = "the_end_of_memory_is_null_and_the_heap_goes_on";
    assert_caught(name, Wrong::OverrunsTheEnd, |fault| fault == Fault::Outside);
}

#[test]
fn an_allocator_that_panics_at_the_end_of_memory_is_found() {
    for name in [
        "the_end_of_memory_is_null_and_the_heap_goes_on",
        "impossible_layouts_get_null_and_nothing_breaks",
    ] {
        let zone = Zone::new();
        let outcome = outcome_of(name, &Faulty::new(&zone, Wrong::Panics), &zone);
        assert_eq!(outcome, None, "{name}");
    }
}

#[test]
fn memory_that_does_not_come_back_is_found() {
    let few = |fault| matches!(fault, Fault::TooFew { .. } | Fault::Null);
    assert_caught("all_comes_back_after_frees", Wrong::Leaks, few);
}

#[test]
fn pages_of_somebody_else_that_were_taken_are_found() {
    let name = "memory_of_somebody_else_is_left_alone";
    let written = |fault| fault == Fault::WroteElsewhere;
    assert_caught(name, Wrong::TakesForeignPages, written);
}

#[test]
fn a_tail_that_is_left_unused_is_found() {
    let name = "the_tail_of_the_initial_memory_is_used";
    let few = |fault| matches!(fault, Fault::TooFew { .. });
    assert_caught(name, Wrong::SkipsTheTail, few);
}

#[test]
fn an_end_of_memory_that_is_left_unused_is_found() {
    let name = "the_end_of_memory_is_used";
    let few = |fault| matches!(fault, Fault::TooFew { .. });
    assert_caught(name, Wrong::LeavesTheEnd, few);
}

/// A world whose checker finds something at once.
struct Broken;

impl World for Broken {
    fn check(&self) -> Result<(), Unsound> {
        Err(Unsound {
            invariant: "nothing holds",
            address: 0x1234,
        })
    }
}

#[test]
fn what_the_allocators_own_checker_finds_is_reported() {
    for clause in CLAUSES {
        let name = clause.name;
        let outcome = outcome_of(name, &System, &Broken).expect("it ends");
        if outcome == Ok(Verdict::DoesNotApply) {
            continue;
        }
        let failure = outcome.expect_err(name);
        assert!(matches!(failure.fault, Fault::Unsound(_)), "{failure}");
        assert_eq!(failure.address, 0x1234);
    }
}

/// A world of four gibibytes, as far as anybody knows.
struct Vast;

impl World for Vast {
    fn room_bytes(&self) -> usize {
        usize::try_from(1_u64 << 32).unwrap_or(usize::MAX)
    }

    fn initial_tail(&self) -> Range<usize> {
        0..0
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
#[cfg_attr(miri, ignore = "too much memory")]
fn an_allocator_that_refuses_large_blocks_is_found() {
    let name = "blocks_above_a_gibibyte_are_served";
    let outcome = outcome_of(name, &System, &Vast);
    assert_eq!(outcome, Some(Ok(Verdict::Kept)));
    let zone = Zone::new();
    let outcome = outcome_of(name, &Faulty::new(&zone, Wrong::Nothing), &Vast);
    let failure = outcome.expect("it ends").expect_err("a fault");
    assert_eq!(failure.fault, Fault::Null);
}

#[test]
fn a_failure_says_clause_step_request_address_and_fault() {
    let zone = Zone::new();
    let faulty = Faulty::new(&zone, Wrong::DoesNotZero);
    let name = "zeroed_blocks_are_zero_after_dirty_ones";
    let failure = outcome_of(name, &faulty, &zone).expect("it ends");
    let failure = failure.expect_err("a fault");
    let text = failure.to_string();
    assert!(text.starts_with(name), "{text}");
    assert!(text.contains("alloc_zeroed of 2 bytes at 1"), "{text}");
    assert!(text.contains("byte 0 is not zero"), "{text}");
    assert!(text.contains(&format!("{:#x}", failure.address)), "{text}");
}

#[test]
fn every_clause_is_a_function_of_its_own() {
    let mut storage = [Block::NONE; 8];
    let mut ledger = alligator_contract::Ledger::new(&System, &Unknown, &mut storage);
    ledger.start("by hand");
    let verdict = clauses::impossible_layouts_get_null_and_nothing_breaks(&mut ledger);
    assert_eq!(verdict, Ok(Verdict::Kept));
}

#[test]
fn a_ledger_without_a_place_left_says_so() {
    let mut storage = [Block::NONE; 2];
    let outcome = CLAUSES[0].run(&System, &Unknown, &mut storage);
    assert_eq!(outcome.expect_err("no place").fault, Fault::StorageFull);
}

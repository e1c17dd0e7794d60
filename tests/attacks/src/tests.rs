//! The attacker and the judge, tried on the weak allocator.

use std::sync::LazyLock;

use anyhow::Result;
use clap::ValueEnum;

use super::minimise::minimise;
use super::program::{Action, Class, Place, Program, Value};
use super::subject::{Subject, WEAK};
use super::trial::{self, End, Kind};
use super::{cases, generate, search};

static SUBJECT: LazyLock<Subject> =
    LazyLock::new(|| Subject::new(WEAK).expect("the weak allocator's module builds"));

fn allocate(block: usize, size: u32) -> Action {
    Action::Allocate {
        block,
        size: Value::Number(size),
        align: 8,
        zeroed: false,
    }
}

fn free(block: usize) -> Action {
    Action::Free { block }
}

fn free_again(block: usize) -> Action {
    Action::FreeAgain {
        block,
        stale: false,
    }
}

/// What the allocator is found doing; none if the program ends as it should.
fn kind_of(program: &[Action]) -> Result<Option<Kind>> {
    Ok(match trial::run(&SUBJECT, program)? {
        End::Found(found) => Some(found.kind),
        End::Harmless | End::Stopped(_) => None,
    })
}

/// Frees a block whose upper neighbour's header says "free, 64 bytes", with these links.
fn unlink(next: Value, previous: Value) -> Program {
    vec![
        allocate(0, 64),
        allocate(1, 64),
        allocate(2, 64),
        Action::Overflow {
            block: 0,
            bytes: 16,
            words: vec![Value::Number(64), Value::Number(0), next, previous],
        },
        free(0),
    ]
}

#[test]
fn a_block_given_out_twice_is_an_overlap() -> Result<()> {
    let program = [
        allocate(0, 64),
        allocate(1, 64),
        free(0),
        free_again(0),
        allocate(2, 64),
        allocate(3, 64),
    ];
    assert_eq!(kind_of(&program)?, Some(Kind::Overlap));
    Ok(())
}

#[test]
fn a_block_forged_in_a_static_is_outside() -> Result<()> {
    let program = [
        allocate(0, 64),
        allocate(1, 64),
        free(0),
        Action::WriteAfterFree {
            block: 0,
            at: 0,
            words: vec![Value::Address(Place::Target, 16)],
        },
        Action::Forge {
            at: 8,
            words: vec![Value::Number(64)],
        },
        allocate(2, 64),
        allocate(3, 64),
    ];
    assert_eq!(kind_of(&program)?, Some(Kind::Outside));
    Ok(())
}

#[test]
fn a_word_that_the_attacker_chose_is_an_arbitrary_write() -> Result<()> {
    let program = unlink(
        Value::Address(Place::Target, 16),
        Value::Address(Place::Victim, 16),
    );
    assert_eq!(kind_of(&program)?, Some(Kind::ArbitraryWrite));
    Ok(())
}

#[test]
fn a_word_that_nobody_chose_is_a_restricted_write() -> Result<()> {
    let program = unlink(Value::Number(0), Value::Address(Place::Victim, 16));
    assert_eq!(kind_of(&program)?, Some(Kind::RestrictedWrite));
    Ok(())
}

#[test]
fn a_list_that_bites_its_tail_is_a_hang() -> Result<()> {
    let program = [
        allocate(0, 64),
        allocate(1, 64),
        free(0),
        free_again(0),
        allocate(2, 1000),
    ];
    assert_eq!(kind_of(&program)?, Some(Kind::Hang));
    Ok(())
}

#[test]
fn an_access_outside_the_memory_is_a_crash() -> Result<()> {
    let nowhere = Value::Number(0xFFFF_FF00);
    assert_eq!(kind_of(&unlink(nowhere, nowhere))?, Some(Kind::Crash));
    Ok(())
}

#[test]
fn what_the_program_itself_writes_is_no_finding() -> Result<()> {
    let program = [
        allocate(0, 64),
        allocate(1, 64),
        allocate(2, 64),
        Action::Overflow {
            block: 0,
            bytes: 60,
            words: vec![Value::Kept, Value::Kept, Value::Number(u32::MAX)],
        },
        allocate(3, 64),
    ];
    assert_eq!(kind_of(&program)?, None);
    Ok(())
}

#[test]
fn words_that_are_kept_stay_as_they_are() -> Result<()> {
    // The header's two words kept, the attack has lost its sting.
    let mut program = unlink(Value::Number(1), Value::Number(1));
    if let Some(words) = program[3].words_mut() {
        words[..2].fill(Value::Kept);
    }
    assert_eq!(kind_of(&program)?, None);
    Ok(())
}

#[test]
fn steps_that_make_no_sense_are_left_out() -> Result<()> {
    let program = [
        free(7),
        free_again(7),
        allocate(0, 64),
        free_again(0),
        Action::WriteAfterFree {
            block: 0,
            at: 0,
            words: vec![Value::Number(1)],
        },
        Action::InvalidFree {
            pointer: Value::Address(Place::Block(0), 0),
            size: Value::Number(64),
            align: 8,
        },
    ];
    assert_eq!(kind_of(&program)?, None);
    Ok(())
}

#[test]
fn minimising_leaves_what_is_needed() -> Result<()> {
    let mut program: Program = (10..30).map(|block| allocate(block, 24)).collect();
    program.extend(unlink(Value::Number(0), Value::Address(Place::Victim, 16)));
    program.extend((10..30).map(free));
    let found = minimise(&SUBJECT, &program, Kind::RestrictedWrite)?;
    let (shortest, _) = found.expect("the program gives a restricted write");
    assert!(shortest.len() <= 4, "{shortest:?}");
    assert_eq!(kind_of(&shortest)?, Some(Kind::RestrictedWrite));
    Ok(())
}

#[test]
fn the_number_of_threads_changes_no_count() -> Result<()> {
    let one = search::random(&SUBJECT, Class::Overflow, 3, 300, 1)?;
    let three = search::random(&SUBJECT, Class::Overflow, 3, 300, 3)?;
    assert_eq!(one.trials, 300);
    assert_eq!(one.found, three.found);
    assert_eq!(one.first, three.first);
    assert!(one.primitives() > 0);
    Ok(())
}

/// The class of bugs that an action is, if it is one.
fn bug(action: &Action) -> Option<Class> {
    match action {
        Action::Overflow { .. } => Some(Class::Overflow),
        Action::OffByOne { byte: 0, .. } => Some(Class::OffByOneNull),
        Action::OffByOne { .. } => Some(Class::OffByOne),
        Action::WriteAfterFree { .. } => Some(Class::WriteAfterFree),
        Action::FreeAgain { stale: false, .. } => Some(Class::DoubleFree),
        Action::FreeAgain { stale: true, .. } => Some(Class::StaleFree),
        Action::InvalidFree { .. } => Some(Class::InvalidFree),
        Action::WrongLayout { .. } => Some(Class::WrongLayout),
        _ => None,
    }
}

#[test]
fn programs_have_bugs_of_their_class_only() {
    for &class in Class::value_variants() {
        let programs = (0..200).map(|index| generate::program(1, class, index));
        let mut bugs: Vec<Class> = programs.flatten().filter_map(|it| bug(&it)).collect();
        if class == Class::OffByOne {
            bugs.retain(|&bug| bug != Class::OffByOneNull); // The byte may be zero by chance.
        }
        assert_eq!(bugs.is_empty(), class == Class::None, "{class:?}");
        assert!(bugs.iter().all(|&bug| bug == class), "{class:?}");
    }
}

#[test]
fn without_a_bug_the_weak_allocator_does_everything_right() -> Result<()> {
    let tally = search::random(&SUBJECT, Class::None, 1, 500, 1)?;
    assert_eq!((tally.found.len(), tally.stopped), (0, 0), "{tally:?}");
    Ok(())
}

#[test]
fn every_known_attack_has_variants() {
    for case in cases::all() {
        assert!(case.variants.len() >= 10, "{}", case.name);
    }
}

//! Random programs: every block is known, and after each step everything must be right.
//!
//! A failure names the seed of its program, and on a host that can unwind also the shortest program that
//! fails. `ALLIGATOR_SEED` chooses the first seed, `ALLIGATOR_PROGRAMS` how many programs follow it.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::live::Live;
use crate::memory::Memory;

/// Pages a program's memory may have.
const PAGES_MAX: usize = if cfg!(miri) { 32 } else { 400 };

#[derive(Clone, Debug)]
enum Step {
    Allocate {
        size: usize,
        align: usize,
    },
    AllocateZeroed {
        size: usize,
        align: usize,
    },
    /// Many blocks of one size: MiniPages fill up.
    AllocateMany {
        size: usize,
        count: usize,
    },
    /// The index is taken modulo the number of blocks.
    Free {
        index: usize,
    },
    /// Every `stride`th block: MiniPages empty out.
    FreeMany {
        stride: usize,
    },
    Reallocate {
        index: usize,
        size: usize,
    },
    Reserve {
        bytes: usize,
    },
    GrowBySomebodyElse {
        pages: usize,
    },
    /// From now on the memory may have so many pages more than it has.
    Limit {
        pages: usize,
    },
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1..=128_usize,
        6 => 1..=2_100_usize,
        4 => 2_000..=70_000_usize,
        1 => 60_000..=1_200_000_usize,
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..=4_u32,
        2 => 0..=10_u32,
        1 => 0..=17_u32,
    ]
    .prop_map(|shift| 1 << shift)
}

fn step() -> impl Strategy<Value = Step> {
    let index = || 0..1_000_usize;
    prop_oneof![
        10 => (size(), align()).prop_map(|(size, align)| Step::Allocate { size, align }),
        3 => (size(), align()).prop_map(|(size, align)| Step::AllocateZeroed { size, align }),
        3 => (1..=2_100_usize, 2..80_usize)
            .prop_map(|(size, count)| Step::AllocateMany { size, count }),
        12 => index().prop_map(|index| Step::Free { index }),
        2 => (1..5_usize).prop_map(|stride| Step::FreeMany { stride }),
        7 => (index(), size()).prop_map(|(index, size)| Step::Reallocate { index, size }),
        1 => (0..2_000_000_usize).prop_map(|bytes| Step::Reserve { bytes }),
        1 => (1..9_usize).prop_map(|pages| Step::GrowBySomebodyElse { pages }),
        1 => (0..20_usize).prop_map(|pages| Step::Limit { pages }),
    ]
}

/// A memory's first pages and data, and what happens then.
fn program() -> impl Strategy<Value = (usize, usize, Vec<Step>)> {
    let length = if cfg!(miri) { 1..25 } else { 1..250 };
    (
        0..4_usize,
        0..65_536_usize,
        prop::collection::vec(step(), length),
    )
}

fn run<const STEP_PAGES: usize>(
    initial_pages: usize,
    data_bytes: usize,
    steps: &[Step],
    seed: u64,
) {
    let data_bytes = if initial_pages == 0 { 0 } else { data_bytes };
    let memory = Memory::new(initial_pages, data_bytes, PAGES_MAX);
    let heap = memory.heap::<STEP_PAGES, true>();
    let mut live = Live::named(&heap, format!("seed {seed}"));
    for step in steps {
        match *step {
            Step::Allocate { size, align } => {
                live.allocate(size, align);
            }
            Step::AllocateZeroed { size, align } => {
                live.allocate_zeroed(size, align);
            }
            Step::AllocateMany { size, count } => {
                for _ in 0..count {
                    live.allocate(size, 8);
                }
            }
            Step::Free { index } if live.count() > 0 => live.free(live.nth(index % live.count())),
            Step::FreeMany { stride } => {
                for index in (0..live.count().div_ceil(stride)).rev() {
                    live.free(live.nth(index * stride));
                }
            }
            Step::Reallocate { index, size } if live.count() > 0 => {
                live.reallocate(live.nth(index % live.count()), size);
            }
            Step::Free { .. } | Step::Reallocate { .. } => {}
            Step::Reserve { bytes } => {
                let _ = heap.reserve(bytes);
            }
            Step::GrowBySomebodyElse { pages } => {
                memory.grow_by_somebody_else(pages);
            }
            Step::Limit { pages } => {
                memory.pages_max.set(PAGES_MAX.min(memory.pages() + pages));
            }
        }
        crate::live::Subject::assert_sound(&heap, &live);
    }
    live.assert_all_intact();
    live.free_all();
    #[cfg(feature = "check")]
    assert_nothing_is_in_use(&heap, &memory);
    drop(live);
    memory.assert_others_are_intact();
}

/// After everything was given back, the heap's picture shows no block, and covers the heap without a gap.
#[cfg(feature = "check")]
fn assert_nothing_is_in_use<const STEP_PAGES: usize>(
    heap: &crate::memory::Simulated<STEP_PAGES>,
    memory: &Memory,
) {
    use alligator_alloc::Piece;
    let mut end = None;
    heap.walk(|piece| {
        let (address, bytes) = match piece {
            Piece::MiniPage {
                address,
                bytes,
                slot_count,
                free_slots,
                ..
            } => {
                assert_eq!(slot_count, free_slots, "a slot is in use: {piece:?}");
                (address, bytes)
            }
            Piece::Run { .. } => panic!("a run is in use: {piece:?}"),
            _ => (piece.address(), piece.bytes()),
        };
        assert_eq!(end.unwrap_or(address), address, "a gap before {piece:?}");
        end = Some(address + bytes);
    });
    assert!(end.is_none_or(|end| end <= memory.range().end));
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `count` random programs with seeds from `first` on.
fn run_programs(first: u64, count: u64, run: impl Fn(usize, usize, &[Step], u64)) {
    run_random(first, count, &program(), |(pages, data, steps), seed| {
        run(pages, data, &steps, seed);
    });
}

/// Runs `run` with `count` random values, each made from a seed, from `first` on.
pub(crate) fn run_random<V: Strategy>(
    first: u64,
    count: u64,
    values: &V,
    run: impl Fn(V::Value, u64),
) {
    let first = number_from_environment("ALLIGATOR_SEED").unwrap_or(first);
    let count = number_from_environment("ALLIGATOR_PROGRAMS").unwrap_or(count);
    for seed in first..first + count {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 500,
            ..Config::default()
        };
        let result = TestRunner::new_with_rng(config, rng).run(values, |value| {
            run(value, seed);
            Ok(())
        });
        if let Err(error) = result {
            panic!("seed {seed}: {error}");
        }
    }
}

const PROGRAMS: u64 = if cfg!(miri) { 2 } else { 60 };

#[test]
fn random_programs_run_right_in_memory_that_grows_page_by_page() {
    run_programs(1, PROGRAMS, run::<1>);
}

#[test]
fn random_programs_run_right_in_memory_that_grows_by_many_pages() {
    run_programs(1_000_000, PROGRAMS, run::<9>);
}

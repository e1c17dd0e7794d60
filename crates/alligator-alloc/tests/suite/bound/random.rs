//! Random programs that keep to limits, in exactly the memory that the bound says; and a climb towards programs that take
//! much.

use std::alloc::Layout;

use alligator_alloc::{Hardened, Heap, MemoryBound, PAGE_BYTES, Policy, Source, Standard};

use super::limited::{Limited, Limits, Refused};
use super::{KIB, Place};
use crate::memory::Memory;

/// Numbers that look random: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }
}

/// A step, as one number: which it is, which block, how long, how aligned.
fn step<S: Source, P: Policy>(
    heap: &mut Limited<S, P>,
    limits: Limits,
    number: u64,
) -> Result<(), Refused> {
    let field =
        |from: u32, bits: u32| usize::try_from(number >> from & ((1 << bits) - 1)).expect("short");
    // As many sizes in each doubling; more often the longest there may be.
    let doublings = limits.largest.ilog2() as usize + 1;
    let most = match field(8, 8) % (doublings + 2) {
        it if it > doublings - 1 => limits.largest,
        it => limits.largest.min(2 << it),
    };
    let size = most - field(16, 22) % most.div_ceil(2);
    let align = match field(38, 6) {
        it @ 0..14 => 1 << it,
        _ => 8,
    };
    let count = heap.count();
    let index = field(44, 20) % count.max(1);
    match field(0, 8) % 8 {
        0..4 => {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            if heap.may(layout) {
                heap.allocate(layout)?;
            }
        }
        4 if count != 0 => heap.resize(index, size)?,
        5 if count != 0 && size > 1_024 && is_longer(heap.layout(index), size) => {
            heap.shrink(index, size);
        }
        _ if count != 0 => heap.free(index),
        _ => {}
    }
    Ok(())
}

/// Whether a block in a run can be shortened to `size` in place, and counts with less then.
fn is_longer(layout: Layout, size: usize) -> bool {
    layout.size() > size && layout.align() <= 1_024
}

/// All blocks but each `stride`th go, wherever a limit is near.
fn thin<S: Source, P: Policy>(heap: &mut Limited<S, P>, stride: usize) {
    for index in (0..heap.count()).rev() {
        if index % stride != 0 {
            heap.free(index);
        }
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |it| it.parse().expect("a number"))
}

const LIMITS: [(usize, usize, usize); 13] = [
    (300, 100, 3),
    (2 * KIB, KIB, 2),
    (4 * KIB, 100, usize::MAX),
    (20 * KIB, KIB, usize::MAX),
    (20 * KIB, 3 * KIB, usize::MAX),
    (64 * KIB, 64 * KIB, 1),
    (64 * KIB, 40 * KIB, 3),
    (100 * KIB, 16 * KIB, 20),
    (200 * KIB, 7 * KIB, 90),
    (300 * KIB, 2 * KIB, 700),
    (1_000 * KIB, 300 * KIB, 10),
    (1_000 * KIB, 700 * KIB, 40),
    (2_000 * KIB, 1_000 * KIB, 12),
];

fn assert_never_null<P: Policy>(limits: Limits, seed: u64, steps: usize) {
    let bound = MemoryBound::of_blocks(limits.bytes, limits.largest, limits.blocks).heap_bytes();
    let mut random = Random(seed);
    let mut place = Place::new(bound);
    let mut heap = Limited::new(place.heap::<P>(random.below(KIB), bound), limits);
    for turn in 0..steps {
        let done = step(&mut heap, limits, random.next());
        assert_eq!(done, Ok(()), "{limits:?}, seed {seed}, step {turn}");
        if random.below(60) == 0 {
            thin(&mut heap, 1 + random.below(5));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn random_programs_get_all_they_ask_for_in_the_memory_of_the_bound() {
    let first = variable("ALLIGATOR_SEED", 1);
    for seed in first..first + variable("ALLIGATOR_PROGRAMS", 4) {
        for (bytes, largest, blocks) in LIMITS {
            let limits = Limits {
                bytes,
                largest,
                blocks,
            };
            assert_never_null::<Standard>(limits, seed, 1_500);
            assert_never_null::<Hardened>(limits, seed, 700);
        }
    }
}

/// Few steps, so that an interpreter can follow them.
#[test]
fn short_programs_get_all_they_ask_for_in_the_memory_of_the_bound() {
    for (bytes, largest, blocks) in [LIMITS[3], LIMITS[6]] {
        let limits = Limits {
            bytes,
            largest,
            blocks,
        };
        assert_never_null::<Standard>(limits, 1, 25);
        assert_never_null::<Hardened>(limits, 1, 25);
    }
}

/// Programs of known layouts, of each at most so many at once.
#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn programs_of_known_layouts_get_all_they_ask_for_in_the_memory_of_the_bound() {
    let lists: [&[(usize, usize, usize)]; 7] = [
        &[(16, 8, 65)],
        &[(40, 8, 300), (400, 16, 64)],
        &[(64 * KIB, 8, 9)],
        &[(2 * KIB, 8, 60), (8 * KIB, 8, 10), (32 * KIB, 8, 4)],
        &[
            (24, 8, 500),
            (3 * KIB, 8, 40),
            (16 * KIB, 64, 8),
            (300 * KIB, 8, 3),
        ],
        &[
            (1, 1, 100),
            (100, 2_048, 30),
            (5_000, 4_096, 10),
            (9, 1_024, 20),
        ],
        &[(1_025, 1, 200), (4_000, 1, 100)],
    ];
    let first = variable("ALLIGATOR_SEED", 1);
    for seed in first..first + variable("ALLIGATOR_PROGRAMS", 4) {
        for list in lists {
            let list: Vec<_> = list
                .iter()
                .map(|&(size, align, most)| {
                    (
                        Layout::from_size_align(size, align).expect("a layout"),
                        most,
                    )
                })
                .collect();
            known_layouts::<Standard>(&list, seed);
            known_layouts::<Hardened>(&list, seed);
        }
    }
}

fn known_layouts<P: Policy>(list: &[(Layout, usize)], seed: u64) {
    let bound = MemoryBound::of_layouts(list).heap_bytes();
    let all = Limits {
        bytes: usize::MAX / 2,
        largest: usize::MAX / 2,
        blocks: usize::MAX,
    };
    let mut place = Place::new(bound);
    let mut random = Random(seed);
    let mut heap = Limited::new(place.heap::<P>(random.below(KIB), bound), all);
    let mut counts = vec![0; list.len()];
    for turn in 0..3_000 {
        let which = random.below(list.len());
        let (layout, most) = list[which];
        if counts[which] < most && random.below(8) < 5 {
            let done = heap.allocate(layout);
            assert!(done.is_ok(), "{list:?}, seed {seed}, step {turn}: {done:?}");
            counts[which] += 1;
        } else if heap.count() != 0 {
            // All of a layout but some, or one.
            let wanted = if random.below(40) == 0 {
                counts[which]
            } else {
                1
            };
            for _ in 0..wanted {
                let index = random.below(heap.count());
                let gone = heap.layout(index);
                heap.free(index);
                let of = list.iter().position(|&(it, _)| it == gone);
                counts[of.expect("one of the list")] -= 1;
            }
        }
    }
}

/// Changes a program a little at a time, and keeps what takes no less memory.
#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn no_program_that_climbs_takes_more_than_the_bound() {
    for (bytes, largest, blocks) in [LIMITS[4], LIMITS[6], LIMITS[7]] {
        let limits = Limits {
            bytes,
            largest,
            blocks,
        };
        let bound = MemoryBound::of_blocks(bytes, largest, blocks);
        let mut random = Random(variable("ALLIGATOR_SEED", 1));
        let mut best: Vec<u64> = (0..200).map(|_| random.next()).collect();
        let mut most = 0;
        for _ in 0..variable("ALLIGATOR_PROGRAMS", 4) * 50 {
            let mut program = best.clone();
            for _ in 0..=random.below(6) {
                let at = random.below(program.len());
                program[at] = random.next();
            }
            let taken = run(&program, limits, bound);
            if taken >= most {
                (best, most) = (program, taken);
            }
        }
        println!("{limits:?}: {most} of {} bytes", bound.growing_bytes());
        assert!(most > bound.growing_bytes() / 50);
    }
}

/// The bytes that a program takes of a memory that grows; it gets all it asks for in an arena of the bound.
fn run(program: &[u64], limits: Limits, bound: MemoryBound) -> usize {
    let memory = Memory::empty(bound.growing_bytes() / PAGE_BYTES + 2);
    let growing = Heap::<_, Standard>::with_policy(memory.source::<1, true>());
    let mut growing = Limited::new(growing, limits);
    let mut place = Place::new(bound.heap_bytes());
    let mut fixed = Limited::new(place.heap::<Standard>(1, bound.heap_bytes()), limits);
    for &number in program {
        assert_eq!(step(&mut growing, limits, number), Ok(()));
        assert_eq!(step(&mut fixed, limits, number), Ok(()));
    }
    let taken = growing.heap_bytes();
    assert!(taken <= bound.growing_bytes(), "{taken} bytes, {limits:?}");
    taken
}

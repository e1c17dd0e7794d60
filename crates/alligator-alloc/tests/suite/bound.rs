//! The bound on memory of `docs/memory.md`: who has so much never gets null, a heap that grows never takes more, and
//! programs that are made for the purpose need nearly as much.
//!
//! `ALLIGATOR_SEED` chooses the first seed of the random programs, `ALLIGATOR_PROGRAMS` how many follow it.
#![cfg(not(all(feature = "small", not(feature = "hardened"))))]

mod adversary;
mod limited;
mod random;
#[cfg(not(any(target_family = "wasm", miri)))]
mod table;

use std::alloc::Layout;

use alligator_alloc::{
    Arena, Hardened, Heap, MemoryBound, PAGE_BYTES, Policy, Standard, heap_bytes_for,
};

use self::adversary::Adversary;
use self::limited::{Limited, Limits, Refused};
use crate::memory::Memory;

const KIB: usize = 1 << 10;

/// The compiler computes the longest of all without complaint.
const _: () = assert!(
    heap_bytes_for(1 << 29, 1 << 28, usize::MAX) == usize::MAX
        && heap_bytes_for(1 << 29, 1 << 28, 2) < 1 << 30
);

/// Memory for arenas, wherever in a KiB these start.
struct Place(Vec<u8>);

impl Place {
    fn new(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes + 2 * KIB))
    }

    /// A heap over `bytes` from `shift` bytes above a multiple of a KiB on.
    fn heap<P: Policy>(&mut self, shift: usize, bytes: usize) -> Heap<Arena<'_>, P> {
        let before = self.0.as_mut_ptr().align_offset(KIB) + shift % KIB;
        let memory = &mut self.0.spare_capacity_mut()[before..][..bytes];
        Heap::with_policy(Arena::new(memory))
    }
}

/// What an adversary gets to in an arena of `bytes`.
fn play<P: Policy>(adversary: &Adversary, bytes: usize, shift: usize) -> Result<(), Refused> {
    let mut place = Place::new(bytes);
    let mut limited = Limited::new(place.heap::<P>(shift, bytes), adversary.limits);
    adversary.play(&mut limited)
}

/// In an arena of the bound, wherever it starts, an adversary gets all it asks for; with a part of it, it does not.
fn assert_close<P: Policy>(adversary: &Adversary, percent: usize) {
    let Limits {
        bytes,
        largest,
        blocks,
    } = adversary.limits;
    let bound = heap_bytes_for(bytes, largest, blocks);
    for shift in [0, 1, 1_023] {
        assert_eq!(play::<P>(adversary, bound, shift), Ok(()), "{adversary:?}");
    }
    let part = bound / 100 * percent;
    let outcome = play::<P>(adversary, part, 0);
    assert!(
        outcome.is_err(),
        "{adversary:?}: {percent} % of {bound} is enough"
    );
}

/// Over memory that grows, it takes less than the bound, and more than a part of it.
fn assert_growing<P: Policy>(adversary: &Adversary, percent: usize) {
    let Limits {
        bytes,
        largest,
        blocks,
    } = adversary.limits;
    let bound = MemoryBound::of_blocks(bytes, largest, blocks).growing_bytes();
    let memory = Memory::empty(bound.div_ceil(PAGE_BYTES) + 64);
    let heap = Heap::<_, P>::with_policy(memory.source::<1, true>());
    let mut limited = Limited::new(heap, adversary.limits);
    assert_eq!(adversary.play(&mut limited), Ok(()));
    let taken = limited.heap_bytes();
    assert!(taken <= bound, "{adversary:?}: {taken} of {bound}");
    let least = bound / 100 * percent;
    assert!(taken > least, "{adversary:?}: {taken} of {bound}");
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn blocks_that_shrink_need_nearly_the_bound() {
    for (largest, blocks, percent) in [
        (5 * KIB, 40, 55),
        (16 * KIB, 100, 80),
        (41 * KIB, 120, 90),
        (300 * KIB, 60, 95),
    ] {
        let adversary = Adversary::shrinking(largest, blocks);
        assert_close::<Standard>(&adversary, percent);
        assert_close::<Hardened>(&adversary, percent);
        assert_growing::<Standard>(&adversary, 15);
        assert_growing::<Hardened>(&adversary, 15);
    }
    // More runs than a request looks at.
    let adversary = Adversary::shrinking(41 * KIB, 400);
    assert_close::<Standard>(&adversary, 75);
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn one_slot_in_each_mini_page_needs_nearly_half_the_bound() {
    let adversary = Adversary::comb(256 * KIB);
    assert_close::<Standard>(&adversary, 45);
    assert_close::<Hardened>(&adversary, 45);
    // A heap that grows has short runs at its end, where these MiniPages go.
    assert_growing::<Standard>(&adversary, 4);
    assert_growing::<Hardened>(&adversary, 4);
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn slots_class_after_class_need_a_third_of_the_bound() {
    let adversary = Adversary::classes(64 * KIB);
    assert_close::<Standard>(&adversary, 30);
    assert_close::<Hardened>(&adversary, 30);
    assert_growing::<Standard>(&adversary, 20);
}

#[test]
fn two_blocks_need_the_bound_but_for_5_kib() {
    let adversary = Adversary::two(64 * KIB);
    let bound = heap_bytes_for(128 * KIB, 64 * KIB, 2);
    assert_eq!(play::<Standard>(&adversary, bound, 1), Ok(()));
    assert_eq!(play::<Hardened>(&adversary, bound, 1_023), Ok(()));
    assert!(play::<Standard>(&adversary, bound - 5 * KIB, 0).is_err());
    assert!(play::<Hardened>(&adversary, bound - 4 * KIB, 0).is_err());
}

/// Blocks of one length leave no holes that are too short.
#[test]
fn blocks_of_one_length_need_their_length() {
    for (size, count) in [(64 * KIB, 9), (3 * KIB, 300), (256 * KIB, 5), (1_025, 1)] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        let bound = MemoryBound::of_layouts(&[(layout, count)]).heap_bytes();
        let blocks = count * size.next_multiple_of(KIB);
        assert!(bound <= blocks + blocks / 40 + 5 * KIB, "{bound}");
        let limits = Limits {
            bytes: count * size,
            largest: size,
            blocks: count,
        };
        let mut place = Place::new(bound);
        let fill = |mut limited: Limited<Arena, Standard>| {
            for turn in 0..8 * count {
                if limited.count() == count {
                    limited.free(turn * 7 % count);
                }
                limited.allocate(layout)?;
            }
            Ok::<(), Refused>(())
        };
        assert_eq!(fill(Limited::new(place.heap(1, bound), limits)), Ok(()));
        assert!(fill(Limited::new(place.heap(0, bound - 3 * KIB), limits)).is_err());
    }
}

#[test]
fn bounds_rise_with_what_they_are_of() {
    let of = |bytes: usize, largest: usize, blocks: usize| {
        let bound = MemoryBound::of_blocks(bytes, largest, blocks);
        (bound.heap_bytes(), bound.growing_bytes())
    };
    let steps = |most: usize| {
        core::iter::successors(Some(1_usize), |n| Some(n * 5 / 4 + 1))
            .take_while(move |&n| n < most)
    };
    let rises = |a: (usize, usize), b: (usize, usize)| a.0 <= b.0 && a.1 <= b.1 && a.0 <= a.1;
    for n in steps(60 << 20) {
        assert!(
            rises(of(n, 999, 30), of(n + n / 4 + 1, 999, 30)),
            "{n} bytes"
        );
        assert!(
            rises(of(1 << 26, n, 50), of(1 << 26, n + n / 4 + 1, 50)),
            "largest {n}"
        );
        assert!(
            rises(of(1 << 20, 9_999, n), of(1 << 20, 9_999, n + n / 4 + 1)),
            "{n} blocks"
        );
    }
    assert_eq!(of(0, 0, 0), of(1 << 20, 1 << 20, 0));
    assert_eq!(
        of(usize::MAX, usize::MAX, usize::MAX),
        (usize::MAX, usize::MAX)
    );
    assert_eq!(MemoryBound::of_layouts(&[]).heap_bytes(), of(0, 0, 0).0);
    assert_eq!(of(100 << 20, 50 << 20, 2).1, usize::MAX);
    assert!(of(100 << 20, 50 << 20, 2).0 < 160 << 20);
}

#[test]
fn a_heap_that_has_reserved_the_bound_grows_no_more() {
    let adversary = Adversary::shrinking(16 * KIB, 50);
    let Limits {
        bytes,
        largest,
        blocks,
    } = adversary.limits;
    let bound = heap_bytes_for(bytes, largest, blocks);
    let memory = Memory::new(2, 70_000, 2 * bound / PAGE_BYTES);
    let mut heap = Heap::<_, Standard>::with_policy(memory.source::<1, false>());
    assert!(heap.reserve(bound));
    let growths = memory.growths.get();
    let mut limited = Limited::new(heap, adversary.limits);
    assert_eq!(adversary.play(&mut limited), Ok(()));
    assert_eq!(memory.growths.get(), growths);
}

//! Sources that do not keep the contract, though the memory they give is the test's own: what they say is out of
//! order, not aligned, given before, or around the end of the address space, and it changes. A heap that does not
//! trust its source may give null then, and nothing else but right blocks, and asks for no pointer to what was not
//! given.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use alligator_alloc::{AlligatorAlloc, PAGE_BYTES, Source, SpinLock};
use proptest::prelude::*;

use crate::live::{Live, Subject};
use crate::model::run_random;

/// Pages there are: the lowest are for ranges below all others, those from the next number on for what is spare.
const PAGES: usize = if cfg!(miri) { 64 } else { 160 };
const SPARE_PAGE: usize = 12;
const MAIN_PAGE: usize = 20;
/// Pages of a spare range above all that was given.
const HIGH_PAGES: usize = 5;

/// What `spare` says.
#[derive(Clone, Copy, Debug)]
enum Spare {
    None,
    /// So many bytes, from so many bytes after the first on.
    Some {
        skipped: usize,
        bytes: usize,
    },
    Reversed,
    /// Less than a granule at the end of the address space.
    Last,
    /// Above everything else.
    High,
}

/// What `end` says.
#[derive(Clone, Copy, Debug)]
enum End {
    Right,
    Zero,
    Last,
    Less { bytes: usize },
    More { bytes: usize },
}

/// What `grow` says.
#[derive(Clone, Copy, Debug)]
enum Grow {
    Refused,
    Right,
    /// The next but for so many pages, which are nobody's.
    Above {
        pages: usize,
    },
    /// What it has given last, again.
    Again,
    /// The last page that was given, and what follows.
    Overlapping,
    /// Pages below all others.
    Below {
        page: usize,
    },
    Unaligned {
        bytes: usize,
    },
    /// The last page of the address space and what does not follow.
    Around,
    /// The first page of the address space.
    Null,
    /// Pages so far above all others that no table is long enough for both.
    #[cfg(all(
        target_pointer_width = "64",
        any(not(feature = "small"), feature = "hardened")
    ))]
    Far,
}

/// All that a source says, over and over.
#[derive(Clone, Debug)]
struct Lies {
    spare: Vec<Spare>,
    end: Vec<End>,
    grow: Vec<Grow>,
}

/// The test's memory, and what was said of it.
struct Evil {
    memory: *mut u8,
    layout: Layout,
    lies: Lies,
    /// How often something was said.
    asked: Cell<usize>,
    /// The address after all that was said to be the heap's.
    top: Cell<usize>,
    given: RefCell<Vec<Range<usize>>>,
    /// From now on, what is said is right.
    is_honest: Cell<bool>,
}

impl Evil {
    fn new(lies: Lies) -> Rc<Self> {
        let layout = Layout::from_size_align(PAGES * PAGE_BYTES, PAGE_BYTES).expect("a layout");
        // SAFETY: the layout is longer than zero bytes.
        let memory = unsafe { alloc_zeroed(layout) };
        assert!(!memory.is_null());
        Rc::new(Self {
            memory,
            layout,
            lies,
            asked: Cell::new(0),
            top: Cell::new(memory.addr() + MAIN_PAGE * PAGE_BYTES),
            given: RefCell::default(),
            is_honest: Cell::new(false),
        })
    }

    fn start(&self) -> usize {
        self.memory.addr()
    }

    fn after(&self) -> usize {
        self.start() + self.layout.size()
    }

    /// The lie whose turn it is, unless the truth is to be told.
    fn next<L: Copy>(&self, lies: &[L]) -> Option<L> {
        self.asked.set(self.asked.get() + 1);
        let lie = lies.get(self.asked.get() % lies.len().max(1)).copied();
        lie.filter(|_| !self.is_honest.get())
    }

    /// Notes that `range` was given, which is the test's own; or gives nothing.
    fn give(&self, start: usize, bytes: Option<usize>) -> Option<Range<usize>> {
        let range = start..start.checked_add(bytes?)?;
        if range.start < self.start() || range.end > self.after() {
            return None;
        }
        self.top
            .set(self.top.get().max(range.end.next_multiple_of(PAGE_BYTES)));
        self.given.borrow_mut().push(range.clone());
        Some(range)
    }

    fn spare(&self) -> Range<usize> {
        let first = self.start() + SPARE_PAGE * PAGE_BYTES;
        let range = match self.next(&self.lies.spare).unwrap_or(Spare::None) {
            Spare::None => None,
            Spare::Some { skipped, bytes } => self.give(first + skipped, Some(bytes)),
            Spare::Reversed => return first + PAGE_BYTES..first,
            Spare::Last => return usize::MAX - 100..usize::MAX,
            Spare::High => self.give(self.top.get() + 100, Some(HIGH_PAGES * PAGE_BYTES)),
        };
        range.unwrap_or(first..first)
    }

    fn end(&self) -> usize {
        let top = self.top.get();
        match self.next(&self.lies.end).unwrap_or(End::Right) {
            End::Right => top,
            End::Zero => 0,
            End::Last => usize::MAX,
            End::Less { bytes } => top - bytes,
            End::More { bytes } => top + bytes,
        }
    }

    fn grow(&self, pages: usize) -> Option<usize> {
        let last = self.given.borrow().last().cloned();
        let last = last.unwrap_or(self.start()..self.start() + PAGE_BYTES);
        let top = self.top.get();
        let start = match self.next(&self.lies.grow).unwrap_or(Grow::Right) {
            Grow::Refused => return None,
            Grow::Right => top,
            Grow::Above { pages } => top + pages * PAGE_BYTES,
            Grow::Again => last.start,
            Grow::Overlapping => last.end - PAGE_BYTES.min(last.len()),
            Grow::Below { page } => self.start() + page * PAGE_BYTES,
            Grow::Unaligned { bytes } => top + bytes,
            Grow::Around if pages == 1 => return Some(usize::MAX - PAGE_BYTES / 2),
            Grow::Around => return Some(((pages - 1) * PAGE_BYTES).wrapping_neg()),
            Grow::Null => return Some(0),
            #[cfg(all(
                target_pointer_width = "64",
                any(not(feature = "small"), feature = "hardened")
            ))]
            Grow::Far => return Some(top + (1 << 46)),
        };
        let given = self.give(start, pages.checked_mul(PAGE_BYTES))?;
        Some(given.start)
    }

    /// Panics if somebody wrote to what was never said to be the heap's.
    fn assert_rest_is_untouched(&self) {
        let mut given = self.given.borrow().clone();
        given.push(self.after()..self.after());
        given.sort_by_key(|range| range.start);
        let mut rest = self.start();
        for range in given {
            let bytes = range.start.saturating_sub(rest);
            let first = self.memory.with_addr(rest.min(self.after()));
            // SAFETY: the bytes are the test's own and initialised, and no reference to them exists.
            let rest_bytes = unsafe { std::slice::from_raw_parts(first, bytes) };
            let step = if cfg!(miri) { 40_961 } else { 1 };
            let mut looked_at = rest_bytes.iter().step_by(step);
            assert!(looked_at.all(|&byte| byte == 0), "below {range:?}");
            rest = rest.max(range.end);
        }
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(self.memory, self.layout) };
    }
}

/// [`Evil`] as a heap sees it.
struct EvilSource<const STEP_PAGES: usize>(Rc<Evil>);

// SAFETY: on purpose it does not keep the contract. Whatever range it gives that is neither empty nor around the end of
// the address space is the test's own memory; it is zero unless it was given before.
unsafe impl<const STEP_PAGES: usize> Source for EvilSource<STEP_PAGES> {
    const STEP_PAGES: usize = STEP_PAGES;

    fn spare(&mut self) -> Range<usize> {
        self.0.spare()
    }

    fn end(&self) -> usize {
        self.0.end()
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        self.0.grow(pages)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        let given = self.0.given.borrow();
        assert!(
            given.iter().any(|range| range.contains(&address)),
            "asked for a pointer to {address:#x}"
        );
        self.0.memory.with_addr(address)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate { size: usize, align: usize },
    AllocateZeroed { size: usize },
    Free { index: usize },
    Reallocate { index: usize, size: usize },
    Reserve { bytes: usize },
}

fn spare() -> impl Strategy<Value = Spare> {
    let bytes = (MAIN_PAGE - SPARE_PAGE) * PAGE_BYTES / 2;
    prop_oneof![
        3 => Just(Spare::None),
        3 => (0..bytes, 0..bytes).prop_map(|(skipped, bytes)| Spare::Some { skipped, bytes }),
        1 => (0..5_000_usize, 0..5_000_usize)
            .prop_map(|(skipped, bytes)| Spare::Some { skipped, bytes }),
        1 => Just(Spare::Reversed),
        1 => Just(Spare::Last),
        1 => Just(Spare::High),
    ]
}

fn end() -> impl Strategy<Value = End> {
    let bytes = || {
        prop_oneof![
            0..PAGE_BYTES,
            (0..12_usize).prop_map(|page| page * PAGE_BYTES)
        ]
    };
    prop_oneof![
        5 => Just(End::Right),
        1 => Just(End::Zero),
        1 => Just(End::Last),
        2 => bytes().prop_map(|bytes| End::Less { bytes }),
        2 => bytes().prop_map(|bytes| End::More { bytes }),
    ]
}

fn grow() -> impl Strategy<Value = Grow> {
    prop_oneof![
        6 => Just(Grow::Right),
        2 => Just(Grow::Refused),
        2 => (1..4_usize).prop_map(|pages| Grow::Above { pages }),
        1 => Just(Grow::Again),
        1 => Just(Grow::Overlapping),
        1 => (0..SPARE_PAGE).prop_map(|page| Grow::Below { page }),
        1 => (1..PAGE_BYTES).prop_map(|bytes| Grow::Unaligned { bytes }),
        1 => Just(Grow::Around),
        1 => Just(Grow::Null),
    ]
}

fn lies() -> impl Strategy<Value = Lies> {
    let spare = prop::collection::vec(spare(), 1..4);
    let end = prop::collection::vec(end(), 1..8);
    let grow = prop::collection::vec(grow(), 1..12);
    (spare, end, grow).prop_map(|(spare, end, grow)| Lies { spare, end, grow })
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![1..=100_usize, 1..=5_000_usize, 5_000..=200_000_usize];
    let index = || 0..1_000_usize;
    prop_oneof![
        6 => (size(), 0..14_u32).prop_map(|(size, shift)| {
            let align = 1 << shift;
            Step::Allocate { size, align }
        }),
        2 => size().prop_map(|size| Step::AllocateZeroed { size }),
        3 => index().prop_map(|index| Step::Free { index }),
        3 => (index(), size()).prop_map(|(index, size)| Step::Reallocate { index, size }),
        1 => size().prop_map(|bytes| Step::Reserve { bytes }),
    ]
}

fn run<const STEP_PAGES: usize>(lies: Lies, steps: &[Step], seed: u64) {
    let evil = Evil::new(lies);
    let source = EvilSource::<STEP_PAGES>(Rc::clone(&evil));
    let heap = AlligatorAlloc::<_, SpinLock>::with_source(source);
    let mut live = Live::named(&heap, format!("seed {seed}"));
    for step in steps {
        match *step {
            Step::Allocate { size, align } => {
                live.allocate(size, align);
            }
            Step::AllocateZeroed { size } => {
                live.allocate_zeroed(size, 8);
            }
            Step::Free { index } if live.count() > 0 => live.free(live.nth(index % live.count())),
            Step::Reallocate { index, size } if live.count() > 0 => {
                live.reallocate(live.nth(index % live.count()), size);
            }
            Step::Free { .. } | Step::Reallocate { .. } => {}
            Step::Reserve { bytes } => {
                let _ = heap.reserve(bytes);
            }
        }
        heap.assert_sound(&live);
    }
    live.assert_all_intact();
    evil.is_honest.set(true);
    if evil.after() - evil.top.get() > 30 * PAGE_BYTES {
        live.allocate(10 * PAGE_BYTES, 8)
            .expect("room, from a source that tells the truth by now");
    }
    live.free_all();
    drop(live);
    evil.assert_rest_is_untouched();
}

const PROGRAMS: u64 = if cfg!(miri) { 2 } else { 100 };

fn run_all<const STEP_PAGES: usize>(first: u64) {
    let steps = prop::collection::vec(step(), 1..60);
    run_random(first, PROGRAMS, &(lies(), steps), |(lies, steps), seed| {
        run::<STEP_PAGES>(lies, &steps, seed);
    });
}

#[test]
fn whatever_a_source_says_blocks_are_right_or_null() {
    run_all::<1>(1);
}

#[test]
fn whatever_a_source_of_large_steps_says_blocks_are_right_or_null() {
    run_all::<9>(1_000_000);
}

/// One request of a source that says always the same.
fn served(spare: Spare, end: End, grow: Grow) -> bool {
    let evil = Evil::new(Lies {
        spare: vec![spare],
        end: vec![end],
        grow: vec![grow],
    });
    let heap = AlligatorAlloc::<_, SpinLock>::with_source(EvilSource::<1>(Rc::clone(&evil)));
    let mut live = Live::new(&heap);
    let is_served = live.allocate(100, 8).is_some();
    live.allocate(PAGE_BYTES, 8);
    drop(live);
    evil.assert_rest_is_untouched();
    is_served
}

#[test]
fn short_a_spare_range_that_is_none_is_taken_for_none() {
    for spare in [
        Spare::None,
        Spare::Some {
            skipped: 100,
            bytes: 900,
        },
        Spare::Reversed,
        Spare::Last,
    ] {
        assert!(!served(spare, End::Right, Grow::Refused), "{spare:?}");
        assert!(served(spare, End::Right, Grow::Right), "{spare:?}");
    }
}

#[test]
fn short_a_spare_range_that_is_not_aligned_is_used() {
    let spare = Spare::Some {
        skipped: 4_321,
        bytes: 100_000,
    };
    assert!(served(spare, End::Right, Grow::Refused));
}

#[test]
fn short_pages_that_are_out_of_order_are_not_taken() {
    for grow in [
        Grow::Below { page: 3 },
        Grow::Unaligned { bytes: 2_048 },
        Grow::Around,
        Grow::Null,
    ] {
        assert!(!served(Spare::None, End::Right, grow), "{grow:?}");
    }
}

#[test]
fn short_a_page_at_the_null_pointer_is_not_taken_though_the_memory_ends_there() {
    assert!(!served(Spare::None, End::Zero, Grow::Null));
}

#[test]
fn short_the_end_of_the_memory_may_be_said_to_be_anywhere() {
    for end in [
        End::Zero,
        End::Less { bytes: 70_000 },
        End::More { bytes: 4_321 },
    ] {
        assert!(!served(Spare::None, end, Grow::Refused), "{end:?}");
        let spare = Spare::Some {
            skipped: 0,
            bytes: 4 * PAGE_BYTES,
        };
        assert!(served(spare, end, Grow::Refused), "{end:?}");
    }
}

/// What a heap with a block is given for the next, for which it must take nothing. Where the memory ends, it is told once
/// rightly and once not.
fn is_refused(grow: Grow) {
    for end in [[End::Right, End::Zero], [End::Zero, End::Right]] {
        let evil = Evil::new(Lies {
            spare: vec![],
            end: end.into(),
            grow: vec![grow],
        });
        let heap = AlligatorAlloc::<_, SpinLock>::with_source(EvilSource::<1>(Rc::clone(&evil)));
        let mut live = Live::new(&heap);
        evil.is_honest.set(true);
        live.allocate(100, 8).expect("room");
        evil.is_honest.set(false);
        assert_eq!(live.allocate(4 * PAGE_BYTES, 8), None, "{grow:?}");
        live.assert_all_intact();
    }
}

#[test]
fn short_pages_from_below_the_heap_into_it_are_not_taken() {
    is_refused(Grow::Below {
        page: MAIN_PAGE - 2,
    });
}

// A small heap has addresses in its records, so no pages are too far.
#[cfg(all(
    target_pointer_width = "64",
    any(not(feature = "small"), feature = "hardened")
))]
#[test]
fn short_pages_further_away_than_records_can_say_are_not_taken() {
    is_refused(Grow::Far);
}

/// Where the heap's pages are not one range, a table has no room but in those that it asked for.
#[cfg(any(not(feature = "small"), feature = "hardened"))]
#[test]
fn a_source_that_says_its_memory_ends_inside_the_heap_is_asked_for_room_for_all_records() {
    let evil = Evil::new(Lies {
        spare: vec![],
        end: vec![End::Less {
            bytes: 40 * PAGE_BYTES,
        }],
        grow: vec![Grow::Above { pages: 1 }],
    });
    let heap = AlligatorAlloc::<_, SpinLock>::with_source(EvilSource::<1>(Rc::clone(&evil)));
    let mut live = Live::new(&heap);
    for pages in [50, 10] {
        live.allocate(pages * PAGE_BYTES, 8).expect("room");
    }
}

/// A table has whole granules, which headers do not divide. Where the memory lies higher than was said, a small heap's
/// end may be where the table has room for a part of a header.
#[test]
#[cfg_attr(miri, ignore = "too many heaps")]
fn a_table_has_room_for_all_of_its_last_header() {
    for skipped in 0..250 {
        let evil = Evil::new(Lies {
            spare: vec![Spare::Some {
                skipped: skipped * 1_024,
                bytes: 4_096,
            }],
            end: vec![End::Right],
            grow: vec![Grow::Above { pages: 2 }],
        });
        let heap = AlligatorAlloc::<_, SpinLock>::with_source(EvilSource::<1>(Rc::clone(&evil)));
        let mut live = Live::new(&heap);
        for pages in [2, 1, 3] {
            live.allocate(pages * PAGE_BYTES, 8);
        }
    }
}

//! What guards count, refuse, call and stop.
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    reason = "tests fail by panicking, and have std"
)]

mod common;

use core::alloc::{GlobalAlloc, Layout};
use std::alloc::System;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use alligator_rt::{Cause, Event, Guard, Guarded, Kind, event_count, last_event, permit};
use common::{alone, heap};

const SMALL: Layout = Layout::new::<[u64; 4]>();

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// A block that is given back when it goes.
struct Held<'a, A: GlobalAlloc>(&'a A, *mut u8, Layout);

impl<'a, A: GlobalAlloc> Held<'a, A> {
    fn new(allocator: &'a A, layout: Layout) -> Option<Self> {
        // SAFETY: no layout here is empty.
        let block = unsafe { allocator.alloc(layout) };
        (!block.is_null()).then(|| Self(allocator, block, layout))
    }

    fn resize(&mut self, size: usize) -> bool {
        // SAFETY: the block is in use, with this layout.
        let block = unsafe { self.0.realloc(self.1, self.2, size) };
        if !block.is_null() {
            (self.1, self.2) = (block, layout(size));
        }
        !block.is_null()
    }
}

impl<A: GlobalAlloc> Drop for Held<'_, A> {
    fn drop(&mut self) {
        // SAFETY: the block is in use, with this layout.
        unsafe { self.0.dealloc(self.1, self.2) };
    }
}

#[test]
fn nothing_is_counted_without_a_guard() {
    let _turn = alone();
    let allocator = Guarded::<_, 4>::new(System);
    drop(Held::new(&allocator, SMALL));
    assert_eq!((event_count(Kind::Alloc), last_event()), (0, None));
}

#[test]
fn each_kind_is_counted_under_its_guard_alone() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    let calls = || {
        let mut block = Held::new(&allocator, SMALL).unwrap();
        assert!(block.resize(4_000));
    };
    for (guard, expected) in [
        (Guard::ALLOC, [1, 0, 0]),
        (Guard::FREE, [0, 1, 0]),
        (Guard::REALLOC, [0, 0, 1]),
        (Guard::CALLS, [1, 1, 1]),
    ] {
        alligator_rt::reset_events();
        guard.during(calls);
        let counts = [Kind::Alloc, Kind::Free, Kind::Realloc].map(event_count);
        assert_eq!(counts, expected, "{guard:?}");
    }
}

#[test]
fn zeroed_blocks_are_blocks() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    Guard::ALLOC.during(|| {
        // SAFETY: the layout is not empty.
        let block = unsafe { allocator.alloc_zeroed(SMALL) };
        // SAFETY: it was given just now, with this layout.
        unsafe { allocator.dealloc(block, SMALL) };
    });
    assert_eq!(event_count(Kind::Alloc), 1);
}

#[test]
fn guards_add_to_each_other_and_end_with_their_scope() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    {
        let _outer = Guard::ALLOC.mark(7).enter();
        {
            let _inner = Guard::FREE.enter();
            drop(Held::new(&allocator, SMALL));
            assert_eq!([Kind::Alloc, Kind::Free].map(event_count), [1, 1]);
            assert_eq!(last_event().unwrap().mark, 7, "the outer one's mark");
            Guard::GROW
                .mark(8)
                .during(|| drop(Held::new(&allocator, SMALL)));
            assert_eq!(last_event().unwrap().mark, 8);
        }
        drop(Held::new(&allocator, SMALL));
    }
    drop(Held::new(&allocator, SMALL));
    assert_eq!([Kind::Alloc, Kind::Free].map(event_count), [3, 2]);
}

#[test]
fn what_is_permitted_is_no_event() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    let _guard = Guard::ALLOC.null().enter();
    assert!(!alligator_rt::is_permitted());
    let block = permit(|| Held::new(&allocator, SMALL));
    assert!(block.is_some());
    permit(|| {
        assert!(alligator_rt::is_permitted());
        Guard::ALLOC
            .null()
            .during(|| assert!(Held::new(&allocator, SMALL).is_none()));
    });
    assert_eq!(event_count(Kind::Alloc), 1);
    assert!(Held::new(&allocator, SMALL).is_none());
}

#[test]
fn a_guard_holds_for_its_thread_alone() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    let _guard = Guard::ALLOC.null().enter();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(Held::new(&allocator, SMALL).is_some()));
    });
    assert!(Held::new(&allocator, SMALL).is_none());
}

#[test]
fn a_refused_request_gets_null_and_says_why() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    let mut block = Held::new(&allocator, SMALL).unwrap();
    let _guard = (Guard::ALLOC | Guard::REALLOC).null().enter();
    assert!(Held::new(&allocator, layout(48)).is_none());
    let failure = alligator_rt::last_failure().unwrap();
    assert_eq!((failure.cause, failure.size), (Cause::Guard, 48));
    assert!(!block.resize(100));
    assert_eq!(last_event().unwrap().size, 100);
}

#[test]
fn the_hook_gets_the_event_and_may_use_the_heap() {
    static SIZES: AtomicUsize = AtomicUsize::new(0);
    static ALLOCATOR: Guarded<System> = Guarded::new(System);
    fn hook(event: &Event) {
        drop(Held::new(&ALLOCATOR, SMALL)); // No event, and not refused.
        assert_eq!((event.kind, event.align, event.mark), (Kind::Alloc, 8, 3));
        SIZES.fetch_add(event.size, Relaxed);
    }
    let _turn = alone();
    alligator_rt::on_event(hook);
    let _guard = Guard::ALLOC.call().null().mark(3).enter();
    assert!(Held::new(&ALLOCATOR, layout(24)).is_none());
    assert!(Held::new(&ALLOCATOR, layout(40)).is_none());
    assert_eq!((SIZES.load(Relaxed), event_count(Kind::Alloc)), (64, 2));
}

#[test]
fn a_refused_growth_gives_null_and_the_heap_goes_on() {
    let _turn = alone();
    let allocator = heap(64);
    let first = Held::new(&allocator, SMALL);
    {
        let _guard = Guard::GROW.null().enter();
        assert!(Held::new(&allocator, layout(200_000)).is_none());
        assert!(
            Held::new(&allocator, layout(2_000)).is_some(),
            "what is there"
        );
        assert!(event_count(Kind::Grow) > 0);
        assert!(last_event().unwrap().pages >= 3);
        let failure = alligator_rt::last_failure().unwrap();
        assert_eq!(failure.cause, Cause::Guard);
    }
    let count = event_count(Kind::Grow);
    assert!(Held::new(&allocator, layout(200_000)).is_some());
    assert_eq!(event_count(Kind::Grow), count);
    drop(first);
}

#[test]
fn a_growth_is_counted_once_and_told_when_the_heap_is_unlocked() {
    static ALLOCATOR: std::sync::OnceLock<common::Heap> = std::sync::OnceLock::new();
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    fn hook(event: &Event) {
        // Neither a lock that is held nor an event.
        drop(Held::new(ALLOCATOR.get().unwrap(), layout(600_000)));
        PAGES.fetch_add(event.pages, Relaxed);
    }
    let _turn = alone();
    let allocator = ALLOCATOR.get_or_init(|| heap(64));
    alligator_rt::on_event(hook);
    let _guard = Guard::GROW.call().enter();
    drop(Held::new(allocator, layout(200_000)));
    assert_eq!(event_count(Kind::Grow), 1);
    assert!((3..8).contains(&PAGES.load(Relaxed)), "{PAGES:?}");
}

#[test]
fn a_growth_that_is_refused_is_told_by_the_wrapper() {
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    let _turn = alone();
    let allocator = Guarded::<_>::new(heap(64));
    alligator_rt::on_event(|event| {
        assert_eq!(event.kind, Kind::Grow);
        PAGES.store(event.pages, Relaxed);
    });
    let _guard = Guard::GROW.call().null().enter();
    assert!(Held::new(&allocator, layout(200_000)).is_none());
    assert!(PAGES.load(Relaxed) >= 3);
}

#[test]
fn a_block_that_moves_is_an_event_if_it_is_long_enough() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(heap(64)).moves_above(500);
    let _guard = Guard::MOVE.enter();
    for (size, moves) in [(100, 0), (1_000, 1)] {
        let mut block = Held::new(&allocator, layout(size)).unwrap();
        let in_the_way = Held::new(&allocator, layout(size));
        assert!(block.resize(20_000));
        assert_eq!(event_count(Kind::Move), moves, "{size}");
        drop(in_the_way);
    }
    let event = last_event().unwrap();
    assert_eq!((event.kind, event.size), (Kind::Move, 20_000));
}

#[test]
fn who_waits_for_a_lock_is_told() {
    use alligator_alloc::{DefaultLock, Lock};
    use alligator_rt::WatchedLock;
    static LOCK: WatchedLock<DefaultLock> = WatchedLock::NEW;
    let _turn = alone();
    let _guard = Guard::WAIT.enter();
    LOCK.lock();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            Guard::WAIT.mark(9).during(|| LOCK.lock());
            // SAFETY: it is held.
            unsafe { LOCK.unlock() };
        });
        while event_count(Kind::Wait) == 0 {
            std::thread::yield_now();
        }
        // SAFETY: it is held.
        unsafe { LOCK.unlock() };
        waiting.join().unwrap();
    });
    assert_eq!(last_event().unwrap().mark, 9);
    LOCK.lock();
    assert_eq!(event_count(Kind::Wait), 1, "it was open");
}

#[test]
fn blocks_wait_until_they_are_collected_a_few_at_a_time() {
    let _turn = alone();
    let allocator = Guarded::<_, 5>::new(heap(64));
    let blocks: Vec<_> = (0..8).map(|_| Held::new(&allocator, SMALL)).collect();
    Guard::FREE.null().during(|| drop(blocks));
    assert_eq!(allocator.deferred(), 5, "the list is full");
    assert_eq!(event_count(Kind::Free), 8);
    assert_eq!([2, 2, 2].map(|most| allocator.collect(most)), [2, 2, 1]);
    assert_eq!((allocator.deferred(), allocator.collect(9)), (0, 0));
}

#[test]
fn a_block_too_short_for_the_list_is_freed_at_once() {
    let _turn = alone();
    let allocator = Guarded::<_, 5>::new(System);
    let blocks = [1, 4, 8].map(|size| Held::new(&allocator, layout(size)));
    Guard::FREE.null().during(|| drop(blocks));
    assert_eq!(allocator.deferred(), 0);
}

#[test]
fn blocks_that_wait_are_given_back_before_there_is_no_room() {
    let _turn = alone();
    let allocator = Guarded::<_, 5>::new(heap(4));
    let block = Held::new(&allocator, layout(150_000)).unwrap();
    Guard::FREE.null().during(|| drop(block));
    assert_eq!(allocator.deferred(), 1);
    assert!(Held::new(&allocator, layout(150_000)).is_some());
    assert_eq!(allocator.deferred(), 0);
}

#[test]
fn threads_may_put_off_and_collect_at_the_same_time() {
    let _turn = alone();
    let allocator = Guarded::<_, 64>::new(heap(64));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let allocator = &allocator;
            scope.spawn(move || {
                let _guard = Guard::FREE.null().enter();
                for turn in 0..if cfg!(miri) { 20 } else { 2_000 } {
                    let block = Held::new(allocator, layout(64 + turn % 700)).unwrap();
                    // SAFETY: the block has 64 bytes or more.
                    unsafe { block.1.write_bytes(thread, 64) };
                    // SAFETY: it was written just now.
                    assert_eq!(unsafe { block.1.read() }, thread);
                    allocator.collect(turn % 3);
                }
            });
        }
    });
    assert!(allocator.collect(1_000) <= 64);
    assert_eq!(allocator.deferred(), 0);
}

#[test]
fn a_host_reads_the_counts_and_enters_guards_by_numbers() {
    let _turn = alone();
    let allocator = Guarded::<_>::new(System);
    let outer = alligator_rt::alligator_guard(1 << 3);
    let inner = alligator_rt::alligator_guard(1 << 3 | 1 << 11);
    assert!(Held::new(&allocator, SMALL).is_none());
    alligator_rt::alligator_unguard(inner);
    drop(Held::new(&allocator, SMALL));
    alligator_rt::alligator_unguard(outer);
    drop(Held::new(&allocator, SMALL));
    let kinds: Vec<u32> = (0..7)
        .map(|kind| alligator_rt::alligator_guard_count(kind))
        .collect();
    assert_eq!(kinds, [0, 0, 0, 2, 0, 0, 0]);
    let parts: Vec<usize> = (0..5)
        .map(|part| alligator_rt::alligator_guard_last(part))
        .collect();
    assert_eq!(parts, [3, 32, SMALL.align(), 0, 0]);
    let counts = alligator_rt::alligator_guard_counts().cast::<[u32; 6]>();
    // SAFETY: there are six of them, for good.
    let counts = unsafe { counts.read() };
    assert_eq!(counts, [0, 0, 0, 2, 0, 0]);
}

#[test]
fn numbers_and_kinds_agree() {
    for number in 0..6 {
        assert_eq!(Kind::from_number(number).unwrap() as u32, number);
    }
    assert_eq!(Kind::from_number(6), None);
}

/// In the environment of a process that is to stop.
const STOPS: &str = "ALLIGATOR_RT_STOPS";

#[test]
#[cfg_attr(miri, ignore = "it starts a process")]
fn a_guard_stops_the_program_and_says_why() {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args([
            "--exact",
            "the_process_that_stops",
            "--nocapture",
            "--ignored",
        ])
        .env(STOPS, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("a block was asked for, 48 bytes at 8, under the guard with mark 5"),
        "{text}"
    );
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn the_process_that_stops() {
    if std::env::var_os(STOPS).is_some() {
        let allocator = Guarded::<_>::new(System);
        let _guard = Guard::ALLOC.trap().mark(5).enter();
        let _ = Held::new(&allocator, layout(48));
        println!("it went on");
        std::process::exit(0);
    }
}

//! The memory grows while others go on: no page is taken in twice, and none is lost unless a thread was taken for dead.

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};
use loom::sync::{Arc, Mutex};
use loom::thread;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Fault {
    None,
    /// Anybody asks the host at any time.
    NoTurns,
    /// Others may ask the host before the pages are taken in.
    EndsEarly,
    /// Whoever takes in pages does not look where the heap ends.
    NoLook,
    /// Whoever may ask the host does so, even if another has just done it.
    NoSecondLook,
}

/// What the lock protects.
#[derive(Default)]
struct Heap {
    /// Where it ends.
    end: usize,
    /// Blocks that there is room for.
    free: usize,
    taken_in: Vec<usize>,
    lost: usize,
}

struct Allocator {
    fault: Fault,
    /// How often a thread looks before it takes another for dead; none: always.
    turns: Option<usize>,
    /// One while a thread asks the host.
    is_growing: AtomicUsize,
    heap: Mutex<Heap>,
    /// Pages that the host has given, and how many it has.
    pages: AtomicUsize,
    pages_max: usize,
    blocks_per_page: usize,
}

impl Allocator {
    fn begin_growth(&self) -> bool {
        if self.is_growing.swap(1, AcqRel) == 0 || self.fault == Fault::NoTurns {
            return true;
        }
        for _ in 0..self.turns.unwrap_or(usize::MAX) {
            let is_growing = match self.turns {
                Some(_) => super::load(&self.is_growing, Acquire),
                None => self.is_growing.load(Acquire), // By exchanges, who waits would be run without end.
            };
            if is_growing == 0 {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    fn end_growth(&self) {
        self.is_growing.swap(0, AcqRel);
    }

    /// `memory.grow`.
    fn host(&self) -> Option<usize> {
        let more = |pages| (pages < self.pages_max).then_some(pages + 1);
        self.pages.fetch_update(SeqCst, SeqCst, more).ok()
    }

    fn take_in(&self, page: usize) {
        let mut heap = self.heap.lock().unwrap();
        if page < heap.end && self.fault != Fault::NoLook {
            heap.lost += 1;
            return;
        }
        assert!(page >= heap.end, "the heap's end rises");
        heap.end = page + 1;
        heap.free += self.blocks_per_page;
        heap.taken_in.push(page);
    }

    fn grow_for(&self) -> bool {
        if !self.begin_growth() {
            return true;
        }
        if self.fault != Fault::NoSecondLook && self.heap.lock().unwrap().free > 0 {
            self.end_growth();
            return true;
        }
        let page = self.host();
        if self.fault == Fault::EndsEarly {
            self.end_growth();
        }
        if let Some(page) = page {
            self.take_in(page);
        }
        if self.fault != Fault::EndsEarly {
            self.end_growth();
        }
        page.is_some()
    }

    fn take(&self) -> bool {
        let mut heap = self.heap.lock().unwrap();
        let has_room = heap.free > 0;
        heap.free -= usize::from(has_room);
        has_room
    }

    fn allocate(&self) -> bool {
        while !self.take() {
            if !self.grow_for() {
                return false;
            }
        }
        true
    }
}

/// `threads` want a block each.
fn model(
    threads: usize,
    turns: Option<usize>,
    pages_max: usize,
    blocks_per_page: usize,
    fault: Fault,
) {
    super::check(move || {
        let all = Arc::new(Allocator {
            fault,
            turns,
            is_growing: AtomicUsize::new(0),
            heap: Mutex::default(),
            pages: AtomicUsize::new(0),
            pages_max,
            blocks_per_page,
        });
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let all = all.clone();
                thread::spawn(move || all.allocate())
            })
            .collect();
        let mut served = usize::from(all.allocate());
        for other in others {
            served += usize::from(other.join().unwrap());
        }
        let heap = all.heap.lock().unwrap();
        let pages = all.pages.load(SeqCst);
        assert!(
            heap.taken_in.is_sorted_by(|one, next| one < next),
            "none twice, all in order"
        );
        assert_eq!(
            heap.taken_in.len() + heap.lost,
            pages,
            "what the host gave is known"
        );
        assert_eq!(
            heap.free + served,
            heap.taken_in.len() * blocks_per_page,
            "no block twice"
        );
        if turns.is_none() {
            assert_eq!(heap.lost, 0, "no page is lost");
            assert_eq!(served, threads, "there is room for all");
            assert_eq!(
                pages,
                threads.div_ceil(blocks_per_page),
                "none is asked for in vain"
            );
        }
        assert_eq!(all.is_growing.load(SeqCst), 0, "the next one may ask");
    });
}

#[test]
fn pages_are_taken_in_in_order_and_none_is_lost() {
    model(2, None, 2, 1, Fault::None);
}

#[test]
fn one_page_is_enough_for_all_who_ask_at_once() {
    model(2, None, 1, 2, Fault::None);
}

#[test]
fn whoever_was_taken_for_dead_loses_pages_and_nothing_else() {
    model(3, Some(0), 6, 1, Fault::None);
    model(3, Some(1), 6, 1, Fault::None);
}

#[test]
#[should_panic = "no page is lost"]
fn without_turns_pages_are_lost() {
    model(2, None, 6, 1, Fault::NoTurns);
}

#[test]
#[should_panic = "no page is lost"]
fn who_ends_early_loses_pages() {
    model(2, None, 6, 1, Fault::EndsEarly);
}

#[test]
#[should_panic = "the heap's end rises"]
fn who_does_not_look_takes_in_what_is_the_heaps() {
    model(3, Some(0), 6, 1, Fault::NoLook);
}

#[test]
#[should_panic = "there is room for all"]
fn without_a_second_look_a_thread_has_no_memory_though_there_is_some() {
    model(2, None, 1, 2, Fault::NoSecondLook);
}

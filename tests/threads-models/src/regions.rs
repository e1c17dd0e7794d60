//! A region ends: its memory is given back once, when nobody uses it, and nobody touches it after that.

use loom::cell::Cell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;

const PENDING: usize = usize::MAX;
/// The region's entry in the list.
const ENTRY: usize = 1;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Fault {
    None,
    /// Whoever has posted asks the region whether it is an orphan.
    AsksRegion,
    /// Whoever abandons it reads from it how to sweep when it is an orphan already.
    ReadsLate,
    /// Several sweep at a time.
    SweepsTogether,
    /// The orphan is counted when it is one already.
    CountsLate,
    /// The entry is taken out when the memory is given back already.
    EntryLate,
    /// Loads in the place of exchanges, by which who posts and who abandons see each other.
    Loads,
}

struct Region {
    /// Whether its memory has been given back. Each touch of the region reads this.
    is_gone: Cell<bool>,
    inbox: AtomicUsize,
    is_orphan: AtomicUsize,
    collected: Cell<usize>,
    live: Cell<usize>,
    /// The first word of each block. Block `index` is known by `index + 1`.
    next: Vec<AtomicUsize>,
}

struct Allocator {
    fault: Fault,
    /// The heap's lock.
    lock: AtomicBool,
    entry: AtomicUsize,
    orphans: AtomicUsize,
    is_changing: AtomicBool,
    region: Region,
    /// Sweeps that did not do all, since another had the lock or swept.
    turned_away: core::sync::atomic::AtomicUsize,
}

impl Region {
    /// What is in the region's memory: a race with whoever gives it back is an error, and so is this after that.
    fn touch(&self) -> &Self {
        assert!(!self.is_gone.get(), "touched after it was given back");
        self
    }

    fn post(&self, number: usize) {
        let word = &self.touch().next[number - 1];
        word.store(PENDING, Relaxed);
        let old = self.touch().inbox.swap(number, SeqCst);
        self.touch();
        word.swap(old, Release);
    }

    /// True if a block came home.
    fn collect(&self) -> bool {
        let mut first = self.touch().collected.get();
        if first == 0 {
            if super::load(&self.inbox, Relaxed) == 0 {
                return false;
            }
            first = self.inbox.swap(0, SeqCst);
        }
        let mut is_home = false;
        if let Some(word) = first.checked_sub(1).map(|index| &self.next[index]) {
            let next = super::load(word, Acquire);
            if next != PENDING {
                first = next;
                self.live.set(self.live.get() - 1);
                is_home = true;
            }
        }
        self.collected.set(first);
        is_home
    }

    fn is_over(&self, fault: Fault) -> bool {
        if super::load(&self.touch().is_orphan, SeqCst) == 0 {
            return false;
        }
        let look = || match fault {
            Fault::Loads => self.inbox.load(SeqCst),
            _ => self.inbox.fetch_add(0, SeqCst), // See the crate's page.
        };
        while self.collected.get() != 0 || look() != 0 {
            if !self.collect() {
                break;
            }
        }
        self.live.get() == 0
    }
}

impl Allocator {
    fn new(blocks: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            fault,
            lock: AtomicBool::new(false),
            entry: AtomicUsize::new(ENTRY),
            orphans: AtomicUsize::new(0),
            is_changing: AtomicBool::new(false),
            region: Region {
                is_gone: Cell::new(false),
                inbox: AtomicUsize::new(0),
                is_orphan: AtomicUsize::new(0),
                collected: Cell::new(0),
                live: Cell::new(blocks),
                next: (0..blocks).map(|_| AtomicUsize::new(0)).collect(),
            },
            turned_away: 0.into(),
        })
    }

    fn try_lock(&self) -> bool {
        !self.lock.swap(true, Acquire)
    }

    fn unlock(&self) {
        self.lock.swap(false, Release);
    }

    /// What a thread does that is not the region's, and that has the block.
    fn deallocate(&self, number: usize) {
        assert_eq!(
            super::load(&self.entry, SeqCst),
            ENTRY,
            "the region of a block in use is found"
        );
        self.region.post(number);
        let has_orphans = match self.fault {
            Fault::AsksRegion => super::load(&self.region.touch().is_orphan, SeqCst) != 0,
            Fault::Loads => self.orphans.load(SeqCst) != 0,
            _ => self.orphans.fetch_add(0, SeqCst) != 0,
        };
        if has_orphans {
            self.sweep();
        }
    }

    fn abandon(&self) {
        self.region.touch();
        if self.fault != Fault::CountsLate {
            self.orphans.fetch_add(1, SeqCst);
        }
        self.region.touch().is_orphan.swap(1, SeqCst);
        match self.fault {
            Fault::CountsLate => _ = self.orphans.fetch_add(1, SeqCst),
            Fault::ReadsLate => _ = self.region.touch(),
            _ => {}
        }
        self.sweep();
    }

    fn sweep(&self) {
        let others_sweep = self.is_changing.swap(true, SeqCst);
        if others_sweep && self.fault != Fault::SweepsTogether {
            self.turned_away
                .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            return;
        }
        self.end_those_over();
        self.is_changing.swap(false, SeqCst);
    }

    fn end_those_over(&self) {
        let word = super::load(&self.entry, SeqCst);
        if word != ENTRY || !self.region.is_over(self.fault) {
            return;
        }
        if self.fault != Fault::EntryLate {
            self.entry.swap(0, SeqCst);
        }
        if self.give_back() {
            assert_ne!(
                self.orphans.fetch_sub(1, SeqCst),
                0,
                "an orphan that ends was counted"
            );
            self.entry.swap(0, SeqCst);
        } else {
            self.entry.swap(word, SeqCst);
        }
    }

    fn give_back(&self) -> bool {
        if !self.try_lock() {
            self.turned_away
                .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            return false;
        }
        assert!(!self.region.is_gone.replace(true), "given back once");
        self.unlock();
        true
    }

    fn is_gone(&self) -> bool {
        self.region.is_gone.get()
    }

    /// Somebody allocates from the shared heap: if it is the memory that was the region's, nobody takes it for that.
    fn allocate_elsewhere(&self) {
        if self.try_lock() {
            let is_free = self.is_gone();
            self.unlock();
            assert!(
                !is_free || super::load(&self.entry, SeqCst) == 0,
                "new blocks are not the region's"
            );
        }
    }

    /// When all is quiet: the memory is back if each sweep did its work, and in any case after one more.
    fn assert_ended(&self) {
        let turned_away = self.turned_away.load(core::sync::atomic::Ordering::Relaxed);
        assert!(
            self.is_gone() || turned_away != 0,
            "it goes back with its last block"
        );
        self.sweep();
        assert!(
            self.is_gone(),
            "it goes back with the next sweep at the latest"
        );
        assert_eq!(self.orphans.load(SeqCst), 0, "no orphan is left");
        assert_eq!(self.entry.load(SeqCst), 0, "nor its entry");
    }
}

/// The thread of a region ends, while others give its last blocks back, and do `more` besides.
fn model(blocks: usize, more: Option<fn(&Allocator)>, fault: Fault) {
    super::check(move || {
        let all = Allocator::new(blocks, fault);
        let mut others = Vec::new();
        for number in 1..=blocks {
            let all = all.clone();
            others.push(thread::spawn(move || all.deallocate(number)));
        }
        if let Some(more) = more {
            let all = all.clone();
            others.push(thread::spawn(move || more(&all)));
        }
        all.abandon();
        for other in others {
            other.join().unwrap();
        }
        all.assert_ended();
    });
}

#[test]
fn a_region_ends_once_and_nobody_touches_it_after_that() {
    model(1, None, Fault::None);
    model(2, None, Fault::None);
}

#[test]
fn so_it_does_if_others_sweep() {
    model(1, Some(Allocator::sweep), Fault::None);
}

#[test]
fn so_it_does_if_others_have_the_lock_and_its_memory() {
    model(1, Some(Allocator::allocate_elsewhere), Fault::None);
}

#[test]
#[should_panic = "Causality violation"]
fn who_asks_the_region_after_a_post_may_touch_what_is_gone() {
    model(1, Some(Allocator::sweep), Fault::AsksRegion);
}

#[test]
#[should_panic = "Causality violation"]
fn who_reads_from_an_orphan_may_touch_what_is_gone() {
    model(1, None, Fault::ReadsLate);
}

#[test]
#[should_panic = "Causality violation"]
fn two_who_sweep_at_once_are_in_each_others_way() {
    model(1, None, Fault::SweepsTogether);
}

#[test]
#[should_panic = "an orphan that ends was counted"]
fn an_orphan_that_is_counted_late_ends_before() {
    model(1, Some(Allocator::sweep), Fault::CountsLate);
}

#[test]
#[should_panic = "new blocks are not the region's"]
fn with_a_late_entry_others_blocks_are_taken_for_the_regions() {
    model(1, Some(Allocator::allocate_elsewhere), Fault::EntryLate);
}

#[test]
#[should_panic = "it goes back with its last block"]
fn by_loads_without_one_order_of_all_both_may_miss_the_other() {
    model(1, None, Fault::Loads);
}

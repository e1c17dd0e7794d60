//! Blocks that others give back to a region: each comes home once, and whole.

use loom::cell::Cell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::thread;

/// Block `index` is known by the number `index + 1`; zero is none.
const PENDING: usize = usize::MAX;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Fault {
    None,
    /// Nothing says that the next one is not known yet.
    NoMark,
    /// The next one is said without `Release`.
    RelaxedNext,
    /// .. or read without `Acquire`.
    RelaxedOwner,
    /// A block is put in without `Release`.
    RelaxedInbox,
    /// The owner takes PENDING for the end.
    PastPending,
    /// A load and a store put a block in.
    StorePosts,
    /// A load and a store take the list.
    StoreTakes,
}

#[derive(Default)]
struct Block {
    next: AtomicUsize,
    /// What its user has written.
    contents: Cell<usize>,
    /// How often it came home.
    homes: Cell<usize>,
}

struct Region {
    fault: Fault,
    inbox: AtomicUsize,
    collected: Cell<usize>,
    blocks: Vec<Block>,
}

impl Region {
    fn new(blocks: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            fault,
            inbox: AtomicUsize::new(0),
            collected: Cell::new(0),
            blocks: (0..blocks).map(|_| Block::default()).collect(),
        })
    }

    /// The last thing that a user of the block does is to write into it.
    fn post(&self, number: usize) {
        let block = &self.blocks[number - 1];
        block.contents.set(number);
        if self.fault != Fault::NoMark {
            block.next.store(PENDING, Relaxed);
        }
        let old = if self.fault == Fault::StorePosts {
            let old = super::load(&self.inbox, SeqCst);
            self.inbox.store(number, SeqCst);
            old
        } else {
            let order = if self.fault == Fault::RelaxedInbox {
                Relaxed
            } else {
                SeqCst
            };
            self.inbox.swap(number, order)
        };
        // The exchange is an access to the block: nobody may use it otherwise before that.
        block.contents.get();
        let order = if self.fault == Fault::RelaxedNext {
            Relaxed
        } else {
            Release
        };
        block.next.swap(old, order);
    }

    fn collect(&self) {
        let mut first = self.collected.get();
        if first == 0 {
            if super::load(&self.inbox, Relaxed) == 0 {
                return;
            }
            first = if self.fault == Fault::StoreTakes {
                let first = super::load(&self.inbox, SeqCst);
                self.inbox.store(0, SeqCst);
                first
            } else {
                self.inbox.swap(0, SeqCst)
            };
        }
        if let Some(block) = first.checked_sub(1).map(|index| &self.blocks[index]) {
            let order = if self.fault == Fault::RelaxedOwner {
                Relaxed
            } else {
                Acquire
            };
            let next = super::load(&block.next, order);
            if next != PENDING {
                self.go_home(first);
                first = next;
            } else if self.fault == Fault::PastPending {
                self.go_home(first);
                first = 0;
            }
        }
        self.collected.set(first);
    }

    /// The owner has the block, sees what was written, and writes itself.
    fn go_home(&self, number: usize) {
        let block = &self.blocks[number - 1];
        let contents = block.contents.replace(0);
        assert_eq!(contents, number, "what was written is visible");
        block.homes.set(block.homes.get() + 1);
    }

    /// As often as there are blocks: by then, all are home if nobody posts any more.
    fn collect_all(&self) {
        for _ in &self.blocks {
            self.collect();
        }
        for block in &self.blocks {
            let homes = block.homes.get();
            assert_eq!(homes, 1, "each comes home once");
        }
    }
}

/// Two threads post, of which the second has `more` blocks to post; the owner looks meanwhile.
fn model(more: usize, looks: usize, fault: Fault) {
    super::check(move || {
        let region = Region::new(1 + more, fault);
        let post = |numbers: core::ops::Range<usize>| {
            let region = region.clone();
            thread::spawn(move || numbers.for_each(|number| region.post(number)))
        };
        let others = [post(1..2), post(2..2 + more)];
        for _ in 0..looks {
            region.collect();
        }
        for other in others {
            other.join().unwrap();
        }
        region.collect_all();
    });
}

#[test]
fn each_block_comes_home_once_and_whole() {
    model(1, 2, Fault::None);
    model(2, 3, Fault::None);
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_mark_the_owner_is_in_the_way() {
    model(1, 2, Fault::NoMark);
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_the_owner_races_with_the_second_exchange() {
    model(1, 2, Fault::RelaxedNext);
}

#[test]
#[should_panic = "Causality violation"]
fn without_acquire_the_owner_races_with_the_second_exchange() {
    model(1, 2, Fault::RelaxedOwner);
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_in_the_inbox_the_mark_is_not_seen() {
    model(1, 2, Fault::RelaxedInbox);
}

#[test]
#[should_panic = "Causality violation"]
fn an_owner_who_goes_past_a_mark_is_in_the_way() {
    model(1, 2, Fault::PastPending);
}

#[test]
#[should_panic = "each comes home once"]
fn two_who_post_by_load_and_store_lose_a_block() {
    model(1, 0, Fault::StorePosts);
}

#[test]
#[should_panic = "each comes home once"]
fn an_owner_who_takes_by_load_and_store_loses_a_block() {
    model(1, 1, Fault::StoreTakes);
}

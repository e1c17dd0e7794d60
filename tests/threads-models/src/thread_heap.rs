//! A thread ends, or another says so: what it keeps is given back once, and its heap goes to the next thread.

use loom::cell::Cell;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A number has the heap's and below it the use's.
const USES: usize = 64;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Fault {
    None,
    /// The id is taken away by a load and a store.
    StoreResigns,
    /// .. whatever it is.
    AnyId,
    /// The next thread has the id of the last.
    SameId,
    /// A new heap is shown to all without `Release`.
    RelaxedAnnounces,
    /// A heap is idle before what is kept is given back.
    IdleFirst,
}

#[derive(Default)]
struct ThreadHeap {
    id: AtomicUsize,
    next_id: Cell<usize>,
    /// The number of the next of all, plus one.
    next: Cell<usize>,
    /// Blocks in its magazines.
    keeps: Cell<usize>,
}

struct Allocator {
    fault: Fault,
    first: AtomicUsize,
    heaps: [ThreadHeap; 2],
    /// What the lock protects: idle heaps, how many heaps there are, and blocks that came home.
    shared: Mutex<(Vec<usize>, usize, usize)>,
}

impl Allocator {
    fn new(fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            fault,
            first: AtomicUsize::new(0),
            heaps: Default::default(),
            shared: Mutex::new((Vec::new(), 0, 0)),
        })
    }

    /// A heap for the calling thread, and its id.
    fn register(&self) -> (usize, usize) {
        let idle = self.shared.lock().unwrap().0.pop();
        let index = idle.unwrap_or_else(|| {
            let mut shared = self.shared.lock().unwrap();
            shared.1 += 1;
            let new = shared.1 - 1;
            drop(shared);
            self.announce(new);
            new
        });
        let heap = &self.heaps[index];
        let mut uses = heap.next_id.get();
        if self.fault != Fault::SameId || uses == 0 {
            uses = (uses + 1) % USES;
        }
        heap.next_id.set(uses);
        let id = (index + 1) * USES + uses;
        heap.id.swap(id, AcqRel);
        (index, id)
    }

    fn announce(&self, index: usize) {
        let order = if self.fault == Fault::RelaxedAnnounces {
            Relaxed
        } else {
            AcqRel
        };
        let mut first = super::load(&self.first, Relaxed);
        loop {
            self.heaps[index].next.set(first);
            match self
                .first
                .compare_exchange(first, index + 1, order, Relaxed)
            {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    fn of_id(&self, id: usize) -> Option<usize> {
        let mut number = super::load(&self.first, Acquire);
        while number != 0 {
            let heap = &self.heaps[number - 1];
            if super::load(&heap.id, Acquire) == id {
                return Some(number - 1);
            }
            number = heap.next.get();
        }
        None
    }

    /// The thread puts one block into its magazine.
    fn keep(&self, index: usize) {
        let keeps = &self.heaps[index].keeps;
        keeps.set(keeps.get() + 1);
    }

    fn resign(&self, index: usize, id: usize) -> bool {
        let place = &self.heaps[index].id;
        match self.fault {
            Fault::StoreResigns => {
                let is_it = super::load(place, Acquire) == id;
                if is_it {
                    place.store(0, loom::sync::atomic::Ordering::Release);
                }
                is_it
            }
            Fault::AnyId => place.swap(0, AcqRel) != 0,
            _ => id != 0 && place.compare_exchange(id, 0, AcqRel, Relaxed).is_ok(),
        }
    }

    fn end(&self, index: usize, id: usize) -> bool {
        if !self.resign(index, id) {
            return false;
        }
        if self.fault == Fault::IdleFirst {
            self.shared.lock().unwrap().0.push(index);
        }
        let kept = self.heaps[index].keeps.take();
        self.shared.lock().unwrap().2 += kept; // For each block, as often as it takes.
        if self.fault != Fault::IdleFirst {
            self.shared.lock().unwrap().0.push(index);
        }
        true
    }

    /// The calling thread, which has that heap, ends.
    fn exit(&self, index: usize) -> bool {
        self.end(index, super::load(&self.heaps[index].id, Relaxed))
    }

    fn gone(&self, id: usize) -> bool {
        self.of_id(id).is_some_and(|index| self.end(index, id))
    }

    /// All that threads kept is home, and each heap of which no thread is left is idle once.
    fn assert_home(&self, blocks: usize, idle: usize) {
        let shared = self.shared.lock().unwrap();
        assert_eq!(shared.2, blocks, "each block comes home once");
        assert_eq!(shared.0.len(), idle, "each heap is idle once");
    }
}

/// One says that a thread is gone; another says so, too, or the thread itself does although it has been said. A third may
/// begin meanwhile, and end.
fn two_say_so(exits: bool, next: bool, fault: Fault) {
    super::check(move || {
        let all = Allocator::new(fault);
        let (index, id) = all.register();
        all.keep(index);
        let say = {
            let all = all.clone();
            thread::spawn(move || all.gone(id))
        };
        let next = next.then(|| {
            let all = all.clone();
            thread::spawn(move || {
                let (index, _) = all.register();
                all.keep(index);
                assert!(all.exit(index), "a thread is ended by nobody else");
                index
            })
        });
        let first = if exits { all.exit(index) } else { all.gone(id) };
        let second = say.join().unwrap();
        let next = next.map(|next| next.join().unwrap());
        assert!(first != second, "one of the two");
        assert!(!all.gone(id), "nobody has that id any more");
        let is_other = next.is_some_and(|next| next != index);
        all.assert_home(1 + usize::from(next.is_some()), 1 + usize::from(is_other));
    });
}

/// Somebody says too late that a thread is gone: another has its heap.
fn too_late(fault: Fault) {
    super::check(move || {
        let all = Allocator::new(fault);
        let (index, id) = all.register();
        all.keep(index);
        assert!(all.exit(index));
        let late = {
            let all = all.clone();
            thread::spawn(move || all.gone(id))
        };
        let (index, _) = all.register();
        all.keep(index);
        assert!(all.exit(index), "a thread is ended by nobody else");
        assert!(!late.join().unwrap(), "that thread has ended already");
        all.assert_home(2, 1);
    });
}

#[test]
fn one_of_those_who_end_a_thread_gives_back() {
    two_say_so(false, true, Fault::None);
    two_say_so(true, false, Fault::None);
}

#[test]
fn who_says_so_too_late_does_nothing() {
    too_late(Fault::None);
}

/// What the caller of `alligator_thread_gone` owes is needed.
#[test]
#[should_panic = "Causality violation"]
fn a_thread_that_goes_on_when_it_is_said_to_be_gone_ends_another() {
    two_say_so(true, true, Fault::None);
}

#[test]
#[should_panic = "Causality violation"]
fn by_load_and_store_two_give_back() {
    two_say_so(false, true, Fault::StoreResigns);
}

#[test]
#[should_panic = "Causality violation"]
fn whoever_looks_at_no_id_ends_another_thread() {
    two_say_so(false, true, Fault::AnyId);
}

#[test]
#[should_panic = "Causality violation"]
fn with_the_same_id_the_next_thread_is_ended() {
    too_late(Fault::SameId);
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_a_new_heap_is_seen_half_made() {
    two_say_so(false, true, Fault::RelaxedAnnounces);
}

#[test]
#[should_panic = "Causality violation"]
fn a_heap_that_is_idle_too_early_is_used_by_two() {
    two_say_so(false, true, Fault::IdleFirst);
}

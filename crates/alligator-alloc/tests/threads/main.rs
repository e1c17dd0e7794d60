//! Threads in front of one heap: the feature `threads` on a host.

#![cfg(all(
    feature = "threads",
    not(feature = "small"),
    not(feature = "metrics"),
    not(feature = "hardened"),
    not(target_family = "wasm")
))]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests have std"
)]

mod depot;
mod memory;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use alligator_alloc::{
    AlligatorAlloc, Lock, SpinLock, ThreadCached, alligator_growths, alligator_thread_gone,
    alligator_thread_id,
};

#[cfg(feature = "check")]
use alligator_alloc::Piece;
use memory::{Block, PausingLock, Random, Shared, SharedMemory};

/// How much longer tests are where each step is fast.
const ROUNDS: usize = if cfg!(miri) { 1 } else { 100 };

/// Checks every invariant of the shared heap. What threads keep is in use, as far as it knows.
fn check<const PAGES: usize>(heap: &Shared<PAGES>) {
    #[cfg(feature = "check")]
    heap.check().expect("a whole heap");
    let _ = heap;
}

/// A size as programs have them: most are small.
fn size(random: &mut Random) -> usize {
    match random.below(20) {
        0 => random.below(40_000),
        1 | 2 => random.below(3_000),
        _ => random.below(600),
    }
}

#[test]
fn what_threads_hand_over_stays_intact_and_comes_home() {
    static HEAP: Shared<512> = Shared::with_source(SharedMemory::new());
    const THREADS: usize = 4;
    const PLACES: usize = 64;
    let places: Vec<Mutex<Option<Block>>> = (0..PLACES).map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            let places = &places;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for step in 0..60 * ROUNDS {
                    let mark = (seed * 1_000_000 + step) as u64;
                    let size = size(&mut random);
                    let align = 1 << random.below(if step % 50 == 0 { 13 } else { 5 });
                    let new = Block::new(&HEAP, size, align, mark);
                    let place = &places[random.below(PLACES)];
                    let old = std::mem::replace(&mut *place.lock().expect("a place"), new);
                    if let Some(mut old) = old {
                        if step % 7 == 0 {
                            old.resize(&HEAP, random.below(9_000));
                        }
                        old.free(&HEAP);
                    }
                }
                HEAP.thread_exit();
            });
        }
    });
    check(&HEAP);
    for place in places {
        if let Some(block) = place.into_inner().expect("a place") {
            block.free(&HEAP);
        }
    }
    HEAP.thread_exit();
    check(&HEAP);
    #[cfg(feature = "check")]
    assert_only_thread_heaps(&HEAP, THREADS + 1);
}

/// Panics unless all that is in use is what so many threads keep themselves in: no MiniPage, and a run each.
#[cfg(feature = "check")]
fn assert_only_thread_heaps<L: Lock, const PAGES: usize>(
    heap: &AlligatorAlloc<SharedMemory<PAGES>, L>,
    threads: usize,
) {
    let mut runs = 0;
    heap.walk(|piece| match piece {
        Piece::MiniPage { .. } => panic!("{piece:?}"),
        Piece::Run { bytes, .. } => {
            assert!(bytes <= 16 << 10, "{piece:?}");
            runs += 1;
        }
        _ => {}
    });
    assert!(runs <= threads, "{runs} runs");
}

/// On this host, as on WASI, the C library says for its threads that they end.
#[test]
#[cfg(target_os = "linux")]
fn threads_that_say_nothing_leave_nothing() {
    static HEAP: Shared<256> = Shared::with_source(SharedMemory::new());
    let mut after_first = 0;
    for number in 0..5 * ROUNDS {
        thread::spawn(|| Block::new(&HEAP, 100, 8, 1).expect("room").free(&HEAP))
            .join()
            .expect("a thread");
        if number == 0 {
            after_first = HEAP.heap_bytes();
        }
    }
    check(&HEAP);
    assert_eq!(HEAP.heap_bytes(), after_first);
}

#[test]
fn threads_that_come_and_go_leave_nothing() {
    static HEAP: Shared<256> = Shared::with_source(SharedMemory::new());
    let mut after_ten = 0;
    for number in 0..10 * ROUNDS {
        thread::spawn(move || {
            let blocks: Vec<_> = (0..50)
                .filter_map(|index| Block::new(&HEAP, 16 + index * 23, 8, index as u64))
                .collect();
            assert_eq!(blocks.len(), 50);
            for block in blocks {
                block.free(&HEAP);
            }
            HEAP.thread_exit();
        })
        .join()
        .expect("a thread");
        if number == 9 {
            after_ten = HEAP.heap_bytes();
        }
    }
    check(&HEAP);
    assert_eq!(HEAP.heap_bytes(), after_ten);
}

#[test]
fn a_thread_that_only_gives_back_returns_all() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    let (sender, receiver) = channel::<Block>();
    let consumer = thread::spawn(move || {
        for block in receiver {
            block.free(&HEAP);
        }
        HEAP.thread_exit();
    });
    // Far more than the memory holds, so what is given back must be used again.
    let rounds = 300 * ROUNDS;
    let in_flight = AtomicUsize::new(0);
    for number in 0..rounds {
        let mut tries = 0;
        let block = loop {
            match Block::new(&HEAP, 1 + number % 900, 8, number as u64) {
                Some(block) => break block,
                None => tries += 1, // The consumer is behind.
            }
            assert!(tries < 1_000_000);
            thread::yield_now();
        };
        sender.send(block).expect("a consumer");
        in_flight.fetch_add(1, SeqCst);
    }
    drop(sender);
    consumer.join().expect("a consumer");
    HEAP.thread_exit();
    check(&HEAP);
}

#[test]
fn who_is_gone_leaves_what_it_kept_to_others() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    let (mut after_first, mut last) = (0, 0);
    for number in 0..ROUNDS.max(5) {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for index in 0..200 {
                Block::new(&HEAP, 40 + index, 8, 1)
                    .expect("room")
                    .free(&HEAP);
            }
            sender.send(alligator_thread_id()).expect("a test");
            loop {
                thread::park(); // It never ends, and does nothing more.
            }
        });
        let id = receiver.recv().expect("a thread");
        assert_ne!(id, 0);
        assert_ne!(id, last, "the next thread has another number");
        // SAFETY: nobody has that number any more.
        assert!(last == 0 || !unsafe { alligator_thread_gone(last) });
        last = id;
        // SAFETY: it does nothing more with the heap.
        assert!(unsafe { alligator_thread_gone(id) });
        // SAFETY: as above.
        assert!(!unsafe { alligator_thread_gone(id) }, "only once");
        if number == 0 {
            after_first = HEAP.heap_bytes();
        }
    }
    assert_eq!(HEAP.heap_bytes(), after_first);
    check(&HEAP);
}

#[test]
fn the_lock_is_free_while_the_memory_grows() {
    static IS_GROWING: AtomicBool = AtomicBool::new(false);
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    /// A host that takes until another thread has used the heap.
    fn wait() {
        if IS_GROWING.load(SeqCst) {
            while !IS_DONE.load(SeqCst) {
                thread::yield_now();
            }
        }
    }
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::doing(wait));
    let growths = alligator_growths();
    assert!(HEAP.reserve(300_000));
    let long = Block::new(&HEAP, 20_000, 8, 7).expect("room");
    IS_GROWING.swap(true, SeqCst);
    thread::scope(|scope| {
        let grower = scope.spawn(|| Block::new(&HEAP, 1 << 20, 8, 8).expect("room"));
        let other = scope.spawn(|| {
            for index in 0..100 {
                let block = Block::new(&HEAP, 1 + index * 50, 8, 9).expect("room without growth");
                block.free(&HEAP);
            }
            long.free(&HEAP);
            HEAP.thread_exit();
            IS_DONE.swap(true, SeqCst);
        });
        other.join().expect("a thread that need not wait");
        grower.join().expect("a grower").free(&HEAP);
    });
    assert!(alligator_growths() > growths);
    check(&HEAP);
}

#[test]
fn all_that_grow_at_once_are_served() {
    static HEAP: Shared<600> = Shared::with_source(SharedMemory::new());
    let barrier = Barrier::new(4);
    let blocks: Vec<Block> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let blocks: Vec<_> = (0..30)
                        .map(|index| {
                            Block::new(&HEAP, 65_536 + index, 8, seed * 100 + index as u64)
                        })
                        .collect();
                    HEAP.thread_exit();
                    blocks
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("a thread"))
            .map(|block| block.expect("there are pages for all"))
            .collect()
    });
    for block in blocks {
        block.free(&HEAP);
    }
    check(&HEAP);
}

#[test]
fn whoever_comes_late_to_grow_finds_what_another_has_grown() {
    static HEAP: AlligatorAlloc<SharedMemory<2>, ThreadCached<PausingLock>> =
        AlligatorAlloc::with_source(SharedMemory::new());
    const MOST: usize = 100_000; // There are no pages for a second time.
    let late = thread::spawn(|| {
        PausingLock::pause_after(2); // It has seen that there is no room.
        HEAP.reserve(MOST)
    });
    PausingLock::wait_for_pause();
    assert!(HEAP.reserve(MOST));
    PausingLock::go_on();
    assert!(late.join().expect("a thread"), "there is room by now");
}

#[test]
fn a_reserved_thread_has_all_it_reserved_and_nothing_more() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    const BYTES: usize = 100_000;
    thread::spawn(|| {
        assert!(HEAP.reserve_for_thread(BYTES));
        assert!(!HEAP.reserve_for_thread(BYTES), "one for a thread");
        let pages = HEAP.heap_bytes();
        let mut blocks = Vec::new();
        while let Some(block) = Block::new(&HEAP, 1_000, 8, blocks.len() as u64) {
            blocks.push(block);
        }
        let count = blocks.len();
        assert!(count * 1_000 >= BYTES * 95 / 100, "{count}");
        // Others give them back ..
        thread::spawn(move || {
            for block in blocks {
                block.free(&HEAP);
            }
            HEAP.thread_exit();
        })
        .join()
        .expect("a thread");
        // .. and the thread gets them again.
        let again: Vec<_> = (0..count)
            .map_while(|_| Block::new(&HEAP, 1_000, 8, 5))
            .collect();
        assert_eq!(again.len(), count);
        for mut block in again {
            block.resize(&HEAP, 1_024);
            block.free(&HEAP);
        }
        let mut long = Block::new(&HEAP, BYTES / 2, 8, 6).expect("one piece");
        long.resize(&HEAP, BYTES / 2 + 5_000);
        long.free(&HEAP);
        assert_eq!(HEAP.heap_bytes(), pages, "no growth");
        HEAP.thread_exit();
    })
    .join()
    .expect("a thread");
    let before = HEAP.heap_bytes();
    // Its memory is the heap's again.
    let block = Block::new(&HEAP, BYTES, 8, 1).expect("room");
    assert_eq!(HEAP.heap_bytes(), before);
    block.free(&HEAP);
    check(&HEAP);
}

#[test]
fn a_reserved_heap_goes_back_when_its_last_block_does() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    let layout = Layout::from_size_align(500, 8).expect("a layout");
    let heap = HEAP.reserved_heap(200_000).expect("room");
    let block = heap.allocate(layout).expect("room");
    let other = heap.allocate(layout).expect("room");
    // SAFETY: it is the heap's.
    unsafe { heap.deallocate(other, layout) };
    drop(heap);
    let before = HEAP.heap_bytes();
    let first = Block::new(&HEAP, 190_000, 8, 1).expect("room");
    assert!(HEAP.heap_bytes() > before, "it is still in use");
    // SAFETY: it is of this layout; the global allocator takes it, too.
    unsafe { HEAP.dealloc(block.as_ptr(), layout) };
    let before = HEAP.heap_bytes();
    let second = Block::new(&HEAP, 190_000, 8, 2).expect("room");
    assert_eq!(HEAP.heap_bytes(), before, "its memory is used again");
    first.free(&HEAP);
    second.free(&HEAP);
    HEAP.thread_exit();
    check(&HEAP);
}

#[test]
fn many_give_back_to_a_reserved_thread_at_once() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    const OTHERS: usize = 3;
    let heap = HEAP.reserved_heap(60_000).expect("room");
    let layout = Layout::from_size_align(64, 8).expect("a layout");
    thread::scope(|scope| {
        let channels: Vec<_> = (0..OTHERS)
            .map(|_| {
                let (sender, receiver) = channel::<usize>();
                scope.spawn(move || {
                    for address in receiver {
                        let block = std::ptr::with_exposed_provenance_mut(address);
                        // SAFETY: it is of this layout.
                        unsafe { HEAP.dealloc(block, layout) };
                    }
                    HEAP.thread_exit();
                });
                sender
            })
            .collect();
        let mut given = 0;
        while given < 200 * ROUNDS {
            if let Some(block) = heap.allocate(layout) {
                let address = block.as_ptr().expose_provenance();
                channels[given % OTHERS].send(address).expect("a thread");
                given += 1;
            } else {
                thread::yield_now();
            }
        }
    });
    drop(heap);
    assert!(HEAP.reserved_heap(60_000).is_some(), "all have come home");
    check(&HEAP);
}

#[test]
fn what_no_thread_can_have_is_null_and_the_heap_goes_on() {
    static HEAP: Shared<8> = Shared::with_source(SharedMemory::new());
    assert!(Block::new(&HEAP, 1 << 20, 8, 1).is_none());
    let mut blocks = Vec::new();
    while let Some(block) = Block::new(&HEAP, 700, 8, 2) {
        blocks.push(block);
    }
    assert!(blocks.len() > 400, "{}", blocks.len());
    let middle = blocks.len() / 2;
    blocks.rotate_left(middle); // So what the thread keeps, the last, lies in the middle.
    for block in blocks {
        block.free(&HEAP);
    }
    // What the thread keeps is given back before null.
    let block = Block::new(&HEAP, 400_000, 8, 3).expect("room");
    block.free(&HEAP);
    HEAP.thread_exit();
    check(&HEAP);
}

/// A lock that cannot be had at once while a test says so.
struct Stubborn(SpinLock);

static IS_STUBBORN: AtomicBool = AtomicBool::new(false);

/// One test with such a lock at a time.
static STUBBORN_ONES: Mutex<()> = Mutex::new(());

// SAFETY: it is the lock.
unsafe impl Lock for Stubborn {
    const NEW: Self = Self(SpinLock::NEW);

    fn lock(&self) {
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        !IS_STUBBORN.load(SeqCst) && self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
    }
}

#[test]
fn who_cannot_have_the_lock_owes_and_pays_later() {
    static HEAP: AlligatorAlloc<SharedMemory<64>, ThreadCached<Stubborn>> =
        AlligatorAlloc::with_source(SharedMemory::new());
    let _alone = STUBBORN_ONES.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || -> Vec<Block> {
        let sizes = (0..400).map(|index| if index % 9 == 0 { 5_000 } else { 40 + index });
        let aligned = (0..4).map(|_| (3_000, 4_096));
        sizes
            .map(|size| (size, 8))
            .chain(aligned)
            .map(|(size, align)| Block::new(&HEAP, size, align, size as u64).expect("room"))
            .collect()
    };
    let blocks = make();
    let pages = HEAP.heap_bytes();
    for _ in 0..5 {
        IS_STUBBORN.swap(true, SeqCst);
        for block in make() {
            block.free(&HEAP);
        }
        IS_STUBBORN.swap(false, SeqCst);
        for index in 0..300 {
            Block::new(&HEAP, 2_000 + index, 8, 1)
                .expect("room")
                .free(&HEAP);
        }
    }
    assert!(HEAP.heap_bytes() <= 3 * pages, "what is owed is used again");
    for block in blocks {
        block.free(&HEAP);
    }
    HEAP.thread_exit();
    #[cfg(feature = "check")]
    HEAP.check().expect("a whole heap");
    assert!(
        HEAP.largest_free() > HEAP.heap_bytes() * 8 / 10,
        "all is home"
    );
}

#[test]
fn who_only_allocates_slots_pays_too() {
    static HEAP: AlligatorAlloc<SharedMemory<64>, ThreadCached<Stubborn>> =
        AlligatorAlloc::with_source(SharedMemory::new());
    let _alone = STUBBORN_ONES.lock().unwrap_or_else(PoisonError::into_inner);
    let long: Vec<_> = (0..60)
        .map(|index| Block::new(&HEAP, 5_000, 8, index).expect("room"))
        .collect();
    IS_STUBBORN.swap(true, SeqCst);
    for block in long {
        block.free(&HEAP);
    }
    IS_STUBBORN.swap(false, SeqCst);
    assert!(HEAP.largest_free() < 100_000, "nothing is home");
    let kept: Vec<_> = (0..96)
        .map(|index| Block::new(&HEAP, 16 + index % 24 * 40, 8, 1).expect("room"))
        .collect();
    assert!(
        HEAP.largest_free() > 150_000,
        "{} are home",
        HEAP.largest_free()
    );
    for block in kept {
        block.free(&HEAP);
    }
    HEAP.thread_exit();
}

#[test]
fn trim_gives_back_what_the_thread_keeps() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    let blocks: Vec<_> = (0..if cfg!(miri) { 400 } else { 2_000 })
        .map(|index| Block::new(&HEAP, 16 + index * 7 % 1_000, 8, 3).expect("room"))
        .collect();
    for block in blocks {
        block.free(&HEAP);
    }
    let before = HEAP.largest_free();
    assert!(!HEAP.trim(23), "one class is left");
    assert!(HEAP.trim(1));
    let (free, all) = (HEAP.largest_free(), HEAP.heap_bytes());
    assert!(
        free > before && free > all * 9 / 10,
        "{before}, {free} of {all}"
    );
    HEAP.thread_exit();
    check(&HEAP);
}

#[test]
fn zeroed_blocks_are_zero_and_no_size_is_too_strange() {
    static HEAP: Shared<64> = Shared::with_source(SharedMemory::new());
    for (size, align) in [
        (1, 1),
        (24, 8),
        (1_000, 16),
        (1_025, 8),
        (70_000, 4_096),
        (8, 65_536),
    ] {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        for _ in 0..3 {
            // SAFETY: it is not zero bytes long.
            let block = unsafe { HEAP.alloc_zeroed(layout) };
            assert!(!block.is_null() && block.addr() % align == 0);
            for at in 0..size {
                let byte = block.wrapping_add(at);
                // SAFETY: it is in the block.
                assert_eq!(unsafe { byte.replace(0xAB) }, 0);
            }
            // SAFETY: it is of this layout.
            unsafe { HEAP.dealloc(block, layout) };
        }
    }
    HEAP.thread_exit();
    check(&HEAP);
}

//! Slots that go from threads which have too many to threads which have none.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;

use alligator_alloc::{AlligatorAlloc, Lock, SpinLock, ThreadCached};

use super::memory::{Block, Shared, SharedMemory};
use super::{ROUNDS, check};

/// A lock that counts how often one tries to get it.
struct CountingLock(SpinLock);

static VISITS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it is another.
unsafe impl Lock for CountingLock {
    const NEW: Self = Self(SpinLock::NEW);

    fn lock(&self) {
        VISITS.fetch_add(1, SeqCst);
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        VISITS.fetch_add(1, SeqCst);
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
    }
}

/// Blocks that one thread makes and another gives back, of sizes in turn, so that no MiniPage is one batch's alone.
#[test]
fn what_one_thread_gives_back_another_gets_without_a_visit_for_each() {
    static HEAP: AlligatorAlloc<SharedMemory<64>, ThreadCached<CountingLock>> =
        AlligatorAlloc::with_source(SharedMemory::new());
    const LIVE: usize = 200;
    let rounds = 2 * ROUNDS;
    let (send, receive) = channel::<Vec<Block>>();
    let (back, done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for blocks in receive {
                for block in blocks {
                    block.assert_intact();
                    block.free(&HEAP);
                }
                back.send(()).expect("a thread that waits");
            }
            HEAP.thread_exit();
        });
        scope.spawn(move || {
            for round in 0..rounds {
                let blocks = (0..LIVE).map(|index| {
                    let mark = (round * LIVE + index) as u64;
                    Block::new(&HEAP, 16 + 32 * (index % 3), 8, mark).expect("room")
                });
                send.send(blocks.collect()).expect("a thread that frees");
                done.recv().expect("a thread that frees");
            }
            drop(send);
            HEAP.thread_exit();
        });
    });
    let operations = 2 * LIVE * rounds;
    let visits = VISITS.load(SeqCst);
    // Some 150 are not of blocks: at the beginning and at the end.
    assert!(visits < 150 + operations / 8, "{visits} of {operations}");
    #[cfg(feature = "check")]
    HEAP.check().expect("a whole heap");
    #[cfg(feature = "check")]
    super::assert_only_thread_heaps(&HEAP, 2);
}

/// The longest block of `heap` that there is room for.
fn longest<const PAGES: usize>(heap: &Shared<PAGES>) -> usize {
    let served = |kib: usize| {
        let layout = Layout::from_size_align(kib << 10, 8).expect("a layout");
        // SAFETY: it is not zero bytes long.
        let block = unsafe { heap.alloc(layout) };
        if !block.is_null() {
            // SAFETY: it has just been given for that layout.
            unsafe { heap.dealloc(block, layout) };
        }
        !block.is_null()
    };
    (1..=PAGES * 64)
        .rev()
        .find(|&kib| served(kib))
        .expect("room")
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn slots_between_threads_are_given_back_before_null() {
    static HEAP: Shared<4> = Shared::with_source(SharedMemory::new());
    thread::spawn(|| {
        Block::new(&HEAP, 16, 8, 0).expect("room").free(&HEAP);
        let before = longest(&HEAP);
        let blocks: Vec<_> = (0..)
            .map_while(|mark| Block::new(&HEAP, 64, 8, mark))
            .collect();
        assert!(blocks.len() > 3000, "{} blocks", blocks.len());
        for block in blocks.into_iter().rev() {
            block.free(&HEAP);
        }
        check(&HEAP);
        assert_eq!(longest(&HEAP), before);
    })
    .join()
    .expect("a thread");
}

#[test]
#[cfg(feature = "check")]
fn few_slots_lie_between_threads() {
    use alligator_alloc::Piece;

    static HEAP: Shared<16> = Shared::with_source(SharedMemory::new());
    thread::spawn(|| {
        let blocks: Vec<_> = (0..if cfg!(miri) { 150 } else { 2000 })
            .map(|mark| Block::new(&HEAP, 64, 8, mark))
            .collect();
        for block in blocks {
            block.expect("room").free(&HEAP);
        }
        let mut kept = 0;
        HEAP.walk(|piece| {
            if let Piece::MiniPage {
                slot_count,
                free_slots,
                ..
            } = piece
            {
                kept += slot_count - free_slots;
            }
        });
        // A magazine, a MiniPage's free slots, two chains.
        assert!((40..=40 + 64 + 2 * 16).contains(&kept), "{kept} slots");
    })
    .join()
    .expect("a thread");
}

#[test]
#[cfg(feature = "check")]
fn slots_between_threads_are_given_back_when_a_thread_ends() {
    static HEAP: Shared<8> = Shared::with_source(SharedMemory::new());
    thread::spawn(|| {
        for size in [16, 100, 1000] {
            let blocks: Vec<_> = (0..200)
                .map(|mark| Block::new(&HEAP, size, 8, mark))
                .collect();
            for block in blocks {
                block.expect("room").free(&HEAP);
            }
        }
        HEAP.thread_exit();
    })
    .join()
    .expect("a thread");
    check(&HEAP);
    super::assert_only_thread_heaps(&HEAP, 1);
}

//! Threads that share one heap.

#![cfg(not(target_family = "wasm"))]

use std::mem::MaybeUninit;

use alligator_alloc::{AlligatorAlloc, Arena, SpinLock};

use crate::live::Live;

#[test]
fn threads_that_share_a_heap_keep_their_blocks_apart() {
    let bytes = if cfg!(miri) { 1 << 18 } else { 1 << 22 };
    let memory = Box::leak(vec![MaybeUninit::uninit(); bytes].into_boxed_slice());
    let heap = AlligatorAlloc::<Arena, SpinLock>::with_source(Arena::new(memory));
    let rounds = if cfg!(miri) { 12 } else { 2_000 };
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let heap = &heap;
            scope.spawn(move || {
                let mut live = Live::named(heap, format!("thread {thread}"));
                for round in 0..rounds {
                    let size = (round * thread * 37) % 3_000 + 1;
                    live.allocate(size, 8).expect("room");
                    if live.count() > 40 {
                        let oldest = live.nth(round % 40);
                        live.free(oldest);
                    }
                }
                live.assert_all_intact();
            });
        }
    });
}

/// Each operation of a hardened heap takes the lock, so one of the two sees what the other has done.
#[test]
#[cfg(feature = "hardened")]
fn of_two_threads_that_free_one_block_one_is_at_fault() {
    use std::alloc::Layout;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr::NonNull;
    use std::sync::Barrier;

    for round in 0..if cfg!(miri) { 2 } else { 50 } {
        let memory = Box::leak(vec![MaybeUninit::uninit(); 1 << 16].into_boxed_slice());
        let heap = AlligatorAlloc::<Arena, SpinLock>::with_source(Arena::new(memory));
        let layout = Layout::from_size_align(24 + round * 40, 8).expect("a layout");
        let block = heap.allocate_by_address(layout).expect("room");
        let address = block.as_ptr().expose_provenance();
        let start = Barrier::new(2);
        let free = || {
            let block = std::ptr::with_exposed_provenance_mut::<u8>(address);
            let block = NonNull::new(block).expect("a block");
            start.wait();
            // SAFETY: it is not: this is a mistake, which the heap finds.
            catch_unwind(AssertUnwindSafe(|| unsafe {
                heap.deallocate_by_address(block);
            }))
        };
        let outcomes = std::thread::scope(|scope| {
            let threads = [scope.spawn(free), scope.spawn(free)];
            threads.map(|thread| thread.join().expect("a thread").is_err())
        });
        assert_eq!(outcomes.into_iter().filter(|at_fault| *at_fault).count(), 1);
    }
}

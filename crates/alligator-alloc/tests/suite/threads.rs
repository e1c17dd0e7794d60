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

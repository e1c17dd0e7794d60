//! Each thread has guards of its own, and one that waits for another's lock is told. The exit status is 0 if all counts
//! are right.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::thread;

use alligator_alloc::{AlligatorAlloc, WasmMemory};
use alligator_rt::{Guard, Guarded, Kind, Watched, WatchedLock, event_count, permit};

type Heap = AlligatorAlloc<Watched<WasmMemory>, WatchedLock>;

#[global_allocator]
static ALLOCATOR: Guarded<Heap, 64> =
    Guarded::new(AlligatorAlloc::with_source(Watched::new(WasmMemory::new())));

const THREADS: usize = 4;
const BLOCKS: usize = 20_000;

/// Threads under a guard, each of which counts so many blocks, and as many without one, which count none.
fn counts_are_apart() -> bool {
    let start = Arc::new(Barrier::new(2 * THREADS));
    let spawn = |id: usize| {
        let start = Arc::clone(&start);
        thread::spawn(move || {
            let guard = (id < THREADS).then(|| {
                start.wait();
                (Guard::ALLOC | Guard::FREE.null() | Guard::WAIT).enter()
            });
            if guard.is_none() {
                start.wait();
            }
            for block in 0..BLOCKS {
                drop(black_box(Box::new([block; 8])));
                if block % 3 == 0 {
                    ALLOCATOR.collect(4);
                }
            }
            drop(guard);
        })
    };
    let threads: Vec<_> = (0..2 * THREADS).map(spawn).collect();
    for thread in threads {
        thread.join().expect("it ends");
    }
    let waits = event_count(Kind::Wait);
    println!(
        "{waits} waits for the lock, {} blocks, {} frees",
        event_count(Kind::Alloc),
        event_count(Kind::Free)
    );
    let counted = [Kind::Alloc, Kind::Free].map(event_count);
    counted == [(THREADS * BLOCKS) as u32; 2]
}

/// A thread that may not ask for a block gets none, while another does.
fn refusal_is_the_threads_own() -> bool {
    let _guard = Guard::ALLOC.null().enter();
    let mut mine = Vec::<u8>::new();
    let is_refused = black_box(&mut mine).try_reserve_exact(100).is_err();
    // Making a thread takes blocks.
    let other = permit(|| thread::spawn(|| black_box(vec![1_u8; 100]).len() == 100));
    is_refused && permit(|| other.join().unwrap_or(false))
}

fn main() -> ExitCode {
    if !ALLOCATOR.inner().reserve(16 << 20) {
        return ExitCode::from(2);
    }
    let is_right = counts_are_apart() && refusal_is_the_threads_own();
    ExitCode::from(u8::from(!is_right))
}

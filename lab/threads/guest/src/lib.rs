//! Programs of several threads on one heap. The host gives each thread an instance with a stack of its own and a number,
//! starts all at once, and takes the time.

mod allocator;
mod programs;

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::alloc::{GlobalAlloc, Layout};

use allocator::ALLOCATOR;

/// Bytes of a thread's stack, and of what its thread-local words may take above it.
const STACK_BYTES: usize = 1 << 16;
const LOCALS_BYTES: usize = 4096;

/// Memory for a thread: where its stack ends and its thread-local words begin. Zero if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn new_stack() -> usize {
    let layout = Layout::from_size_align(STACK_BYTES + LOCALS_BYTES, 1024).expect("a layout");
    // SAFETY: it is not zero bytes long.
    let start = unsafe { ALLOCATOR.alloc(layout) };
    if start.is_null() { 0 } else { start.expose_provenance() + STACK_BYTES }
}

/// Takes so many bytes of the host's memory, before the threads start.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) {
    let layout = Layout::from_size_align(bytes, 16).expect("a layout");
    // SAFETY: it is not zero bytes long.
    let block = unsafe { ALLOCATOR.alloc(layout) };
    assert!(!block.is_null());
    // SAFETY: it has just been given.
    unsafe { ALLOCATOR.dealloc(block, layout) };
}

/// How often the heap's lock was taken, where that is counted.
static VISITS: AtomicUsize = AtomicUsize::new(0);

#[unsafe(no_mangle)]
pub extern "C" fn visits() -> usize {
    VISITS.load(SeqCst)
}

/// Threads that have begun.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

/// Runs program `number` as thread `thread` of `threads`, `steps` steps, when all threads are there. Returns how many
/// operations (an allocation, or a block given back) that were, or minus one if a block was damaged or there was none.
#[unsafe(no_mangle)]
pub extern "C" fn run(number: usize, thread: usize, threads: usize, steps: usize, seed: usize) -> f64 {
    BEGUN.fetch_add(1, SeqCst);
    while BEGUN.load(SeqCst) < threads {
        core::hint::spin_loop();
    }
    let work = programs::Work { thread, threads, steps, seed };
    let operations = programs::PROGRAMS[number](work);
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53")]
    operations.map_or(-1.0, |count| count as f64)
}

/// Makes everything as it was before the first run, but for the heap.
#[unsafe(no_mangle)]
pub extern "C" fn again() {
    programs::clean_up();
    BEGUN.swap(0, SeqCst);
}

/// The thread's last word.
#[unsafe(no_mangle)]
pub extern "C" fn end_thread() {
    #[cfg(all(feature = "alligator-threads", shared))]
    ALLOCATOR.thread_exit();
}

/// How long each burst took that the last run of `bursts` made, in thousandths of a microsecond.
#[unsafe(no_mangle)]
pub extern "C" fn burst_times() -> *const u32 {
    programs::bursts::TIMES.as_ptr().cast()
}

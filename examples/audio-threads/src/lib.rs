//! A synthesizer in an audio thread, beside threads that allocate without rest, all on one memory.
//!
//! The audio thread has a `ReservedHeap`, and nothing that `process` does can wait for another thread or make the memory
//! grow: `alligator bound --forbid wait,grow --from process` proves it of the compiled module.
#![no_std]
#![feature(thread_local)]

extern crate alloc;

mod heap;
mod synth;
mod work;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use alligator_alloc::ReservedHeap;

use heap::ALLOCATOR;
use synth::Synth;

/// Quanta from one snapshot to the next.
const SNAPSHOT_QUANTA: u32 = 4;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What JavaScript reads, at `counters()`: its order is in thread.js.
#[repr(C)]
struct Counters {
    quanta: u32,
    notes: u32,
    refused: u32,
    /// Visits to the lock in callbacks.
    lock_visits: u32,
}

struct Audio {
    synth: Synth,
    counters: Counters,
    visits_before: u32,
}

/// Of the audio thread alone.
struct Single<T>(UnsafeCell<Option<T>>);

// SAFETY: only the audio thread calls what uses it.
unsafe impl<T> Sync for Single<T> {}

static HEAP: Single<ReservedHeap> = Single(UnsafeCell::new(None));
static AUDIO: Single<Audio> = Single(UnsafeCell::new(None));

fn audio() -> Option<&'static mut Audio> {
    // SAFETY: the audio thread calls one export at a time, and each calls this once.
    unsafe { (*AUDIO.0.get()).as_mut() }
}

/// The audio thread's first call, once: takes so many bytes of the heap for it. False if they cannot be had.
#[unsafe(no_mangle)]
pub extern "C" fn audio_start(sample_rate: f32, bytes: usize) -> bool {
    // SAFETY: nobody else uses it, and it is written once.
    let heap: &'static mut Option<ReservedHeap> = unsafe { &mut *HEAP.0.get() };
    *heap = ALLOCATOR.reserved_heap(bytes);
    let Some(heap) = heap else {
        return false;
    };
    let counters = Counters {
        quanta: 0,
        notes: 0,
        refused: 0,
        lock_visits: 0,
    };
    let synth = Synth::new(heap, sample_rate);
    // SAFETY: as above.
    unsafe {
        *AUDIO.0.get() = Some(Audio {
            synth,
            counters,
            visits_before: heap::visits(),
        })
    };
    true
}

/// The audio callback: renders 128 frames to `output()`.
#[unsafe(no_mangle)]
pub extern "C" fn process() {
    let Some(audio) = audio() else {
        return;
    };
    let Audio {
        synth,
        counters,
        visits_before,
    } = audio;
    synth.process();
    counters.quanta += 1;
    if counters.quanta % SNAPSHOT_QUANTA == 0 {
        match synth.snapshot() {
            Some(line) => drop(work::hand_over(line, synth.heap)),
            None => synth.refused += 1,
        }
    }
    counters.notes = synth.notes;
    counters.refused = synth.refused;
    counters.lock_visits = heap::visits() - *visits_before;
}

/// Where the 128 frames are.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const f32 {
    audio().map_or(ptr::null(), |audio| audio.synth.output.as_ptr())
}

/// Where the counters are.
#[unsafe(no_mangle)]
pub extern "C" fn counters() -> *const u32 {
    audio().map_or(ptr::null(), |audio| (&raw const audio.counters).cast())
}

/// Brings memory in before the threads start.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> bool {
    ALLOCATOR.reserve(bytes)
}

/// A block for a thread's stack and its thread-local variables, or null.
#[unsafe(no_mangle)]
pub extern "C" fn new_stack(bytes: usize) -> *mut u8 {
    let layout = Layout::from_size_align(bytes.max(1), 16);
    // SAFETY: it is not zero bytes long.
    layout.map_or(ptr::null_mut(), |layout| unsafe { ALLOCATOR.alloc(layout) })
}

/// A worker's whole life.
#[unsafe(no_mangle)]
pub extern "C" fn work(seed: u32) {
    work::work(seed);
}

/// Has all workers return from `work`.
#[unsafe(no_mangle)]
pub extern "C" fn stop() {
    work::STOPPED.swap(1, Relaxed);
}

/// What the workers have done, by number: blocks made, snapshots looked at, damage seen; and when they have ended, their
/// visits to the lock.
#[unsafe(no_mangle)]
pub extern "C" fn worked(number: u32) -> u32 {
    let all = [
        &work::OPERATIONS,
        &work::SNAPSHOTS,
        &work::DAMAGED,
        &work::LOCK_VISITS,
    ];
    all.get(number as usize)
        .map_or(0, |count| count.load(Relaxed))
}

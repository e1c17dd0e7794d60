//! What the other threads do: allocate and free blocks of all sizes without rest, their own and one another's, and look at
//! what the audio thread hands them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::AcqRel, Ordering::Relaxed};

use alligator_alloc::ReservedHeap;

use crate::heap::{Line, free_elsewhere};
use crate::synth::FRAMES;

const PLACES: usize = 1024;

/// Blocks that any of them may take and free. The first byte says what all are.
static SHARED: [AtomicPtr<Vec<u8>>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];

/// A snapshot on its way.
static MAILBOX: AtomicPtr<f32> = AtomicPtr::new(ptr::null_mut());

pub static STOPPED: AtomicU32 = AtomicU32::new(0);
pub static OPERATIONS: AtomicU32 = AtomicU32::new(0);
pub static SNAPSHOTS: AtomicU32 = AtomicU32::new(0);
pub static DAMAGED: AtomicU32 = AtomicU32::new(0);
pub static LOCK_VISITS: AtomicU32 = AtomicU32::new(0);

/// Puts a snapshot there, for whoever comes: one exchange. Returns the last one, if nobody has taken it.
pub fn hand_over(line: Line, heap: &'static ReservedHeap) -> Option<Line> {
    let old = MAILBOX.swap(line.into_raw(), AcqRel);
    // SAFETY: only this puts lines there, each of so many samples, and an exchange takes each once.
    unsafe { Line::from_raw(heap, old, FRAMES) }
}

fn look_at_snapshot() {
    let start = MAILBOX.swap(ptr::null_mut(), AcqRel);
    if start.is_null() {
        return;
    }
    // SAFETY: `hand_over` puts lines of so many samples there.
    let samples = unsafe { core::slice::from_raw_parts(start, FRAMES) };
    let is_sound = samples.iter().all(|sample| sample.abs() < 8.0);
    DAMAGED.fetch_add(u32::from(!is_sound), Relaxed);
    SNAPSHOTS.fetch_add(1, Relaxed);
    // SAFETY: an exchange takes each once.
    unsafe { free_elsewhere(start, FRAMES) };
}

/// Frees a block, which another thread may have made, and looks whether it is as it was left.
fn free_block(block: *mut Vec<u8>) {
    if block.is_null() {
        return;
    }
    // SAFETY: `work` puts boxes there, and an exchange takes each once.
    let bytes = unsafe { Box::from_raw(block) };
    let is_whole = bytes.iter().all(|byte| Some(byte) == bytes.first());
    DAMAGED.fetch_add(u32::from(!is_whole), Relaxed);
}

/// Works until it is stopped.
pub fn work(seed: u32) {
    let mut random = seed.wrapping_mul(2_654_435_761) | 1;
    while STOPPED.load(Relaxed) == 0 {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        // Now and then a long one.
        let size = 1
            + (random >> 8) as usize
                % if random.is_multiple_of(64) {
                    20_000
                } else {
                    700
                };
        let block = Box::new(alloc::vec![random as u8; size]);
        let place = &SHARED[random as usize % PLACES];
        free_block(place.swap(Box::into_raw(block), AcqRel));
        look_at_snapshot();
        OPERATIONS.fetch_add(1, Relaxed);
    }
    LOCK_VISITS.fetch_add(crate::heap::visits(), Relaxed);
}

//! buddy-alloc, as its documentation sets it up, with 4 MiB for blocks of up to 64 bytes and
//! 28 MiB for the others. The arena is fixed: it never grows the memory.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

use core::cell::UnsafeCell;

use buddy_alloc::{BuddyAllocParam, FastAllocParam, NonThreadsafeAlloc};

const FAST_BYTES: usize = 4 << 20;
const BUDDY_BYTES: usize = 28 << 20;
/// The smallest block of the buddy heap.
const LEAF_BYTES: usize = 64;

#[repr(align(65536))]
struct Arena<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: the module has one thread.
unsafe impl<const BYTES: usize> Sync for Arena<BYTES> {}

static FAST: Arena<FAST_BYTES> = Arena(UnsafeCell::new([0; FAST_BYTES]));
static BUDDY: Arena<BUDDY_BYTES> = Arena(UnsafeCell::new([0; BUDDY_BYTES]));

global_allocator!(
    b"buddy-alloc",
    NonThreadsafeAlloc,
    NonThreadsafeAlloc::new(
        FastAllocParam::new(FAST.0.get().cast(), FAST_BYTES),
        BuddyAllocParam::new(BUDDY.0.get().cast(), BUDDY_BYTES, LEAF_BYTES),
    )
);

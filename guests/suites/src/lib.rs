//! Alligator as the global allocator of a test program, on Wasm and on the host: whoever links this crate
//! allocates from it.
//!
//! Every [`CALLS_PER_CHECK`] allocations, the whole heap is checked, and a violation ends the program. With
//! [`STD`] in the environment, the same program runs on std's allocator instead: what to compare with.

use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::alloc::{GlobalAlloc, Layout, System};

use alligator_alloc::AlligatorAlloc;

/// The environment's variable that asks for std's allocator.
const STD: &CStr = c"ALLIGATOR_SUITES_ON_STD";

/// A check looks at every piece of the heap, so it is not made at each call.
const CALLS_PER_CHECK: usize = 5_000;

#[cfg(target_family = "wasm")]
static HEAP: AlligatorAlloc = AlligatorAlloc::new();

/// The host's heap has a fixed piece of memory, which the system gives as it is touched.
#[cfg(not(target_family = "wasm"))]
static HEAP: AlligatorAlloc<alligator_alloc::Arena> = {
    use core::mem::MaybeUninit;
    const BYTES: usize = 1 << 30;
    static mut MEMORY: [MaybeUninit<u8>; BYTES] = [MaybeUninit::uninit(); BYTES];
    // SAFETY: nobody else names MEMORY.
    AlligatorAlloc::with_source(alligator_alloc::Arena::new(unsafe {
        &mut *(&raw mut MEMORY)
    }))
};

/// Blocks that Alligator was asked for.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// Whole-heap checks that found nothing.
static CHECKS: AtomicUsize = AtomicUsize::new(0);

struct Chosen;

#[global_allocator]
static GLOBAL: Chosen = Chosen;

unsafe extern "C" {
    /// C's function: std's own allocates.
    fn getenv(name: *const c_char) -> *const c_char;
}

/// Whether the program runs on std's allocator: asked once, before the first block.
fn is_on_std() -> bool {
    const UNKNOWN: u8 = 0;
    const OURS: u8 = 1;
    const STANDARD: u8 = 2;
    static CHOICE: AtomicU8 = AtomicU8::new(UNKNOWN);
    if CHOICE.load(Ordering::Relaxed) == UNKNOWN {
        // SAFETY: the name ends with a zero, and nobody changes the environment before `main`.
        let is_ours = unsafe { getenv(STD.as_ptr()) }.is_null();
        CHOICE.store(if is_ours { OURS } else { STANDARD }, Ordering::Relaxed);
    }
    CHOICE.load(Ordering::Relaxed) == STANDARD
}

/// The allocator, which is about to be asked for a block. Counts, and checks the heap if it is its turn.
fn chosen() -> &'static dyn GlobalAlloc {
    if is_on_std() {
        return &System;
    }
    let calls = ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    if calls % CALLS_PER_CHECK == 0 {
        if HEAP.check().is_err() {
            std::process::abort();
        }
        CHECKS.fetch_add(1, Ordering::Relaxed);
    }
    &HEAP
}

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { chosen().alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let allocator: &dyn GlobalAlloc = if is_on_std() { &System } else { &HEAP };
        // SAFETY: the caller's duty; the choice never changes.
        unsafe { allocator.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { chosen().realloc(pointer, layout, new_size) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { chosen().alloc_zeroed(layout) }
    }
}

/// Panics unless this program's blocks come from Alligator and its heap is as it should be.
///
/// # Panics
///
/// If not.
pub fn assert_in_use() {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let block = std::hint::black_box(Box::new(before));
    assert!(
        ALLOCATIONS.load(Ordering::Relaxed) > *block,
        "blocks come from elsewhere"
    );
    assert!(CHECKS.load(Ordering::Relaxed) > 0, "nothing was checked");
    if let Err(violation) = HEAP.check() {
        panic!("{violation}");
    }
}

//! The floor: what it costs to allocate if one does hardly anything. Lists of freed blocks, last
//! in, first out, four classes per doubling; fresh blocks from a pointer that moves on. Nothing
//! ever merges, and what was freed serves its own class only.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr::null_mut;

const PAGE_BYTES: usize = 65_536;
/// Every block starts at a multiple of this.
const GRAIN_BYTES: usize = 16;
/// Four classes up to 64 bytes, then four for each of 25 doublings, up to 2 GiB.
const CLASSES: usize = 4 + 4 * 25;

struct State {
    /// First freed block of each class; each holds the address of the next.
    freed: [*mut u8; CLASSES],
    /// The same for requests aligned to more than a grain, one list per power of two.
    freed_aligned: [*mut u8; 32],
    /// The memory not handed out yet.
    top: usize,
    end: usize,
}

struct Floor(UnsafeCell<State>);

// SAFETY: the module has one thread.
unsafe impl Sync for Floor {}

unsafe extern "C" {
    /// Where the linker's data ends and the initial memory is free.
    static __heap_base: u8;
}

/// Number and bytes of the class for `size` bytes.
#[inline(always)]
fn class_of(size: usize) -> (usize, usize) {
    let last = size - 1;
    if last < 64 {
        return (last / GRAIN_BYTES, (last / GRAIN_BYTES + 1) * GRAIN_BYTES);
    }
    let log2 = last.ilog2() as usize;
    let quarters = last >> (log2 - 2);
    (
        (log2 - 6) * 4 + 4 + (quarters & 3),
        (quarters + 1) << (log2 - 2),
    )
}

/// Bytes for a request that is aligned to more than a grain: a power of two.
fn aligned_bytes(layout: Layout) -> usize {
    layout.size().max(layout.align()).next_power_of_two()
}

/// The list that a block of this layout comes from, and its bytes.
#[inline(always)]
fn list(state: &mut State, layout: Layout) -> (&mut *mut u8, usize) {
    if layout.align() > GRAIN_BYTES {
        let bytes = aligned_bytes(layout);
        return (
            &mut state.freed_aligned[bytes.trailing_zeros() as usize],
            bytes,
        );
    }
    let (class, bytes) = class_of(layout.size());
    (&mut state.freed[class], bytes)
}

/// `bytes` not handed out before, at a multiple of `align`, or null.
#[cold]
fn fresh(state: &mut State, bytes: usize, align: usize) -> *mut u8 {
    if state.end == 0 {
        state.top = (&raw const __heap_base)
            .addr()
            .next_multiple_of(GRAIN_BYTES);
        state.end = wasm32::memory_size(0) * PAGE_BYTES;
    }
    let start = state.top.next_multiple_of(align);
    let Some(missing) = (start + bytes).checked_sub(state.end) else {
        state.top = start + bytes;
        return core::ptr::with_exposed_provenance_mut(start);
    };
    let pages = missing.div_ceil(PAGE_BYTES);
    if wasm32::memory_grow(0, pages) == usize::MAX {
        return null_mut();
    }
    state.end += pages * PAGE_BYTES;
    state.top = start + bytes;
    core::ptr::with_exposed_provenance_mut(start)
}

// SAFETY: a block is on one list or belongs to its owner, and is as large and as aligned as its
// class, which the layout determines.
unsafe impl GlobalAlloc for Floor {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the module has one thread, and nobody keeps the reference.
        let state = unsafe { &mut *self.0.get() };
        let (first, bytes) = list(state, layout);
        let block = *first;
        if block.is_null() {
            // Whatever the next request of this list is aligned to: at most its size.
            let is_aligned = layout.align() > GRAIN_BYTES;
            return fresh(state, bytes, if is_aligned { bytes } else { GRAIN_BYTES });
        }
        // SAFETY: a freed block begins with the address of the next.
        *first = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the module has one thread, and nobody keeps the reference.
        let state = unsafe { &mut *self.0.get() };
        let (first, _) = list(state, layout);
        // SAFETY: the block is ours again, and has at least a grain.
        unsafe { block.cast::<*mut u8>().write(*first) };
        *first = block;
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let same = if layout.align() > GRAIN_BYTES {
            aligned_bytes(layout) == aligned_bytes(new)
        } else {
            class_of(layout.size()).0 == class_of(size).0
        };
        if same {
            return block;
        }
        // SAFETY: the caller's duty is the callee's.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            let kept = layout.size().min(size);
            // SAFETY: both blocks have `kept` bytes, and they are two.
            unsafe { moved.copy_from_nonoverlapping(block, kept) };
            // SAFETY: the caller's duty is the callee's.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

global_allocator!(
    b"floor",
    Floor,
    Floor(UnsafeCell::new(State {
        freed: [null_mut(); CLASSES],
        freed_aligned: [null_mut(); 32],
        top: 0,
        end: 0,
    }))
);

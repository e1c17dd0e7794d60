//! The idea of Zig's WasmAllocator, for comparison: a block is a power of two of bytes with room
//! for a link, carved from a page of its class; larger ones are a power of two of pages. Freed
//! blocks go onto their class's list. Nothing ever merges.
//!
//! Source of the idea: Zig 0.11's `lib/std/heap/WasmAllocator.zig`. The code is ours.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr::null_mut;

const PAGE_BYTES: usize = 65_536;
/// Bytes of the link that every block has room for.
const LINK_BYTES: usize = size_of::<usize>();
/// The smallest block is 8 bytes, the largest below a page 32 KiB.
const SMALLEST_LOG2: u32 = 3;
const CLASSES: usize = 13;

struct State {
    /// The next address never handed out, of each class; 0 or the end of a page if there is none.
    next: [usize; CLASSES],
    /// First freed block of each class.
    freed: [*mut u8; CLASSES],
    /// First freed run of pages, by the logarithm of their number.
    freed_pages: [*mut u8; 16],
}

struct Zig(UnsafeCell<State>);

// SAFETY: the module has one thread.
unsafe impl Sync for Zig {}

/// Bytes of a block with its link: a power of two.
#[inline(always)]
fn slot_bytes(layout: Layout) -> usize {
    (layout.size() + LINK_BYTES)
        .max(layout.align())
        .next_power_of_two()
        .max(1 << SMALLEST_LOG2)
}

#[inline(always)]
fn class_of(slot: usize) -> usize {
    (slot.trailing_zeros() - SMALLEST_LOG2) as usize
}

/// Pages of a block that is larger than any class: a power of two.
fn page_count(slot: usize, layout: Layout) -> usize {
    debug_assert!(slot > PAGE_BYTES / 2);
    (layout.size() + LINK_BYTES)
        .div_ceil(PAGE_BYTES)
        .next_power_of_two()
}

/// Where the link of a freed block is: at its end, out of the way of its contents.
fn link(block: *mut u8, bytes: usize) -> *mut *mut u8 {
    block.wrapping_add(bytes - LINK_BYTES).cast()
}

/// Takes the first block off a list of blocks of `bytes`, or null.
fn pop(first: &mut *mut u8, bytes: usize) -> *mut u8 {
    let block = *first;
    if !block.is_null() {
        // SAFETY: a freed block ends with the address of the next.
        *first = unsafe { link(block, bytes).read() };
    }
    block
}

/// A run of pages, or null.
fn take_pages(state: &mut State, count: usize) -> *mut u8 {
    let first = &mut state.freed_pages[count.trailing_zeros() as usize];
    let block = pop(first, count * PAGE_BYTES);
    if !block.is_null() {
        return block;
    }
    let page = wasm32::memory_grow(0, count);
    if page == usize::MAX {
        return null_mut();
    }
    core::ptr::with_exposed_provenance_mut(page * PAGE_BYTES)
}

// SAFETY: a block is on one list or belongs to its owner; blocks of a class lie at multiples of
// their size, which is at least the alignment, inside a page; pages are aligned to more.
unsafe impl GlobalAlloc for Zig {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > PAGE_BYTES {
            return null_mut();
        }
        // SAFETY: the module has one thread, and nobody keeps the reference.
        let state = unsafe { &mut *self.0.get() };
        let slot = slot_bytes(layout);
        let class = class_of(slot);
        if class >= CLASSES {
            return take_pages(state, page_count(slot, layout));
        }
        let freed = pop(&mut state.freed[class], slot);
        if !freed.is_null() {
            return freed;
        }
        let mut next = state.next[class];
        if next.is_multiple_of(PAGE_BYTES) {
            next = take_pages(state, 1).expose_provenance();
            if next == 0 {
                return null_mut();
            }
        }
        state.next[class] = next + slot;
        core::ptr::with_exposed_provenance_mut(next)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the module has one thread, and nobody keeps the reference.
        let state = unsafe { &mut *self.0.get() };
        let slot = slot_bytes(layout);
        let class = class_of(slot);
        let (first, bytes) = if class < CLASSES {
            (&mut state.freed[class], slot)
        } else {
            let pages = page_count(slot, layout);
            let first = &mut state.freed_pages[pages.trailing_zeros() as usize];
            (first, pages * PAGE_BYTES)
        };
        // SAFETY: the block is ours again, and has `bytes`.
        unsafe { link(block, bytes).write(*first) };
        *first = block;
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (slot, new_slot) = (slot_bytes(layout), slot_bytes(new));
        let classes = [class_of(slot), class_of(new_slot)];
        let same = match classes.map(|class| class < CLASSES) {
            [true, true] => slot == new_slot,
            [false, false] => page_count(slot, layout) == page_count(new_slot, new),
            _ => false,
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
    b"zig",
    Zig,
    Zig(UnsafeCell::new(State {
        next: [0; CLASSES],
        freed: [null_mut(); CLASSES],
        freed_pages: [null_mut(); 16],
    }))
);

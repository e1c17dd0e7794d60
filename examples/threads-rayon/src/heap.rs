//! The allocator, and what the page needs of it.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr;

#[cfg(all(target_family = "wasm", feature = "alligator"))]
#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

/// Brings memory in before the threads start. False if there is too little.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> bool {
    #[cfg(all(target_family = "wasm", feature = "alligator"))]
    let is_there = ALLOCATOR.reserve(bytes);
    // Without an interface for it, by a block that is freed again.
    #[cfg(not(all(target_family = "wasm", feature = "alligator")))]
    let is_there = {
        let block = new_block(bytes);
        if !block.is_null() {
            // SAFETY: it has just been given for as many bytes.
            unsafe { free_block(block, bytes) };
        }
        !block.is_null()
    };
    is_there
}

/// A block at a multiple of 16, or null: for a thread's stack, and for the text.
#[unsafe(no_mangle)]
pub extern "C" fn new_block(bytes: usize) -> *mut u8 {
    let layout = Layout::from_size_align(bytes.max(1), 16);
    // SAFETY: it is not zero bytes long.
    layout.map_or(ptr::null_mut(), |layout| unsafe { alloc(layout) })
}

/// Gives such a block back.
///
/// # Safety
///
/// `new_block` gave it for as many bytes, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_block(block: *mut u8, bytes: usize) {
    if let Ok(layout) = Layout::from_size_align(bytes.max(1), 16) {
        // SAFETY: the caller's duty.
        unsafe { dealloc(block, layout) };
    }
}

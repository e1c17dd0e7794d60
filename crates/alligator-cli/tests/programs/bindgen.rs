//! What wasm-bindgen leaves of a library: its three functions for JavaScript, and work that the library does itself.

use std::alloc::{Layout, alloc, dealloc, realloc};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("JavaScript asks for layouts that are valid")
}

#[unsafe(no_mangle)]
pub extern "C" fn __wbindgen_malloc(size: usize, align: usize) -> *mut u8 {
    let layout = layout(size, align);
    if layout.size() == 0 {
        return align as *mut u8;
    }
    // SAFETY: the size is not 0.
    let block = unsafe { alloc(layout) };
    assert!(!block.is_null(), "out of memory");
    block
}

/// # Safety
/// As of `realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wbindgen_realloc(block: *mut u8, old: usize, size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    let block = unsafe { realloc(block, layout(old, align), size) };
    assert!(!block.is_null(), "out of memory");
    block
}

/// # Safety
/// As of `dealloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wbindgen_free(block: *mut u8, size: usize, align: usize) {
    if size != 0 {
        // SAFETY: the caller's duty.
        unsafe { dealloc(block, layout(size, align)) };
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn work(rounds: u32) -> u32 {
    let mut lists: Vec<Vec<u32>> = Vec::new();
    let mut sum = 0_u32;
    for round in 0..rounds {
        lists.push((0..round % 50).collect());
        if round % 3 == 0 {
            lists.swap_remove(round as usize / 7 % lists.len());
        }
        let text = format!("{round} {}", lists.len());
        sum = sum.wrapping_mul(31).wrapping_add(text.len() as u32 + text.as_ptr() as u32);
    }
    sum
}

//! Functions for C that allocate, in the heap that C's malloc uses.
#![no_std]

extern crate alloc;

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

#[global_allocator]
static ALLOCATOR: alligator_c::Alligator = alligator_c::Alligator;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The words of `text` in the order of the alphabet, in a new block that C gives back by `free`.
///
/// # Safety
///
/// `text` is a string of C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sorted_words(text: *const c_char) -> *mut c_char {
    // SAFETY: the caller's duty.
    let text = unsafe { CStr::from_ptr(text) };
    let mut words: Vec<&[u8]> = text.to_bytes().split(|byte| *byte == b' ').collect();
    words.sort_unstable();
    let sorted = words.join(&b' ');
    CString::new(sorted).map_or(core::ptr::null_mut(), CString::into_raw)
}

/// How many numbers a vector here has after `count` were pushed.
#[unsafe(no_mangle)]
pub extern "C" fn push_numbers(count: usize) -> usize {
    let mut numbers = Vec::new();
    for number in 0..count {
        numbers.push(number);
    }
    numbers.len()
}

//! A program that does nothing but allocate: it keeps some blocks, and in turn gives one back and takes another.

use std::alloc::{Layout, alloc, dealloc};

const BLOCKS: usize = 256;

/// So many blocks, one after the other; the sum of their addresses.
#[unsafe(no_mangle)]
pub extern "C" fn churn(count: u32) -> u32 {
    let mut blocks = [(core::ptr::null_mut::<u8>(), 0_usize); BLOCKS];
    let (mut seed, mut sum) = (1_u32, 0_u32);
    for number in 0..count as usize {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (block, size) = &mut blocks[number % BLOCKS];
        if *size != 0 {
            // SAFETY: it was given with this layout.
            unsafe { dealloc(*block, Layout::from_size_align_unchecked(*size, 8)) };
        }
        *size = 1 + (seed >> 20) as usize % 512;
        // SAFETY: the size is not 0, and 8 is a power of two.
        *block = unsafe { alloc(Layout::from_size_align_unchecked(*size, 8)) };
        sum = sum.wrapping_mul(31).wrapping_add(*block as u32);
    }
    for (block, size) in blocks.into_iter().filter(|(_, size)| *size != 0) {
        // SAFETY: it was given with this layout.
        unsafe { dealloc(block, Layout::from_size_align_unchecked(size, 8)) };
    }
    sum
}

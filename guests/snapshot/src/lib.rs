//! A program whose blocks are known, and which can trap while they are live.
#![no_std]

extern crate alloc;

use alligator_alloc::AlligatorAlloc;
use alloc::boxed::Box;
use alloc::vec::Vec;

#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

alligator_snapshot::export!(ALLOCATOR);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Takes so many blocks of 24 bytes, a list of them, and so many of 5,000 bytes, keeps all, and traps.
#[unsafe(no_mangle)]
extern "C" fn fill_and_trap(small: usize, long: usize) {
    let mut blocks = Vec::with_capacity(small);
    for number in 0..small {
        blocks.push(Box::new([number as u64; 3]));
    }
    let runs: Vec<Box<[u8; 5000]>> = (0..long).map(|_| Box::new([7; 5000])).collect();
    core::mem::forget((blocks, runs));
    core::arch::wasm32::unreachable()
}

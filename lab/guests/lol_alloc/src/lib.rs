//! lol_alloc's allocator that frees, without a lock.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

global_allocator!(
    b"lol_alloc",
    lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator>,
    // SAFETY: the module has one thread.
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) }
);

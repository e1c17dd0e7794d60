//! mini-alloc, which never frees.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

global_allocator!(
    b"mini-alloc",
    mini_alloc::MiniAlloc,
    mini_alloc::MiniAlloc::INIT
);

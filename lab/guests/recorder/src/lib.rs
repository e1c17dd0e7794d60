//! The allocator that tells the host what it does, and leaves the work to dlmalloc.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;
#[path = "../../../driver/recording.rs"]
mod recording;

use dlmalloc::GlobalDlmalloc;
use recording::Recording;

global_allocator!(
    b"recorder",
    Recording<GlobalDlmalloc>,
    Recording(GlobalDlmalloc)
);

//! rlsf, both of its global allocators.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

#[cfg(not(feature = "small"))]
global_allocator!(b"rlsf", rlsf::GlobalTlsf, rlsf::GlobalTlsf::new());

#[cfg(feature = "small")]
global_allocator!(
    b"rlsf-small",
    rlsf::SmallGlobalTlsf,
    rlsf::SmallGlobalTlsf::new()
);

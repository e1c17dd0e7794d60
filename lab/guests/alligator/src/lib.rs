//! Ours.
#![no_std]

#[macro_use]
#[path = "../../../driver/mod.rs"]
mod driver;

#[cfg(not(any(feature = "small", feature = "metrics", feature = "hardened")))]
global_allocator!(
    b"alligator",
    alligator_alloc::AlligatorAlloc,
    alligator_alloc::AlligatorAlloc::new()
);

#[cfg(feature = "small")]
global_allocator!(
    b"alligator-small",
    alligator_alloc::AlligatorAlloc,
    alligator_alloc::AlligatorAlloc::new()
);

#[cfg(feature = "metrics")]
global_allocator!(
    b"alligator-metrics",
    alligator_alloc::AlligatorAlloc,
    alligator_alloc::AlligatorAlloc::new()
);

#[cfg(feature = "hardened")]
global_allocator!(
    b"alligator-hardened",
    alligator_alloc::AlligatorAlloc,
    alligator_alloc::AlligatorAlloc::new()
);

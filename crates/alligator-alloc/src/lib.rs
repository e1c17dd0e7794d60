#![no_std]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

#[cfg(feature = "allocator-api2")]
mod allocator_api;
#[cfg(feature = "check")]
mod check;
#[cfg_attr(
    all(feature = "small", not(feature = "hardened")),
    allow(dead_code, reason = "a small heap finds no faults")
)]
mod fault;
mod global;
mod lock;
mod metrics;
mod source;
#[cfg_attr(
    all(feature = "small", not(feature = "hardened")),
    allow(dead_code, reason = "a small heap counts in bytes")
)]
mod units;

// The heap: the default one, of which a hardened one is a variant, or the small one.
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod by_address;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod hardened;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod heap;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod meta_page;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod mini_page;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod poison;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod runs;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod size_class;
#[cfg(all(feature = "small", not(feature = "hardened")))]
mod small;
#[cfg(all(feature = "small", not(feature = "hardened")))]
use small as heap;

#[cfg(feature = "check")]
pub use check::{Invariant, Piece, Violation};
pub use fault::Fault;
#[cfg(all(feature = "hardened", target_family = "wasm"))]
pub use fault::{alligator_fault, alligator_fault_address};
pub use global::AlligatorAlloc;
pub use heap::Heap;
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
pub use lock::SingleThread;
pub use lock::{DefaultLock, Lock, SpinLock};
#[cfg(feature = "metrics")]
pub use metrics::{BlockCounts, ClassMetrics, Failure, Metrics};
pub use source::{Arena, Source};
#[cfg(target_family = "wasm")]
pub use source::{Growth, OnDemand, ReserveOnly, WasmMemory};
pub use units::PAGE_BYTES;

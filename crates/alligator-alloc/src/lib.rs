#![no_std]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

#[cfg(feature = "allocator-api2")]
mod allocator_api;
mod by_address;
#[cfg(feature = "check")]
mod check;
mod fault;
mod global;
mod hardened;
mod heap;
mod lock;
mod meta_page;
mod metrics;
mod mini_page;
mod poison;
mod runs;
mod size_class;
mod source;
mod units;

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

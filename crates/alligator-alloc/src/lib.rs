#![no_std]
// Where the compiler is told of the feature as well, that is no mistake.
#![cfg_attr(
    target_arch = "wasm64",
    allow(duplicate_features),
    feature(simd_wasm64)
)]
#![cfg_attr(
    all(nightly, feature = "allocator-api2"),
    allow(duplicate_features),
    feature(allocator_api)
)]
#![cfg_attr(all(nightly, thread_caches), feature(thread_local))]
#![cfg_attr(
    thread_caches,
    allow(
        clippy::redundant_closure_for_method_calls,
        reason = "what is passed is a reference that may be changed through where there are no threads"
    )
)]
// On docs.rs, what a feature adds says so; what the build script finds out is no feature.
#![cfg_attr(
    docsrs,
    feature(doc_cfg),
    doc(auto_cfg(hide(
        docsrs,
        nightly,
        single_thread,
        thread_caches,
        std_takes_initial_memory,
        target_feature = "atomics",
        feature = "small",
        feature = "hardened",
    )))
)]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![warn(clippy::must_use_candidate)]

#[cfg(feature = "allocator-api2")]
mod allocator_api;
#[cfg(feature = "check")]
mod check;
#[cfg_attr(
    all(feature = "small", not(feature = "hardened")),
    allow(dead_code, reason = "a small heap finds no fault and counts in bytes")
)]
mod fault;
mod global;
mod lock;
mod metrics;
mod policy;
mod source;
#[cfg_attr(
    all(feature = "small", not(feature = "hardened")),
    allow(dead_code, reason = "a small heap finds no fault and counts in bytes")
)]
mod units;
mod value;

// The heap: the default one, of which a hardened one is a variant, or the small one.
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod bound;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod by_address;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod heap;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod mini_page;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod poison;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod records;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod runs;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
mod size_class;
#[cfg(all(feature = "small", not(feature = "hardened")))]
mod small;
#[cfg(all(feature = "small", not(feature = "hardened")))]
use small as heap;

#[cfg(all(feature = "threads", not(thread_caches)))]
mod no_threads;
#[cfg(thread_caches)]
#[cfg_attr(docsrs, doc(cfg(feature = "threads")))]
mod threads;

#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
pub use bound::{MemoryBound, heap_bytes_for};
#[cfg(feature = "check")]
pub use check::{Invariant, Piece, Violation};
pub use fault::Fault;
#[cfg(all(any(feature = "hardened", docsrs), target_family = "wasm"))]
pub use fault::{alligator_fault, alligator_fault_address};
pub use global::AlligatorAlloc;
pub use heap::Heap;
#[cfg(all(single_thread, not(target_feature = "atomics")))]
pub use lock::SingleThread;
pub use lock::{DefaultLock, Lock, SpinLock, ThreadCached};
#[cfg(feature = "metrics")]
pub use metrics::{BlockCounts, ClassMetrics, Failure, Metrics};
#[cfg(all(feature = "threads", not(thread_caches)))]
pub use no_threads::ReservedHeap;
pub use policy::{DefaultPolicy, Hardened, Policy, Standard};
pub use source::{Arena, ArenaMemory, GlobalSource, Source};
#[cfg(target_family = "wasm")]
pub use source::{Growth, OnDemand, ReserveOnly, WasmMemory, claim_initial_memory};
#[cfg(thread_caches)]
pub use threads::{
    ReservedHeap, alligator_growths, alligator_thread_exit, alligator_thread_gone,
    alligator_thread_id,
};
pub use units::PAGE_BYTES;

#![no_std]
// Where the compiler is told of the feature as well, that is no mistake.
#![cfg_attr(
    target_arch = "wasm64",
    allow(duplicate_features),
    feature(simd_wasm64)
)]
#![cfg_attr(
    all(target_os = "wasi", target_feature = "atomics"),
    feature(thread_local)
)]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![allow(
    clippy::doc_markdown,
    reason = "the documentation of the functions is the C header's, where backticks are no markup"
)]

#[cfg(any(feature = "malloc", feature = "scopes"))]
mod blocks;
#[cfg(feature = "malloc")]
mod controls;
#[cfg(any(feature = "malloc", feature = "scopes"))]
mod errno;
mod global;
#[cfg(feature = "guards")]
mod guards;
#[cfg(all(feature = "malloc", not(feature = "guards")))]
mod heap;
#[cfg(feature = "guards")]
#[path = "heap_guarded.rs"]
mod heap;
#[cfg(feature = "malloc")]
mod layouts;
#[cfg(feature = "malloc")]
mod malloc;
#[cfg(feature = "malloc")]
mod memory;
#[cfg(feature = "scopes")]
mod scopes;

#[cfg(feature = "guards")]
pub use alligator_rt::{
    alligator_guard, alligator_guard_count, alligator_guard_counts, alligator_guard_last,
    alligator_unguard,
};
#[cfg(feature = "malloc")]
pub use controls::*;
pub use global::Alligator;
#[cfg(feature = "guards")]
pub use guards::*;
#[cfg(feature = "malloc")]
pub use layouts::*;
#[cfg(feature = "malloc")]
pub use malloc::*;
#[cfg(feature = "scopes")]
pub use scopes::*;

/// No code of ours panics, and the optimiser sees it: this is not in the library. Only a hardened heap does, and a guard
/// that stops the program, where they cannot trap.
#[cfg(all(feature = "panic-handler", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(target_arch = "wasm64")]
    core::arch::wasm64::unreachable();
    #[cfg(all(
        not(target_family = "wasm"),
        any(feature = "hardened", feature = "guards")
    ))]
    {
        unsafe extern "C" {
            fn abort() -> !;
        }
        // SAFETY: C's `abort` may be called at any time.
        unsafe { abort() }
    }
    #[cfg(all(
        not(target_family = "wasm"),
        not(any(feature = "hardened", feature = "guards"))
    ))]
    loop {
        core::hint::spin_loop();
    }
}

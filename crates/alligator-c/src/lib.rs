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

#[cfg(feature = "malloc")]
mod controls;
#[cfg(feature = "malloc")]
mod errno;
mod global;
#[cfg(feature = "malloc")]
mod heap;
#[cfg(feature = "malloc")]
mod layouts;
#[cfg(feature = "malloc")]
mod malloc;
#[cfg(feature = "malloc")]
mod memory;

#[cfg(feature = "malloc")]
pub use controls::*;
pub use global::Alligator;
#[cfg(feature = "malloc")]
pub use layouts::*;
#[cfg(feature = "malloc")]
pub use malloc::*;

/// No code of ours panics, and the optimiser sees it: this is not in the library. Only a hardened heap does, where
/// it cannot trap.
#[cfg(all(feature = "library", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(target_arch = "wasm64")]
    core::arch::wasm64::unreachable();
    #[cfg(all(not(target_family = "wasm"), feature = "hardened"))]
    {
        unsafe extern "C" {
            fn abort() -> !;
        }
        // SAFETY: C's `abort` may be called at any time.
        unsafe { abort() }
    }
    #[cfg(all(not(target_family = "wasm"), not(feature = "hardened")))]
    loop {
        core::hint::spin_loop();
    }
}

#![no_std]
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
    #[cfg(all(not(target_arch = "wasm32"), feature = "hardened"))]
    {
        unsafe extern "C" {
            fn abort() -> !;
        }
        // SAFETY: C's `abort` may be called at any time.
        unsafe { abort() }
    }
    #[cfg(all(not(target_arch = "wasm32"), not(feature = "hardened")))]
    loop {
        core::hint::spin_loop();
    }
}

//! What the repository's runners share: `xtask`, the lab, the attacker and the tests on Wasm. It links no engine.
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "for our own programs, which print every error and stop"
)]

#[cfg(feature = "allocators")]
pub mod allocator;
pub mod blocks;
pub mod command;
pub mod folder;
pub mod guest;
pub mod programs;
pub mod random;

//! What the repository's runners share: `xtask`, the lab, the attacker and the tests on Wasm. It links no engine.
#![forbid(unsafe_code)]

pub mod allocator;
pub mod command;
pub mod folder;
pub mod guest;
pub mod random;

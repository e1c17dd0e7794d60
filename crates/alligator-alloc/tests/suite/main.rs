//! What the allocator owes, tested from outside: on 64 and 32 bits, and on wasm32, where this test program
//! itself runs on it.
//!
//! `memory` simulates a growing Wasm memory on any host, `live` knows every block in use and looks at all
//! of them for damage, `contract` runs the contract kit's clauses, and with the feature `check` every step is followed by a check of the whole heap.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core,
    clippy::similar_names,
    reason = "tests have std"
)]

mod arena;
mod bound;
mod contract;
mod evil;
mod exhaustive;
mod growth;
mod hooks;
mod live;
mod lock;
mod memory;
mod model;
mod one_piece;
mod regressions;
mod short;
mod threads;
mod traits;
mod trim;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOC: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

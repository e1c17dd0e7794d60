//! Finds the allocator in a compiled WebAssembly module.
//!
//! [`find`] reads a core module or a component and says which functions give memory, take it back and resize it, how it
//! knows, and how sure it is. The layers, each using only those before it:
//!
//! | Module | Answers |
//! |---|---|
//! | [`module`], [`component`] | What is in the file? |
//! | [`names`] | What does a function of this name do? |
//! | [`calls`] | Who calls whom, and where does memory grow? |
//! | [`entries`] | Which functions does the prover start from? |
//! | [`glue`], [`mod@beside`] | What does the JavaScript beside the module say? |
//! | `wrapper` | Which function does one only forward to? |
//! | [`mod@copy`], [`confirm`] | Does it behave as an allocator? |
//! | `shape` | Which functions look like an allocator's? |
//! | `which` | Which allocator is it? |
//! | `search`, [`heap`] | All of it together, as data. |
//!
//! Names and shapes only say where to look: with an [`Engine`](confirm::Engine) the functions are called, and what
//! they do decides.
#![forbid(unsafe_code)]

pub mod beside;
pub mod calls;
pub mod component;
pub mod confirm;
pub mod copy;
pub mod entries;
mod error;
pub mod glue;
pub mod heap;
pub mod module;
pub mod names;
mod search;
mod shape;
mod trials;
mod which;
mod wrapper;

pub use heap::Heap;
pub use search::{Options, core_of, find};

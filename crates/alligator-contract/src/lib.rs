#![no_std]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod clauses;
mod contents;
mod failure;
mod ledger;
mod world;

pub use clauses::{CLAUSES, Clause, Outcome, Verdict};
pub use failure::{Failure, Fault, Request};
pub use ledger::{Block, Ledger, LedgerOver, Storage};
pub use world::{Unknown, Unsound, World};

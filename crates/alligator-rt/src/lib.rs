#![no_std]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

#[cfg(any(test, feature = "std"))]
extern crate std;

mod budget;
mod deferred;
mod event;
mod failure;
mod guard;
mod guarded;
mod limits;

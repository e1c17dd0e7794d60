//! All of the C library.
#![no_std]

pub use alligator_c::*;

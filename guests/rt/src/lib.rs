//! Guards, budgets and limits, on the allocator that a feature chooses.
#![no_std]

#[cfg(feature = "rows")]
mod rows;
#[cfg(not(feature = "rows"))]
mod tests;

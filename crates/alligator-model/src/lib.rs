//! Random programs on a heap, and a model that knows what the heap owes.
//!
//! A [`Program`] is made from a number, its seed: steps that allocate, give back and resize blocks, in one of
//! several mixes of sizes. A [`Machine`] takes the steps on a [`Subject`] and checks every answer; it does so
//! at native speed, tens of millions of steps a second.

mod contents;
mod machine;
mod program;
mod shadow;
mod step;
mod subject;

pub use machine::{Failure, Fault, Machine, Tally};
pub use program::{MIXES, Mix, Program, slots_of, steps_of};
pub use step::{ParseStepError, Step};
pub use subject::Subject;

//! What a heap has done, in numbers (feature `metrics`): plain data, and no code that formats it.
//!
//! The heap tells its [`Recorder`] of every request at its boundary, and of all memory it takes in. Without
//! the feature the recorder is empty and the calls compile to nothing.

#[cfg(all(
    feature = "metrics",
    not(all(feature = "small", not(feature = "hardened")))
))]
mod kinds;
#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(all(feature = "metrics", feature = "small", not(feature = "hardened")))]
use crate::small::kinds;
#[cfg(not(feature = "metrics"))]
pub(crate) use off::Recorder;
#[cfg(feature = "metrics")]
pub(crate) use on::Recorder;
#[cfg(feature = "metrics")]
pub use on::{BlockCounts, ClassMetrics, Failure, Metrics};

//! The lab's parts, which `measure`, `bench` and `bounds` share: allocators and their guests,
//! workloads, and the runs that count instructions. Its data is in `lab/`.

pub(crate) mod allocator;
pub(crate) mod check;
pub(crate) mod engines;
pub(crate) mod fuel;
pub(crate) mod oracle;
pub(crate) mod probe;
pub(crate) mod programs;
pub(crate) mod random;
pub(crate) mod size;
pub(crate) mod special;
pub(crate) mod trace;
pub(crate) mod workloads;

use std::path::PathBuf;

use crate::guest;

/// The directory of the lab's guests and data.
pub(crate) fn dir() -> PathBuf {
    guest::root().join("lab")
}

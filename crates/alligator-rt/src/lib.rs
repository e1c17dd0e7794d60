#![no_std]
#![cfg_attr(
    not(feature = "alligator-alloc"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "what needs Alligator is mentioned and not there"
    )
)]
// Where the compiler is told of the feature as well, or nobody needs it, that is no mistake.
#![cfg_attr(
    all(nightly, feature = "allocator-api2"),
    allow(duplicate_features, unused_features),
    feature(allocator_api)
)]
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

#[cfg(any(test, feature = "std"))]
extern crate std;

mod account;
mod budget;
mod deferred;
mod event;
#[cfg(feature = "exports")]
mod exports;
mod failure;
mod guard;
mod guarded;
mod hook;
mod limited;
pub mod pages;
mod scope;
mod slot;
#[cfg(feature = "alligator-alloc")]
mod watched;
mod word;

pub use budget::{Budget, Holding, Shared, each_budget};
pub use event::{Event, Kind, event_count, last_event, on_event, reset_events};
#[cfg(feature = "exports")]
pub use exports::{
    alligator_guard, alligator_guard_count, alligator_guard_counts, alligator_guard_last,
    alligator_unguard,
};
pub use failure::{Cause, Failure, forget_failure, largest_block, last_failure};
pub use guard::{Entered, Guard, is_permitted, permit};
pub use guarded::Guarded;
pub use limited::{Crossing, Limited};
#[cfg(feature = "allocator-api2")]
pub use scope::InCollections;
pub use scope::{Frame, Frames, Level, Mark, Owned, Request, Scope, ScopedHeap};
#[cfg(feature = "alligator-alloc")]
pub use watched::{Watched, WatchedLock};

/// The programs of the manual, as tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../../docs/real-time.md")]
mod manual {}

/// More of them.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../../docs/limits.md")]
mod manual_of_limits {}

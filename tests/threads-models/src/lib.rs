//! The protocols of the allocator's feature `threads`, as models that [loom] runs in every order of steps, with every value
//! that a load may read: `cargo xtask test --only "models of threads"`.
//!
//! Each file has one protocol of `crates/alligator-alloc/src/threads/`, written as there, with indices instead of addresses
//! and cells instead of memory. What is a plain read or write there is an access to a loom cell here, so that a race is an
//! error, and so is a touch of memory that has been given back. A model has a parameter, which plants one fault in it; a
//! test for each shows that the model finds it. So what the code does is needed, and what passes does not pass for nothing.
//!
//! | file | protocol | code |
//! | --- | --- | --- |
//! | `inbox.rs` | blocks come home to a region | `owed.rs`: `post`; `reserved.rs`: `collect` |
//! | `regions.rs` | a region ends | `reserved.rs`: `abandon`, `sweep`, `end_those_over` |
//! | `growth.rs` | the memory grows without the lock | `growth.rs` |
//! | `thread_heap.rs` | a thread ends, and the next has its heap | `exit.rs`, `thread_heap.rs`, `routes.rs` |
//!
//! *How far this goes:* two or three threads, one to three blocks, pages or uses, and at most [`PREEMPTIONS`] places where
//! a thread is stopped although it could go on; a thread that waits is stopped besides. Where threads wait without end for
//! another to grow, there are two, since loom does not come to an end with more.
//!
//! *Orderings:* loom takes a load or a store that is `SeqCst` for one that is `Acquire` or `Release`. What it does know is
//! the order of all exchanges of one place. That is weaker than the code. One pair
//! does need more: who posts a block and then looks for orphans, and who makes an orphan and then looks into the inbox.
//! Each writes, and then reads what the other wrote; with `Acquire` and `Release` alone both may miss the other, and the
//! memory waits for the next sweep. In the code these are exchanges and loads that are all `SeqCst`, of which one order
//! exists; here the two loads are exchanges as well, by which loom can say the same, and a test shows that loads do not do.
//! WebAssembly knows no weaker order than that.
//!
//! *Orders:* loom runs not quite every order of steps. Of each place it keeps the last access alone, so that a load hides
//! another thread's load before it from a store that comes later, and the order in which that store is first may be left
//! out (seen in loom 0.7.3). Exchanges hide nothing. So each model runs twice: with loads that may read what is old, and with
//! exchanges that change nothing in their place, which read the newest, in every order.
//!
//! [loom]: https://docs.rs/loom

#![cfg(test)]
#![forbid(unsafe_code)]

mod growth;
mod inbox;
mod regions;
mod thread_heap;

use core::cell::Cell;
use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};

/// Stops of threads that could go on, in one run of a model.
const PREEMPTIONS: usize = 3;

std::thread_local! {
    /// Whether loads are exchanges, in what this thread runs.
    static EXCHANGES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `model` with loads that may read what is old, and then in every order of steps.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let model = Arc::new(model);
    for exchanges in [false, true] {
        EXCHANGES.set(exchanges);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS);
        let model = model.clone();
        builder.check(move || model());
    }
}

/// What is in `place`.
fn load(place: &AtomicUsize, order: Ordering) -> usize {
    if EXCHANGES.get() {
        place.fetch_or(0, order)
    } else {
        place.load(order)
    }
}

//! Threads: what each keeps for itself in front of the heap's lock, so that it seldom takes it (feature `threads`).
//!
//! ```text
//! thread A                      thread B                        shared
//! one word: its ThreadHeap      one word: its ThreadHeap
//!   a magazine for each class     ..                            Heap, behind a lock
//!   a MiniPage's free slots                                     chains of slots for each class
//!   a chain of free slots                                       idle ThreadHeaps
//!   blocks it owes
//! ```
//!
//! - An allocation takes a slot from the thread's own magazine, chain or word: no lock, no atomic operation. If all are
//!   empty, it waits for the lock, once, and takes over a chain from another thread, or all free slots of a MiniPage.
//! - A block given back goes into the magazine of whoever gives it back. If that is full, some slots go to other threads as
//!   a chain, or home to their MiniPages: see [`depot`]. If the lock cannot be had at once, the thread *owes* the block, and
//!   pays when it next has the lock. So nobody waits to give something back.
//! - All records are read and written by who holds the lock, so the table may move, and a MiniPage has no owner.
//! - While the memory grows, the lock is given up: see [`growth`].
//! - A thread that ends says so, or another does for it: see [`exit`]. Until then it keeps what it has, a bounded amount:
//!   see [`ThreadHeap`].
//! - A thread that must never wait, not even to allocate, gets a heap of its own: see [`reserved`].
//!
//! *Source:* magazines in front of a depot (Bonwick, Adams: Magazines and Vmem, USENIX 2001); trying a lock and going
//! elsewhere instead of waiting (Zig's `SmpAllocator`).

use core::cell::Cell;
use core::sync::atomic::AtomicBool;

use self::depot::Depot;
use self::reserved::Regions;
use crate::size_class::CLASS_COUNT;

mod depot;
mod exit;
mod growth;
mod local;
mod locked;
mod owed;
mod reserved;
mod routes;
mod thread_heap;

pub use exit::{
    alligator_growths, alligator_thread_exit, alligator_thread_gone, alligator_thread_id,
};
pub use reserved::ReservedHeap;

/// What an allocator knows of its threads.
#[derive(Debug)]
pub(crate) struct Threads {
    /// Whether a thread is asking the host for pages, without the lock.
    is_growing: AtomicBool,
    /// The first of the thread heaps that no thread has, or zero. Read and written by who holds the lock.
    idle: Cell<usize>,
    /// Slots on their way from thread to thread.
    depots: [Depot; CLASS_COUNT],
    /// Heaps of threads that never wait.
    regions: Regions,
}

impl Threads {
    /// Of none.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each allocator gets one of its own"
    )]
    pub(crate) const NEW: Self = Self {
        is_growing: AtomicBool::new(false),
        idle: Cell::new(0),
        depots: [Depot::NEW; CLASS_COUNT],
        regions: Regions::NEW,
    };
}

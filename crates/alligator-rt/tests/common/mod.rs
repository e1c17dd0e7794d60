//! A memory that grows, for heaps on a host.
#![allow(dead_code, reason = "each test uses a part")]

use core::alloc::Layout;
use core::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alligator_alloc::{AlligatorAlloc, PAGE_BYTES, Source};
use alligator_rt::{Watched, WatchedLock};

/// Pages of zeros, of which the first few are there from the start.
pub(crate) struct Growing {
    memory: *mut u8,
    pages: usize,
    pages_max: usize,
}

// SAFETY: the memory is its own.
unsafe impl Send for Growing {}

impl Growing {
    /// One page, and up to `pages_max`.
    pub(crate) fn new(pages_max: usize) -> Self {
        let layout = Layout::from_size_align(pages_max * PAGE_BYTES, PAGE_BYTES).unwrap();
        // SAFETY: it is not empty. It is never given back, as a module's is not.
        let memory = unsafe { std::alloc::alloc_zeroed(layout) };
        assert!(!memory.is_null());
        Self {
            memory,
            pages: 1,
            pages_max,
        }
    }
}

// SAFETY: the pages lie one after the other, zero, and are nobody else's.
unsafe impl Source for Growing {
    fn spare(&mut self) -> Range<usize> {
        self.memory.addr()..self.end()
    }

    fn end(&self) -> usize {
        self.memory.addr() + self.pages * PAGE_BYTES
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        let end = self.end();
        if pages > self.pages_max - self.pages {
            return None;
        }
        self.pages += pages;
        Some(end)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.memory.with_addr(address)
    }
}

/// A heap that asks guards before it grows and where it waits.
pub(crate) type Heap = AlligatorAlloc<Watched<Growing, true>, WatchedLock>;

pub(crate) fn heap(pages_max: usize) -> Heap {
    AlligatorAlloc::with_source(Watched::new(Growing::new(pages_max)))
}

/// Counts, hooks and the last failure are the program's: one test at a time, from a fresh start.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    alligator_rt::reset_events();
    alligator_rt::forget_failure();
    alligator_rt::on_event(|_| {});
    turn
}

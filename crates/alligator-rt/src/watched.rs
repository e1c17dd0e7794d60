//! Where Alligator grows, and where it waits: a source and a lock that ask the thread's guard.

use core::ops::Range;

use alligator_alloc::{DefaultLock, Lock, PAGE_BYTES, Source};

use crate::event::{Answer, Event, Kind, deliver_growth, happened, word_for};
use crate::failure::{self, Cause, Failure};
use crate::pages;

/// A source that asks before it grows: the guard ([`GROW`](crate::Guard::GROW)), and the limits of [`pages`]. A growth
/// that is refused leaves the heap as it was. What is not growth costs nothing more.
///
/// If it is `TOLD`, hooks are called when the memory has grown: [`on_event`](crate::on_event)'s, which
/// [`Guarded`](crate::Guarded) calls, too, and that of [`pages::on_soft`]. For that, a call that may grow compares the
/// memory's length before and after.
///
/// ```
/// # #[cfg(target_family = "wasm")]
/// # mod module {
/// use alligator_alloc::{AlligatorAlloc, WasmMemory};
/// use alligator_rt::{Guarded, Watched};
/// #[global_allocator]
/// static ALLOCATOR: Guarded<AlligatorAlloc<Watched<WasmMemory>>> =
///     Guarded::new(AlligatorAlloc::with_source(Watched::new(WasmMemory::new())));
/// # }
/// ```
#[derive(Debug)]
pub struct Watched<S, const TOLD: bool = false>(S);

impl<S: Source, const TOLD: bool> Watched<S, TOLD> {
    /// `source`, watched.
    pub const fn new(source: S) -> Self {
        Self(source)
    }

    /// The memory's pages, whoever owns them.
    fn pages(&self) -> usize {
        self.0.end().wrapping_sub(1) / PAGE_BYTES + 1
    }

    /// Whether it may grow by so many pages.
    #[cold]
    #[inline(never)]
    fn is_allowed(&self, pages: usize) -> bool {
        if pages > pages::remaining_after(self.pages()) {
            self.note_limit(pages);
            return false;
        }
        let Some(word) = word_for(Kind::Grow) else {
            return true;
        };
        let event = Event {
            kind: Kind::Grow,
            size: 0,
            align: 0,
            pages,
            mark: 0,
        };
        let is_refused = happened(word, event) == Answer::Refuse;
        if is_refused {
            failure::note(Failure::new(
                Cause::Guard,
                pages.saturating_mul(PAGE_BYTES),
                PAGE_BYTES,
            ));
        }
        !is_refused
    }

    #[cold]
    fn note_limit(&self, pages: usize) {
        failure::note(Failure {
            in_use: self.pages().saturating_mul(PAGE_BYTES),
            limit: Some(pages::limit().saturating_mul(PAGE_BYTES)),
            ..Failure::new(Cause::Pages, pages.saturating_mul(PAGE_BYTES), PAGE_BYTES)
        });
    }
}

impl<S: Source + Default, const TOLD: bool> Default for Watched<S, TOLD> {
    fn default() -> Self {
        Self::new(S::default())
    }
}

// SAFETY: all memory is the source's, in the order in which it gives it; a growth that is refused gives none. What is
// called in `grow` uses no heap and does not unwind: events of growth are only noted there.
unsafe impl<S: Source, const TOLD: bool> Source for Watched<S, TOLD> {
    const ON_DEMAND: bool = S::ON_DEMAND;
    const STEP_PAGES: usize = S::STEP_PAGES;
    const IS_TOLD: bool = TOLD || S::IS_TOLD;
    const IS_TRUSTED: bool = S::IS_TRUSTED;

    #[inline(always)]
    fn spare(&mut self) -> Range<usize> {
        self.0.spare()
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.0.end()
    }

    #[inline(always)]
    fn may_grow(&self, reservation: bool) -> bool {
        self.0.may_grow(reservation)
    }

    // A part of who asks for the growth, so that the prover takes that for a growing function as it does without this.
    #[inline(always)]
    fn grow(&mut self, pages: usize) -> Option<usize> {
        if !self.is_allowed(pages) {
            return None;
        }
        self.0.grow(pages)
    }

    fn after_growth(pages: usize) {
        if S::IS_TOLD {
            S::after_growth(pages);
        }
        if TOLD {
            deliver_growth();
            pages::check_soft(pages);
        }
    }

    #[inline(always)]
    fn used_as_value(&mut self) {
        self.0.used_as_value();
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

// SAFETY: the memory is the source's, which says so.
#[cfg(any(target_env = "p2", target_env = "p3"))]
unsafe impl<S: alligator_alloc::GlobalSource, const TOLD: bool> alligator_alloc::GlobalSource
    for Watched<S, TOLD>
{
}

/// A lock that says so if it has to wait: see [`Guard::WAIT`](crate::Guard::WAIT).
#[derive(Debug)]
pub struct WatchedLock<L = DefaultLock>(L);

// SAFETY: the lock's own; what is called between its two calls neither holds it nor unwinds.
unsafe impl<L: Lock> Lock for WatchedLock<L> {
    const NEW: Self = Self(L::NEW);

    #[inline(always)]
    fn lock(&self) {
        if !self.0.try_lock() {
            self.wait();
        }
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
    }
}

impl<L: Lock> WatchedLock<L> {
    #[cold]
    #[inline(never)]
    fn wait(&self) {
        if let Some(word) = word_for(Kind::Wait) {
            let event = Event {
                kind: Kind::Wait,
                size: 0,
                align: 0,
                pages: 0,
                mark: 0,
            };
            happened(word, event);
        }
        self.0.lock();
    }
}

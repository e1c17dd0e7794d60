//! Growth without the lock: others go on, and only who needs new pages waits for the host.
//!
//! Only one thread at a time asks the host, so that pages are taken in in order. If it ends meanwhile, whoever waits for it
//! goes on in its place after some time; should it be alive after all, its pages are lost, and nothing else.

use core::hint;
use core::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

use crate::global::AlligatorAlloc;
use crate::heap::HEAP_BYTES_MAX;
use crate::lock::Lock;
use crate::policy::Policy;
use crate::records::Length;
use crate::runs::length_for;
use crate::source::Source;

/// How often a thread looks whether another, which asks the host for pages, has got them, before it asks for itself.
const TURNS_MAX: usize = 1 << 26;

/// How often the memory has grown for the sake of heaps.
pub(super) static GROWTHS: AtomicUsize = AtomicUsize::new(0);

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Adds pages, so that there may be a free run of `length` now; false if there are none. *Waits* for the host.
    #[cold]
    #[inline(never)]
    pub(super) fn grow_for(&self, length: Length, reservation: bool) -> bool {
        if self.threads.regions.has_orphans() {
            self.sweep();
        }
        if !self.begin_growth() {
            return true; // Another thread has grown it.
        }
        if self.has_room(length) {
            self.end_growth();
            return true; // Another thread had, since the caller looked; there may be no more pages.
        }
        let mut has_grown = false;
        if let Some((pages, step)) = self.pages_wanted(length, reservation) {
            // SAFETY: a source that threads share is not changed, and nobody has it to himself.
            let source = unsafe { self.held() }.source();
            let mut got = (0, 0);
            if pages != 0 {
                let ask = |pages| source.grow_shared(pages).map(|new| (new, pages));
                let new = ask(step).or_else(|| if step == pages { None } else { ask(pages) });
                has_grown = new.is_some();
                got = new.unwrap_or(got);
            }
            if pages == 0 || has_grown {
                self.take_in(got.0, got.1);
            }
            has_grown |= pages == 0;
        }
        self.end_growth();
        if has_grown {
            GROWTHS.fetch_add(1, Relaxed);
            if S::IS_TOLD {
                self.lock.lock();
                self.tell();
                // SAFETY: it is held again.
                unsafe { self.lock.unlock() };
            }
        }
        has_grown
    }

    /// [`reserve`](Self::reserve).
    pub(crate) fn reserve_apart(&self, bytes: usize) -> bool {
        if bytes > HEAP_BYTES_MAX {
            return false;
        }
        let length = length_for(bytes.max(1));
        while !self.has_room(length) {
            if !self.grow_for(length, true) {
                return false;
            }
        }
        true
    }

    /// Waits until no other thread asks the host. True if none did: then this one may, until
    /// [`end_growth`](Self::end_growth).
    pub(crate) fn begin_growth(&self) -> bool {
        if !self.threads.is_growing.swap(true, AcqRel) {
            return true;
        }
        for _ in 0..TURNS_MAX {
            if !self.threads.is_growing.load(Acquire) {
                return false;
            }
            hint::spin_loop();
        }
        true // It seems to have ended.
    }

    /// Lets others ask the host.
    pub(crate) fn end_growth(&self) {
        self.threads.is_growing.swap(false, AcqRel);
    }
}

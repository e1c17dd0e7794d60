//! Where the library's memory comes from, and what the program has decided about it.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
use wasm as host;
#[cfg(not(target_family = "wasm"))]
mod arena;
#[cfg(not(target_family = "wasm"))]
use arena as host;

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use alligator_alloc::Source;

/// A function that is told how many pages the memory has now.
pub(crate) type Hook = Option<extern "C" fn(pages: usize)>;

/// What the program has decided about growth. Read and written while the heap's lock is held.
struct Policy {
    /// Whether only a reservation may grow the memory.
    reserved_only: AtomicBool,
    /// Whether this is a reservation.
    reserving: AtomicBool,
    /// The most pages the memory may have; zero for no limit.
    pages_max: AtomicUsize,
    /// The [`Hook`], zero for none.
    hook: AtomicUsize,
}

static POLICY: Policy = Policy {
    reserved_only: AtomicBool::new(false),
    reserving: AtomicBool::new(false),
    pages_max: AtomicUsize::new(0),
    hook: AtomicUsize::new(0),
};

/// Whether an allocation that finds no room may grow the memory.
pub(crate) fn set_on_demand(on_demand: bool) {
    POLICY.reserved_only.store(!on_demand, Relaxed);
}

/// The most pages the memory may have; zero for no limit.
pub(crate) fn set_pages_max(pages: usize) {
    POLICY.pages_max.store(pages, Relaxed);
}

/// Whom to tell of growths.
pub(crate) fn set_hook(hook: Hook) {
    let address = hook.map_or(0, |hook| hook as usize);
    POLICY.hook.store(address, Relaxed);
}

/// Does `action`, in which the memory may grow, whatever else is decided.
pub(crate) fn reserving<R>(action: impl FnOnce() -> R) -> R {
    POLICY.reserving.store(true, Relaxed);
    let result = action();
    POLICY.reserving.store(false, Relaxed);
    result
}

/// The program's memory.
#[derive(Debug)]
pub(crate) struct Memory(host::Memory);

impl Memory {
    pub(crate) const NEW: Self = Self(host::Memory::NEW);
}

// SAFETY: all it does is to refuse some growths.
unsafe impl Source for Memory {
    fn spare(&mut self) -> Range<usize> {
        self.0.spare()
    }

    fn end(&self) -> usize {
        self.0.end()
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        if POLICY.reserved_only.load(Relaxed) && !POLICY.reserving.load(Relaxed) {
            return None;
        }
        let pages_max = POLICY.pages_max.load(Relaxed);
        if pages_max != 0 && self.0.pages().saturating_add(pages) > pages_max {
            return None;
        }
        let new = self.0.grow(pages)?;
        let hook = POLICY.hook.load(Relaxed);
        // SAFETY: `set_hook` has made it of a Hook, of which zero is none.
        let hook = unsafe { core::mem::transmute::<usize, Hook>(hook) };
        if let Some(hook) = hook {
            hook(self.0.pages());
        }
        Some(new)
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

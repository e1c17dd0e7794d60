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

use alligator_alloc::{PAGE_BYTES, Source};

/// A function that is told how many pages the memory has now.
pub(crate) type Hook = Option<extern "C" fn(pages: usize)>;

/// What the program has decided about growth.
struct Policy {
    /// Whether only a reservation may grow the memory.
    reserved_only: AtomicBool,
    /// The most pages the memory may have; zero for no limit.
    pages_max: AtomicUsize,
    /// The [`Hook`], zero for none.
    hook: AtomicUsize,
}

static POLICY: Policy = Policy {
    reserved_only: AtomicBool::new(false),
    pages_max: AtomicUsize::new(0),
    hook: AtomicUsize::new(0),
};

/// Whether an allocation that finds no room may grow the memory.
pub(crate) fn set_on_demand(on_demand: bool) {
    POLICY.reserved_only.swap(!on_demand, Relaxed);
}

/// The most pages the memory may have; zero for no limit.
pub(crate) fn set_pages_max(pages: usize) {
    POLICY.pages_max.swap(pages, Relaxed);
}

/// Whom to tell of growths.
pub(crate) fn set_hook(hook: Hook) {
    let address = hook.map_or(0, |hook| hook as usize);
    POLICY.hook.swap(address, Relaxed);
}

/// Whether the limit allows `pages` more after `end`.
fn is_below_limit(end: usize, pages: usize) -> bool {
    let pages_max = POLICY.pages_max.load(Relaxed);
    pages_max == 0 || (end.wrapping_sub(1) / PAGE_BYTES).saturating_add(1 + pages) <= pages_max
}

/// The program's memory.
#[derive(Debug)]
pub(crate) struct Memory(host::Memory);

impl Memory {
    pub(crate) const NEW: Self = Self(host::Memory::NEW);
}

// SAFETY: all it does is to refuse some growths.
unsafe impl Source for Memory {
    // Both hosts keep the contract.
    const IS_TRUSTED: bool = true;

    fn spare(&mut self) -> Range<usize> {
        self.0.spare()
    }

    fn end(&self) -> usize {
        self.0.end()
    }

    #[inline(always)]
    fn may_grow(&self, reservation: bool) -> bool {
        let may_grow = reservation || !POLICY.reserved_only.load(Relaxed);
        may_grow && is_below_limit(self.0.end(), 1)
    }

    #[inline(always)]
    fn grow(&mut self, pages: usize) -> Option<usize> {
        if !is_below_limit(self.0.end(), pages) {
            return None;
        }
        self.0.grow(pages)
    }

    #[inline(always)]
    fn after_growth(pages: usize) {
        let hook = POLICY.hook.load(Relaxed);
        // SAFETY: `set_hook` has made it of a Hook, of which zero is none.
        let hook = unsafe { core::mem::transmute::<usize, Hook>(hook) };
        if let Some(hook) = hook {
            hook(pages);
        }
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

// SAFETY: `malloc` and `free` are this crate's.
#[cfg(any(target_env = "p2", target_env = "p3"))]
unsafe impl alligator_alloc::GlobalSource for Memory {}

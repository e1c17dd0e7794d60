//! Limits of the module's whole memory, in pages of 64 KiB, kept by heaps over [`Watched`](crate::Watched).
//!
//! They are the module's, since it has one memory. On a host each heap's source is held to them as if it were that
//! memory.
//!
//! ```
//! use alligator_rt::pages;
//! pages::set_hard(1024, 16); // 64 MiB, the last 16 pages for `permit`.
//! pages::set_soft(768);
//! pages::on_soft(|pages| { /* Drop caches: `pages` are in use. */ });
//! ```

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::guard::{in_hook, is_permitted};
use crate::hook::{Hook, without_unwinding};

static HARD: AtomicUsize = AtomicUsize::new(usize::MAX);
static RESERVE: AtomicUsize = AtomicUsize::new(0);
/// The soft limit while it is armed, else `usize::MAX`.
static SOFT: AtomicUsize = AtomicUsize::new(usize::MAX);
static SOFT_HOOK: Hook<fn(usize)> = Hook::new();

/// No growth beyond `pages`, the last `reserve` of them for [`permit`](crate::permit)-ted code. `usize::MAX` for no
/// limit but that of the source. *Time:* constant.
pub fn set_hard(pages: usize, reserve: usize) {
    RESERVE.store(reserve, Relaxed);
    HARD.store(pages, Relaxed);
}

/// A growth to more than `pages` calls the hook, once. A memory never shrinks, so it is armed again only by another
/// call of this. `usize::MAX` for none. *Time:* constant.
pub fn set_soft(pages: usize) {
    SOFT.store(pages, Relaxed);
}

/// What is called when the memory has grown beyond the soft limit, with the pages that it has: when the heap is whole
/// and unlocked, so it may use the heap. It must not unwind: that ends the program.
pub fn on_soft(hook: fn(usize)) {
    // SAFETY: a function pointer's type.
    unsafe { SOFT_HOOK.set(hook) };
}

/// The pages that this thread may let the memory have. *Time:* constant.
pub fn limit() -> usize {
    let hard = HARD.load(Relaxed);
    if is_permitted() || hard == usize::MAX {
        hard
    } else {
        hard.saturating_sub(RESERVE.load(Relaxed))
    }
}

/// The pages by which this thread may let a memory of `pages` grow. *Time:* constant.
pub fn remaining_after(pages: usize) -> usize {
    limit().saturating_sub(pages)
}

/// The pages by which this thread may let the module's memory grow. *Time:* constant.
#[cfg(target_arch = "wasm32")]
pub fn remaining() -> usize {
    remaining_after(core::arch::wasm32::memory_size::<0>())
}

/// Calls the hook if `pages` are above the soft limit, which is not armed then any more. For heaps over
/// a [`Watched`](crate::Watched) source that is `TOLD`, that is done after each growth; else a program can ask now and
/// then.
/// *Time:* constant, besides the hook.
pub fn check_soft(pages: usize) {
    if pages > SOFT.load(Relaxed) {
        tell(pages);
    }
}

#[cold]
#[inline(never)]
fn tell(pages: usize) {
    SOFT.store(usize::MAX, Relaxed);
    if let Some(hook) = SOFT_HOOK.get() {
        in_hook(|| without_unwinding(|| hook(pages)));
    }
}

//! The module's own linear memory as a source (wasm32 and wasm64).

#[cfg(target_os = "emscripten")]
#[path = "wasm/emscripten.rs"]
mod host;
#[cfg(not(target_os = "emscripten"))]
mod host;

use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Source;
use crate::units::{GRANULE_BYTES, PAGE_BYTES, PAGES_ALL, granule_floor, round_up};

/// When and how a [`WasmMemory`] grows. All of it is known when the module is compiled.
///
/// ```
/// struct Studio;
/// impl alligator_alloc::Growth for Studio {
///     const ON_DEMAND: bool = false; // Only `reserve` grows: `alloc` gives null instead.
///     const PAGES_MAX: usize = 1024; // 64 MiB, whoever grew it.
/// }
/// ```
pub trait Growth {
    /// Whether an allocation that finds no room may grow the memory, which takes the host's time. If not,
    /// only [`reserve`](crate::AlligatorAlloc::reserve) does.
    const ON_DEMAND: bool = true;
    /// The fewest pages to grow by at a time.
    const STEP_PAGES: usize = 1;
    /// The most pages the whole memory may have, this module's data and stack included. By default all that there
    /// can be: 4 GiB on 32 bits.
    const PAGES_MAX: usize = PAGES_ALL;
    /// Whether the heap may use the free part of the initial memory, from the linker's `__heap_base` to
    /// `__heap_end`, where that is nobody else's: see [`WasmMemory::new`].
    const USE_INITIAL_MEMORY: bool = true;

    /// Whether [`after_growth`](Growth::after_growth) does anything. If not, saying so here saves some instructions.
    const HAS_HOOK: bool = true;

    /// Called after the memory has grown, with the pages it has now: the place to tell JavaScript that its views of
    /// the memory are gone. The heap is whole by then, and the request that made it grow is answered, so this may
    /// allocate, and may call what allocates.
    ///
    /// It is not called within itself: if the memory grows meanwhile, it is called once more when it has returned,
    /// eight times at most for one request. In shared memory it runs on a thread that has grown the memory; others
    /// are not told. It must not unwind: that ends the program.
    #[inline(always)]
    fn after_growth(pages: usize) {
        let _ = pages;
    }
}

/// Grows whenever an allocation needs it, by as little as it needs: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDemand;

impl Growth for OnDemand {
    const HAS_HOOK: bool = false;
}

/// Grows only when told by [`reserve`](crate::AlligatorAlloc::reserve): no allocation ever waits for the
/// host.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReserveOnly;

impl Growth for ReserveOnly {
    const ON_DEMAND: bool = false;
    const HAS_HOOK: bool = false;
}

/// The linear memory of this WebAssembly module. Others may grow it as well: what they took is left alone.
///
/// On Emscripten it is asked for by the C library's `sbrk`, so that the heap and C's `malloc` share it.
#[derive(Debug)]
pub struct WasmMemory<G = OnDemand> {
    initial: Initial,
    /// It has no `G`, and is as free to go to another thread whatever `G` is.
    growth: PhantomData<fn() -> G>,
}

/// What a [`WasmMemory`] knows of the initial memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)] // The first is zero, so that a heap which is all zero takes no bytes in the module.
enum Initial {
    /// Whoever asks first may have it.
    Free,
    /// The program says that it is this heap's.
    Given,
    /// It may be somebody else's.
    #[cfg(std_takes_initial_memory)]
    Others,
}

impl<G: Growth> WasmMemory<G> {
    /// The module's memory, with the free part of the initial memory if that is nobody else's: on targets without
    /// a C library, for the first heap that asks for memory.
    ///
    /// From Rust 1.96 on, std's allocator may use it on `wasm32-unknown-unknown`. There it goes only to a heap that is
    /// first asked as the program's global allocator, by the methods of `GlobalAlloc`; what comes before that, such as
    /// [`reserve`](crate::AlligatorAlloc::reserve), grows the memory. To have it all the same, use
    /// [`with_initial_memory`](Self::with_initial_memory).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            initial: Initial::Free,
            growth: PhantomData,
        }
    }

    /// The module's memory, the free part of the initial memory in any case.
    ///
    /// # Safety
    ///
    /// Nobody but heaps of this crate uses the memory from `__heap_base` to `__heap_end`: on WASI, no `malloc` of the
    /// C library is in the program; where std's allocator would use it, the program does not use that.
    #[must_use]
    pub const unsafe fn with_initial_memory() -> Self {
        Self {
            initial: Initial::Given,
            growth: PhantomData,
        }
    }

    /// Makes the initial memory this heap's, if that may be.
    #[inline(always)]
    fn claims_initial_memory(&self) -> bool {
        let by_target = cfg!(any(target_os = "unknown", target_os = "none"));
        let may_ask = match self.initial {
            Initial::Free => by_target && G::USE_INITIAL_MEMORY,
            Initial::Given => !cfg!(target_os = "emscripten"), // There `sbrk` gives it out.
            #[cfg(std_takes_initial_memory)]
            Initial::Others => false,
        };
        may_ask && claim_initial_memory()
    }
}

impl<G: Growth> Default for WasmMemory<G> {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the caller the owner of the initial memory, from the linker's `__heap_base` on, for good. False if somebody
/// has asked before: a heap over [`WasmMemory`], or another caller. For a [`Source`] of one's own. *Time:* constant.
#[must_use = "true says that it is the caller's, and nobody else can have it"]
pub fn claim_initial_memory() -> bool {
    static IS_CLAIMED: AtomicBool = AtomicBool::new(false);
    !IS_CLAIMED.swap(true, Relaxed)
}

unsafe extern "C" {
    /// The first byte after the module's data and stack; the linker defines it.
    static __heap_base: u8;
    /// The first byte after the initial memory; the linker defines it.
    static __heap_end: u8;
}

#[cfg(thread_caches)]
unsafe extern "C" {
    /// The first byte of the module's data; the linker defines it.
    static __global_base: u8;
    /// The first byte after the module's data; the linker defines it.
    static __data_end: u8;
}

/// Whether what is at `address` is one of the module's statics: not on the stack, nor in a heap.
#[cfg(thread_caches)]
pub(crate) fn is_static(address: usize) -> bool {
    ((&raw const __global_base).addr()..(&raw const __data_end).addr()).contains(&address)
}

/// Whether the limit allows `pages` more.
#[inline(always)]
fn is_below_limit<G: Growth>(pages: usize) -> bool {
    G::PAGES_MAX >= PAGES_ALL || host::pages().saturating_add(pages) <= G::PAGES_MAX
}

/// The address of the initial memory's last byte.
#[inline(always)]
fn last_initial_byte() -> usize {
    #[cfg(target_os = "emscripten")]
    return usize::MAX; // It is `sbrk`'s.
    #[cfg(not(target_os = "emscripten"))]
    (&raw const __heap_end).addr().wrapping_sub(1)
}

// SAFETY: `memory.grow` gives zeroed pages that nobody had, at the end of a memory that never shrinks; `sbrk` likewise.
// The spare part lies where the linker put nothing, and is this heap's alone: `claim_initial_memory` is true once, and
// where others use that part without asking, `new` does not ask either, and `with_initial_memory` is unsafe.
// It starts after the data, which the linker places at 1024 or above, and `spare` makes sure of it.
unsafe impl<G: Growth> Source for WasmMemory<G> {
    const ON_DEMAND: bool = G::ON_DEMAND;
    const STEP_PAGES: usize = G::STEP_PAGES;
    const IS_TOLD: bool = G::HAS_HOOK;
    const IS_TRUSTED: bool = true;
    const IS_SHARED: bool = true;

    #[inline]
    fn spare(&mut self) -> Range<usize> {
        if !self.claims_initial_memory() {
            let end = host::end(); // Once: another thread may grow the memory between two looks.
            return end..end;
        }
        // The end may be 4 GiB, which is 0: then without the last granule.
        let end = granule_floor(last_initial_byte().min(usize::MAX - GRANULE_BYTES) + 1);
        let start = (&raw const __heap_base).addr().max(1024);
        round_up(start, GRANULE_BYTES).min(end)..end
    }

    #[inline]
    fn end(&self) -> usize {
        host::end()
    }

    #[inline(always)]
    fn may_grow(&self, _reservation: bool) -> bool {
        is_below_limit::<G>(1)
    }

    #[inline(always)]
    fn grow(&mut self, pages: usize) -> Option<usize> {
        self.grow_shared(pages)
    }

    #[inline(always)]
    fn grow_shared(&self, pages: usize) -> Option<usize> {
        // A memory whose initial part is shorter than a page has others: the linker's `--page-size=1`.
        let has_pages = !G::USE_INITIAL_MEMORY || last_initial_byte() >= PAGE_BYTES - 1;
        if !has_pages || !is_below_limit::<G>(pages) {
            return None;
        }
        host::grow(pages)
    }

    #[inline(always)]
    fn after_growth(pages: usize) {
        G::after_growth(pages);
    }

    #[cfg(std_takes_initial_memory)]
    fn used_as_value(&mut self) {
        if self.initial == Initial::Free {
            self.initial = Initial::Others;
        }
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address)
    }
}

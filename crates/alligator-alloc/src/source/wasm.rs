//! The module's own linear memory as a source (wasm32 and wasm64).

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::{memory_grow, memory_size};
#[cfg(target_arch = "wasm64")]
use core::arch::wasm64::{memory_grow, memory_size};
use core::marker::PhantomData;
use core::ops::Range;

use super::Source;
use crate::units::{PAGE_BYTES, PAGE_SHIFT};

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
    /// The most pages the whole memory may have, this module's data and stack included.
    const PAGES_MAX: usize = usize::MAX >> PAGE_SHIFT;
    /// Where the memory grows on demand, pages whose headers lie below all blocks, where no write past a block
    /// reaches them: see [`Source::HEADER_PAGES`]. As many as `PAGES_MAX` for all of them.
    const HEADER_PAGES: usize = 8;
    /// Whether the heap may use the end of the initial memory, from the linker's `__heap_base` to
    /// `__heap_end`. False where a C library does so: on WASI and Emscripten.
    const USE_INITIAL_MEMORY: bool = cfg!(target_os = "unknown");

    /// Called after each growth, with the pages the memory has now: the place to tell JavaScript that its
    /// views of the memory are gone. It must not allocate.
    #[inline(always)]
    fn after_growth(pages: usize) {
        let _ = pages;
    }
}

/// Grows whenever an allocation needs it, by as little as it needs: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDemand;

impl Growth for OnDemand {}

/// Grows only when told by [`reserve`](crate::AlligatorAlloc::reserve): no allocation ever waits for the
/// host.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReserveOnly;

impl Growth for ReserveOnly {
    const ON_DEMAND: bool = false;
}

/// The linear memory of this WebAssembly module. Others may grow it as well: what they took is left alone.
#[derive(Debug)]
pub struct WasmMemory<G = OnDemand>(PhantomData<G>);

impl<G: Growth> WasmMemory<G> {
    /// The module's memory.
    ///
    /// # Safety
    ///
    /// If `G::USE_INITIAL_MEMORY`, nobody else uses the memory between `__heap_base` and `__heap_end`: one
    /// heap in a module at most.
    pub const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

unsafe extern "C" {
    /// The first byte after the module's data and stack; the linker defines it.
    static __heap_base: u8;
    /// The first byte after the initial memory; the linker defines it.
    static __heap_end: u8;
}

// SAFETY: `memory.grow` gives zeroed pages that nobody had, at the end of a memory that never shrinks. The
// spare part is unused by `new`'s contract; it starts after the data, which the linker places at 1024 or
// above, and `spare` makes sure of it.
unsafe impl<G: Growth> Source for WasmMemory<G> {
    const ON_DEMAND: bool = G::ON_DEMAND;
    const STEP_PAGES: usize = G::STEP_PAGES;
    const HEADER_PAGES: usize = G::HEADER_PAGES;

    #[inline]
    fn spare(&mut self) -> Range<usize> {
        if !G::USE_INITIAL_MEMORY {
            return 0..0;
        }
        let start = (&raw const __heap_base).addr().max(1024);
        start..(&raw const __heap_end).addr()
    }

    #[inline]
    fn end(&self) -> usize {
        memory_size::<0>() << PAGE_SHIFT
    }

    #[inline]
    fn grow(&mut self, pages: usize) -> Option<usize> {
        let is_refused = G::PAGES_MAX < usize::MAX >> PAGE_SHIFT
            && memory_size::<0>().saturating_add(pages) > G::PAGES_MAX;
        // Refused or not, the host is asked: what is paid only on the way there then counts as growth in the
        // bounds, not as part of every allocation. No memory has so many pages.
        let old_pages = memory_grow::<0>(if is_refused { usize::MAX } else { pages });
        if old_pages == usize::MAX {
            return None;
        }
        G::after_growth(old_pages + pages);
        Some(old_pages * PAGE_BYTES)
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address)
    }
}

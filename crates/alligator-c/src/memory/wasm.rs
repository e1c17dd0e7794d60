//! The module's linear memory.
//!
//! The free part of the initial memory, from the linker's `__heap_base` on, is the heap's: whatever calls malloc gets
//! ours, so the C library's, which would use it, is not in the program, and its `sbrk` only grows the memory. What lies
//! above the initial memory was grown by somebody else, or is the host's, and is left alone.

use core::ops::Range;

use alligator_alloc::{Growth, PAGE_BYTES, Source, WasmMemory, claim_initial_memory};

/// What the heap counts memory in, or a multiple of it.
const GRANULE_BYTES: usize = 2048;

unsafe extern "C" {
    /// The first byte after the module's data and stack; the linker defines it.
    static __heap_base: u8;
    /// The first byte after the initial memory. Linkers before LLVM 16 do not define it; where that is known to be
    /// possible, the symbol is made weak, and this is at 0 then.
    #[cfg(feature = "heap-end")]
    static __heap_end: u8;
}

/// Growth without conditions: [`super::Memory`] has them.
#[derive(Debug)]
pub(crate) struct Unlimited;

impl Growth for Unlimited {
    const USE_INITIAL_MEMORY: bool = false;
}

/// The linear memory. Others may grow it, too.
#[derive(Debug)]
pub(crate) struct Memory(WasmMemory<Unlimited>);

impl Memory {
    pub(crate) const NEW: Self = Self(WasmMemory::new());

    /// The free part of the initial memory: on Emscripten none, since there `sbrk` gives it out.
    pub(crate) fn spare(&mut self) -> Range<usize> {
        if cfg!(target_os = "emscripten") || !claim_initial_memory() {
            let end = self.0.end(); // Once: another thread may grow the memory between two looks.
            return end..end;
        }
        let start = (&raw const __heap_base).addr().max(1024);
        let end = initial_end(start);
        start.next_multiple_of(GRANULE_BYTES).min(end)..end
    }

    pub(crate) fn end(&self) -> usize {
        self.0.end()
    }

    pub(crate) fn grow(&mut self, pages: usize) -> Option<usize> {
        self.0.grow(pages)
    }

    #[inline(always)]
    pub(crate) fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

/// The address after the initial memory's last byte, or, if the linker does not say it, of the page in which `start` lies,
/// which is part of it in any case.
fn initial_end(start: usize) -> usize {
    #[cfg(feature = "heap-end")]
    {
        // No address of anything in Rust is 0, so the compiler must not know that this is one.
        let end = core::hint::black_box(&raw const __heap_end).addr();
        if end != 0 {
            return end & !(PAGE_BYTES - 1);
        }
    }
    (start + (PAGE_BYTES - 1)) & !(PAGE_BYTES - 1)
}

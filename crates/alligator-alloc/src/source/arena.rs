//! A fixed piece of memory as a source: for a heap inside a program, on any host, and for tests.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::Source;

/// A source that has one fixed piece of memory and never grows.
#[derive(Debug)]
pub struct Arena {
    memory: *mut u8,
    bytes: usize,
}

// SAFETY: the memory is borrowed for ever and exclusively; the arena is its only owner, wherever it is.
unsafe impl Send for Arena {}

impl Arena {
    /// An arena of `memory`. 1 KiB and 24 bytes for each KiB, 2.4 % of a long one, hold the heap's records. *Time:*
    /// constant.
    pub const fn new(memory: &'static mut [MaybeUninit<u8>]) -> Self {
        Self {
            bytes: memory.len(),
            memory: memory.as_mut_ptr().cast(),
        }
    }
}

// SAFETY: `spare` is the borrowed slice, valid and exclusive for ever; `grow` gives nothing. Rust places
// no object in the first 1024 bytes of the address space on the hosts it supports.
unsafe impl Source for Arena {
    const ON_DEMAND: bool = false;
    const IS_TOLD: bool = false;

    fn spare(&mut self) -> Range<usize> {
        let start = self.memory.addr();
        start..start + self.bytes
    }

    fn end(&self) -> usize {
        self.memory.addr() + self.bytes
    }

    fn grow(&mut self, _pages: usize) -> Option<usize> {
        None
    }

    #[inline(always)]
    fn pointer(&self, address: usize) -> *mut u8 {
        self.memory.with_addr(address)
    }
}

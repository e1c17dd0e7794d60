//! Where memory comes from: the port. No other module knows that there is a host.

mod arena;
#[cfg(target_family = "wasm")]
mod wasm;

use core::ops::Range;

pub use arena::Arena;
#[cfg(target_family = "wasm")]
pub use wasm::{Growth, OnDemand, ReserveOnly, WasmMemory};

/// A supply of memory for one heap.
///
/// Addresses are in bytes; pages are of [`PAGE_BYTES`](crate::PAGE_BYTES).
///
/// # Safety
///
/// The implementor guarantees that
/// - the ranges given by [`spare`](Source::spare) and [`grow`](Source::grow) are readable and writable
///   through [`pointer`](Source::pointer) as long as the source exists, and used by nobody else;
/// - they do not overlap, each grown range lies above all earlier ones, and starts and ends at a multiple of
///   the page size;
/// - grown memory is zero;
/// - none of them contains the first 1024 bytes of the address space.
///
/// The heap promises to touch nothing outside these ranges.
pub unsafe trait Source {
    /// Whether an allocation that finds no room may call [`grow`](Source::grow). If not, only
    /// [`reserve`](crate::Heap::reserve) does, and the allocation fails instead.
    const ON_DEMAND: bool = true;
    /// The fewest pages to grow by at a time.
    const STEP_PAGES: usize = 1;

    /// Where the memory grows on demand, pages whose headers are made before the first block, and so lie below
    /// all blocks: 1.25 KiB for each on 32 bits, for a power of two of pages. Later headers lie among the blocks.
    ///
    /// Fewer than eight would save some KiB in a heap of one page, but a block that grows at the heap's end
    /// would have to move more often before it leaves room for all later headers. With the feature `small` there
    /// is one table, which moves when the memory grows, and this says nothing.
    const HEADER_PAGES: usize = 8;

    /// Memory that is there from the start, if any: the addresses of its first byte and of the byte after
    /// its last. It need not be zero. The heap asks once, before the first `grow`.
    fn spare(&mut self) -> Range<usize>;

    /// The address after the last byte of all memory, whoever owns it (0 for 4 GiB on 32 bits).
    fn end(&self) -> usize;

    /// Adds `pages` to the end of the memory and returns the address of their first byte, or `None` if the
    /// source cannot or will not. That address is at least what [`end`](Source::end) said, more if somebody
    /// else has grown the memory since. *Time:* the host's.
    fn grow(&mut self, pages: usize) -> Option<usize>;

    /// A pointer to `address`, which is inside memory that this source gave. *Time:* constant.
    fn pointer(&self, address: usize) -> *mut u8;
}

//! The units the heap counts in, and the roundings between them. Pure arithmetic: no pointer is seen here.
//!
//! ```text
//! page    64 KiB   unit of `memory.grow`; its 64 records are its MetaPage
//! granule  1 KiB   unit of runs; has one record
//! ```

/// Bytes in a WebAssembly page, the unit of `memory.grow`.
pub const PAGE_BYTES: usize = 1 << PAGE_SHIFT;
/// Binary logarithm of [`PAGE_BYTES`].
pub(crate) const PAGE_SHIFT: u32 = 16;

/// Pages in all of the address space.
pub(crate) const PAGES_ALL: usize = 1 << (usize::BITS - PAGE_SHIFT);

/// Bytes in a granule: the unit in which runs are counted, and the largest alignment every run has.
pub(crate) const GRANULE_BYTES: usize = 1 << GRANULE_SHIFT;
/// Binary logarithm of [`GRANULE_BYTES`].
pub(crate) const GRANULE_SHIFT: u32 = 10;
/// Granules in a page.
pub(crate) const PAGE_GRANULES: usize = PAGE_BYTES / GRANULE_BYTES;

/// The largest request in bytes. One page of slack keeps every rounding below from overflowing.
pub(crate) const REQUEST_BYTES_MAX: usize = isize::MAX as usize - PAGE_BYTES;

/// The bytes of `granules`.
#[inline(always)]
pub(crate) const fn bytes_of(granules: usize) -> usize {
    granules << GRANULE_SHIFT
}

/// `address` rounded down to a granule.
#[inline(always)]
pub(crate) const fn granule_floor(address: usize) -> usize {
    address & !(GRANULE_BYTES - 1)
}

/// `bytes` rounded up to `align`, a power of two. The sum must not overflow.
#[inline(always)]
pub(crate) const fn round_up(bytes: usize, align: usize) -> usize {
    (bytes + (align - 1)) & align.wrapping_neg()
}

//! The units the heap counts in, and the roundings between them. Pure arithmetic: no pointer is seen here.
//!
//! ```text
//! page    64 KiB   unit of `memory.grow`; has one MetaPage
//! granule  2 KiB   unit of runs and MiniPages; has one header (1 KiB in a small heap)
//! ```

/// Whether the feature `hardened` trades speed for the detection of misuse: see `docs/hardened.md`.
pub(crate) const HARDENED: bool = cfg!(feature = "hardened");
/// Whether freed slots and MiniPages are kept for the next request before the headers are told: in
/// magazines and as recent granules. A hardened heap tells the headers at once, and so knows what is free.
pub(crate) const KEEPS_FREED: bool = !HARDENED;
/// Whether blocks of one to four and a half KiB get slots of their own. A hardened heap does without.
pub(crate) const MEDIUM: bool = cfg!(feature = "medium") && !HARDENED;

/// Bytes in a WebAssembly page, the unit of `memory.grow`.
pub const PAGE_BYTES: usize = 1 << PAGE_SHIFT;
/// Binary logarithm of [`PAGE_BYTES`].
pub(crate) const PAGE_SHIFT: u32 = 16;

/// Pages in all of the address space.
pub(crate) const PAGES_ALL: usize = 1 << (usize::BITS - PAGE_SHIFT);

/// Bytes in a granule: the unit in which runs are counted, and the largest alignment every run has.
pub(crate) const GRANULE_BYTES: usize = 1 << GRANULE_SHIFT;
/// Binary logarithm of [`GRANULE_BYTES`]. A small heap's MiniPages have 64 slots, of 16 bytes and more.
pub(crate) const GRANULE_SHIFT: u32 = if cfg!(all(feature = "small", not(feature = "hardened"))) {
    10
} else {
    11
};
/// Granules in a page.
pub(crate) const PAGE_GRANULES: usize = PAGE_BYTES / GRANULE_BYTES;

/// The largest request in bytes. One page of slack keeps every rounding below from overflowing.
pub(crate) const REQUEST_BYTES_MAX: usize = isize::MAX as usize - PAGE_BYTES;

/// The granules that hold `bytes`, rounded up. `bytes` is at most [`REQUEST_BYTES_MAX`].
#[inline(always)]
pub(crate) const fn granules_for(bytes: usize) -> usize {
    (bytes + (GRANULE_BYTES - 1)) >> GRANULE_SHIFT
}

/// The pages that hold `granules`, rounded up. No heap has so many that this overflows.
#[inline(always)]
pub(crate) const fn pages_for(granules: usize) -> usize {
    (granules + (PAGE_GRANULES - 1)) >> (PAGE_SHIFT - GRANULE_SHIFT)
}

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

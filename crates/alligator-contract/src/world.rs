//! What the kit may know of an allocator's surroundings, and do to them.

use core::fmt;
use core::ops::Range;

/// Something wrong inside an allocator, found by a checker of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// What does not hold.
    pub invariant: &'static str,
    /// The address it was seen at, or 0.
    pub address: usize,
}

impl fmt::Display for Unsound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (at {:#x})", self.invariant, self.address)
    }
}

/// An allocator's surroundings: its memory, and a checker if it has one. All answers have a default, of an
/// allocator of which nothing is known; clauses that need more than that then do not apply.
///
/// Lengths are in bytes, pages are of 64 KiB.
pub trait World {
    /// Whether the allocator is sound inside. The kit asks after every step, with many blocks less often.
    ///
    /// # Errors
    ///
    /// What its checker found.
    fn check(&self) -> Result<(), Unsound> {
        Ok(())
    }

    /// The bytes of the memory that the allocator may have in all, its own headers included. A clause keeps
    /// at most a quarter of it in use, unless it is about the end of memory.
    fn room_bytes(&self) -> usize {
        32 << 20
    }

    /// The address of the last byte that the memory can ever have, if there is such an end and the kit may
    /// fill the memory up to it.
    fn last_byte(&self) -> Option<usize> {
        None
    }

    /// The part of the first memory, there before any growth, that the allocator has to use up.
    fn initial_tail(&self) -> Range<usize> {
        0..0
    }

    /// Grows the memory by so many pages behind the allocator's back, and returns the first byte of them,
    /// which are the kit's from then on and writable. `None` if that cannot be done here.
    fn grow_by_somebody_else(&self, pages: usize) -> Option<*mut u8> {
        let _ = pages;
        None
    }
}

/// A world of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown;

impl World for Unknown {}

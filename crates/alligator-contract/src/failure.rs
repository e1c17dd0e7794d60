//! What went wrong, as a value.

use core::alloc::Layout;
use core::fmt;

use crate::world::Unsound;

/// What was asked of the allocator when something was found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `alloc`.
    Allocate(Layout),
    /// `alloc_zeroed`.
    AllocateZeroed(Layout),
    /// `dealloc`.
    Deallocate(Layout),
    /// `realloc`, to so many bytes.
    Reallocate(Layout, usize),
    /// Nothing: the kit looked at blocks, or at memory that is somebody else's.
    Look,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Null where there must be room.
    Null,
    /// A block where there cannot be one.
    NotNull,
    /// The block is not at a multiple of its alignment.
    NotAligned,
    /// The block shares bytes with the block in use at this address.
    Overlap(usize),
    /// The block, or a part of it, is outside the memory that there can be.
    Outside,
    /// The byte at this offset is not zero.
    NotZero(usize),
    /// The byte at this offset changed while the block was in use.
    Changed(usize),
    /// `realloc` did not keep the byte at this offset.
    NotKept(usize),
    /// The byte at the address is somebody else's, and changed.
    WroteElsewhere,
    /// Fewer blocks, or bytes, than there was room for.
    TooFew {
        /// How many there were.
        found: usize,
        /// How many there must be.
        least: usize,
    },
    /// The allocator's own checker found something.
    Unsound(Unsound),
    /// More blocks are in use than the kit's storage can hold: not the allocator's fault.
    StorageFull,
}

/// A fault, and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name of the clause that is not kept.
    pub clause: &'static str,
    /// How many requests had been made under this clause.
    pub step: usize,
    /// The request that showed it.
    pub request: Request,
    /// The address of the block, or byte, it was seen at; 0 for none.
    pub address: usize,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, layout) = match self {
            Self::Allocate(layout) => ("alloc", layout),
            Self::AllocateZeroed(layout) => ("alloc_zeroed", layout),
            Self::Deallocate(layout) => ("dealloc", layout),
            Self::Reallocate(layout, _) => ("realloc", layout),
            Self::Look => return formatter.write_str("looking at memory"),
        };
        write!(
            formatter,
            "{name} of {} bytes at {}",
            layout.size(),
            layout.align()
        )?;
        match self {
            Self::Reallocate(_, new_size) => write!(formatter, " to {new_size}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null, though there is room"),
            Self::NotNull => formatter.write_str("a block, though there can be none"),
            Self::NotAligned => formatter.write_str("not aligned"),
            Self::Overlap(other) => write!(formatter, "overlaps the block at {other:#x}"),
            Self::Outside => formatter.write_str("outside the memory"),
            Self::NotZero(at) => write!(formatter, "byte {at} is not zero"),
            Self::Changed(at) => write!(formatter, "byte {at} changed"),
            Self::NotKept(at) => write!(formatter, "byte {at} was not kept"),
            Self::WroteElsewhere => formatter.write_str("memory of somebody else was written"),
            Self::TooFew { found, least } => write!(formatter, "{found}, not {least} at least"),
            Self::Unsound(unsound) => write!(formatter, "unsound: {unsound}"),
            Self::StorageFull => formatter.write_str("the kit's storage is full"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clause,
            step,
            request,
            address,
            fault,
        } = self;
        write!(
            formatter,
            "{clause}: step {step}, {request}, at {address:#x}: {fault}"
        )
    }
}

impl core::error::Error for Failure {}

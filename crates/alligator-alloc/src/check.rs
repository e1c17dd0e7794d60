//! The whole-heap checker and the heap's picture (feature `check`). It reads everything and changes nothing.
//!
//! [`Heap::check`](crate::Heap::check) looks at every invariant the heap lives by, one function each, beside the
//! layer that keeps it: runs and bins in `runs/check.rs`, MiniPages, lists and magazines in `mini_page/check.rs`,
//! all of a small heap in `small/check.rs`. All of them stand on the pieces found by walking the heap from its first granule to its end (`check/parts.rs`).
//!
//! A broken heap must not break the checker: no link is followed before it is known to name a record, and
//! every walk along a list is counted.

#[cfg(test)]
pub(crate) mod growing;
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
pub(crate) mod parts;
#[cfg(all(test, not(all(feature = "small", not(feature = "hardened")))))]
pub(crate) mod planted;

use core::fmt;

use crate::global::AlligatorAlloc;
use crate::heap::Heap;
use crate::lock::Lock;
use crate::policy::Policy;
use crate::source::Source;

/// What holds in every heap between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// Where a piece ends, the next one starts, and its record says so.
    HeaderAtStart,
    /// A piece has at least one granule and ends inside the heap.
    Extent,
    /// A record names the free run that ends where it starts, or none if there is none.
    Below,
    /// No two free runs are neighbours.
    Merged,
    /// Memory in use lies below the memory that is taken to be untouched.
    Untouched,
    /// The table of records is as long as the heap needs it, and lies where it should: at the heap's end, but in a small
    /// heap.
    Table,
    /// Every free run is in the bin of its length exactly once.
    InBin,
    /// A bin is a list of free runs, and what follows in it points back.
    BinLinks,
    /// The bitmap says which bins have runs.
    BinBitmap,
    /// A MiniPage's free slots are some of its slots, and not all: then it would be a free run.
    FreeSlots,
    /// A MiniPage is in its class's list exactly when it has slots given back.
    Listed,
    /// A class's list holds MiniPages of that class only, and what follows in it points back.
    ListLinks,
    /// The free slots a class works from belong to one MiniPage of that class, whose word has none of
    /// them.
    Current,
    /// The slots in a class's magazine are different, and each is in use in a MiniPage of that class.
    Magazine,
    /// In a hardened heap, a record that is not a piece's first says that nothing starts there, or that the
    /// block of an aligned run does.
    Interior,
    /// In a hardened heap, what is free starts with poison, or with zeros if it is untouched.
    Poison,
}

/// An invariant that does not hold, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Violation {
    /// What does not hold.
    pub invariant: Invariant,
    /// The address of the first byte of the piece or slot it was seen at; 0 if it belongs to none.
    pub address: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} (at {:#x})", self.invariant, self.address)
    }
}

impl core::error::Error for Violation {}

impl Invariant {
    /// Nothing if `holds`, else its violation at `address`.
    pub(crate) fn require(self, holds: bool, address: usize) -> Result<(), Violation> {
        let violation = Violation {
            invariant: self,
            address,
        };
        if holds { Ok(()) } else { Err(violation) }
    }
}

/// A part of the memory between a heap's first granule and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Piece {
    /// The heap's own records.
    Meta {
        /// The address of its first byte.
        address: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A MiniPage: slots of one size.
    #[non_exhaustive]
    MiniPage {
        /// The address of its first byte.
        address: usize,
        /// Its length in bytes.
        bytes: usize,
        /// The size of one slot in bytes.
        slot_bytes: usize,
        /// Its slots.
        slot_count: usize,
        /// Its slots that no block is in.
        free_slots: usize,
    },
    /// A run with a block in it.
    Run {
        /// The address of its first byte.
        address: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A run with nothing in it.
    FreeRun {
        /// The address of its first byte.
        address: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// Memory that is not the heap's: somebody else has grown it.
    Foreign {
        /// The address of its first byte.
        address: usize,
        /// Its length in bytes.
        bytes: usize,
    },
}

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Checks every invariant of the heap: see [`Heap::check`](crate::Heap::check).
    ///
    /// # Errors
    ///
    /// The first invariant found broken, and where.
    pub fn check(&self) -> Result<(), Violation> {
        self.with(|heap| heap.check())
    }

    /// Calls `visit` with every piece of the heap, in the order of the addresses: see [`Heap::walk`]. `visit` may use
    /// this allocator. Each piece is as it is when its turn comes, and those above the heap's end at the first one's
    /// are not seen.
    ///
    /// *Time:* linear in the pieces, and in their square if pieces are split or merged meanwhile.
    pub fn walk(&self, mut visit: impl FnMut(Piece)) {
        let end = self.with(|heap| heap.pieces_end());
        let mut seen = Seen::default();
        while let Some(piece) = self
            .next_piece(&mut seen)
            .filter(|piece| piece.address() < end)
        {
            visit(piece);
        }
    }

    /// The first piece that starts where the one seen last ended, or above.
    fn next_piece(&self, seen: &mut Seen) -> Option<Piece> {
        self.with(|heap| {
            let piece = if heap.changes() == seen.changes && seen.end != 0 {
                heap.pieces(Some(seen.end)).next()
            } else {
                // Another piece may lie there by now.
                let mut pieces = heap.pieces(None);
                pieces.find(|piece| piece.address() >= seen.end)
            };
            seen.changes = heap.changes();
            seen.end = piece.map_or(usize::MAX, |piece| piece.address() + piece.bytes());
            piece
        })
    }
}

/// How far a walk has come.
#[derive(Default)]
struct Seen {
    /// The address after the last piece, zero before the first.
    end: usize,
    /// How often pieces had been split or merged by then.
    changes: usize,
}

impl<S: Source, P: Policy> Heap<S, P> {
    /// Calls `visit` with every piece of the heap, in the order of the addresses; stops before the first one
    /// that a broken record hides. *Time:* linear in the pieces.
    pub fn walk(&self, visit: impl FnMut(Piece)) {
        self.pieces(None).for_each(visit);
    }
}

impl Piece {
    /// The address of its first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        self.extent().0
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.extent().1
    }

    fn extent(&self) -> (usize, usize) {
        match *self {
            Self::Meta { address, bytes }
            | Self::MiniPage { address, bytes, .. }
            | Self::Run { address, bytes }
            | Self::FreeRun { address, bytes }
            | Self::Foreign { address, bytes } => (address, bytes),
        }
    }
}

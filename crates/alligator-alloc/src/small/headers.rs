//! Headers: what the heap knows of each granule, in one flat table apart from the granules; and the lists that
//! headers are in.
//!
//! ```text
//!              origin                                                                  end
//! memory       | MiniPage | run of 3 granules  | free run | ..    | the table          |
//! table        | header   | header   -    -    | header   | ..    | header  -  -  -  - | header | .. zeros ..
//! id           address / 1024 * 24
//! ```
//!
//! An [`Id`] says how far a header is from where that of address 0 would stand, so the table can be moved:
//! nothing but `base` changes. The granule of a header, and the header above a run, are arithmetic.
//!
//! Invariant: the header one past the heap's last granule exists. It is zero, "in use", as is every header of
//! memory that somebody else owns.

use core::cell::Cell;

use super::Heap;
use super::sizes::{LIST_COUNT, list_of};
use crate::policy::Policy;
use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, bytes_of};

/// A [`Header`], by the distance from that of address 0; zero means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(usize);

impl Id {
    pub(super) const NONE: Self = Self(0);

    /// The header of the granule that `address` lies in.
    #[inline(always)]
    pub(super) fn at(address: usize) -> Self {
        Self((address >> GRANULE_SHIFT) * HEADER_BYTES)
    }

    /// The address of the granule. Zero for none.
    #[inline(always)]
    pub(super) fn place(self) -> usize {
        bytes_of(self.0 / HEADER_BYTES)
    }

    /// The header of the granule `bytes` above, whole granules.
    #[inline(always)]
    pub(super) fn above(self, bytes: usize) -> Self {
        Self(self.0 + (bytes >> GRANULE_SHIFT) * HEADER_BYTES)
    }

    #[inline(always)]
    pub(super) fn is_some(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    pub(super) fn raw(self) -> usize {
        self.0
    }
}

/// What stands in the table for one granule. All zero: in use, nothing known.
///
/// - A MiniPage: `slots`, `bytes` of one slot, `below`; and its list's links while it has free slots.
/// - First granule of a used run: `bytes` of the run, `below`, and in `next` itself, see there.
/// - First granule of a free run: `bytes` of the run, `below`, and its list's links.
#[repr(C)]
pub(super) struct Header {
    /// A MiniPage's slots in use, one bit each. Zero in all other headers.
    pub(super) slots: Cell<u64>,
    /// The length of the run, or of one slot of the MiniPage: then it is less than a granule.
    pub(super) bytes: Cell<usize>,
    /// The next header in the list it is in. Where a block that is a run starts, the header of that run, which
    /// may start before it.
    pub(super) next: Cell<Id>,
    /// The header before it in its list, the list's number if it is the first, or zero if it is in no list.
    pub(super) previous: Cell<usize>,
    /// The free run that ends where this granule starts, or none.
    pub(super) below: Cell<Id>,
}

impl Header {
    /// Whether it is a free run's.
    #[inline(always)]
    pub(super) fn is_free(&self) -> bool {
        self.previous.get() != 0 && self.bytes.get() >= GRANULE_BYTES
    }
}

/// Bytes in a header.
pub(super) const HEADER_BYTES: usize = size_of::<Header>();

/// Where the heap may start: so a header's number is none of a list, of which there are fewer.
pub(super) const ADDRESS_MIN: usize = LIST_COUNT.div_ceil(HEADER_BYTES) * GRANULE_BYTES;

impl<S: Source, P: Policy> Heap<S, P> {
    /// The header called `id`.
    #[inline(always)]
    #[expect(
        clippy::cast_ptr_alignment,
        reason = "the table is aligned to a granule, and headers are a multiple of their alignment"
    )]
    pub(super) fn header(&self, id: Id) -> &Header {
        let header = self.source.pointer(self.base.wrapping_add(id.0));
        // SAFETY: an id is that of a granule between `origin` and `end`, or of the one at `end`, whose header
        // exists; or read from a link, which hold only such ids. The table lies in memory that the source gave
        // to this heap alone, was filled with zeros, a valid Header, and is given back by `move_table` only,
        // which changes `base`. All fields are cells, so shared references may overlap.
        unsafe { &*header.cast::<Header>() }
    }

    /// The first header of the table.
    pub(super) fn first_header(&self) -> Id {
        Id(self.table.wrapping_sub(self.base))
    }

    /// The first header of `list`, or none.
    #[inline(always)]
    pub(super) fn first(&self, list: usize) -> Id {
        debug_assert!(list <= LIST_COUNT);
        // SAFETY: a list's number is below LIST_COUNT, and no list's at most that.
        unsafe { *self.lists.get_unchecked(list) }
    }

    /// Makes `id` the first header of `list`.
    #[inline(always)]
    fn set_first(&mut self, list: usize, id: Id) {
        debug_assert!(list < LIST_COUNT);
        // SAFETY: a list's number, by `list_of` or read from a header that `push` has written.
        let first = unsafe { self.lists.get_unchecked_mut(list) };
        *first = id;
    }

    /// Notes that `id` is a free run of `bytes`, or a MiniPage with slots of `bytes`, and puts it first into
    /// the list of its kind. *Time:* constant.
    pub(super) fn push(&mut self, id: Id, bytes: usize) {
        self.note_change();
        let list = list_of(bytes);
        let next = self.first(list);
        self.set_first(list, id);
        let header = self.header(id);
        header.bytes.set(bytes);
        header.next.set(next);
        header.previous.set(list);
        if next.is_some() {
            self.header(next).previous.set(id.raw());
        } else {
            self.nonempty |= 1 << list;
        }
    }

    /// Counts a change, for the walk.
    #[inline(always)]
    #[cfg_attr(
        not(feature = "check"),
        expect(clippy::unused_self, reason = "nobody walks")
    )]
    fn note_change(&mut self) {
        #[cfg(feature = "check")]
        {
            self.changes = self.changes.wrapping_add(1);
        }
    }

    /// Takes `id` out of the list it is in, and returns its `bytes`. *Time:* constant.
    pub(super) fn unlink(&mut self, id: Id) -> usize {
        self.note_change();
        let header = self.header(id);
        let bytes = header.bytes.get();
        let (next, previous) = (header.next.get(), header.previous.replace(0));
        if next.is_some() {
            self.header(next).previous.set(previous);
        }
        if previous >= LIST_COUNT {
            self.header(Id(previous)).next.set(next);
        } else {
            self.set_first(previous, next);
            // The bit was set. To look first takes fewer instructions, not to look fewer bytes.
            if cfg!(built_for_size) || !next.is_some() {
                self.nonempty ^= u64::from(!next.is_some()) << previous;
            }
        }
        bytes
    }
}

//! MetaPages: the headers of the heap's granules, apart from the granules, and how to find them.
//!
//! Each 64 KiB page the heap owns has a MetaPage of 32 headers, one per granule. MetaPages of neighbouring
//! pages stand side by side in *tables*; table `t` serves the pages of one power-of-two range:
//!
//! ```text
//! page    0 | 1 | 2 3 | 4 5 6 7 | 8 ..            counted from the heap's first page
//! table   0 | 1 |  2  |    3    |  4              index: bits needed to write the page's number
//! ```
//!
//! A table is made when the heap first enters its range, so the headers are proportional to the memory owned
//! (1,280 bytes per page on wasm32, at most twice that just after a range was entered) and never move. `bias[t]` is
//! where granule 0's header would stand if table `t` reached that far: one load and one addition find any
//! header.
//!
//! Invariant: the page of the heap's end is covered too, so the header one past the last granule exists;
//! it stays zero, "in use", as does every header of a page that somebody else owns.

#[cfg(feature = "check")]
mod check;
mod guard;

use core::cell::Cell;

use crate::size_class::SLOT_WORDS;
use crate::source::Source;
use crate::units::{
    GRANULE_SHIFT, HARDENED, PAGE_BYTES, PAGE_GRANULES, PAGE_SHIFT, bytes_of, granule_floor,
    granules_for,
};
use guard::{GUARD_GRANULES, Guards};

/// The address of a [`Header`]; zero means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderId(usize);

impl HeaderId {
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) fn is_some(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    pub(crate) fn raw(self) -> usize {
        self.0
    }

    /// The header whose [`HeaderId::raw`] is `raw`.
    #[inline(always)]
    pub(crate) fn from_raw(raw: usize) -> Self {
        Self(raw)
    }
}

/// What stands in a MetaPage for one granule. All zero: in use, nothing known.
///
/// It is read as one of three kinds; whoever holds its id knows which:
/// - first granule of a used run: `granules`, `above`, `place`, `below`;
/// - first granule of a free run: the same and `next`, `previous`, its bin's links; `below` is [`FREE`];
/// - a MiniPage: what a used run has, `slots`, its class in `place`, and, while it has slots given back, its
///   class's links.
#[repr(C)]
pub(crate) struct Header {
    /// A MiniPage's slots that were given back and not taken out again, one bit each.
    pub(crate) slots: [Cell<u64>; SLOT_WORDS],
    /// The run's length.
    pub(crate) granules: Cell<usize>,
    /// The header of the granule after the run's last.
    pub(crate) above: Cell<HeaderId>,
    /// The next header in the list it is in.
    pub(crate) next: Cell<HeaderId>,
    /// The header before it in its list; for a list's first, the bin's number or zero.
    pub(crate) previous: Cell<HeaderId>,
    /// The address of the run's or MiniPage's first byte; its low bits, below a granule, say what it is.
    pub(crate) place: Cell<usize>,
    /// The free run that ends where this one starts, or none; [`FREE`] if this run itself is free.
    pub(crate) below: Cell<HeaderId>,
}

impl Header {
    #[inline(always)]
    pub(crate) fn is_free(&self) -> bool {
        self.below.get() == FREE
    }

    /// The address of the first byte of the run or MiniPage.
    #[inline(always)]
    pub(crate) fn first_byte(&self) -> usize {
        granule_floor(self.place.get())
    }
}

/// `below` of a free run. A used run never has it: headers are aligned.
pub(crate) const FREE: HeaderId = HeaderId(1);
/// `place` of what is no run any more in a hardened heap, since it has merged with another: no address.
pub(crate) const MERGED: usize = 1 << 6;
/// In `place`: this is a MiniPage, not a run.
pub(crate) const MINI_PAGE: usize = 1 << 5;
/// In `place`: this is a MiniPage of medium slots, not a run.
pub(crate) const MEDIUM_MINI_PAGE: usize = 1 << 7;
/// In `place` of either: the class, in the bits below [`MINI_PAGE`].
pub(crate) const CLASS_MASK: usize = MINI_PAGE - 1;

/// Bytes in a header.
const HEADER_BYTES: usize = size_of::<Header>();

/// Pages beyond the heap's end that have headers where the memory grows on demand. They change nothing but when
/// the next table is made, which decides where it goes: see `docs/design.md`.
const PAGES_AHEAD: usize = 1;
/// Tables there can be: one for page 0 and one per bit of a page's number.
const TABLE_COUNT: usize = (usize::BITS - PAGE_SHIFT) as usize + 1;

/// The table that serves the page `offset` bytes from the origin lies in, as an index of `bias`.
#[inline(always)]
fn table_of(offset: usize) -> usize {
    (offset >> PAGE_SHIFT).leading_zeros() as usize - PAGE_SHIFT as usize + (TABLE_COUNT - 1)
}

/// The headers of all granules, and the memory they and the granules are in.
#[derive(Debug)]
pub(crate) struct MetaPages<S> {
    /// The address of the heap's first page, a multiple of the page size. Zero before the first growth.
    origin: usize,
    /// Pages whose headers exist: all below this number, counted from `origin`. A power of two, or zero.
    covered_pages: usize,
    /// The tables' biases by the leading zeros of the page's number: the widest numbers come first. The
    /// entries before them are scratch for [`MetaPages::cover`].
    bias: [usize; 2 * TABLE_COUNT - 1],
    /// What stands before each table.
    guards: Guards,
    /// Which headers exist, and where.
    #[cfg(feature = "check")]
    covers: check::Covers,
    pub(crate) source: S,
}

impl<S: Source> MetaPages<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self {
            origin: 0,
            covered_pages: 0,
            bias: [0; 2 * TABLE_COUNT - 1],
            guards: Guards::NEW,
            #[cfg(feature = "check")]
            covers: check::Covers::NEW,
            source,
        }
    }

    /// The header of the granule at `address`, which is the heap's or one past a run of the heap.
    /// Time: constant.
    #[inline(always)]
    pub(crate) fn id_at(&self, address: usize) -> HeaderId {
        let offset = address.wrapping_sub(self.origin);
        let bias = self.bias[table_of(offset)];
        HeaderId(bias.wrapping_add((offset >> GRANULE_SHIFT) * HEADER_BYTES))
    }

    /// The header called `id`.
    #[inline(always)]
    #[expect(
        clippy::cast_ptr_alignment,
        reason = "an id is the address of a header"
    )]
    pub(crate) fn header(&self, id: HeaderId) -> &Header {
        debug_assert!(id.0 >= self.origin && id.0 % align_of::<Header>() == 0);
        let header = self.source.pointer(id.0).cast::<Header>();
        // SAFETY: an id is made by `id_at` for a covered granule, or read from a header's or a bin's link,
        // which hold only such ids. Tables are made by `cover` in memory that the source gave to this heap
        // alone, are aligned to a granule and filled with zeros, a valid Header, and are never given back.
        // All fields are cells, so shared references may overlap.
        unsafe { &*header }
    }

    /// Whether the header of the granule after the one at `last` exists, and so all below it.
    #[inline]
    pub(crate) fn covers(&self, last: usize) -> bool {
        self.pages_for_headers(last) <= self.covered_pages
    }

    /// How many granules of headers `cover(_, from, last, _)` needs.
    pub(crate) fn granules_to_cover(&self, from: usize, last: usize) -> usize {
        let granules = self.covered_after(last) - self.uncovered_from(from);
        granules_for(granules * HEADER_BYTES) + GUARD_GRANULES
    }

    /// Makes the headers of the granules from `from` to the one after `last`, in the granules at `place`,
    /// which the heap owns and nobody uses: `granules_to_cover(from, last)` of them, `dirty` if they are not
    /// known to be zero.
    pub(crate) fn cover(&mut self, place: usize, from: usize, last: usize, dirty: bool) {
        let (first, after) = (self.uncovered_from(from), self.covered_after(last));
        let place = place + bytes_of(GUARD_GRANULES);
        if dirty {
            let bytes = (after - first) * HEADER_BYTES;
            // SAFETY: the caller owns these granules, see above.
            unsafe { self.source.pointer(place).write_bytes(0, bytes) };
        }
        let bias = place.wrapping_sub(first * HEADER_BYTES);
        // The new tables have the same bias, and a wider number has fewer leading zeros. No table beyond
        // them exists yet, so a fixed number of entries is written, without a loop.
        let widest =
            (first >> (PAGE_SHIFT - GRANULE_SHIFT)).leading_zeros() as usize - PAGE_SHIFT as usize;
        debug_assert!(widest < TABLE_COUNT);
        // SAFETY: there are as many entries from `widest` on, since a page's number has at most TABLE_COUNT - 1 bits,
        // and so many leading zeros at most.
        let window = unsafe { self.bias.get_unchecked_mut(widest..widest + TABLE_COUNT) };
        window.fill(bias);
        self.guard(place, widest);
        self.covered_pages = after / PAGE_GRANULES;
        #[cfg(feature = "check")]
        self.covers.note(place, first..after);
    }

    /// The first granule, counted from `origin`, whose header is missing; none below `from` is needed, except
    /// where any address may be asked for.
    #[inline(always)]
    fn uncovered_from(&self, from: usize) -> usize {
        let covered = self.covered_pages * PAGE_GRANULES;
        if HARDENED {
            return covered;
        }
        (from.wrapping_sub(self.origin) >> GRANULE_SHIFT).max(covered)
    }

    /// The granule, counted from `origin`, before which all headers exist once that after `last` does.
    #[inline(always)]
    fn covered_after(&self, last: usize) -> usize {
        let pages_min = if S::ON_DEMAND { S::HEADER_PAGES } else { 1 };
        let pages = self.pages_for_headers(last).max(pages_min);
        pages.next_power_of_two() * PAGE_GRANULES
    }

    /// How many pages, counted from `origin`, must have headers in a heap whose last byte is at `last`: the one
    /// after it, too.
    fn pages_for_headers(&self, last: usize) -> usize {
        let pages_until_last = (last.wrapping_sub(self.origin) >> PAGE_SHIFT) + 1;
        pages_until_last + Self::PAGES_AFTER
    }

    /// Pages after that of the heap's last byte that have headers: the next one, and those ahead.
    const PAGES_AFTER: usize = 1 + if S::ON_DEMAND { PAGES_AHEAD } else { 0 };

    /// The last byte for which [`covers`](Self::covers) and its like can be asked: from here to the end of the address
    /// space, the same headers exist.
    pub(crate) const LAST_MAX: usize = usize::MAX - Self::PAGES_AFTER * PAGE_BYTES;

    /// The address of the heap's first page. Zero before the first growth.
    #[inline(always)]
    pub(crate) fn origin(&self) -> usize {
        self.origin
    }

    /// Sets the heap's first page, once, before anything is covered.
    pub(crate) fn set_origin(&mut self, address: usize) {
        debug_assert!(self.covered_pages == 0);
        self.origin = address & !(PAGE_BYTES - 1);
    }
}

// A hardened heap has headers of all pages, whoever has them.
#[cfg(all(test, not(feature = "hardened")))]
mod tests {
    use core::ops::Range;

    use super::MetaPages;
    use crate::source::Source;
    use crate::units::PAGE_BYTES;

    /// A source that is never asked.
    struct Unasked;

    // SAFETY: it gives nothing.
    unsafe impl Source for Unasked {
        fn spare(&mut self) -> Range<usize> {
            0..0
        }

        fn end(&self) -> usize {
            0
        }

        fn grow(&mut self, _pages: usize) -> Option<usize> {
            None
        }

        fn pointer(&self, _address: usize) -> *mut u8 {
            core::ptr::null_mut()
        }
    }

    #[test]
    fn a_memory_that_ends_with_the_address_space_needs_no_more_headers_after_its_end() {
        let mut meta = MetaPages::new(Unasked);
        meta.set_origin((16 * PAGE_BYTES).wrapping_neg());
        let last = MetaPages::<Unasked>::LAST_MAX;
        assert_eq!(meta.granules_to_cover(0, last), 0);
    }
}

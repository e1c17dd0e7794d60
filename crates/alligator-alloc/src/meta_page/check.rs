//! Which headers exist, and where: what the checker knows beyond the biases, which only say where a header
//! would stand.

use core::ops::Range;

use super::{GUARD_GRANULES, HEADER_BYTES, HeaderId, MetaPages, TABLE_COUNT};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, bytes_of, round_up};

/// The MetaPages made at once by one call of `cover`: one piece of memory.
#[derive(Clone, Copy, Debug)]
struct Cover {
    /// The address of its first header.
    place: usize,
    /// The first granule, counted from the origin, that has a header here.
    first: usize,
    /// The granule after the last one.
    after: usize,
}

impl Cover {
    const NONE: Self = Self {
        place: 0,
        first: 0,
        after: 0,
    };

    fn bytes(&self) -> usize {
        (self.after - self.first) * HEADER_BYTES
    }
}

/// All MetaPages, in the order they were made, which is that of the granules they serve.
#[derive(Debug)]
pub(super) struct Covers {
    covers: [Cover; TABLE_COUNT],
    count: usize,
}

impl Covers {
    pub(super) const NEW: Self = Self {
        covers: [Cover::NONE; TABLE_COUNT],
        count: 0,
    };

    /// Notes that the headers of `granules`, counted from the origin, stand from `place` on. Each cover
    /// enters at least one new table, so there is room for all.
    pub(super) fn note(&mut self, place: usize, granules: Range<usize>) {
        self.covers[self.count] = Cover {
            place,
            first: granules.start,
            after: granules.end,
        };
        self.count += 1;
    }

    fn all(&self) -> &[Cover] {
        &self.covers[..self.count]
    }
}

impl<S: Source> MetaPages<S> {
    /// The addresses of the granules that hold MetaPages made together, with their guard, and start at
    /// `address`, if any.
    pub(crate) fn table_at(&self, address: usize) -> Option<Range<usize>> {
        let place = address + bytes_of(GUARD_GRANULES);
        let cover = self.covers.all().iter().find(|c| c.place == place)?;
        Some(address..place + round_up(cover.bytes(), GRANULE_BYTES))
    }

    /// The lowest granule at or above `address` that has a header, if any.
    pub(crate) fn next_with_header(&self, address: usize) -> Option<usize> {
        let granule = (address - self.origin) >> GRANULE_SHIFT;
        let cover = self.covers.all().iter().find(|c| granule < c.after)?;
        Some(self.origin + bytes_of(cover.first.max(granule)))
    }

    /// The lowest granule that has a header: where the heap begins.
    pub(crate) fn start(&self) -> Option<usize> {
        self.next_with_header(self.origin)
    }

    /// The address of the granule that the header called `id` is for, or `None` if there is no such header.
    pub(crate) fn granule_of(&self, id: HeaderId) -> Option<usize> {
        let holds = |c: &&Cover| (c.place..c.place + c.bytes()).contains(&id.0);
        let cover = self.covers.all().iter().find(holds)?;
        let offset = id.0 - cover.place;
        let granule = cover.first + offset / HEADER_BYTES;
        (offset % HEADER_BYTES == 0).then(|| self.origin.wrapping_add(bytes_of(granule)))
    }
}

//! The walk: from a heap's first granule to its end, header by header.

use super::{Invariant, Violation};
use crate::meta_page::{CLASS_MASK, HeaderId, MEDIUM_MINI_PAGE, MINI_PAGE};
use crate::mini_page::medium::MediumClass;
use crate::runs::Runs;
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, bytes_of, granule_floor};

/// One part of the heap, with the header that describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    /// The address of its first byte.
    pub(crate) address: usize,
    /// Its length.
    pub(crate) granules: usize,
}

impl Part {
    /// The address after its last byte.
    pub(crate) fn end(&self) -> usize {
        self.address + bytes_of(self.granules)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// MetaPages made together.
    Meta,
    /// Not the heap's.
    Foreign,
    /// A used run.
    Used(HeaderId),
    /// A used run without a block, kept for reuse.
    Recent(HeaderId),
    /// A free run.
    Free(HeaderId),
    /// A MiniPage of a class.
    MiniPage(HeaderId, Class),
    /// A MiniPage of medium slots.
    Medium(HeaderId, MediumClass),
}

/// The parts of a heap by address. After the first violation there is no going on.
#[derive(Debug)]
pub(crate) struct Parts<'a, S> {
    runs: &'a Runs<S>,
    at: usize,
    end: usize,
}

impl<'a, S: Source> Parts<'a, S> {
    pub(crate) fn new(runs: &'a Runs<S>, end: usize) -> Self {
        Self::starting_at(runs, runs.meta.start().unwrap_or(end), end)
    }

    /// The parts from the one at `at` on.
    pub(crate) fn starting_at(runs: &'a Runs<S>, at: usize, end: usize) -> Self {
        Self { runs, at, end }
    }

    /// The part that starts at `self.at`, below the end.
    pub(crate) fn part(&self) -> Result<Part, Violation> {
        let address = self.at;
        let meta = &self.runs.meta;
        let (kind, granules) = if let Some(table) = meta.table_at(address) {
            (Kind::Meta, table.len() >> GRANULE_SHIFT)
        } else if self.is_foreign(address) {
            (Kind::Foreign, self.foreign_granules(address))
        } else {
            self.described(address)?
        };
        let granules_left = self.end.saturating_sub(address) >> GRANULE_SHIFT;
        Invariant::Extent.require((1..=granules_left).contains(&granules), address)?;
        Ok(Part {
            kind,
            address,
            granules,
        })
    }

    /// Whether nothing is known of the granule at `address`, and it holds no MetaPages either.
    fn is_foreign(&self, address: usize) -> bool {
        let meta = &self.runs.meta;
        let unknown = || meta.header(meta.id_at(address)).place.get() == 0;
        meta.table_at(address).is_none()
            && (meta.next_with_header(address) != Some(address) || unknown())
    }

    /// The neighbouring granules from `address` on that are not the heap's.
    fn foreign_granules(&self, address: usize) -> usize {
        let mut at = address;
        // At most one turn for each granule of the heap.
        while at < self.end && self.is_foreign(at) {
            at += GRANULE_BYTES;
        }
        (at - address) >> GRANULE_SHIFT
    }

    /// What the header of the granule at `address` says starts there, and its length.
    fn described(&self, address: usize) -> Result<(Kind, usize), Violation> {
        let id = self.runs.meta.id_at(address);
        let header = self.runs.meta.header(id);
        let place = header.place.get();
        let tag = place - granule_floor(place);
        let class = tag & CLASS_MASK;
        let kind = match tag - class {
            MINI_PAGE if class < CLASS_COUNT => Some(Kind::MiniPage(id, Class::from_index(class))),
            MEDIUM_MINI_PAGE => MediumClass::in_place(place)
                .filter(|class| class.exists())
                .map(|class| Kind::Medium(id, class)),
            _ if tag == 0 => Some(self.run(id)),
            _ => None,
        };
        let is_right = granule_floor(place) == address && (tag == 0 || !header.is_free());
        let Some(kind) = kind.filter(|_| is_right) else {
            return Err(Violation {
                invariant: Invariant::HeaderAtStart,
                address,
            });
        };
        let granules = match kind {
            Kind::MiniPage(..) => 1,
            _ => header.granules.get(),
        };
        Ok((kind, granules))
    }

    /// What kind of run the header `id` is of.
    fn run(&self, id: HeaderId) -> Kind {
        if self.runs.meta.header(id).is_free() {
            Kind::Free(id)
        } else if self.runs.is_recent(id) {
            Kind::Recent(id)
        } else {
            Kind::Used(id)
        }
    }
}

impl<S: Source> Iterator for Parts<'_, S> {
    type Item = Result<Part, Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let part = self.part();
        self.at = part.as_ref().map_or(self.end, Part::end);
        Some(part)
    }
}

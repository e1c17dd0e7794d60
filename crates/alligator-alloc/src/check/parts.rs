//! The walk: from a heap's first granule to its end, record by record.

use super::{Invariant, Violation};
use crate::policy::Policy;
use crate::records::{ALIGNED, GRANULE, Id, Length};
use crate::runs::Runs;
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::Source;

/// One part of the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    /// The record of its first granule.
    pub(crate) id: Id,
    pub(crate) length: Length,
}

impl Part {
    /// The record after its last granule's.
    pub(crate) fn end(&self) -> Id {
        self.id.above(self.length)
    }

    /// Whether it is a free run.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.kind, Kind::Free)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The table of records.
    Table,
    /// Not the heap's.
    Foreign,
    /// A used run.
    Used,
    /// A free run.
    Free,
    /// A MiniPage of a class.
    MiniPage(Class),
}

/// The parts of a heap by address. After the first violation there is no going on.
#[derive(Debug)]
pub(crate) struct Parts<'a, S, P> {
    runs: &'a Runs<S, P>,
    at: Id,
    end: Id,
}

impl<'a, S: Source, P: Policy> Parts<'a, S, P> {
    /// The parts from the one that starts at `from` on.
    pub(crate) fn starting_at(runs: &'a Runs<S, P>, from: Id) -> Self {
        Self {
            runs,
            at: from,
            end: runs.end(),
        }
    }

    /// The part that starts at `self.at`, below the end.
    pub(crate) fn part(&self) -> Result<Part, Violation> {
        let id = self.at;
        let address = self.runs.records.place(id);
        let table = self.runs.table.get();
        let record = self.runs.records.record(id);
        let (kind, length) = if id == table {
            (Kind::Table, self.end.distance_from(id))
        } else if record.length.get() == 0 {
            (Kind::Foreign, self.foreign_length(table))
        } else if let Some(class) = record.class() {
            let is_first = record.back() == 0 && class < CLASS_COUNT && !record.is_free();
            Invariant::HeaderAtStart.require(is_first, address)?;
            let class = Class::from_index(class);
            (
                Kind::MiniPage(class),
                u32::from(class.info().granules) * GRANULE,
            )
        } else {
            let length = record.length.get();
            let is_run = length & ALIGNED == 0 && length % GRANULE == 0;
            Invariant::HeaderAtStart.require(is_run, address)?;
            let kind = if record.is_free() {
                Kind::Free
            } else {
                Kind::Used
            };
            (kind, length)
        };
        let left = self.end.distance_from(id);
        Invariant::Extent.require((GRANULE..=left).contains(&length), address)?;
        Ok(Part { kind, id, length })
    }

    /// The neighbouring granules from `self.at` on that are not the heap's.
    fn foreign_length(&self, table: Id) -> Length {
        let mut at = self.at;
        // At most one turn for each granule of the heap.
        while at < self.end && at != table && self.runs.records.record(at).length.get() == 0 {
            at = at.above(GRANULE);
        }
        at.distance_from(self.at)
    }
}

impl<S: Source, P: Policy> Iterator for Parts<'_, S, P> {
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

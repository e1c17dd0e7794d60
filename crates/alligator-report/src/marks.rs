//! Marks that the program or its host set, and what happened between them.

use crate::heap::FxHashMap;
use alligator_trace::{Sites, StringId};
use serde::Serialize;

use crate::heap::Heap;
use crate::report::Counts;

/// Marks of one name whose place is kept, at most. Beyond that, every second one is dropped, again and again.
const PLACES_MAX: usize = 1024;

/// Marks of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MarkRow {
    /// The name.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// Most blocks taken between one and the next.
    pub taken_max: u64,
    /// Most bytes taken between one and the next.
    pub taken_bytes_max: u64,
    /// Blocks taken between the first and the last.
    pub taken: u64,
    /// Bytes of these.
    pub taken_bytes: u64,
    /// Moments of up to 1,024 of them, and their times.
    pub places: Vec<(u64, u64)>,
    #[serde(skip)]
    last: Counts,
}

/// Counts marks.
#[derive(Debug, Default)]
pub(crate) struct Marks(FxHashMap<StringId, (MarkRow, u64)>);

impl Marks {
    pub(crate) fn mark(&mut self, name: StringId, heap: &Heap, counts: &Counts) {
        let (row, step) = self.0.entry(name).or_default();
        if row.count > 0 {
            let taken = counts.taken - row.last.taken;
            let bytes = counts.taken_bytes - row.last.taken_bytes;
            row.taken += taken;
            row.taken_bytes += bytes;
            row.taken_max = row.taken_max.max(taken);
            row.taken_bytes_max = row.taken_bytes_max.max(bytes);
        }
        row.last = *counts;
        if row.count % (*step).max(1) == 0 {
            row.places.push((heap.moment, heap.time_ns));
        }
        row.count += 1;
        if row.places.len() > PLACES_MAX {
            let mut index = 0;
            row.places.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            *step = (*step).max(1) * 2;
        }
    }

    pub(crate) fn finish(self, stacks: &Sites) -> Vec<MarkRow> {
        let mut rows: Vec<MarkRow> = self
            .0
            .into_iter()
            .map(|(name, (row, _))| MarkRow {
                name: stacks.string(name).unwrap_or_default().to_owned(),
                ..row
            })
            .collect();
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        rows
    }
}

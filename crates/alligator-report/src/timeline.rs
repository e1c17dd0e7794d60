//! The course of the heap, in a bounded number of pieces.

use alligator_trace::Kind;
use serde::Serialize;

use crate::heap::{Change, Heap};

/// A piece of the trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its last moment.
    pub moment: u64,
    /// Time of that, in nanoseconds.
    pub time_ns: u64,
    /// Most live bytes in it.
    pub peak_bytes: u64,
    /// Live bytes at its end.
    pub bytes: u64,
    /// Live blocks at its end.
    pub blocks: u64,
    /// Pages at its end.
    pub pages: u64,
    /// Blocks taken in it.
    pub taken: u64,
    /// Bytes of these.
    pub taken_bytes: u64,
}

/// Makes the buckets, all of the same number of events but for rounding.
#[derive(Debug)]
pub(crate) struct Timeline {
    events: u64,
    count: u64,
    done: Vec<Bucket>,
    current: Bucket,
}

impl Timeline {
    pub(crate) fn new(events: u64, buckets_max: u64) -> Self {
        Self {
            events,
            count: events.min(buckets_max.max(1)),
            done: Vec::new(),
            current: Bucket::default(),
        }
    }

    pub(crate) fn take(&mut self, heap: &Heap, change: &Change) {
        let bucket = &mut self.current;
        bucket.peak_bytes = bucket.peak_bytes.max(heap.bytes);
        if let Some(block) = &change.born {
            bucket.taken += block.weight;
            bucket.taken_bytes = bucket.taken_bytes.saturating_add(block.bytes());
        }
        let end = u128::from(self.events) * (self.done.len() as u128 + 1) / u128::from(self.count);
        if u128::from(heap.moment) >= end {
            bucket.moment = heap.moment;
            bucket.time_ns = heap.time_ns;
            bucket.bytes = heap.bytes;
            bucket.blocks = heap.blocks;
            bucket.pages = heap.pages;
            self.done.push(core::mem::take(bucket));
        }
    }

    pub(crate) fn finish(self) -> Vec<Bucket> {
        self.done
    }
}

/// Whether an event asked for zeroed memory.
pub(crate) fn asks_for_zeros(kind: &Kind) -> bool {
    matches!(kind, Kind::Alloc { zeroed: true, .. })
}

//! Programs made to take much memory for what they have in use.

use std::alloc::Layout;

use alligator_alloc::{Policy, Source};

use super::KIB;
use super::limited::{Limited, Limits, Refused};

/// The shortest block that is a run. It takes two granules.
const SHORT: usize = KIB + 1;
/// The fewest bytes of each class, and the slots of its MiniPages.
const CLASSES: [(usize, usize); 24] = [
    (16, 64),
    (17, 42),
    (25, 64),
    (33, 51),
    (41, 42),
    (49, 36),
    (57, 32),
    (65, 28),
    (73, 25),
    (81, 21),
    (97, 18),
    (113, 16),
    (129, 14),
    (145, 12),
    (161, 11),
    (177, 10),
    (193, 9),
    (225, 8),
    (257, 7),
    (289, 12),
    (337, 10),
    (401, 8),
    (513, 6),
    (673, 4),
];

#[derive(Clone, Copy, Debug)]
enum Plan {
    Shrinking,
    Comb,
    Classes,
    Two,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Adversary {
    plan: Plan,
    pub(super) limits: Limits,
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 1).expect("a layout")
}

impl Adversary {
    /// The longest blocks, one after the other, each shrunk once the next is there: holes that are too short for a next.
    pub(super) fn shrinking(largest: usize, blocks: usize) -> Self {
        let bytes = 2 * largest + (blocks - 1) * SHORT;
        Self::new(Plan::Shrinking, bytes, largest, blocks)
    }

    /// As `shrinking`, but what stands between the holes is a MiniPage of one slot in use: each class in turn fills as many
    /// as `bytes` are enough for, and leaves one slot in each.
    pub(super) fn comb(bytes: usize) -> Self {
        Self::new(Plan::Comb, bytes, 41 * KIB, usize::MAX)
    }

    /// Slots only: each class in turn fills its MiniPages, and leaves one slot in each.
    pub(super) fn classes(bytes: usize) -> Self {
        Self::new(Plan::Classes, bytes, KIB, usize::MAX)
    }

    /// A hole just too short below one block of `largest` bytes, and another above it.
    pub(super) fn two(largest: usize) -> Self {
        Self::new(Plan::Two, 2 * largest, largest, 2)
    }

    fn new(plan: Plan, bytes: usize, largest: usize, blocks: usize) -> Self {
        let limits = Limits {
            bytes,
            largest,
            blocks,
        };
        Self { plan, limits }
    }

    pub(super) fn play<S: Source, P: Policy>(
        &self,
        heap: &mut Limited<S, P>,
    ) -> Result<(), Refused> {
        let Limits {
            largest, blocks, ..
        } = self.limits;
        match self.plan {
            Plan::Shrinking => {
                let mut last = heap.allocate(layout(largest))?;
                for _ in 1..blocks {
                    let next = heap.allocate(layout(largest))?;
                    heap.shrink(last, SHORT);
                    last = next;
                }
                Ok(())
            }
            Plan::Two => {
                heap.allocate(layout(largest - KIB))?;
                heap.allocate(layout(largest))?;
                heap.free(0);
                heap.allocate(layout(largest)).map(drop)
            }
            Plan::Classes => {
                for (size, slots) in CLASSES {
                    while heap.may(layout(size)) && fill(heap, size, slots)? {}
                    empty(heap, size, slots);
                }
                Ok(())
            }
            Plan::Comb => comb(heap, largest),
        }
    }
}

/// Fills a MiniPage; false if the limits did not let it.
fn fill<S: Source, P: Policy>(
    heap: &mut Limited<S, P>,
    size: usize,
    slots: usize,
) -> Result<bool, Refused> {
    for _ in 0..slots {
        if !heap.may(layout(size)) {
            return Ok(false);
        }
        heap.allocate(layout(size))?;
    }
    Ok(true)
}

/// Gives back all slots of `size` but the first of each MiniPage.
fn empty<S: Source, P: Policy>(heap: &mut Limited<S, P>, size: usize, slots: usize) {
    let of_class = (0..heap.count()).filter(|&index| heap.layout(index).size() == size);
    let indices: Vec<_> = of_class.collect();
    for (number, index) in indices.into_iter().enumerate().rev() {
        if number % slots != 0 {
            heap.free_in_order(index);
        }
    }
}

fn comb<S: Source, P: Policy>(heap: &mut Limited<S, P>, largest: usize) -> Result<(), Refused> {
    let mut last = heap.allocate(layout(largest))?;
    for (size, slots) in CLASSES {
        while heap.may_bytes(largest + size * slots) {
            // A hole between two blocks, in which a MiniPage goes; then what is left of the first goes.
            let next = heap.allocate(layout(largest))?;
            heap.shrink(last, SHORT);
            fill(heap, size, slots)?;
            if last == 0 {
                // What is left of the very first stays: there is no hole below it that it could join.
                last = next;
                continue;
            }
            heap.free_in_order(last);
            last = next - usize::from(next > last);
        }
        empty(heap, size, slots);
        last = (0..heap.count())
            .find(|&index| heap.layout(index).size() == largest)
            .expect("one is there");
    }
    Ok(())
}

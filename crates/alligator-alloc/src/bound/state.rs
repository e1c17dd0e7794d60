//! The states of a heap in which a request finds no run that is long enough, and the longest heap among them.

#![expect(
    clippy::cast_possible_truncation,
    reason = "what is cast is below a limit that stands beside it"
)]

use crate::records::{BIN_LAST, GRANULE, Length, bin_of};
use crate::runs::LOOKS_MAX;
use crate::size_class::{CLASS_COUNT, SLOT_BYTES, SLOT_BYTES_MAX, granules};
use crate::units::GRANULE_BYTES;

const KIBIBYTE: u64 = GRANULE_BYTES as u64;
/// MiniPages that a class may keep without a block in them until the heap gathers: one for each slot in its magazine, and
/// the current one.
const KEPT: u64 = crate::policy::MAGAZINE_SLOTS as u64 + 1;
/// From this length on, in granules, all runs share the last bin.
const LAST_BIN_FROM: u64 = 40 << 10;
/// With so many granules of holes in the last bin, a run that is long enough may be hidden there.
const HIDING: u64 = LOOKS_MAX as u64 * LAST_BIN_FROM;

const _: () = {
    let from = LAST_BIN_FROM as Length * GRANULE;
    assert!(bin_of(from) == BIN_LAST && bin_of(from - GRANULE) < BIN_LAST);
};

/// The smaller of two numbers.
const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

/// The larger of two numbers.
const fn max(a: u64, b: u64) -> u64 {
    if a < b { b } else { a }
}

/// The granules that hold `bytes`.
pub(super) const fn granules_of(bytes: u64) -> u64 {
    bytes.div_ceil(KIBIBYTE)
}

/// The slots in a MiniPage of `class`.
pub(super) const fn slots_in_mini_page(class: usize) -> u64 {
    granules(SLOT_BYTES[class]) as u64 * KIBIBYTE / SLOT_BYTES[class] as u64
}

/// The fewest bytes that a block in a slot of `class` counts with.
const fn least_bytes(class: usize) -> u64 {
    if class == 0 {
        SLOT_BYTES[0] as u64
    } else {
        SLOT_BYTES[class - 1] as u64 + 1
    }
}

/// The longest run in the bin of those of `length` granules, not zero.
const fn bin_end(length: u64) -> u64 {
    if length >= LAST_BIN_FROM {
        return u64::MAX;
    }
    let doubling = length.ilog2();
    if doubling < 3 {
        return length; // These have bins of their own.
    }
    let width = 1 << (doubling - 2);
    (length / width + 1) * width - 1
}

/// The shortest run in the bin of those of `length` granules, not zero.
const fn bin_start(length: u64) -> u64 {
    if length >= LAST_BIN_FROM {
        return LAST_BIN_FROM;
    }
    let doubling = length.ilog2();
    if doubling < 3 {
        return length;
    }
    let width = 1 << (doubling - 2);
    length / width * width
}

/// The longest hole where a request for a run in a bin that ends with `end`, of `length` granules at most, has not seen
/// all runs of that bin. The shortest have bins of their own.
const fn unseen(length: u64, end: u64) -> u64 {
    if end < 8 { length - 1 } else { end }
}

/// Where a request stands when it has found no run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// Before null: the heap has gathered, and looked at more runs of the bin than the first.
    Gathered,
    /// Before growth.
    Growing,
}

/// A program of which this much is known.
pub(super) struct Program {
    /// The most bytes in use.
    bytes: u64,
    /// The most bytes in a block.
    largest: u64,
    /// The most blocks in use.
    blocks: u64,
}

/// What all blocks but the one asked for may be.
#[derive(Clone, Copy)]
struct Others {
    /// Their bytes, if the request is the shortest of its bin.
    bytes: u64,
    /// The granules of these, but for rounding; of those there are with the longest of its bin, if a hole's length is that
    /// of the request: with each granule more, each run in use may have a longer hole.
    granules: u64,
    blocks: u64,
    /// The longest that a hole can be, in granules.
    hole: u64,
    kept: u64,
}

impl Program {
    pub(super) const fn new(bytes: u64, largest: u64, blocks: u64) -> Self {
        let largest = max(min(largest, bytes), SLOT_BYTES[0] as u64);
        Self {
            bytes,
            largest,
            blocks,
        }
    }

    /// Whether there are blocks longer than a slot.
    const fn has_long(&self) -> bool {
        self.largest > SLOT_BYTES_MAX as u64
    }

    /// The most MiniPages of `class` that the heap ever has: a new one is made only for a block that finds all slots of all
    /// others in use.
    const fn mini_pages(&self, class: usize) -> u64 {
        let least = least_bytes(class);
        if least > self.largest {
            return 0;
        }
        min(self.bytes / least, self.blocks).div_ceil(slots_in_mini_page(class))
    }

    /// The most granules in blocks and holes where a request finds no run; of a growing heap, with the run it grows by.
    pub(super) const fn worst(&self, failing: Failing) -> u64 {
        let mut most = 0;
        // Requests for a MiniPage. Their bins hold runs of their length only.
        let mut class = 0;
        while class < CLASS_COUNT {
            if least_bytes(class) <= self.largest {
                let length = granules(SLOT_BYTES[class]) as u64;
                most = max(
                    most,
                    self.failing_at(least_bytes(class), length, length, failing),
                );
            }
            class += 1;
        }
        // Requests for a run, bin by bin: with the others' bytes as for the shortest, and holes as for the longest.
        let longest = granules_of(self.largest);
        let mut shortest = 2;
        while self.has_long() && shortest <= longest {
            let end = bin_end(shortest);
            let request = (shortest - 1) * KIBIBYTE + 1;
            most = max(
                most,
                self.failing_at(request, min(end, longest), end, failing),
            );
            if end == u64::MAX {
                break;
            }
            shortest = end + 1;
        }
        most
    }

    /// Whether there is no block at all.
    pub(super) const fn is_empty(&self) -> bool {
        self.blocks == 0 || self.bytes < least_bytes(0)
    }

    /// As [`worst`](Self::worst) for requests of `request` bytes and more, which need at most `length` granules and whose
    /// bin ends with `end`.
    const fn failing_at(&self, request: u64, length: u64, end: u64, failing: Failing) -> u64 {
        if request > self.bytes {
            return 0;
        }
        // Of the longest, which is within the program's bytes, too.
        let longest = if request > KIBIBYTE {
            (length - 1) * KIBIBYTE + 1
        } else {
            request
        };
        let mut others = Others {
            bytes: self.bytes - request,
            granules: (self.bytes - longest).div_ceil(KIBIBYTE),
            blocks: self.blocks - 1,
            hole: length - 1,
            kept: 0,
        };
        if let Failing::Growing = failing {
            // Only the first run of the bin has been looked at. What a magazine or a current MiniPage keeps is there.
            others.hole = unseen(length, end);
            others.kept = KEPT;
            return self.most(others).saturating_add(length);
        }
        if self.most_runs(others) < LOOKS_MAX as u64 {
            return self.most(others);
        }
        if end == u64::MAX {
            let all = self.most(others);
            return if all < HIDING { all } else { u64::MAX };
        }
        others.hole = unseen(length, end);
        others.granules = others.bytes.div_ceil(KIBIBYTE);
        self.most(others)
    }

    /// The most runs in use.
    const fn most_runs(&self, others: Others) -> u64 {
        let mut most = 0_u64;
        if self.has_long() {
            most = others.bytes / (KIBIBYTE + 1);
        }
        let mut class = 0;
        while class < CLASS_COUNT {
            most = most.saturating_add(self.mini_pages(class));
            class += 1;
        }
        min(most, others.blocks)
    }

    /// The most granules in MiniPages and runs with blocks, and in the holes: one below each, and one above all. What is
    /// counted by the number of blocks, and by their bytes, are bounds both.
    const fn most(&self, others: Others) -> u64 {
        let mut kept = 0_u64;
        let mut class = 0;
        while class < CLASS_COUNT {
            let length = granules(SLOT_BYTES[class]) as u64;
            let empty = min(self.mini_pages(class), others.kept);
            kept = kept.saturating_add(empty.saturating_mul(length.saturating_add(others.hole)));
            class += 1;
        }
        let live = min(self.by_number(others), self.by_bytes(others));
        live.saturating_add(kept).saturating_add(others.hole)
    }

    /// By the number of blocks. A run is a granule longer than its bytes, at most; so if there is one, all runs together
    /// have a granule for each besides what all bytes take.
    const fn by_number(&self, others: Others) -> u64 {
        let (slots_only, _) = self.in_mini_pages(others.blocks, others.hole, others.kept);
        if !self.has_long() || others.blocks == 0 {
            return slots_only;
        }
        let (most, left) = self.in_mini_pages(others.blocks - 1, others.hole, others.kept);
        let runs = (left + 1).saturating_mul(others.hole.saturating_add(1));
        let with_runs = most.saturating_add(others.granules).saturating_add(runs);
        max(slots_only, with_runs)
    }

    /// The granules of as many MiniPages as `blocks` can keep, and their holes, the longest first; the blocks left.
    const fn in_mini_pages(&self, blocks: u64, hole: u64, kept: u64) -> (u64, u64) {
        let mut left = blocks;
        let mut most = 0_u64;
        let mut length = 4;
        while length > 0 {
            let mut class = 0;
            while class < CLASS_COUNT {
                if granules(SLOT_BYTES[class]) as u64 == length {
                    let taken = min(left, self.mini_pages(class).saturating_sub(kept));
                    most = most.saturating_add(taken.saturating_mul(hole.saturating_add(length)));
                    left -= taken;
                }
                class += 1;
            }
            length /= 2;
        }
        (most, left)
    }

    /// By bytes: what has the most granules for a byte first. A run of two granules has 1,025 bytes; longer ones have no
    /// more for each.
    const fn by_bytes(&self, others: Others) -> u64 {
        let mut left = others.bytes;
        let mut most = 0_u64;
        let mut is_done = [false; CLASS_COUNT];
        let run = others.hole.saturating_add(2) as u128;
        loop {
            // Granules and bytes of the best so far: where there are no runs, anything is better.
            let (mut best, mut per) = if self.has_long() {
                (run, KIBIBYTE as u128 + 1)
            } else {
                (0, 1)
            };
            let mut chosen = CLASS_COUNT;
            let mut class = 0;
            while class < CLASS_COUNT {
                let value = others
                    .hole
                    .saturating_add(granules(SLOT_BYTES[class]) as u64)
                    as u128;
                let bytes = least_bytes(class) as u128;
                if !is_done[class] && value * per > best * bytes {
                    (chosen, best, per) = (class, value, bytes);
                }
                class += 1;
            }
            if chosen == CLASS_COUNT {
                break;
            }
            is_done[chosen] = true;
            let wanted = self.mini_pages(chosen).saturating_sub(others.kept);
            let bytes = least_bytes(chosen);
            // The last may be a part of one: then it counts as a whole.
            let taken = min(wanted, left.div_ceil(bytes));
            most = most.saturating_add(taken.saturating_mul(best as u64));
            left = left.saturating_sub(taken.saturating_mul(bytes));
        }
        if self.has_long() {
            let runs = (left as u128 * run).div_ceil(KIBIBYTE as u128 + 1);
            let runs = if runs > u64::MAX as u128 {
                u64::MAX
            } else {
                runs as u64
            };
            most = most.saturating_add(runs);
        }
        most
    }
}

/// What is known of a program by its layouts.
pub(super) struct Layouts {
    /// Blocks in runs, and MiniPages.
    runs: u64,
    /// Their granules.
    granules: u64,
    /// The granules of the longest.
    longest: u64,
    /// The granules that each length is a multiple of.
    unit: u64,
}

impl Layouts {
    pub(super) const NONE: Self = Self {
        runs: 0,
        granules: 0,
        longest: 0,
        unit: 0,
    };

    /// With `count` runs of `length` more; or of any length up to that, if it is not exact.
    pub(super) const fn and(self, count: u64, length: u64, is_exact: bool) -> Self {
        if count == 0 {
            return self;
        }
        let (mut unit, mut rest) = (self.unit, if is_exact { length } else { 1 });
        while rest != 0 {
            (unit, rest) = (rest, unit % rest);
        }
        Self {
            runs: self.runs.saturating_add(count),
            granules: self.granules.saturating_add(count.saturating_mul(length)),
            longest: max(self.longest, length),
            unit,
        }
    }

    /// The fewest granules with which no request gets null.
    pub(super) const fn fixed(&self) -> u64 {
        if self.runs == 0 {
            return 0;
        }
        // All boundaries below one hole, and all above it, are a whole number of units apart.
        let exact = self.longest - self.unit;
        let all = self.with_holes(exact, self.longest - 1);
        if self.runs <= LOOKS_MAX as u64 || exact < bin_start(self.longest) {
            return all;
        }
        let end = bin_end(self.longest);
        if end == u64::MAX {
            return if all < HIDING { all } else { u64::MAX };
        }
        self.with_holes(end / self.unit * self.unit, end)
    }

    /// As [`fixed`](Self::fixed), where one hole is of `odd` granules at most, all others of `hole`.
    const fn with_holes(&self, hole: u64, odd: u64) -> u64 {
        let others = self.granules.saturating_sub(self.longest);
        let holes = (self.runs - 1).saturating_mul(hole).saturating_add(odd);
        others.saturating_add(holes).saturating_add(1)
    }

    /// The most granules of a heap that has grown, but for the table: where tables lay, units are no longer kept.
    pub(super) const fn growing(&self) -> u64 {
        if self.runs == 0 {
            return 0;
        }
        let hole = unseen(self.longest, bin_end(self.longest));
        let holes = self.runs.saturating_mul(hole);
        self.granules.saturating_add(holes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_end_where_the_heap_says() {
        for length in 1..=LAST_BIN_FROM {
            let bin = |length: u64| bin_of(Length::try_from(length).expect("short") * GRANULE);
            let (start, end) = (bin_start(length), bin_end(length));
            assert_eq!(bin(start), bin(length));
            assert!(start == 1 || bin(start - 1) < bin(length));
            assert!(
                length == LAST_BIN_FROM || bin(end) == bin(length) && bin(end + 1) > bin(length)
            );
        }
    }
}

//! The first reading of a trace: how long it is, where its peak lies, how long blocks live.

use std::io::Read;

use alligator_trace::Reader;

use crate::Error;
use crate::heap::Heap;
use crate::report::Moment;

/// Lifetimes are counted by their highest three bits.
const LIFETIMES: usize = 64 * 4;

/// What the first reading finds.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Events of the trace.
    pub(crate) events: u64,
    /// The first moment with the most live bytes.
    pub(crate) peak: Moment,
    /// Blocks by their lifetime in events.
    lifetimes: Vec<u64>,
    /// Blocks that were never given back.
    pub(crate) stayed: u64,
}

/// Which blocks the map shows: all, or those that live long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Those that live for at least so many events, or for ever.
    pub(crate) lifetime_min: u64,
    /// Of these, one in so many.
    pub(crate) one_in: u64,
}

impl Survey {
    pub(crate) fn of<R: Read>(reader: &mut Reader<R>) -> Result<Self, Error> {
        let mut heap = Heap::new(reader.header());
        let mut peak = Moment::of(&heap);
        let mut lifetimes = vec![0; LIFETIMES];
        let mut born = 0_u64;
        let mut died = 0_u64;
        while let Some(event) = reader.next_event()? {
            let change = heap.apply(&event);
            for block in change.died.iter().chain(&change.replaced) {
                lifetimes[interval(heap.moment - block.born)] += 1;
                died += 1;
            }
            born += u64::from(change.born.is_some());
            if heap.bytes > peak.bytes {
                peak = Moment::of(&heap);
            }
        }
        Ok(Self {
            events: heap.moment,
            peak,
            lifetimes,
            stayed: born - died,
        })
    }

    /// The choice that shows at most about `blocks_max` blocks, the longest-lived first.
    pub(crate) fn choose(&self, blocks_max: u64) -> Choice {
        let mut shown = self.stayed;
        let mut lowest = LIFETIMES;
        for (index, count) in self.lifetimes.iter().enumerate().rev() {
            if shown.saturating_add(*count) > blocks_max {
                break;
            }
            shown += count;
            lowest = index;
        }
        Choice {
            lifetime_min: if lowest == LIFETIMES {
                u64::MAX
            } else {
                start(lowest)
            },
            one_in: shown.div_ceil(blocks_max.max(1)).max(1),
        }
    }
}

/// The interval of a lifetime.
fn interval(lifetime: u64) -> usize {
    let log = (lifetime | 1).ilog2();
    let highest = if log >= 2 { lifetime >> (log - 2) } else { 0 };
    let fraction = (0..3).filter(|least| highest >= 5 + least).count();
    log as usize * 4 + fraction
}

/// The shortest lifetime of an interval.
fn start(interval: usize) -> u64 {
    let (log, fraction) = (interval / 4, interval as u64 % 4);
    match (log, fraction) {
        (0, 0) => 0,
        (0, _) | (1, 0) => 2,
        (1, _) => 4,
        _ => (4 + fraction) << (log - 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_starts_at_its_shortest_lifetime() {
        for lifetime in (0..5000).chain([u64::MAX / 3, u64::MAX]) {
            let interval = interval(lifetime);
            assert!(start(interval) <= lifetime, "{lifetime}");
            assert_eq!(super::interval(start(interval)), interval, "{lifetime}");
        }
    }

    #[test]
    fn the_longest_lived_are_chosen() {
        let mut lifetimes = vec![0; LIFETIMES];
        lifetimes[interval(1)] = 1000;
        lifetimes[interval(64)] = 10;
        lifetimes[interval(1 << 20)] = 5;
        let survey = Survey {
            events: 3000,
            peak: Moment::default(),
            lifetimes,
            stayed: 7,
        };
        let choice = |lifetime_min, one_in| Choice {
            lifetime_min,
            one_in,
        };
        assert_eq!(survey.choose(2000), choice(0, 1));
        assert_eq!(survey.choose(30), choice(2, 1));
        assert_eq!(survey.choose(12), choice(80, 1));
        assert_eq!(survey.choose(8), choice((1 << 20) + (1 << 18), 1));
        assert_eq!(survey.choose(2), choice(u64::MAX, 4));
    }
}

//! Any trace, against a model that keeps all events and looks at them again for each moment.

mod common;

use std::collections::BTreeMap;

use alligator_report::export::{Format, Value, export};
use alligator_report::{Leaks, Limits, Options, analyse};
use alligator_trace::{Clock, Header, Kind, StackId};
use common::Trace;
use proptest::prelude::*;

/// A block of the model.
#[derive(Clone, Copy, Debug)]
struct Block {
    address: u64,
    size: u64,
    site: u32,
    born: u64,
}

/// What the model says of a moment.
#[derive(Clone, Default)]
struct State(Vec<Block>);

impl State {
    fn bytes(&self) -> u64 {
        self.0.iter().map(|block| block.size).sum()
    }

    /// Removes the block of an address.
    fn take(&mut self, address: u64) -> Option<Block> {
        let at = self.0.iter().position(|block| block.address == address)?;
        Some(self.0.remove(at))
    }
}

/// Sums of a site.
#[derive(Default, Debug, PartialEq, Eq, Clone, Copy)]
struct Sums {
    taken: u64,
    taken_bytes: u64,
    end_bytes: u64,
    peak_bytes: u64,
    most_bytes: u64,
    lifetimes: u64,
}

const SITES: u8 = 4;

/// Events of few addresses, so that all collisions happen.
fn events() -> impl Strategy<Value = Vec<(u8, u64, u64, u64, u8)>> {
    let event = (0_u8..8, 0_u64..12, 0_u64..12, 0_u64..3000, 0..SITES);
    prop::collection::vec(event, 0..200)
}

fn kind((sort, one, other, size, _): (u8, u64, u64, u64, u8)) -> Kind {
    let (one, other, align) = (one * 512, other * 512, 8);
    match sort {
        0..=2 => Kind::Alloc {
            address: one,
            size,
            align,
            zeroed: sort == 2,
        },
        3 | 4 => Kind::Free { address: one },
        5 | 6 => Kind::Realloc {
            old: one,
            address: other,
            size,
            align,
        },
        _ => Kind::Grow {
            before: 1,
            after: 1 + size,
        },
    }
}

/// Numbers of any length.
fn any_length() -> impl Strategy<Value = u64> {
    (0_u32..64, any::<u64>()).prop_map(|(shift, number)| number >> shift)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_event_is_too_strange(
        events in prop::collection::vec((0_u8..10, any_length(), any_length(), any_length()), 0..60),
        page_bytes in any_length(),
        pages in any_length(),
        sample_bytes in any_length(),
        is_sampled in any::<bool>(),
    ) {
        let sample_bytes = if is_sampled { sample_bytes } else { 0 };
        let mut trace = Trace::new(&Header { page_bytes, pages, sample_bytes, ..common::header() });
        let site = trace.site(&["main"]);
        let (align, zeroed) = (0, false);
        for (sort, one, other, size) in events {
            let kind = match sort {
                0..=2 => Kind::Alloc { address: one, size, align, zeroed },
                3 => Kind::Free { address: one },
                4..=6 => Kind::Realloc { old: one, address: other, size, align },
                7 => Kind::Grow { before: one.min(other), after: one.max(other) },
                8 => Kind::Lost { events: one },
                _ => Kind::Realloc { old: one, address: one, size, align },
            };
            // What no trace can hold, its writer refuses.
            let _ = trace.writer.event(0, 0, site, kind);
        }
        let trace = trace.finish();
        let analysis = common::analysis(&trace);
        let report = &analysis.report;
        prop_assert!(!alligator_report::text(report, 5).is_empty());
        prop_assert!(alligator_report::page(&analysis, Some(report)).is_ok());
        let formats = [
            Format::Pprof, Format::Dhat, Format::Chrome, Format::HeapProfile, Format::Collapsed, Format::Dot, Format::Csv, Format::CsvTimeline,
        ];
        for format in formats {
            prop_assert!(export(report, format, Value::Bytes).is_ok());
        }
        let limits = Limits { leaks: Some(Leaks::Any), peak_max: Some(0), baseline: Some(report), tolerance_percent: 0.0 };
        prop_assert!(limits.failures(report).len() <= 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_report_is_what_the_model_says(events in events(), buckets in 1_u64..40) {
        let mut trace = Trace::new(&Header { clock: Clock::Event, ..common::header() });
        let sites: Vec<StackId> = (0..SITES).map(|site| trace.site(&["main", &format!("f{site}")])).collect();
        for event in &events {
            trace.event(sites[usize::from(event.4)], kind(*event));
        }
        let trace = trace.finish();

        let mut state = State::default();
        let mut sums = BTreeMap::<u32, Sums>::new();
        let mut states = vec![state.clone()];
        let (mut taken, mut given_back, mut ended) = (0_u64, 0_u64, Vec::new());
        for (event, moment) in events.iter().zip(1_u64..) {
            let site = sites[usize::from(event.4)].0;
            let mut died = Vec::new();
            let mut born = None;
            match kind(*event) {
                Kind::Alloc { address, size, .. } if address > 0 => born = Some((address, size)),
                Kind::Free { address } => died.extend(state.take(address)),
                Kind::Realloc { old, address, size, .. } if address > 0 => {
                    died.extend(state.take(old));
                    born = Some((address, size));
                }
                _ => {}
            }
            if let Some((address, size)) = born {
                died.extend(state.take(address));
                state.0.push(Block { address, size, site, born: moment });
                let sums = sums.entry(site).or_default();
                sums.taken += 1;
                sums.taken_bytes += size;
                taken += 1;
            }
            for block in died {
                given_back += 1;
                sums.entry(block.site).or_default().lifetimes += moment - block.born;
                ended.push((block, moment));
            }
            states.push(state.clone());
        }
        let of_site = |state: &State, site| state.0.iter().filter(|block| block.site == site).map(|block| block.size).sum::<u64>();
        let peak_bytes = states.iter().map(State::bytes).max().unwrap_or(0);
        let peak = states.iter().position(|state| state.bytes() == peak_bytes).unwrap_or(0);
        for (site, sums) in &mut sums {
            sums.end_bytes = of_site(&state, *site);
            sums.peak_bytes = of_site(&states[peak], *site);
            sums.most_bytes = states.iter().map(|state| of_site(state, *site)).max().unwrap_or(0);
        }

        let options = Options { buckets, blocks_max: 1000 };
        let report = analyse("any", || Ok(&trace[..]), &options).expect("a trace").report;
        prop_assert_eq!(report.events, events.len() as u64);
        prop_assert_eq!((report.peak.events, report.peak.bytes), (peak as u64, peak_bytes));
        prop_assert_eq!((report.end.bytes, report.end.blocks), (state.bytes(), state.0.len() as u64));
        prop_assert_eq!((report.counts.taken, report.counts.given_back), (taken, given_back));
        let found: BTreeMap<u32, Sums> = report.sites.iter().map(|row| (row.site, Sums {
            taken: row.taken.blocks,
            taken_bytes: row.taken.bytes,
            end_bytes: row.end.bytes,
            peak_bytes: row.peak.bytes,
            most_bytes: row.most.bytes,
            lifetimes: row.lifetimes,
        })).collect();
        prop_assert_eq!(found, sums);

        // Sizes and lifetimes count each block once.
        prop_assert_eq!(report.sizes.iter().map(|row| row.taken).sum::<u64>(), taken);
        prop_assert_eq!(report.sizes.iter().map(|row| row.peak_bytes).sum::<u64>(), peak_bytes);
        prop_assert_eq!(report.sizes.iter().map(|row| row.end_bytes).sum::<u64>(), state.bytes());
        prop_assert_eq!(report.lifetimes.iter().map(|row| row.blocks).sum::<u64>(), taken);
        let mut below = 0;
        for row in report.lifetimes.iter().filter(|row| row.events_max.is_some()) {
            let most = row.events_max.unwrap_or(0);
            let within = |lived: u64| below < lived && lived <= most;
            let expected = ended.iter().filter(|(block, moment)| within(moment - block.born)).count();
            prop_assert_eq!(row.blocks, expected as u64);
            below = most;
        }

        // Buckets: each covers its events, and together all.
        let mut start = 0;
        for bucket in &report.timeline {
            let end = usize::try_from(bucket.moment).expect("small");
            let most = states[start + 1..=end].iter().map(State::bytes).max().unwrap_or(0);
            prop_assert_eq!(bucket.peak_bytes, most);
            prop_assert_eq!(bucket.bytes, states[end].bytes());
            prop_assert_eq!(bucket.blocks, states[end].0.len() as u64);
            start = end;
        }
        prop_assert_eq!(start, events.len());
        prop_assert!(report.timeline.len() as u64 <= buckets);

        // Holes and blocks fill what lies between the lowest byte and the highest, byte by byte.
        let figures = report.fragmentation.expect("not sampled");
        let mut covered = vec![0_u32; 12 * 512 + 3000];
        for block in &states[peak].0 {
            for byte in block.address..block.address + block.size {
                covered[usize::try_from(byte).expect("small")] += 1;
            }
        }
        let (low, high) = (usize::try_from(figures.lowest).expect("small"), usize::try_from(figures.highest).expect("small"));
        let free = covered[low..high].iter().filter(|count| **count == 0).count();
        prop_assert_eq!(figures.hole_bytes, free as u64);
        prop_assert!(covered[..low].iter().chain(&covered[high..]).all(|count| *count == 0));
        prop_assert_eq!(figures.by_size.iter().map(|row| row.holes).sum::<u64>(), figures.holes);
    }
}

//! Two reports, figure by figure and site by site.

use std::collections::BTreeMap;

use crate::report::Report;
use crate::sites::{Amount, SiteRow, site_name, stack_key};

/// Two traces of what should be the same program.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The one that the other is held against.
    pub before: &'a Report,
    /// The other.
    pub after: &'a Report,
}

/// A figure of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// Whether it is a size.
    pub is_bytes: bool,
    /// The first trace's.
    pub before: u64,
    /// The second trace's.
    pub after: u64,
}

/// What a call stack did in one trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct SiteFigures {
    pub(crate) taken: Amount,
    pub(crate) peak: Amount,
    pub(crate) end: Amount,
}

impl SiteFigures {
    fn add(&mut self, row: &SiteRow) {
        let pairs = [
            (&mut self.taken, row.taken),
            (&mut self.peak, row.peak),
            (&mut self.end, row.end),
        ];
        for (sum, part) in pairs {
            sum.blocks += part.blocks;
            sum.bytes = sum.bytes.saturating_add(part.bytes);
        }
    }
}

/// A call stack of both, by the names of its functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct SitePair {
    pub(crate) name: String,
    pub(crate) before: SiteFigures,
    pub(crate) after: SiteFigures,
}

impl Comparison<'_> {
    /// The figures of both.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name, is_bytes, of: fn(&Report) -> u64| Figure {
            name,
            is_bytes,
            before: of(self.before),
            after: of(self.after),
        };
        vec![
            figure("peak live", true, |report| report.peak.bytes),
            figure("blocks at the peak", false, |report| report.peak.blocks),
            figure("live at the end", true, |report| report.end.bytes),
            figure("blocks at the end", false, |report| report.end.blocks),
            figure("pages at the end", false, |report| report.end.pages),
            figure("growths", false, |report| report.growths.count),
            figure("taken", true, |report| report.counts.taken_bytes),
            figure("blocks taken", false, |report| report.counts.taken),
            figure("resizes", false, |report| report.resizes.count),
            figure("copied by resizes", true, |report| report.resizes.copied),
            figure("events", false, |report| report.events),
        ]
    }

    /// The call stacks of both, the greatest difference at the peak first, then at the end, then in blocks taken.
    pub(crate) fn sites(&self) -> Vec<SitePair> {
        let mut pairs = BTreeMap::<Vec<String>, SitePair>::new();
        for (report, is_after) in [(self.before, false), (self.after, true)] {
            for row in &report.sites {
                let pair = pairs
                    .entry(stack_key(&report.stacks, row.site))
                    .or_insert_with(|| SitePair {
                        name: site_name(&report.stacks, row.site),
                        ..SitePair::default()
                    });
                let figures = if is_after {
                    &mut pair.after
                } else {
                    &mut pair.before
                };
                figures.add(row);
            }
        }
        let mut pairs: Vec<SitePair> = pairs.into_values().collect();
        pairs.sort_by_key(|pair| {
            let (before, after) = (&pair.before, &pair.after);
            core::cmp::Reverse((
                before.peak.bytes.abs_diff(after.peak.bytes),
                before.end.bytes.abs_diff(after.end.bytes),
                before.taken.blocks.abs_diff(after.taken.blocks),
            ))
        });
        pairs
    }
}

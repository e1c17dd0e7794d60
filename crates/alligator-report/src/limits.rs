//! What a report must not exceed, for continuous integration.

use crate::compare::Comparison;
use crate::format::{bytes, count};
use crate::report::Report;
use crate::sites::{site_name, sum};

/// Blocks that must not be left at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaks {
    /// None at all.
    Any,
    /// None of a site whose blocks pile up.
    Growing,
}

/// What a report must not exceed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits<'a> {
    /// Which blocks must not be left at the end.
    pub leaks: Option<Leaks>,
    /// Most live bytes at one time.
    pub peak_max: Option<u64>,
    /// A report whose figures must not be exceeded.
    pub baseline: Option<&'a Report>,
    /// By how many percent they may be.
    pub tolerance_percent: f64,
}

impl Limits<'_> {
    /// What is exceeded, in one line each.
    pub fn failures(&self, report: &Report) -> Vec<String> {
        let mut failures = Vec::new();
        failures.extend(self.leaks.and_then(|leaks| leak_failure(report, leaks)));
        if let Some(most) = self.peak_max.filter(|most| report.peak.bytes > *most) {
            failures.push(format!(
                "peak: {} bytes live after event {}, more than {} (--max-peak)",
                count(report.peak.bytes),
                count(report.peak.events),
                count(most),
            ));
        }
        if let Some(before) = self.baseline {
            failures.extend(self.worse_than(before, report));
        }
        failures
    }

    fn worse_than(&self, before: &Report, after: &Report) -> Vec<String> {
        /// Figures that a program should not have more of.
        const HELD: [&str; 5] = [
            "peak live",
            "live at the end",
            "pages at the end",
            "taken",
            "blocks taken",
        ];
        let comparison = Comparison { before, after };
        let figures = comparison.figures().into_iter();
        figures
            .filter(|figure| HELD.contains(&figure.name))
            .filter(|figure| {
                #[expect(clippy::cast_precision_loss, reason = "a percentage of it")]
                let most = figure.before as f64 * (1.0 + self.tolerance_percent / 100.0);
                #[expect(clippy::cast_precision_loss, reason = "held against a percentage")]
                let after = figure.after as f64;
                after > most
            })
            .map(|figure| {
                format!(
                    "{}: {}{}, the baseline has {}, more than {} % above (--baseline)",
                    figure.name,
                    count(figure.after),
                    if figure.is_bytes { " bytes" } else { "" },
                    count(figure.before),
                    self.tolerance_percent,
                )
            })
            .collect()
    }
}

fn leak_failure(report: &Report, leaks: Leaks) -> Option<String> {
    let rows = report.leaks();
    let bad: Vec<_> = rows
        .iter()
        .filter(|row| leaks == Leaks::Any || row.is_growing())
        .collect();
    let first = bad.first()?;
    Some(format!(
        "leaks: {} in {} blocks of {} sites{} were never given back, most from {} (--leaks-fail)",
        bytes(sum(bad.iter().map(|row| row.end.bytes))),
        count(sum(bad.iter().map(|row| row.end.blocks))),
        count(bad.len() as u64),
        match leaks {
            Leaks::Any => "",
            Leaks::Growing => " that grow",
        },
        site_name(&report.stacks, first.site),
    ))
}

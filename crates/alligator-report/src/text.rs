//! The report for a terminal.

use core::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use crate::format::{bytes, count, duration, times};
use crate::sections::{self, Section};

use crate::compare::Comparison;
use crate::report::{Moment, Report};
use crate::timeline::Bucket;

/// Characters of a sparkline.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Characters in a row of a sparkline.
const COLUMNS: usize = 64;

/// The report, with at most `rows` rows in each table of sites.
pub fn text(report: &Report, rows: usize) -> String {
    let mut text = head(report);
    for section in sections::sections(report, rows) {
        add(&mut text, &section);
    }
    text
}

/// What has changed from one report to another.
pub fn text_of_two(comparison: &Comparison<'_>, rows: usize) -> String {
    let mut text = format!(
        "{} beside {}\n",
        comparison.after.name, comparison.before.name
    );
    for section in sections::sections_of_two(comparison, rows) {
        add(&mut text, &section);
    }
    text
}

fn add(text: &mut String, section: &Section) {
    let _ = writeln!(text, "\n{}", section.title);
    for line in &section.before {
        let _ = writeln!(text, "{line}");
    }
    if !section.header.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(&section.header);
        for row in &section.rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(section.texts) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(text, "{table}");
    }
    if section.rest > 0 {
        let _ = writeln!(text, "and {} more (--rows)", count(section.rest as u64));
    }
}

/// What the trace is, and its course.
fn head(report: &Report) -> String {
    let mut text = report.name.clone();
    let header = &report.header;
    let known = [
        ("of", header.module.name.as_str()),
        ("allocator", &header.allocator),
        ("on", &header.engine),
    ];
    for (what, name) in known {
        if !name.is_empty() {
            let _ = write!(text, ", {what} {name}");
        }
    }
    if let Some(ending) = &report.ending {
        let _ = write!(text, ", ended with {ending}");
    }
    text.push('\n');
    for line in figures(report) {
        let _ = writeln!(text, "{line}");
    }
    for note in notes(report) {
        let _ = writeln!(text, "note: {note}");
    }
    if let Some(last) = report.timeline.last() {
        let row = |name: &str, values: Vec<u64>| {
            let most = values.iter().max().copied().unwrap_or(0);
            (name.to_owned(), spark(&values), most)
        };
        let live = row(
            "live bytes",
            columns(&report.timeline, |bucket| bucket.peak_bytes),
        );
        let memory = row(
            "memory",
            columns(&report.timeline, |bucket| {
                bucket.pages.saturating_mul(header.page_bytes)
            }),
        );
        let taken = row(
            "taken",
            columns(&report.timeline, |bucket| bucket.taken_bytes),
        );
        let _ = writeln!(text);
        for (name, spark, most) in [live, memory, taken] {
            let _ = writeln!(text, "{name:<10} {spark} up to {}", bytes(most));
        }
        let end = if report.has_times() {
            format!("{} events, {}", count(last.moment), duration(last.time_ns))
        } else {
            format!("{} events", count(last.moment))
        };
        let _ = writeln!(text, "{:<10} 0 {end:>62}", "");
    }
    text
}

/// The figures that come first.
pub(crate) fn figures(report: &Report) -> Vec<String> {
    let counts = &report.counts;
    let moment = |name: &str, at: &Moment| {
        let when = if report.has_times() {
            format!("{}, {}", count(at.events), duration(at.time_ns))
        } else {
            count(at.events)
        };
        format!(
            "{name}: {} live in {} blocks, {} pages, after event {when}",
            bytes(at.bytes),
            count(at.blocks),
            count(at.pages),
        )
    };
    vec![
        moment("peak", &report.peak),
        moment("end", &report.end),
        format!(
            "taken: {} in {} blocks ({} by a resize, {} zeroed); {} blocks given back",
            bytes(counts.taken_bytes),
            count(counts.taken),
            count(counts.resized),
            count(counts.zeroed),
            count(counts.given_back),
        ),
        format!(
            "churn: {} times the peak was taken in all",
            times(counts.taken_bytes, report.peak.bytes)
        ),
    ]
}

/// What a reader has to know about the figures.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let oddities = &report.oddities;
    let mut notes = Vec::new();
    let mut note = |is: bool, text: String| {
        if is {
            notes.push(text);
        }
    };
    if let Some(offset) = report.cut_off {
        note(
            true,
            format!(
                "the trace breaks off at byte {}: what came later is not known",
                count(offset)
            ),
        );
    }
    note(
        report.is_sampled(),
        format!(
            "sampled, one block for each {}: blocks and bytes are estimates, places are not reported",
            bytes(report.header.sample_bytes)
        ),
    );
    let what = [
        (
            oddities.lost,
            "events were lost: blocks that they gave back still count as live",
        ),
        (oddities.refused, "requests were refused"),
        (
            oddities.unknown,
            "blocks given back or resized were not live: taken before the recording, or given back twice",
        ),
        (
            oddities.replaced,
            "live blocks had their address given away: given back unseen",
        ),
    ];
    for (number, text) in what {
        note(number > 0, format!("{} {text}", count(number)));
    }
    notes
}

/// The greatest value of each column.
fn columns(timeline: &[Bucket], value: impl Fn(&Bucket) -> u64) -> Vec<u64> {
    let columns = timeline.len().min(COLUMNS);
    let start = |column: usize| column * timeline.len() / columns.max(1);
    (0..columns)
        .map(|column| {
            let buckets = &timeline[start(column)..start(column + 1)];
            buckets.iter().map(&value).max().unwrap_or(0)
        })
        .collect()
}

fn spark(values: &[u64]) -> String {
    let most = values.iter().max().copied().unwrap_or(0).max(1);
    values
        .iter()
        .map(|value| {
            let level = u128::from(*value) * SPARKS.len() as u128 / (u128::from(most) + 1);
            SPARKS[usize::try_from(level).unwrap_or(0)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_rises_with_its_value() {
        assert_eq!(spark(&[0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█");
        assert_eq!(spark(&[0, 0]), "▁▁");
        assert_eq!(spark(&[u64::MAX, 0]), "█▁");
    }

    #[test]
    fn a_column_is_the_greatest_of_its_buckets() {
        let buckets: Vec<Bucket> = (0..128)
            .map(|value| Bucket {
                bytes: value,
                ..Bucket::default()
            })
            .collect();
        let columns = columns(&buckets, |bucket| bucket.bytes);
        assert_eq!(columns.len(), COLUMNS);
        assert_eq!(columns[..3], [1, 3, 5]);
    }
}

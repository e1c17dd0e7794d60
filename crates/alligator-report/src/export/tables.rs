//! Comma-separated values (RFC 4180, with plain line ends).

use super::tree;
use crate::report::Report;

fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Vec<u8> {
    let mut text = header.join(",");
    for row in rows {
        text.push('\n');
        text.push_str(&row.map(quote).join(","));
    }
    text.push('\n');
    text.into_bytes()
}

/// A field, in quotation marks if it has what separates.
fn quote(field: String) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

/// A row for each call stack; sizes in bytes, lifetimes in events.
pub(super) fn sites(report: &Report) -> Vec<u8> {
    let header = [
        "stack",
        "taken_blocks",
        "taken_bytes",
        "resized_blocks",
        "given_back_blocks",
        "size_min",
        "size_max",
        "mean_lifetime",
        "most_blocks",
        "most_bytes",
        "peak_blocks",
        "peak_bytes",
        "end_blocks",
        "end_bytes",
        "growing",
    ];
    let rows = report.sites.iter().map(|row| {
        let frames = tree::stack(report, row.site);
        let names: Vec<&str> = frames.iter().map(|frame| frame.name).collect();
        let text = |number: u64| number.to_string();
        [
            names.join(";"),
            text(row.taken.blocks),
            text(row.taken.bytes),
            text(row.resized),
            text(row.given_back()),
            text(row.size_min),
            text(row.size_max),
            row.mean_lifetime().map(text).unwrap_or_default(),
            text(row.most.blocks),
            text(row.most.bytes),
            text(row.peak.blocks),
            text(row.peak.bytes),
            text(row.end.blocks),
            text(row.end.bytes),
            text(u64::from(row.is_growing())),
        ]
    });
    table(header, rows)
}

/// A row for each piece of the trace.
pub(super) fn timeline(report: &Report) -> Vec<u8> {
    let header = [
        "event",
        "time_ns",
        "most_live_bytes",
        "live_bytes",
        "live_blocks",
        "pages",
        "taken_blocks",
        "taken_bytes",
    ];
    let rows = report.timeline.iter().map(|bucket| {
        [
            bucket.moment,
            bucket.time_ns,
            bucket.peak_bytes,
            bucket.bytes,
            bucket.blocks,
            bucket.pages,
            bucket.taken,
            bucket.taken_bytes,
        ]
        .map(|number| number.to_string())
    });
    table(header, rows)
}

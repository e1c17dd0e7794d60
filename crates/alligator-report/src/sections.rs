//! The report in parts: a title, lines, a table. A terminal and a page show the same.

use crate::compare::Comparison;
use crate::format::{bytes, count, difference, duration, percent, shorten, times};
use crate::memory::Fragmentation;
use crate::report::Report;
use crate::sites::site_name;

/// Characters of a site's name in a table, at most.
const NAME: usize = 60;

/// Growths whose size is told one by one, at most.
const GROWTHS: usize = 8;

/// A part of the report.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Lines before the table.
    pub(crate) before: Vec<String>,
    /// Titles of the columns; empty where there is no table.
    pub(crate) header: Vec<&'static str>,
    /// The first columns, so many, hold texts; the others, numbers.
    pub(crate) texts: usize,
    pub(crate) rows: Vec<Vec<String>>,
    /// Rows that were left out.
    pub(crate) rest: usize,
}

impl Section {
    fn new(title: &'static str) -> Self {
        Self {
            title,
            ..Self::default()
        }
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        self.before.push(line.into());
        self
    }

    fn table<const COLUMNS: usize>(
        mut self,
        header: [&'static str; COLUMNS],
        texts: usize,
        rows: impl IntoIterator<Item = [String; COLUMNS]>,
    ) -> Self {
        self.header = header.into();
        self.texts = texts;
        self.rows = rows.into_iter().map(Into::into).collect();
        self
    }

    /// Says how many rows are not in the table.
    fn rest(mut self, all: usize, shown: usize) -> Self {
        self.rest = all.saturating_sub(shown);
        self
    }
}

/// All parts that the trace has figures for.
pub(crate) fn sections(report: &Report, rows: usize) -> Vec<Section> {
    let mut sections: Vec<Section> = [sizes(report), lifetimes(report), sites(report, rows)]
        .into_iter()
        .flatten()
        .collect();
    sections.extend(places(report, rows));
    sections
}

/// Those of a page, which shows its sites elsewhere.
pub(crate) fn sections_of_page(report: &Report, rows: usize) -> Vec<Section> {
    let first = [sizes(report), lifetimes(report)];
    first
        .into_iter()
        .flatten()
        .chain(places(report, rows))
        .collect()
}

fn places(report: &Report, rows: usize) -> impl Iterator<Item = Section> {
    let parts = [
        leaks(report, rows),
        stays(report),
        fragmentation(report),
        growths(report),
        resizes(report),
        chains(report, rows),
        marks(report),
    ];
    parts.into_iter().flatten()
}

fn sizes(report: &Report) -> Option<Section> {
    let rows = report.sizes.iter().map(|row| {
        [
            bytes(row.size_max),
            count(row.taken),
            bytes(row.taken_bytes),
            count(row.peak_blocks),
            bytes(row.peak_bytes),
            count(row.end_blocks),
            bytes(row.end_bytes),
        ]
    });
    let header = [
        "up to",
        "taken",
        "bytes",
        "live at peak",
        "bytes",
        "live at end",
        "bytes",
    ];
    let section = Section::new("By size");
    (!report.sizes.is_empty()).then(|| section.table(header, 0, rows))
}

fn lifetimes(report: &Report) -> Option<Section> {
    let taken = report.counts.taken;
    let rows = report.lifetimes.iter().map(|row| {
        let mean = row.total_ns.checked_div(row.blocks).unwrap_or(0);
        [
            row.events_max.map_or("for ever".to_owned(), |events| {
                if events == 1 {
                    "1 event".to_owned()
                } else {
                    format!("up to {} events", count(events))
                }
            }),
            count(row.blocks),
            percent(row.blocks, taken),
            bytes(row.bytes),
            if report.has_exact_times() && row.events_max.is_some() {
                duration(mean)
            } else {
                "-".to_owned()
            },
        ]
    });
    let header = ["lived", "blocks", "of all", "bytes", "mean time"];
    let section = Section::new("Lifetimes");
    (!report.lifetimes.is_empty()).then(|| section.table(header, 1, rows))
}

fn sites(report: &Report, most: usize) -> Option<Section> {
    let rows = report.sites.iter().take(most).map(|row| {
        [
            shorten(&site_name(&report.stacks, row.site), NAME),
            count(row.taken.blocks),
            bytes(row.taken.bytes),
            format!("{} to {}", bytes(row.size_min), bytes(row.size_max)),
            row.mean_lifetime().map_or("-".to_owned(), count),
            bytes(row.most.bytes),
            bytes(row.peak.bytes),
            bytes(row.end.bytes),
        ]
    });
    let header = [
        "site",
        "taken",
        "bytes",
        "sizes",
        "mean life",
        "its most",
        "at peak",
        "at end",
    ];
    let section = Section::new("By site, most bytes taken first");
    (!report.sites.is_empty()).then(|| {
        section
            .table(header, 1, rows)
            .rest(report.sites.len(), most)
    })
}

fn leaks(report: &Report, most: usize) -> Option<Section> {
    let section = Section::new("Never given back, growing sites first");
    let leaks = report.leaks();
    if leaks.is_empty() {
        return (report.counts.taken > 0)
            .then(|| section.line("nothing: every block was given back"));
    }
    let rows = leaks.iter().take(most).map(|row| {
        [
            shorten(&site_name(&report.stacks, row.site), NAME),
            if row.is_growing() { "growing" } else { "" }.to_owned(),
            count(row.end.blocks),
            bytes(row.end.bytes),
            percent(row.end.blocks, row.taken.blocks),
            row.stayed_by_quarter.map(count).join(" "),
        ]
    });
    let header = [
        "site",
        "",
        "blocks",
        "bytes",
        "of its blocks",
        "taken in quarter 1 2 3 4",
    ];
    Some(section.table(header, 2, rows).rest(leaks.len(), most))
}

fn stays(report: &Report) -> Option<Section> {
    let stays = report.stays.as_ref()?;
    if stays.live.blocks == 0 {
        return None;
    }
    let rows = stays.lowest.iter().map(|row| {
        [
            format!("page {}", row.page),
            shorten(&site_name(&report.stacks, row.site), NAME),
            bytes(row.site_bytes),
            count(row.live.blocks),
            bytes(row.live.bytes),
        ]
    });
    let header = ["lowest", "most of it from", "bytes", "all blocks", "bytes"];
    Some(
        Section::new("What stays, and where")
            .line(format!(
                "{} in {} blocks lie in {} of {} pages; {} pages are kept by less than 1/16 of their bytes",
                bytes(stays.live.bytes),
                count(stays.live.blocks),
                count(stays.pages),
                count(report.end.pages),
                count(stays.thin_pages),
            ))
            .line(format!(
                "{} in {} blocks of it were taken in the first quarter of the trace",
                bytes(stays.early.bytes),
                count(stays.early.blocks),
            ))
            .table(header, 2, rows),
    )
}

/// Live bytes and memory at the peak, in words.
pub(crate) fn fragmentation_lines(figures: &Fragmentation) -> Vec<String> {
    vec![
        format!(
            "{} live in {} of memory ({} pages), {} of it: {} times the live bytes",
            bytes(figures.live.bytes),
            bytes(figures.memory_bytes),
            count(figures.pages),
            percent(figures.live.bytes, figures.memory_bytes),
            times(figures.memory_bytes, figures.live.bytes),
        ),
        format!(
            "blocks lie from {:#x} to {:#x}, over {} pages, {} of which hold no block",
            figures.lowest,
            figures.highest,
            count(figures.spanned_pages),
            count(figures.empty_pages),
        ),
        format!(
            "{} holes between them, {} in all, the largest {}",
            count(figures.holes),
            bytes(figures.hole_bytes),
            bytes(figures.hole_max),
        ),
    ]
}

fn fragmentation(report: &Report) -> Option<Section> {
    let figures = report.fragmentation.as_ref()?;
    if figures.live.blocks == 0 {
        return None;
    }
    let rows = figures.by_size.iter().map(|row| {
        [
            row.size_max
                .map_or("larger".to_owned(), |size| format!("up to {}", bytes(size))),
            count(row.holes),
            bytes(row.bytes),
            percent(row.bytes, figures.hole_bytes),
        ]
    });
    let mut section = Section::new("At the peak: live blocks and holes");
    section.before = fragmentation_lines(figures);
    if figures.holes == 0 {
        return Some(section);
    }
    let header = ["holes", "count", "bytes", "of all"];
    Some(section.table(header, 1, rows))
}

fn growths(report: &Report) -> Option<Section> {
    let figures = &report.growths;
    let mut section = Section::new("Growth of the memory").line(format!(
        "{} growths, from {} pages to {}, at most {} at once",
        count(figures.count),
        count(figures.first_pages),
        count(report.end.pages),
        count(figures.step_max),
    ));
    let mut steps: Vec<String> = figures
        .growths
        .iter()
        .take(GROWTHS)
        .map(|growth| {
            format!(
                "{} -> {} (event {})",
                growth.before,
                growth.after,
                count(growth.moment)
            )
        })
        .collect();
    if figures.count > steps.len() as u64 {
        steps.push("…".to_owned());
    }
    if !steps.is_empty() {
        section = section.line(steps.join(", "));
    }
    if let (true, Some(longest)) = (report.has_exact_times(), figures.longest) {
        section = section.line(format!(
            "longest time between a growth and the event before it: {}, at event {} (no growth stalled for longer)",
            duration(longest.since_ns),
            count(longest.moment),
        ));
    }
    (figures.count > 0 || report.end.pages > 0).then_some(section)
}

fn resizes(report: &Report) -> Option<Section> {
    let figures = &report.resizes;
    if figures.count == 0 {
        return None;
    }
    let rows = figures.biggest.iter().map(|resize| {
        [
            shorten(&site_name(&report.stacks, resize.site), NAME),
            if resize.moved { "moved" } else { "in place" }.to_owned(),
            bytes(resize.old_size),
            bytes(resize.new_size),
            count(resize.count),
            count(resize.moment),
        ]
    });
    let header = ["site", "", "from", "to", "times", "first at event"];
    Some(
        Section::new("Resizes, the biggest copies first")
            .line(format!(
                "{} resizes, {} to more; {} moved their block ({}), and copied {}",
                count(figures.count),
                count(figures.grown),
                count(figures.moved),
                percent(figures.moved, figures.count),
                bytes(figures.copied),
            ))
            .table(header, 2, rows),
    )
}

fn chains(report: &Report, most: usize) -> Option<Section> {
    let chains = &report.resizes.chains;
    if chains.is_empty() {
        return None;
    }
    let rows = chains.iter().take(most).map(|row| {
        [
            shorten(&site_name(&report.stacks, row.site), NAME),
            count(row.chains),
            times(row.resizes, row.chains),
            count(row.longest),
            format!("{} to {}", bytes(row.first_size), bytes(row.last_size)),
            percent(row.leaps, row.resizes),
            bytes(row.copied),
        ]
    });
    let header = [
        "site",
        "blocks",
        "mean",
        "longest",
        "sizes",
        "by half or more",
        "copied",
    ];
    Some(
        Section::new("Blocks resized again and again, most bytes copied first")
            .table(header, 1, rows)
            .rest(chains.len(), most),
    )
}

fn marks(report: &Report) -> Option<Section> {
    let rows = report.marks.iter().map(|row| {
        let between = row.count.saturating_sub(1);
        [
            shorten(&row.name, NAME),
            count(row.count),
            times(row.taken, between),
            count(row.taken_max),
            row.taken_bytes
                .checked_div(between)
                .map_or("-".to_owned(), bytes),
            bytes(row.taken_bytes_max),
        ]
    });
    let header = [
        "mark",
        "count",
        "taken between two, mean",
        "most",
        "bytes, mean",
        "most",
    ];
    let section = Section::new("Marks");
    (!report.marks.is_empty()).then(|| section.table(header, 1, rows))
}

/// The parts of a comparison.
pub(crate) fn sections_of_two(comparison: &Comparison<'_>, most: usize) -> Vec<Section> {
    let figures = comparison.figures().into_iter().map(|figure| {
        let form = if figure.is_bytes { bytes } else { count };
        [
            figure.name.to_owned(),
            form(figure.before),
            form(figure.after),
            difference(figure.before, figure.after, form),
            times(figure.after, figure.before),
        ]
    });
    let header = ["", "before", "after", "difference", "ratio"];
    let all = Section::new("In all").table(header, 1, figures);
    let sites = comparison.sites();
    let rows = sites.iter().take(most).map(|site| {
        [
            shorten(&site.name, NAME),
            bytes(site.before.peak.bytes),
            bytes(site.after.peak.bytes),
            difference(site.before.peak.bytes, site.after.peak.bytes, bytes),
            difference(site.before.end.bytes, site.after.end.bytes, bytes),
            difference(site.before.taken.blocks, site.after.taken.blocks, count),
        ]
    });
    let header = [
        "site",
        "peak, before",
        "after",
        "difference",
        "at end",
        "taken",
    ];
    let by_site = Section::new("By site, the greatest differences first")
        .table(header, 1, rows)
        .rest(sites.len(), most);
    vec![all, by_site]
}

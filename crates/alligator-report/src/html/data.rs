//! What the page's script reads: figures as JSON, blocks as columns of numbers, both compressed.

use std::io::Write as _;

use crate::heap::FxHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

use crate::Error;
use crate::analysis::Analysis;
use crate::blocks::Blocks;
use crate::export::tree;
use crate::format::count;
use crate::memory::Growth;
use crate::report::{Moment, Report};
use crate::sites::{Amount, frame_place, site_name};
use crate::timeline::Bucket;

/// Both, in base64.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) figures: String,
    pub(super) blocks: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures<'a> {
    events: u64,
    has_times: bool,
    page_bytes: u64,
    first_pages: u64,
    peak: Moment,
    end: Moment,
    timeline: Timeline,
    other: Option<Timeline>,
    growths: Vec<Step>,
    marks: Vec<Mark<'a>>,
    frames: Vec<Frame<'a>>,
    sites: Vec<Site>,
    /// Blocks on the map.
    shown: usize,
    left_out: u64,
    one_in: u64,
    map_note: String,
}

/// The buckets, a column each.
#[derive(Serialize)]
struct Timeline {
    event: Vec<u64>,
    time: Vec<u64>,
    peak: Vec<u64>,
    bytes: Vec<u64>,
    pages: Vec<u64>,
}

#[derive(Serialize)]
struct Step {
    event: u64,
    after: u64,
}

#[derive(Serialize)]
struct Mark<'a> {
    name: &'a str,
    places: &'a [(u64, u64)],
}

#[derive(Serialize, PartialEq, Eq, Hash, Clone)]
struct Frame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Site {
    name: String,
    /// The outermost frame first.
    stack: Vec<usize>,
    /// Blocks and bytes.
    taken: (u64, u64),
    most: (u64, u64),
    peak: (u64, u64),
    end: (u64, u64),
    size_max: u64,
    life: Option<u64>,
    growing: bool,
}

impl Data {
    pub(super) fn of(analysis: &Analysis, before: Option<&Report>) -> Result<Self, Error> {
        let figures = Figures::of(analysis, before);
        let figures =
            serde_json::to_vec(&figures).map_err(|error| Error::new(error.to_string()))?;
        Ok(Self {
            figures: pack(&figures)?,
            blocks: pack(&columns(&analysis.report, &analysis.blocks))?,
        })
    }
}

fn pack(bytes: &[u8]) -> Result<String, Error> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(bytes)?;
    Ok(STANDARD.encode(deflate.finish()?))
}

impl<'a> Figures<'a> {
    fn of(analysis: &'a Analysis, before: Option<&Report>) -> Self {
        let (report, blocks) = (&analysis.report, &analysis.blocks);
        let mut frames = Vec::new();
        let mut known = FxHashMap::default();
        let pair = |amount: Amount| (amount.blocks, amount.bytes);
        let mut sites = Vec::new();
        for row in &report.sites {
            let stack = tree::stack(report, row.site).into_iter().map(|frame| {
                let frame = Frame {
                    name: frame.name,
                    place: frame_place(&frame),
                };
                *known.entry(frame).or_insert_with_key(|frame| {
                    frames.push(frame.clone());
                    frames.len() - 1
                })
            });
            let stack = stack.collect();
            sites.push(Site {
                name: site_name(&report.stacks, row.site),
                stack,
                taken: pair(row.taken),
                most: pair(row.most),
                peak: pair(row.peak),
                end: pair(row.end),
                size_max: row.size_max,
                life: row.mean_lifetime(),
                growing: row.is_growing(),
            });
        }
        Self {
            events: report.events,
            has_times: report.has_times(),
            page_bytes: report.header.page_bytes.max(1),
            first_pages: report.growths.first_pages,
            peak: report.peak,
            end: report.end,
            timeline: Timeline::of(&report.timeline),
            other: before.map(|before| Timeline::of(&before.timeline)),
            growths: report.growths.growths.iter().map(Step::of).collect(),
            marks: report
                .marks
                .iter()
                .map(|mark| Mark {
                    name: &mark.name,
                    places: &mark.places,
                })
                .collect(),
            frames,
            sites,
            shown: blocks.shown.len(),
            left_out: blocks.left_out,
            one_in: blocks.choice.one_in,
            map_note: map_note(blocks),
        }
    }
}

/// What of the trace the map shows.
fn map_note(blocks: &Blocks) -> String {
    const HOW: &str = "Point at a cell, or use the arrow keys, to see what lies there.";
    if blocks.left_out == 0 {
        return HOW.to_owned();
    }
    let shown = count(blocks.shown.len() as u64);
    let kind = if blocks.choice.lifetime_min == u64::MAX {
        "never given back".to_owned()
    } else {
        format!(
            "that live for {} events or more",
            count(blocks.choice.lifetime_min)
        )
    };
    let part = if blocks.choice.one_in > 1 {
        format!(", one in {}", count(blocks.choice.one_in))
    } else {
        String::new()
    };
    format!(
        "The trace is long: the map and the figures of a moment are of the {shown} blocks {kind}{part}; {} others are left out. {HOW}",
        count(blocks.left_out)
    )
}

impl Step {
    fn of(growth: &Growth) -> Self {
        Self {
            event: growth.moment,
            after: growth.after,
        }
    }
}

impl Timeline {
    fn of(buckets: &[Bucket]) -> Self {
        let column = |value: fn(&Bucket) -> u64| buckets.iter().map(value).collect();
        Self {
            event: column(|bucket| bucket.moment),
            time: column(|bucket| bucket.time_ns),
            peak: column(|bucket| bucket.peak_bytes),
            bytes: column(|bucket| bucket.bytes),
            pages: column(|bucket| bucket.pages),
        }
    }
}

/// The blocks, column by column, each number in LEB128: when they came, as the difference to the one before; how many
/// events they lived, 0 if they stay; the address, as a signed difference; the size; the site's index.
fn columns(report: &Report, blocks: &Blocks) -> Vec<u8> {
    let index: FxHashMap<u32, u64> = report.sites.iter().map(|row| row.site).zip(0..).collect();
    let shown = &blocks.shown;
    let mut bytes = Vec::new();
    let mut before = 0;
    for block in shown {
        number(&mut bytes, block.born - before);
        before = block.born;
    }
    for block in shown {
        number(&mut bytes, block.died.map_or(0, |died| died - block.born));
    }
    let mut before = 0;
    for block in shown {
        let difference = block.address.wrapping_sub(before);
        let sign = 0_u64.wrapping_sub(difference >> 63);
        number(&mut bytes, (difference << 1) ^ sign);
        before = block.address;
    }
    for block in shown {
        number(&mut bytes, block.size);
    }
    for block in shown {
        number(&mut bytes, index.get(&block.site).copied().unwrap_or(0));
    }
    bytes
}

fn number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push(number.to_le_bytes()[0] | 128);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

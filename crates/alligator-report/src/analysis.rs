//! Both readings of a trace.

use std::io::Read;

use alligator_trace::{Kind, Reader};

use crate::Error;
use crate::blocks::Blocks;
use crate::heap::{Change, Heap};
use crate::marks::Marks;
use crate::memory::{Fragmentation, Growth, GrowthFigures, Stays};
use crate::report::{Counts, Moment, Report};
use crate::resizes::Resizes;
use crate::sites::SiteCounts;
use crate::sizes::{Lifetimes, Sizes};
use crate::survey::Survey;
use crate::timeline::{Timeline, asks_for_zeros};

/// How much of a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Pieces of the time line, at most.
    pub buckets: u64,
    /// Blocks for the map of the page, at most; 0 if no page is made.
    pub blocks_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            buckets: 2048,
            blocks_max: 0,
        }
    }
}

/// A report, and the blocks for its map.
#[derive(Debug)]
pub struct Analysis {
    /// Every figure.
    pub report: Report,
    pub(crate) blocks: Blocks,
}

/// Reads a trace, twice, and reports. `open` gives its bytes from the start, each time the same.
///
/// # Errors
///
/// What cannot be read or is no trace, in one line. A trace that breaks off is none: the report says so.
pub fn analyse<R: Read>(
    name: &str,
    open: impl Fn() -> std::io::Result<R>,
    options: &Options,
) -> Result<Analysis, Error> {
    let survey = Survey::of(&mut Reader::new(open()?)?)?;
    let mut reader = Reader::new(open()?)?;
    let mut parts = Parts::new(&reader, &survey, options);
    while let Some(event) = reader.next_event()? {
        parts.take(&event);
    }
    if parts.heap.moment != survey.events {
        return Err(Error::new("it was written to while it was read"));
    }
    Ok(parts.finish(name, reader, &survey))
}

/// What the second reading fills.
struct Parts {
    heap: Heap,
    page_bytes: u64,
    is_sampled: bool,
    events: u64,
    peak_moment: u64,
    threads: Vec<u64>,
    counts: Counts,
    timeline: Timeline,
    sizes: Sizes,
    lifetimes: Lifetimes,
    growths: GrowthFigures,
    fragmentation: Option<Fragmentation>,
    resizes: Resizes,
    marks: Marks,
    sites: SiteCounts,
    blocks: Blocks,
}

/// Threads that are counted apart, at most; the last counts all others.
const THREADS_MAX: usize = 1024;

impl Parts {
    fn new<R: Read>(reader: &Reader<R>, survey: &Survey, options: &Options) -> Self {
        let header = reader.header();
        let choice = survey.choose(options.blocks_max);
        let mut parts = Self {
            heap: Heap::new(header),
            page_bytes: header.page_bytes.max(1),
            is_sampled: header.sample_bytes > 0,
            events: survey.events,
            peak_moment: survey.peak.events,
            threads: Vec::new(),
            counts: Counts::default(),
            timeline: Timeline::new(survey.events, options.buckets),
            sizes: Sizes::default(),
            lifetimes: Lifetimes::default(),
            growths: GrowthFigures {
                first_pages: header.pages,
                ..GrowthFigures::default()
            },
            fragmentation: None,
            resizes: Resizes::default(),
            marks: Marks::default(),
            sites: SiteCounts::new(survey.events),
            blocks: Blocks::new(choice),
        };
        if survey.peak.events == 0 {
            parts.at_peak();
        }
        parts
    }

    fn take(&mut self, event: &alligator_trace::Event) {
        let since_ns = event.time_ns.saturating_sub(self.heap.time_ns);
        let change = self.heap.apply(event);
        let thread = (event.thread as usize).min(THREADS_MAX - 1);
        if self.threads.len() <= thread {
            self.threads.resize(thread + 1, 0);
        }
        self.threads[thread] += 1;
        match event.kind {
            Kind::Grow { before, after } => self.growths.add(Growth {
                moment: self.heap.moment,
                time_ns: event.time_ns,
                before,
                after,
                since_ns,
            }),
            Kind::Mark { name } => self.marks.mark(name, &self.heap, &self.counts),
            _ => {}
        }
        self.counts.zeroed += u64::from(asks_for_zeros(&event.kind));
        self.change(&change);
        self.timeline.take(&self.heap, &change);
        if self.heap.moment == self.peak_moment {
            self.at_peak();
        }
    }

    fn change(&mut self, change: &Change) {
        let (moment, time_ns) = (self.heap.moment, self.heap.time_ns);
        for block in change.died.iter().chain(&change.replaced) {
            self.counts.given_back += block.weight;
            self.lifetimes.died(block, moment, time_ns);
            self.sites.died(block, moment, time_ns);
            self.blocks.add(block, Some(moment));
        }
        if let Some(block) = &change.born {
            self.counts.born(block, change.is_resize);
            self.sizes.born(block);
            self.sites.born(block, change.is_resize);
        }
        self.resizes.take(&self.heap, change);
    }

    fn at_peak(&mut self) {
        self.sites.at_peak();
        for block in self.heap.live() {
            self.sizes.at_peak(block);
        }
        if !self.is_sampled {
            let blocks = self.heap.by_address();
            self.fragmentation = Some(Fragmentation::of(&blocks, self.heap.pages, self.page_bytes));
        }
    }

    fn finish<R: Read>(mut self, name: &str, reader: Reader<R>, survey: &Survey) -> Analysis {
        let live = self.heap.by_address();
        for block in &live {
            self.sizes.at_end(block);
            self.lifetimes.stayed(block);
            self.sites.stayed(block);
            self.resizes.chain_ends(block);
            self.blocks.add(block, None);
        }
        let stays = Stays::of(&live, self.events, self.page_bytes);
        let stacks = reader.sites();
        let report = Report {
            name: name.to_owned(),
            header: reader.header().clone(),
            ending: reader.totals().and_then(|totals| totals.ending.clone()),
            cut_off: reader.cut_off(),
            events: survey.events,
            threads: self.threads,
            counts: self.counts,
            oddities: self.heap.oddities,
            peak: survey.peak,
            end: Moment::of(&self.heap),
            timeline: self.timeline.finish(),
            sizes: self.sizes.finish(),
            lifetimes: self.lifetimes.finish(),
            growths: self.growths,
            fragmentation: self.fragmentation,
            stays: (!self.is_sampled).then_some(stays),
            resizes: self.resizes.finish(),
            marks: self.marks.finish(stacks),
            sites: self.sites.finish(),
            stacks: reader.into_sites(),
        };
        Analysis {
            report,
            blocks: self.blocks.finish(),
        }
    }
}

//! A trace on one allocator.

use std::collections::BTreeMap;
use std::io::Read;

use alligator_report::Report;
use alligator_trace::{Kind, Reader, StringId};
use anyhow::{Context, Result, ensure};

use crate::allocators::Compiled;
use crate::convert::{Converter, MALLOC_ALIGN, Oddities};
use crate::fuel::{Figures, Run, every};
use crate::probe::Probe;

/// How a trace is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes to bring in before the first call, by a block that is given back; 0 for none.
    pub reserve_bytes: u64,
    /// Alignment of blocks whose caller said none.
    pub malloc_align: u32,
    /// An allocator that needs more instructions for a call on average is given up on.
    pub fuel_per_call_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reserve_bytes: 0,
            malloc_align: MALLOC_ALIGN,
            fuel_per_call_max: 5_000,
        }
    }
}

/// Instructions that any trace may take, however short it is.
const FUEL_ALLOWED: u64 = 100_000_000;

/// The heap at the trace's peak: the moment at which most bytes were live in the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peak {
    /// Pages added by then.
    pub pages: u64,
    /// Holes between live blocks.
    pub holes: u64,
    /// Bytes of these: free memory, and what the allocator keeps beside blocks.
    pub hole_bytes: u64,
    /// The largest.
    pub hole_max: u64,
}

/// What happened between two marks of one name: in a frame, a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameRow {
    /// The marks' name.
    pub name: String,
    /// How many frames: one less than there are marks.
    pub frames: u64,
    /// Frames in which the memory grew.
    pub grown: u64,
    /// The last of them, from 1; 0 if there is none.
    pub last_grown: u64,
    /// Instructions of the allocator in all frames.
    pub fuel: u64,
    /// In the dearest.
    pub fuel_max: u64,
}

/// What is wrong with the trace, or with the replay itself, and not with the allocator: all others would say the same, or
/// cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl core::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for Fault {}

/// One line of what went wrong.
fn fault(error: impl core::fmt::Display) -> anyhow::Error {
    Fault(format!("{error:#}")).into()
}

/// What one allocator needed for a trace.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// Instructions and memory.
    pub figures: Figures,
    /// At the trace's peak.
    pub peak: Peak,
    /// Between marks, by name.
    pub frames: Vec<FrameRow>,
    /// What of the trace was not replayed as it is.
    pub oddities: Oddities,
}

/// Replays a trace. `report` is that of the same trace.
///
/// # Errors
/// A [`Fault`]: a trace that is damaged, sampled, or does not fit 32 bits; or calls or live sizes that are not the report's.
/// Or an allocator that breaks its contract, has no memory or needs too many instructions, with the operation.
pub fn replay<R: Read>(
    compiled: &Compiled,
    report: &Report,
    mut reader: Reader<R>,
    options: &Options,
) -> Result<Replayed> {
    let probe = Probe::new(compiled.engine(), compiled.module())?;
    let fuel_max = report.events.saturating_mul(options.fuel_per_call_max);
    let fuel_max = fuel_max.saturating_add(FUEL_ALLOWED);
    let mut run = Run::new(probe, compiled.initial_pages(), fuel_max)?;
    if options.reserve_bytes > 0 {
        let bytes = u32::try_from(options.reserve_bytes);
        run.reserve(bytes.context("a reservation too large for 32 bits")?)?;
    }
    let mut converter = Converter::new(reader.header(), options.malloc_align).map_err(fault)?;
    let mut frames = Frames::default();
    let mut peak = Peak::default();
    let every = every(usize::try_from(report.events)?) as u64;
    while let Some(event) = reader.next_event().map_err(fault)? {
        let place = usize::try_from(event.sequence)?;
        for op in converter.take(&event).map_err(fault)? {
            run.step(place, op)?;
        }
        if let Kind::Mark { name } = event.kind {
            frames.mark(name, &run);
        }
        if event.sequence.is_multiple_of(every) {
            run.look(place);
        }
        if event.sequence + 1 == report.peak.events {
            peak = peak_of(&run);
            live_is(&run, &converter, report.peak.bytes, "at the peak").map_err(fault)?;
        }
    }
    let blocks = run.ranges().iter().count() as u64;
    ends(&run, &converter, report, blocks).map_err(fault)?;
    let figures = run.finish(usize::try_from(report.events)?);
    calls_are(&figures, report).map_err(fault)?;
    let sites = reader.sites();
    Ok(Replayed {
        figures,
        peak,
        frames: frames.finish(|name| sites.string(name).unwrap_or_default().to_owned()),
        oddities: converter.oddities(),
    })
}

/// Holds what is live at the end against the trace's.
fn ends(run: &Run, converter: &Converter, report: &Report, blocks: u64) -> Result<()> {
    live_is(run, converter, report.end.bytes, "at the end")?;
    ensure!(
        blocks == report.end.blocks,
        "the replay ends with {blocks} live blocks, the trace with {}",
        report.end.blocks
    );
    Ok(())
}

/// Holds live bytes against the trace's.
fn live_is(run: &Run, converter: &Converter, bytes: u64, when: &str) -> Result<()> {
    let live = run.live_bytes() - converter.live_empty();
    ensure!(
        live == bytes,
        "the replay has {live} live bytes {when}, the trace {bytes}"
    );
    Ok(())
}

/// Holds the calls against the trace's. A resized block counts there as one taken and one given back.
fn calls_are(figures: &Figures, report: &Report) -> Result<()> {
    let [taken, freed, resized] = figures
        .operations()
        .map(|one| one.steady.count + one.growing.count);
    let counts = &report.counts;
    let expected = [
        counts.taken - counts.resized,
        counts.given_back - counts.resized,
        counts.resized,
    ];
    ensure!(
        [taken, freed, resized] == expected,
        "the replay made {taken} allocations, {freed} frees and {resized} resizes, the trace has {}, {} and {}",
        expected[0],
        expected[1],
        expected[2]
    );
    Ok(())
}

fn peak_of(run: &Run) -> Peak {
    let mut peak = Peak {
        pages: run.grown_pages(),
        ..Peak::default()
    };
    let mut highest = None;
    for (start, end) in run.ranges().iter() {
        let hole = start - highest.unwrap_or(start);
        peak.holes += u64::from(hole > 0);
        peak.hole_bytes += hole;
        peak.hole_max = peak.hole_max.max(hole);
        highest = Some(end);
    }
    peak
}

/// Counts between marks.
#[derive(Debug, Default)]
struct Frames(BTreeMap<StringId, (FrameRow, u64, u64)>);

impl Frames {
    fn mark(&mut self, name: StringId, run: &Run) {
        let (fuel, pages) = (run.fuel(), run.pages());
        let Some((row, before, pages_before)) = self.0.get_mut(&name) else {
            self.0.insert(name, (FrameRow::default(), fuel, pages));
            return;
        };
        row.frames += 1;
        row.fuel += fuel - *before;
        row.fuel_max = row.fuel_max.max(fuel - *before);
        if pages > *pages_before {
            row.grown += 1;
            row.last_grown = row.frames;
        }
        (*before, *pages_before) = (fuel, pages);
    }

    fn finish(self, name_of: impl Fn(StringId) -> String) -> Vec<FrameRow> {
        let rows = self.0.into_iter();
        rows.map(|(name, (row, ..))| FrameRow {
            name: name_of(name),
            ..row
        })
        .collect()
    }
}

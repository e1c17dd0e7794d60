//! The trace as it would be on another allocator: the same calls, from the same places in the program, with the addresses
//! that this one gives, and the growths of its memory.

use std::io::{Read, Write};

use alligator_trace::{Frame, Header, Kind, Reader, Sites, StackId, StringId, Writer};
use anyhow::{Context, Result, ensure};

use crate::allocators::{Allocator, Compiled};
use crate::convert::Converter;
use crate::fuel::Run;
use crate::ops::Op;
use crate::probe::Probe;

/// Instructions of a whole trace, at most.
const FUEL_MAX: u64 = u64::MAX / 4;

/// Replays a trace on an allocator and writes what it does into `out`. Requests that were refused are left out.
///
/// # Errors
/// Those of [`crate::replay`], and the output's.
pub fn rewrite<R: Read, W: Write>(
    allocator: &Allocator,
    compiled: &Compiled,
    mut reader: Reader<R>,
    malloc_align: u32,
    out: W,
) -> Result<W> {
    let probe = Probe::new(compiled.engine(), compiled.module())?;
    let mut run = Run::new(probe, compiled.initial_pages(), FUEL_MAX)?;
    let mut converter = Converter::new(reader.header(), malloc_align)?;
    let mut pages = run.pages();
    let header = Header {
        allocator: allocator.title(),
        engine: "a replay on wasmtime".to_owned(),
        entries: Vec::new(),
        page_bytes: crate::fuel::PAGE_BYTES,
        pages,
        pointer_bytes: 4,
        ..reader.header().clone()
    };
    let mut writer = Writer::new(out, &header)?;
    let mut known = vec![StackId::NONE];
    while let Some(event) = reader.next_event()? {
        let site = define(&mut writer, reader.sites(), &mut known, event.site)?;
        let mut put = |kind| writer.event(event.time_ns, event.thread, site, kind);
        for op in converter.take(&event)? {
            let id = match op {
                Op::Alloc { id, .. } | Op::Dealloc { id } | Op::Realloc { id, .. } => id,
            };
            let before = run.address(id).map_or(0, u64::from);
            run.step(usize::try_from(event.sequence)?, op)?;
            let after = run.address(id).map_or(0, u64::from);
            let grown = run.pages();
            if grown > pages {
                let before = core::mem::replace(&mut pages, grown);
                put(Kind::Grow {
                    before,
                    after: grown,
                })?;
            }
            put(as_event(op, event.kind, before, after))?;
        }
        match event.kind {
            Kind::Mark { name } => {
                let text = reader.sites().string(name).unwrap_or_default();
                let name: StringId = writer.string(text)?;
                writer.event(event.time_ns, event.thread, site, Kind::Mark { name })?;
            }
            Kind::Lost { .. } => {
                writer.event(event.time_ns, event.thread, site, event.kind)?;
            }
            _ => {}
        }
    }
    ensure!(
        reader.cut_off().is_none(),
        "the trace breaks off: there is no end to write"
    );
    let ending = reader.totals().and_then(|totals| totals.ending.clone());
    Ok(writer.finish(ending.as_deref())?)
}

/// What an operation that has been done is in a trace. Sizes and alignments are the old trace's.
fn as_event(op: Op, kind: Kind, before: u64, after: u64) -> Kind {
    match (op, kind) {
        (Op::Dealloc { .. }, _) => Kind::Free { address: before },
        (
            Op::Alloc { .. },
            Kind::Alloc {
                size,
                align,
                zeroed,
                ..
            },
        ) => Kind::Alloc {
            address: after,
            size,
            align,
            zeroed,
        },
        // A resize of what the trace has not seen taken.
        (Op::Alloc { .. }, Kind::Realloc { size, align, .. }) => Kind::Alloc {
            address: after,
            size,
            align,
            zeroed: false,
        },
        (Op::Realloc { .. }, Kind::Realloc { size, align, .. }) => Kind::Realloc {
            old: before,
            address: after,
            size,
            align,
        },
        // No other event is such an operation.
        (_, other) => other,
    }
}

/// The writer's number of a call stack of the reader's.
fn define<W: Write>(
    writer: &mut Writer<W>,
    sites: &Sites,
    known: &mut Vec<StackId>,
    site: StackId,
) -> Result<StackId> {
    while known.len() <= site.0 as usize {
        let next = StackId(u32::try_from(known.len())?);
        let (frame, parent) = sites.stack(next).context("a call stack is missing")?;
        let frame: Frame<'_> = sites.frame(frame).context("a frame is missing")?;
        let frame = writer.frame(&frame)?;
        // A parent is older.
        let stack = writer.stack(known[parent.0 as usize], frame)?;
        known.push(stack);
    }
    Ok(known[site.0 as usize])
}

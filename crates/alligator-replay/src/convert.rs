//! Operations from a trace, and a trace from operations.

use std::collections::HashMap;
use std::io::{Read, Write};

use alligator_trace::{Event, Header, Kind, Reader, StackId, Writer};
use anyhow::{Context, Result, bail, ensure};

use crate::ops::{Block, BlockId, Ids, Op, Trace};

/// Alignment of blocks whose caller said none, unless another is chosen: what C's `malloc` owes on Wasm.
pub const MALLOC_ALIGN: u32 = 16;

/// What of a trace cannot be replayed as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Requests that were refused: left out.
    pub refused: u64,
    /// Blocks given back that were never taken: left out. Those that were resized are taken at that moment.
    pub unknown: u64,
    /// Blocks whose address was given away again: given back just before.
    pub unseen: u64,
    /// Blocks of no bytes: replayed as of one byte.
    pub empty: u64,
    /// Resizes that asked for another alignment than the block has: replayed with the block's.
    pub realigned: u64,
    /// Events that the recorder lost.
    pub lost: u64,
}

impl Oddities {
    /// In words, none if there are none.
    pub fn notes(&self) -> Vec<String> {
        let all = [
            (self.refused, "requests were refused, and are left out"),
            (
                self.unknown,
                "blocks were given back and never taken, and are left out",
            ),
            (
                self.unseen,
                "blocks were given back unseen: when their address was given away again",
            ),
            (self.empty, "blocks of no bytes are replayed as of one"),
            (
                self.realigned,
                "resizes asked for another alignment, and get the block's",
            ),
            (self.lost, "events were lost by the recorder"),
        ];
        let some = all.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

/// A block of the trace.
#[derive(Debug, Clone, Copy)]
struct Live {
    id: BlockId,
    align: u32,
    is_empty: bool,
}

/// Turns events into operations, one by one. Memory: the blocks that are live.
#[derive(Debug)]
pub struct Converter {
    /// Of blocks whose caller said no alignment.
    malloc_align: u32,
    live: HashMap<u64, Live>,
    ids: Ids,
    oddities: Oddities,
    live_empty: u64,
}

impl Converter {
    /// For a trace with this header. Blocks whose caller said no alignment get `malloc_align`, a power of two, which for
    /// C is [`MALLOC_ALIGN`].
    ///
    /// # Errors
    /// It is sampled: most of its blocks are not there. Or the alignment is no power of two.
    pub fn new(header: &Header, malloc_align: u32) -> Result<Self> {
        ensure!(
            malloc_align.is_power_of_two(),
            "an alignment of {malloc_align}, which is no power of two"
        );
        ensure!(
            header.sample_bytes == 0,
            "a sampled trace cannot be replayed: record it without --sample"
        );
        Ok(Self {
            malloc_align,
            live: HashMap::new(),
            ids: Ids::default(),
            oddities: Oddities::default(),
            live_empty: 0,
        })
    }

    /// The operations that an event is: none, one, or two where a block was given back unseen.
    ///
    /// # Errors
    /// A block or an alignment that an allocator of 32 bits cannot give.
    pub fn take(&mut self, event: &Event) -> Result<impl Iterator<Item = Op> + use<>> {
        let ops = self.ops(event.kind);
        let ops = ops.with_context(|| format!("event {}", event.sequence))?;
        Ok(ops.into_iter().flatten())
    }

    fn ops(&mut self, kind: Kind) -> Result<[Option<Op>; 2]> {
        Ok(match kind {
            Kind::Alloc {
                address,
                size,
                align,
                zeroed,
            } => self.alloc(address, size, align, zeroed)?,
            Kind::Free { address: 0 } | Kind::Grow { .. } | Kind::Mark { .. } => [None, None],
            Kind::Free { address } => [self.free(address), None],
            Kind::Realloc {
                old,
                address,
                size,
                align,
            } => self.realloc(old, address, size, align)?,
            Kind::Lost { events } => {
                self.oddities.lost = self.oddities.lost.saturating_add(events);
                [None, None]
            }
        })
    }

    /// What was not replayed as it is, so far.
    pub fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Blocks of no bytes that are live, each of which is replayed as one byte.
    pub fn live_empty(&self) -> u64 {
        self.live_empty
    }

    /// The indices of the blocks that are live, in order, and one more than the highest of all.
    pub(crate) fn finish(self) -> (Vec<BlockId>, u32) {
        let mut rest: Vec<BlockId> = self.live.values().map(|live| live.id).collect();
        rest.sort_unstable();
        (rest, self.ids.count)
    }

    fn alloc(
        &mut self,
        address: u64,
        size: u64,
        align: u64,
        zeroed: bool,
    ) -> Result<[Option<Op>; 2]> {
        if address == 0 {
            self.oddities.refused += 1;
            return Ok([None, None]);
        }
        let replaced = self.forget(address);
        let (size, align, is_empty) = self.fitting(size, align)?;
        let id = self.ids.take();
        self.insert(address, id, align, is_empty);
        let new = Op::Alloc {
            id,
            size,
            align,
            zeroed,
        };
        Ok([replaced, Some(new)])
    }

    fn free(&mut self, address: u64) -> Option<Op> {
        let op = self.remove(address).map(|live| {
            self.ids.give_back(live.id);
            Op::Dealloc { id: live.id }
        });
        self.oddities.unknown += u64::from(op.is_none());
        op
    }

    fn realloc(
        &mut self,
        old: u64,
        address: u64,
        size: u64,
        align: u64,
    ) -> Result<[Option<Op>; 2]> {
        if address == 0 || old == 0 {
            return self.alloc(address, size, align, false);
        }
        let Some(live) = self.remove(old) else {
            self.oddities.unknown += 1;
            return self.alloc(address, size, align, false);
        };
        let replaced = self.forget(address);
        let (size, asked, is_empty) = self.fitting(size, align)?;
        self.oddities.realigned += u64::from(align != 0 && asked != live.align);
        self.insert(address, live.id, live.align, is_empty);
        let resized = Op::Realloc { id: live.id, size };
        Ok([replaced, Some(resized)])
    }

    /// Gives back what lies where another block is given.
    fn forget(&mut self, address: u64) -> Option<Op> {
        let live = self.remove(address)?;
        self.oddities.unseen += 1;
        self.ids.give_back(live.id);
        Some(Op::Dealloc { id: live.id })
    }

    fn remove(&mut self, address: u64) -> Option<Live> {
        let live = self.live.remove(&address)?;
        self.live_empty -= u64::from(live.is_empty);
        Some(live)
    }

    fn insert(&mut self, address: u64, id: BlockId, align: u32, is_empty: bool) {
        self.live_empty += u64::from(is_empty);
        let live = Live {
            id,
            align,
            is_empty,
        };
        self.live.insert(address, live);
    }

    /// What is asked of the allocator: size, alignment, and whether the block is one of no bytes.
    fn fitting(&mut self, size: u64, align: u64) -> Result<(u32, u32, bool)> {
        let align = match u32::try_from(align) {
            Ok(0) => self.malloc_align,
            Ok(align) => align,
            Err(_) => bail!("an alignment of {align} bytes, too large for 32 bits"),
        };
        let is_empty = size == 0;
        self.oddities.empty += u64::from(is_empty);
        let rounded = size.max(1).next_multiple_of(u64::from(align));
        ensure!(
            rounded <= u64::from(i32::MAX.cast_unsigned()),
            "a block of {size} bytes, too large for 32 bits"
        );
        let size = u32::try_from(size.max(1)).unwrap_or(u32::MAX);
        Ok((size, align, is_empty))
    }
}

/// A trace of a program as one of the lab's: with all blocks given back in the end, so that it can be repeated. What is
/// live then is given back in the order of the blocks' indices.
///
/// # Errors
/// A trace that is damaged, sampled, or does not fit 32 bits; or one with more than 2^24 blocks at a time, for which the
/// lab's format has no place.
pub fn trace_of<R: Read>(
    name: &str,
    mut reader: Reader<R>,
    malloc_align: u32,
) -> Result<(Trace, Oddities)> {
    let mut converter = Converter::new(reader.header(), malloc_align)?;
    let (mut ops, mut sizes) = (Vec::new(), Vec::<u32>::new());
    let (mut live_bytes, mut peak_live_bytes) = (0_u64, 0);
    while let Some(event) = reader.next_event()? {
        for op in converter.take(&event)? {
            let (id, size) = match op {
                Op::Alloc { id, size, .. } | Op::Realloc { id, size } => (id, size),
                Op::Dealloc { id } => (id, 0),
            };
            let place = id as usize;
            if place >= sizes.len() {
                sizes.resize(place + 1, 0);
            }
            let old = core::mem::replace(&mut sizes[place], size);
            live_bytes = live_bytes + u64::from(size) - u64::from(old);
            peak_live_bytes = peak_live_bytes.max(live_bytes);
            ops.push(op);
        }
    }
    let oddities = converter.oddities();
    let (rest, block_count) = converter.finish();
    ensure!(
        block_count <= 1 << 24,
        "{block_count} blocks at a time, more than 2^24"
    );
    ops.extend(rest.into_iter().map(|id| Op::Dealloc { id }));
    let trace = Trace {
        name: name.to_owned(),
        ops,
        block_count,
        peak_live_bytes,
    };
    Ok((trace, oddities))
}

/// Writes one of the lab's traces as a trace of a program. Addresses are made up: each index has a place of its own, wide
/// enough for the largest block that it ever has.
///
/// # Errors
/// Those of the output.
pub fn write_trace<W: Write>(trace: &Trace, out: W) -> Result<W> {
    let mut places = vec![Block { size: 0, align: 1 }; trace.block_count as usize];
    for op in &trace.ops {
        match *op {
            Op::Alloc {
                id, size, align, ..
            } => {
                let place = &mut places[id as usize];
                place.size = place.size.max(size);
                place.align = place.align.max(align);
            }
            Op::Realloc { id, size } => {
                let place = &mut places[id as usize];
                place.size = place.size.max(size);
            }
            Op::Dealloc { .. } => {}
        }
    }
    let mut next = 0x400_u64;
    let addresses: Vec<u64> = places
        .iter()
        .map(|place| {
            let address = next.next_multiple_of(u64::from(place.align));
            next = address + u64::from(place.size);
            address
        })
        .collect();
    let mut header = Header {
        recorder: "the lab".to_owned(),
        ..Header::default()
    };
    header.pages = next.div_ceil(header.page_bytes);
    header.module.name.clone_from(&trace.name);
    let mut writer = Writer::new(out, &header)?;
    let mut aligns = vec![1; places.len()];
    for op in &trace.ops {
        let kind = match *op {
            Op::Alloc {
                id,
                size,
                align,
                zeroed,
            } => {
                aligns[id as usize] = align;
                Kind::Alloc {
                    address: addresses[id as usize],
                    size: size.into(),
                    align: align.into(),
                    zeroed,
                }
            }
            Op::Dealloc { id } => Kind::Free {
                address: addresses[id as usize],
            },
            Op::Realloc { id, size } => Kind::Realloc {
                old: addresses[id as usize],
                address: addresses[id as usize],
                size: size.into(),
                align: aligns[id as usize].into(),
            },
        };
        writer.event(0, 0, StackId::NONE, kind)?;
    }
    Ok(writer.finish(None)?)
}

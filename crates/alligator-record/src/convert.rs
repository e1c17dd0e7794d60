//! What a module says, as a trace.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

use alligator_find::module::InputError;
use alligator_trace::{Kind, StackId, Totals, Writer};
use wasmparser::{Parser, Payload};

use crate::abi::{
    FORMAT, Meta, RawKind, SECTION_META, SECTION_SITES, TAG_ALIGN_SHIFT, TAG_DEPTH_SHIFT,
    TAG_ZEROED,
};
use crate::sites::SiteTable;

/// Events that wait for one with a lower number, at most; then that one is given up.
const WAITING_MAX: usize = 1 << 22;

/// What a recorded module says of itself.
///
/// # Errors
/// When it is no module, or none that records.
pub fn meta_of(recorded: &[u8]) -> Result<Meta, InputError> {
    let Some((data, offset)) = section(recorded, SECTION_META)? else {
        return Err(InputError::plain(
            "the module does not record: `alligator record` makes one that does",
        ));
    };
    let meta: Meta = serde_json::from_slice(data)
        .map_err(|error| InputError::at(offset, format!("section {SECTION_META:?}: {error}")))?;
    if meta.format != FORMAT {
        let reason = format!(
            "a recorder of the format {:?}; {FORMAT:?} is read",
            meta.format
        );
        return Err(InputError::at(offset, reason));
    }
    Ok(meta)
}

/// A recorded module's call sites.
///
/// # Errors
/// When they are not well formed.
pub fn sites_of(recorded: &[u8]) -> Result<SiteTable, InputError> {
    match section(recorded, SECTION_SITES)? {
        Some((data, offset)) => SiteTable::read(data).map_err(|error| error.within(offset)),
        None => Ok(SiteTable::default()),
    }
}

/// A custom section of a module, with its offset.
pub(crate) fn section<'a>(
    bytes: &'a [u8],
    name: &str,
) -> Result<Option<(&'a [u8], u64)>, InputError> {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == name
        {
            return Ok(Some((section.data(), section.data_offset())));
        }
    }
    Ok(None)
}

/// One record of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw {
    /// What it is.
    pub tag: u32,
    /// Its first number.
    pub old: u64,
    /// Its second.
    pub address: u64,
    /// Its third.
    pub size: u64,
    /// Its number among those of all threads, where there are several.
    pub sequence: u64,
}

/// Turns what a module says into a trace. Memory: the trace's, and the events of other threads that came too early.
#[derive(Debug)]
pub struct Conversion<W: Write> {
    writer: Writer<W>,
    meta: Meta,
    sites: SiteTable,
    stacks: BTreeMap<u32, Vec<StackId>>,
    pages: u64,
    /// With sampling: blocks that are recorded and not given back.
    live: HashSet<u64>,
    /// Events of a number that is not next yet. What is no event only takes a number.
    waiting: BTreeMap<u64, Option<Waiting>>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    time_ns: u64,
    thread: u32,
    site: StackId,
    kind: Kind,
}

impl<W: Write> Conversion<W> {
    /// Begins a trace of a recorded module that some engine runs.
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(out: W, mut meta: Meta, sites: SiteTable, engine: &str) -> io::Result<Self> {
        engine.clone_into(&mut meta.header.engine);
        Ok(Self {
            writer: Writer::new(out, &meta.header)?,
            pages: meta.header.pages,
            meta,
            sites,
            stacks: BTreeMap::new(),
            live: HashSet::new(),
            waiting: BTreeMap::new(),
            next: 0,
        })
    }

    /// Takes a buffer of a thread, whose events have this time in nanoseconds.
    ///
    /// # Errors
    /// When it is not made of whole records, and those of the output.
    pub fn events(&mut self, thread: u32, time_ns: u64, mut bytes: &[u8]) -> io::Result<()> {
        let is_64 = self.meta.header.pointer_bytes == 8;
        let length = self.meta.record_bytes as usize;
        while !bytes.is_empty() {
            let (record, rest) = bytes.split_at_checked(length).ok_or_else(cut_off)?;
            bytes = rest;
            let number = |place: usize| {
                if is_64 {
                    word(record, place * 8, 8)
                } else {
                    word(record, place * 4, 4)
                }
            };
            let raw = Raw {
                tag: u32::try_from(number(0) & 0xffff_ffff).unwrap_or(0),
                old: number(1),
                address: number(2),
                size: number(3),
                sequence: if self.meta.shared {
                    word(record, length - 8, 8)
                } else {
                    0
                },
            };
            let mut name = "";
            let mut text = String::new();
            if RawKind::of(raw.tag) == Some(RawKind::Mark) {
                let bytes_of_name = usize::try_from(raw.size).unwrap_or(usize::MAX);
                let padded = bytes_of_name.div_ceil(length.max(1)).saturating_mul(length);
                let (name_bytes, rest) = bytes.split_at_checked(padded).ok_or_else(cut_off)?;
                bytes = rest;
                text.push_str(&String::from_utf8_lossy(&name_bytes[..bytes_of_name]));
                name = &text;
            }
            self.event(thread, time_ns, raw, name)?;
        }
        Ok(())
    }

    /// Takes one record of a thread; `name` is that of a mark.
    ///
    /// # Errors
    /// Those of the output.
    pub fn event(&mut self, thread: u32, time_ns: u64, raw: Raw, name: &str) -> io::Result<()> {
        let kind = self.kind(thread, raw, name)?;
        let event = kind.map(|kind| Waiting {
            time_ns,
            thread,
            site: self.site(thread, raw.tag >> TAG_DEPTH_SHIFT),
            kind,
        });
        if !self.meta.shared {
            return self.write(event);
        }
        self.waiting.insert(raw.sequence, event);
        while let Some(event) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.write(event)?;
        }
        if self.waiting.len() > WAITING_MAX {
            self.give_up()?;
        }
        Ok(())
    }

    /// Sets a mark, as the host.
    ///
    /// # Errors
    /// When there are too many different ones, and those of the output.
    pub fn mark(&mut self, thread: u32, time_ns: u64, name: &str) -> io::Result<()> {
        let name = self.writer.string(name)?;
        let kind = Kind::Mark { name };
        self.writer.event(time_ns, thread, StackId::NONE, kind)?;
        Ok(())
    }

    /// What was counted so far.
    pub fn totals(&self) -> &Totals {
        self.writer.totals()
    }

    /// Ends the trace, with how the program ended.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self, ending: Option<&str>) -> io::Result<(W, Totals)> {
        while !self.waiting.is_empty() {
            self.give_up()?;
        }
        let mut totals = self.writer.totals().clone();
        totals.ending = ending.map(str::to_owned);
        Ok((self.writer.finish(ending)?, totals))
    }

    /// Goes on with the lowest number there is.
    fn give_up(&mut self) -> io::Result<()> {
        while let Some((number, event)) = self.waiting.pop_first() {
            self.next = number + 1;
            self.write(event)?;
            if !self.waiting.contains_key(&self.next) {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, event: Option<Waiting>) -> io::Result<()> {
        let Some(event) = event else {
            return Ok(());
        };
        let mut kind = event.kind;
        match &mut kind {
            // Each thread notices growth by itself, and the first reports what the module was started with.
            Kind::Grow { before, after } => {
                if *after <= self.pages {
                    return Ok(());
                }
                *before = self.pages;
                self.pages = *after;
            }
            Kind::Alloc { address, .. } if self.meta.header.sample_bytes != 0 => {
                self.live.insert(*address);
            }
            Kind::Free { address }
                if self.meta.header.sample_bytes != 0 && !self.live.remove(address) =>
            {
                return Ok(());
            }
            _ => {}
        }
        self.writer
            .event(event.time_ns, event.thread, event.site, kind)?;
        Ok(())
    }

    /// What a record says; `None` if it says nothing of the heap.
    fn kind(&mut self, thread: u32, raw: Raw, name: &str) -> io::Result<Option<Kind>> {
        let align = match raw.tag >> TAG_ALIGN_SHIFT & 0x7f {
            log @ 1..=63 if self.meta.header.pointer_bytes == 8 || log <= 32 => 1 << (log - 1),
            _ => 0,
        };
        let zeroed = raw.tag & TAG_ZEROED != 0;
        let (old, address, size) = (raw.old, raw.address, raw.size);
        let alloc = Kind::Alloc {
            address,
            size,
            align,
            zeroed,
        };
        Ok(match RawKind::of(raw.tag) {
            Some(RawKind::Alloc) if address == 0 && size == 0 => None,
            Some(RawKind::Alloc) => Some(alloc),
            Some(RawKind::Free) if address == 0 => None,
            Some(RawKind::Free) => Some(Kind::Free { address }),
            Some(RawKind::Realloc) => match (old, address, size) {
                (0, 0, 0) => None,
                (0, _, _) => Some(alloc),
                (_, 0, 0) => Some(Kind::Free { address: old }),
                _ => Some(Kind::Realloc {
                    old,
                    address,
                    size,
                    align,
                }),
            },
            Some(RawKind::Grow) => Some(Kind::Grow {
                before: old,
                after: address.max(old),
            }),
            Some(RawKind::Mark) => {
                let name = self.writer.string(name)?;
                Some(Kind::Mark { name })
            }
            Some(RawKind::Lost) => Some(Kind::Lost { events: size }),
            Some(RawKind::Frame) => {
                self.push(thread, old, address)?;
                None
            }
            None => None,
        })
    }

    /// Puts a call site at a place of a thread's stack; what was above it is gone.
    fn push(&mut self, thread: u32, place: u64, site: u64) -> io::Result<()> {
        let stack = self.stacks.entry(thread).or_default();
        stack.truncate(usize::try_from(place).unwrap_or(usize::MAX));
        let mut top = stack.last().copied().unwrap_or(StackId::NONE);
        for frame in self.sites.frames(u32::try_from(site).unwrap_or(u32::MAX)) {
            let frame = self.writer.frame(&frame)?;
            top = self.writer.stack(top, frame)?;
        }
        stack.push(top);
        Ok(())
    }

    fn site(&self, thread: u32, depth: u32) -> StackId {
        let stack = self.stacks.get(&thread).map_or(&[][..], Vec::as_slice);
        let place = (depth as usize).min(stack.len());
        place.checked_sub(1).map_or(StackId::NONE, |top| stack[top])
    }
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a buffer that ends inside a record",
    )
}

/// A number of so many bytes, little end first.
fn word(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length]
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

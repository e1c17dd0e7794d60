//! Events and definitions as bytes.
//!
//! A record is a byte, with what it is in the low three bits and what differs from the record before in the others, and
//! then numbers of variable length. Addresses are differences to the last one.

use crate::event::Kind;
use crate::sites::{FrameRecord, StackId, StackRecord, StringId};

const ALLOC: u8 = 0;
const FREE: u8 = 1;
const REALLOC: u8 = 2;
const GROW: u8 = 3;
const MARK: u8 = 4;
/// Another byte says what it is.
const OTHER: u8 = 7;
const KIND_MASK: u8 = 7;

/// The time differs: the difference follows, in nanoseconds.
const TIME: u8 = 1 << 3;
/// The thread differs: it follows.
const THREAD: u8 = 1 << 4;
/// The site differs: it follows.
const SITE: u8 = 1 << 5;
/// The alignment differs: 0 if none, else 1 + its logarithm, follows.
const ALIGN: u8 = 1 << 6;
/// The block had to be zero.
const ZEROED: u8 = 1 << 7;

const STRING: u8 = 0;
const FRAME: u8 = 1;
const STACK: u8 = 2;
const LOST: u8 = 3;

/// What stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Event {
        time_ns: u64,
        thread: u32,
        site: StackId,
        kind: Kind,
    },
    String(&'a str),
    Frame(FrameRecord),
    Stack(StackRecord),
}

/// What a record is told against. At the start of a block all is 0, and the time is the block's.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) time_ns: u64,
    thread: u32,
    site: u32,
    align: u64,
    address: u64,
}

pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// A difference, small in either direction, as a small number.
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (difference >> 63).wrapping_neg()
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

fn align_byte(align: u64) -> u8 {
    match align {
        0 => 0,
        _ => 1 + align.trailing_zeros().to_le_bytes()[0],
    }
}

impl State {
    /// The state at the start of a block.
    pub(crate) fn at(time_ns: u64) -> Self {
        Self {
            time_ns,
            ..Self::default()
        }
    }

    /// Writes an event. Its time is not before the last one's.
    pub(crate) fn write(
        &mut self,
        bytes: &mut Vec<u8>,
        time_ns: u64,
        thread: u32,
        site: StackId,
        kind: Kind,
    ) {
        let (byte, align) = match kind {
            Kind::Alloc { align, zeroed, .. } => {
                (ALLOC | if zeroed { ZEROED } else { 0 }, Some(align))
            }
            Kind::Free { .. } => (FREE, None),
            Kind::Realloc { align, .. } => (REALLOC, Some(align)),
            Kind::Grow { .. } => (GROW, None),
            Kind::Mark { .. } => (MARK, None),
            Kind::Lost { .. } => (OTHER, None),
        };
        let align = align.filter(|align| *align != self.align);
        let flag = |differs: bool, flag: u8| if differs { flag } else { 0 };
        bytes.push(
            byte | flag(time_ns != self.time_ns, TIME)
                | flag(thread != self.thread, THREAD)
                | flag(site.0 != self.site, SITE)
                | flag(align.is_some(), ALIGN),
        );
        if matches!(kind, Kind::Lost { .. }) {
            bytes.push(LOST);
        }
        if time_ns != self.time_ns {
            put(bytes, time_ns.wrapping_sub(self.time_ns));
            self.time_ns = time_ns;
        }
        if thread != self.thread {
            put(bytes, u64::from(thread));
            self.thread = thread;
        }
        if site.0 != self.site {
            put(bytes, u64::from(site.0));
            self.site = site.0;
        }
        if let Some(align) = align {
            bytes.push(align_byte(align));
            self.align = align;
        }
        match kind {
            Kind::Alloc { address, size, .. } => {
                self.put_address(bytes, address);
                put(bytes, size);
            }
            Kind::Free { address } => self.put_address(bytes, address),
            Kind::Realloc {
                old, address, size, ..
            } => {
                self.put_address(bytes, old);
                self.put_address(bytes, address);
                put(bytes, size);
            }
            Kind::Grow { before, after } => {
                put(bytes, before);
                put(bytes, after.wrapping_sub(before));
            }
            Kind::Mark { name } => put(bytes, u64::from(name.0)),
            Kind::Lost { events } => put(bytes, events),
        }
    }

    fn put_address(&mut self, bytes: &mut Vec<u8>, address: u64) {
        put(bytes, zigzag(address.wrapping_sub(self.address)));
        self.address = address;
    }

    /// Reads a record; the error says what is wrong with it.
    pub(crate) fn read<'a>(&mut self, bytes: &mut Bytes<'a>) -> Result<Record<'a>, String> {
        let byte = bytes.byte()?;
        let sort = byte & KIND_MASK;
        let other = if sort == OTHER { bytes.byte()? } else { LOST };
        if other != LOST {
            if byte != OTHER {
                return Err(format!("a definition with the flags {byte:#x}"));
            }
            return definition(other, bytes);
        }
        if byte & TIME != 0 {
            let time = self.time_ns.checked_add(bytes.number()?);
            self.time_ns = time.ok_or("a time beyond 64 bits")?;
        }
        if byte & THREAD != 0 {
            self.thread = bytes.number32()?;
        }
        if byte & SITE != 0 {
            self.site = bytes.number32()?;
        }
        let has_align = sort == ALLOC || sort == REALLOC;
        if byte & ALIGN != 0 {
            self.align = match bytes.byte()? {
                0 => 0,
                log @ 1..=64 => 1 << (log - 1),
                log => return Err(format!("an alignment of 2 to the {log} - 1")),
            };
        }
        let flags_too_many = if has_align { 0 } else { ALIGN };
        let zeroed_too_many = if sort == ALLOC { 0 } else { ZEROED };
        if byte & (flags_too_many | zeroed_too_many) != 0 {
            return Err(format!("a record with the flags {byte:#x}"));
        }
        let kind = self.kind(sort, byte & ZEROED != 0, bytes)?;
        Ok(Record::Event {
            time_ns: self.time_ns,
            thread: self.thread,
            site: StackId(self.site),
            kind,
        })
    }

    fn kind(&mut self, sort: u8, zeroed: bool, bytes: &mut Bytes<'_>) -> Result<Kind, String> {
        let align = self.align;
        let kind = match sort {
            ALLOC => Kind::Alloc {
                address: self.address(bytes)?,
                size: bytes.number()?,
                align,
                zeroed,
            },
            FREE => Kind::Free {
                address: self.address(bytes)?,
            },
            REALLOC => Kind::Realloc {
                old: self.address(bytes)?,
                address: self.address(bytes)?,
                size: bytes.number()?,
                align,
            },
            GROW => {
                let before = bytes.number()?;
                let after = before.checked_add(bytes.number()?);
                let after = after.ok_or("more pages than 64 bits count")?;
                Kind::Grow { before, after }
            }
            MARK => Kind::Mark {
                name: StringId(bytes.number32()?),
            },
            OTHER => Kind::Lost {
                events: bytes.number()?,
            },
            unknown => return Err(format!("a record of the unknown kind {unknown}")),
        };
        Ok(kind)
    }

    fn address(&mut self, bytes: &mut Bytes<'_>) -> Result<u64, String> {
        self.address = self.address.wrapping_add(unzigzag(bytes.number()?));
        Ok(self.address)
    }
}

/// Why an event cannot stand in a trace.
pub(crate) fn fault(kind: Kind) -> Option<&'static str> {
    let is_beyond = |address: u64, size: u64| address != 0 && address.checked_add(size).is_none();
    match kind {
        Kind::Alloc {
            address,
            size,
            align,
            ..
        }
        | Kind::Realloc {
            address,
            size,
            align,
            ..
        } => {
            if align != 0 && !align.is_power_of_two() {
                return Some("an alignment that is no power of two");
            }
            is_beyond(address, size).then_some("a block that ends beyond 64 bits")
        }
        Kind::Grow { before, after } => {
            (after < before).then_some("memory that has fewer pages after it grew")
        }
        Kind::Free { .. } | Kind::Mark { .. } | Kind::Lost { .. } => None,
    }
}

pub(crate) fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend([OTHER, STRING]);
    put(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

pub(crate) fn put_frame(bytes: &mut Vec<u8>, frame: FrameRecord) {
    bytes.extend([OTHER, FRAME]);
    for number in [frame.function, frame.name, frame.file, frame.line] {
        put(bytes, u64::from(number));
    }
    put(bytes, frame.offset);
}

pub(crate) fn put_stack(bytes: &mut Vec<u8>, stack: StackRecord) {
    bytes.extend([OTHER, STACK]);
    put(bytes, u64::from(stack.parent));
    put(bytes, u64::from(stack.frame));
}

fn definition<'a>(what: u8, bytes: &mut Bytes<'a>) -> Result<Record<'a>, String> {
    match what {
        STRING => {
            let length = usize::try_from(bytes.number()?).unwrap_or(usize::MAX);
            let text = core::str::from_utf8(bytes.take(length)?);
            Ok(Record::String(
                text.map_err(|_| "a string that is not UTF-8")?,
            ))
        }
        FRAME => Ok(Record::Frame(FrameRecord {
            function: bytes.number32()?,
            name: bytes.number32()?,
            file: bytes.number32()?,
            line: bytes.number32()?,
            offset: bytes.number()?,
        })),
        STACK => Ok(Record::Stack(StackRecord {
            parent: bytes.number32()?,
            frame: bytes.number32()?,
        })),
        unknown => Err(format!("a record of the unknown kind 7, {unknown}")),
    }
}

/// Contents of a block that are not read yet.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Result<u8, String> {
        let (first, rest) = self.0.split_first().ok_or("a record that is cut off")?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let both = self.0.split_at_checked(count);
        let (taken, rest) = both.ok_or("a record that is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of variable length. At most 10 turns.
    pub(crate) fn number(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than 64 bits".to_owned())
    }

    fn number32(&mut self) -> Result<u32, String> {
        u32::try_from(self.number()?).map_err(|_| "a number of more than 32 bits".to_owned())
    }
}

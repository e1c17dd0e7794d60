//! Writes a trace.

use std::io::{self, Write};

use crate::block::{BlockKind, MAGIC, VERSION, write_block};
use crate::event::Kind;
use crate::header::{Header, Totals};
use crate::record::{self, State, put, put_frame, put_stack, put_string};
use crate::sites::{Frame, FrameId, FrameRecord, Interned, StackId, StackRecord, StringId};

/// A block is written when its contents are this long.
const BLOCK_BYTES: usize = 1 << 18;

/// Writes a trace into a file, or whatever takes bytes. Memory: 256 KiB, twice that while a block is packed, and the
/// program's sites.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    known: Interned,
    block: Vec<u8>,
    state: State,
    totals: Totals,
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

impl<W: Write> Writer<W> {
    /// Begins a trace.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        write_block(&mut out, BlockKind::Header, &serde_json::to_vec(header)?)?;
        let mut writer = Self {
            out,
            known: Interned::default(),
            block: Vec::with_capacity(BLOCK_BYTES),
            state: State::default(),
            totals: Totals::default(),
        };
        writer.begin_block();
        Ok(writer)
    }

    /// The number of a string.
    ///
    /// # Errors
    /// When it has more than 64 KiB, when there are too many, and those of the output.
    pub fn string(&mut self, text: &str) -> io::Result<StringId> {
        if let Some(id) = self.known.strings.get(text) {
            return Ok(StringId(*id));
        }
        let id = self.known.sites.add_string(text).map_err(invalid)?;
        self.known.strings.insert(text.into(), id);
        put_string(&mut self.block, text);
        self.flush_if_full()?;
        Ok(StringId(id))
    }

    /// The number of a frame.
    ///
    /// # Errors
    /// Those of [`Writer::string`].
    pub fn frame(&mut self, frame: &Frame<'_>) -> io::Result<FrameId> {
        let record = FrameRecord {
            function: frame.function,
            name: self.string(frame.name)?.0,
            file: match frame.file {
                Some(file) => self.string(file)?.0,
                None => 0,
            },
            line: frame.line,
            offset: frame.offset,
        };
        if let Some(id) = self.known.frames.get(&record) {
            return Ok(FrameId(*id));
        }
        let id = self.known.sites.add_frame(record).map_err(invalid)?;
        self.known.frames.insert(record, id);
        put_frame(&mut self.block, record);
        self.flush_if_full()?;
        Ok(FrameId(id))
    }

    /// The number of a stack: a frame, and the stack it was called from.
    ///
    /// # Errors
    /// When there is no such frame or stack, when there are too many, and those of the output.
    pub fn stack(&mut self, parent: StackId, frame: FrameId) -> io::Result<StackId> {
        let record = StackRecord {
            parent: parent.0,
            frame: frame.0,
        };
        if let Some(id) = self.known.stacks.get(&record) {
            return Ok(StackId(*id));
        }
        let id = self.known.sites.add_stack(record).map_err(invalid)?;
        self.known.stacks.insert(record, id);
        put_stack(&mut self.block, record);
        self.flush_if_full()?;
        Ok(StackId(id))
    }

    /// Adds an event and gives its number. A time before that of the last event is taken for that one.
    ///
    /// # Errors
    /// When the site or mark is not defined, an alignment is no power of two, a block ends beyond 64 bits, or memory
    /// shrinks; and those of the output.
    pub fn event(
        &mut self,
        time_ns: u64,
        thread: u32,
        site: StackId,
        kind: Kind,
    ) -> io::Result<u64> {
        if let Some(fault) = record::fault(kind) {
            return Err(invalid(fault));
        }
        let sites = &self.known.sites;
        if site != StackId::NONE && sites.stack(site).is_none() {
            return Err(invalid("an event with a site that is not defined"));
        }
        if matches!(kind, Kind::Mark { name } if sites.string(name).is_none()) {
            return Err(invalid("a mark whose name is not defined"));
        }
        let time_ns = time_ns.max(self.state.time_ns);
        self.state
            .write(&mut self.block, time_ns, thread, site, kind);
        let sequence = self.totals.events;
        self.totals.count(kind);
        self.flush_if_full()?;
        Ok(sequence)
    }

    /// What was counted so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Writes what is there as a whole block, so that it can be read if nothing follows.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        write_block(&mut self.out, BlockKind::Records, &self.block)?;
        self.begin_block();
        self.out.flush()
    }

    /// Ends the trace and gives the output back. `ending` says how the program ended.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self, ending: Option<&str>) -> io::Result<W> {
        self.flush()?;
        self.totals.ending = ending.map(str::to_owned);
        let totals = serde_json::to_vec(&self.totals)?;
        write_block(&mut self.out, BlockKind::End, &totals)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.block.len() < BLOCK_BYTES {
            return Ok(());
        }
        write_block(&mut self.out, BlockKind::Records, &self.block)?;
        self.begin_block();
        Ok(())
    }

    fn begin_block(&mut self) {
        let time_ns = self.state.time_ns;
        self.state = State::at(time_ns);
        self.block.clear();
        put(&mut self.block, self.totals.events);
        put(&mut self.block, time_ns);
    }
}

impl Totals {
    pub(crate) fn count(&mut self, kind: Kind) {
        self.events += 1;
        match kind {
            Kind::Alloc { .. } => self.allocs += 1,
            Kind::Free { .. } => self.frees += 1,
            Kind::Realloc { .. } => self.reallocs += 1,
            Kind::Grow { .. } => self.grows += 1,
            Kind::Mark { .. } => self.marks += 1,
            Kind::Lost { events } => self.lost = self.lost.saturating_add(events),
        }
    }
}

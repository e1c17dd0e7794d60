//! Reads a trace.

use std::io::Read;

use crate::block::{BlockKind, Blocks, Next};
use crate::error::Error;
use crate::event::{Event, Kind};
use crate::header::{Header, Totals};
use crate::record::{self, Bytes, Record, State};
use crate::sites::{Sites, StackId};

/// Reads a trace from a file, or whatever gives bytes, one event at a time. Memory: one block and the program's sites.
/// It reads 12 bytes and a block at a time, so a file needs no buffer.
pub struct Reader<R> {
    blocks: Blocks<R>,
    header: Header,
    sites: Sites,
    contents: Vec<u8>,
    /// Bytes of `contents` that were read.
    read: usize,
    /// Where the block of `contents` began.
    offset: u64,
    state: State,
    counted: Totals,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    Whole(Totals),
    CutOff(u64),
    Failed,
}

impl<R> core::fmt::Debug for Reader<R> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Reader")
            .field("header", &self.header)
            .field("offset", &self.offset)
            .field("counted", &self.counted)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the input cannot be read, is no trace, is of another version, or ends before the header does.
    pub fn new(input: R) -> Result<Self, Error> {
        let mut blocks = Blocks::new(input)?;
        let offset = blocks.offset();
        let Next::Block { kind, contents, .. } = blocks.next()? else {
            return Err(Error::at(offset, "a trace that ends in its header"));
        };
        if kind != BlockKind::Header {
            return Err(Error::at(offset, "the first block is no header"));
        }
        let header = serde_json::from_slice(&contents).map_err(|error| {
            Error::at(offset, format!("a header that is not understood: {error}"))
        })?;
        Ok(Self {
            blocks,
            header,
            sites: Sites::default(),
            contents: Vec::new(),
            read: 0,
            offset,
            state: State::default(),
            counted: Totals::default(),
            end: None,
        })
    }

    /// What was recorded, and how.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The sites that were defined so far: all that events so far may have.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// The sites that were defined so far, for those who need no more events.
    pub fn into_sites(self) -> Sites {
        self.sites
    }

    /// What was counted so far.
    pub fn counted(&self) -> &Totals {
        &self.counted
    }

    /// What the trace says at its end, once that was read; `None` before it, or when there is none.
    pub fn totals(&self) -> Option<&Totals> {
        match &self.end {
            Some(End::Whole(totals)) => Some(totals),
            _ => None,
        }
    }

    /// Once [`Reader::next_event`] gave `None`: the byte offset of the first block that is not whole, if the trace is
    /// cut off.
    pub fn cut_off(&self) -> Option<u64> {
        match self.end {
            Some(End::CutOff(offset)) => Some(offset),
            _ => None,
        }
    }

    /// The next event; `None` at the end. A trace that is cut off gives all events of its whole blocks, then `None`, and
    /// [`Reader::cut_off`] says where.
    ///
    /// # Errors
    /// When the trace is damaged, with the offset of the block. After an error there are no more events.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let result = self.next_record();
        if result.is_err() {
            self.end = Some(End::Failed);
        }
        result
    }

    fn next_record(&mut self) -> Result<Option<Event>, Error> {
        while self.end.is_none() {
            if self.read == self.contents.len() {
                self.next_block()?;
                continue;
            }
            let event = self.decode().map_err(|reason| {
                let place = format!("{reason}, before byte {} of a block", self.read);
                Error::at(self.offset, place)
            })?;
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Decodes a record; a definition is no event.
    fn decode(&mut self) -> Result<Option<Event>, String> {
        let mut bytes = Bytes(&self.contents[self.read..]);
        let record = self.state.read(&mut bytes);
        self.read = self.contents.len() - bytes.0.len();
        match record? {
            Record::String(text) => self.sites.add_string(text)?,
            Record::Frame(frame) => self.sites.add_frame(frame)?,
            Record::Stack(stack) => self.sites.add_stack(stack)?,
            Record::Event {
                time_ns,
                thread,
                site,
                kind,
            } => {
                if let Some(fault) = record::fault(kind) {
                    return Err(fault.to_owned());
                }
                if site != StackId::NONE && self.sites.stack(site).is_none() {
                    return Err("an event with a site that is not defined".to_owned());
                }
                if matches!(kind, Kind::Mark { name } if self.sites.string(name).is_none()) {
                    return Err("a mark whose name is not defined".to_owned());
                }
                let sequence = self.counted.events;
                self.counted.count(kind);
                return Ok(Some(Event {
                    sequence,
                    time_ns,
                    thread,
                    site,
                    kind,
                }));
            }
        };
        Ok(None)
    }

    fn next_block(&mut self) -> Result<(), Error> {
        let at = self.blocks.offset();
        let Next::Block {
            kind,
            contents,
            offset,
        } = self.blocks.next()?
        else {
            self.end = Some(End::CutOff(at));
            return Ok(());
        };
        match kind {
            BlockKind::Header => Err(Error::at(offset, "a second header")),
            BlockKind::Records => self.begin(contents, offset),
            BlockKind::End => {
                let totals: Totals = serde_json::from_slice(&contents).map_err(|error| {
                    Error::at(offset, format!("an end that is not understood: {error}"))
                })?;
                let counted = Totals {
                    ending: totals.ending.clone(),
                    ..self.counted.clone()
                };
                if totals != counted {
                    let reason = format!(
                        "the end counts {} events, and {} were read, or of other kinds",
                        totals.events, counted.events
                    );
                    return Err(Error::at(offset, reason));
                }
                if !self.blocks.is_at_end()? {
                    return Err(Error::at(self.blocks.offset(), "bytes after the end"));
                }
                self.end = Some(End::Whole(totals));
                Ok(())
            }
        }
    }

    fn begin(&mut self, contents: Vec<u8>, offset: u64) -> Result<(), Error> {
        let mut bytes = Bytes(&contents);
        let mut number = || bytes.number().map_err(|reason| Error::at(offset, reason));
        let (sequence, time_ns) = (number()?, number()?);
        if sequence != self.counted.events {
            let reason = format!(
                "a block of events from {sequence} where {} comes next",
                self.counted.events
            );
            return Err(Error::at(offset, reason));
        }
        if time_ns < self.state.time_ns {
            return Err(Error::at(offset, "a block with a time before the last"));
        }
        self.state = State::at(time_ns);
        self.read = contents.len() - bytes.0.len();
        self.contents = contents;
        self.offset = offset;
        Ok(())
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

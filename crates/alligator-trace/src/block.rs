//! Pieces of the file, each of which can be unpacked alone.

use std::io::{self, Read, Write};

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::error::Error;

/// The first bytes of a trace. The first is no text, and the last two show a file that was sent as text.
pub const MAGIC: [u8; 8] = *b"\x89ALTRC\r\n";
/// The version of the format, which follows as 32 bits, little end first.
pub const VERSION: u32 = 1;
/// Bytes of a block's contents, at most.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Bytes of a block as it is stored, at most: what does not get shorter gets a little longer.
const STORED_BYTES_MAX: usize = BLOCK_BYTES_MAX + (1 << 12);

/// Bytes before the first block.
pub(crate) const PROLOGUE_BYTES: u64 = 12;
/// Bytes of a block before its contents: kind, method, two zeros, length of the contents, length as stored.
const HEAD_BYTES: usize = 12;

/// Contents as they are.
const STORED: u8 = 0;
/// Contents as a zlib stream, which has a checksum.
const ZLIB: u8 = 1;
/// The fastest level that still compresses.
const LEVEL: u8 = 1;

/// Kinds of this and above are for later versions: a reader leaves out those it does not know.
const OPTIONAL: u8 = 0x80;

/// What is in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Header,
    Records,
    End,
}

impl BlockKind {
    fn byte(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Records => 2,
            Self::End => 3,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Header),
            2 => Some(Self::Records),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

pub(crate) fn write_block(
    out: &mut impl Write,
    kind: BlockKind,
    contents: &[u8],
) -> io::Result<()> {
    let packed = compress_to_vec_zlib(contents, LEVEL);
    let mut head = vec![kind.byte(), ZLIB, 0, 0];
    for (bytes, max) in [(contents, BLOCK_BYTES_MAX), (&packed, STORED_BYTES_MAX)] {
        let length = u32::try_from(bytes.len()).ok();
        let length = length.filter(|_| bytes.len() <= max).ok_or_else(|| {
            let reason = format!("a block of {} bytes is too long", bytes.len());
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        })?;
        head.extend(length.to_le_bytes());
    }
    out.write_all(&head)?;
    out.write_all(&packed)
}

/// What comes next in a file.
pub(crate) enum Next {
    Block {
        kind: BlockKind,
        contents: Vec<u8>,
        /// Where the block began.
        offset: u64,
    },
    /// The file ends inside a block, or where one should begin.
    CutOff,
}

/// Reads blocks, one at a time.
pub(crate) struct Blocks<R> {
    input: R,
    /// Bytes read so far.
    offset: u64,
}

impl<R: Read> Blocks<R> {
    /// Reads what stands before the first block.
    pub(crate) fn new(mut input: R) -> Result<Self, Error> {
        let mut prologue = Vec::new();
        fill(&mut input, &mut prologue, PROLOGUE_BYTES, 0)?;
        if !MAGIC.starts_with(&prologue[..prologue.len().min(MAGIC.len())]) || prologue.is_empty() {
            return Err(Error::at(0, "no trace: it does not start as one"));
        }
        let version = prologue
            .get(MAGIC.len()..)
            .and_then(|rest| <[u8; 4]>::try_from(rest).ok());
        match version.map(u32::from_le_bytes) {
            None => Err(Error::at(0, "a trace that ends before its first block")),
            Some(VERSION) => Ok(Self {
                input,
                offset: PROLOGUE_BYTES,
            }),
            Some(other) => Err(Error::at(
                8,
                format!("a trace of version {other}; version {VERSION} can be read"),
            )),
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn next(&mut self) -> Result<Next, Error> {
        loop {
            let offset = self.offset;
            let mut head = Vec::new();
            fill(&mut self.input, &mut head, HEAD_BYTES as u64, offset)?;
            let Ok(head) = <[u8; HEAD_BYTES]>::try_from(head) else {
                return Ok(Next::CutOff);
            };
            let [kind, method, zero, zero_too, lengths @ ..] = head;
            let number = |at: usize| {
                lengths[at..at + 4]
                    .iter()
                    .rev()
                    .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
            };
            let (length, stored) = (number(0), number(4));
            if length > BLOCK_BYTES_MAX || stored > STORED_BYTES_MAX {
                return Err(Error::at(offset, "a block of more bytes than one may have"));
            }
            if zero != 0 || zero_too != 0 {
                return Err(Error::at(offset, "no block: two bytes are not zero"));
            }
            let mut bytes = Vec::new();
            let wanted = stored as u64;
            fill(&mut self.input, &mut bytes, wanted, offset)?;
            if (bytes.len() as u64) < wanted {
                return Ok(Next::CutOff);
            }
            self.offset += HEAD_BYTES as u64 + wanted;
            let Some(kind) = BlockKind::of(kind) else {
                if kind >= OPTIONAL {
                    continue;
                }
                let reason = format!("a block of the unknown kind {kind}");
                return Err(Error::at(offset, reason));
            };
            let contents = unpack(method, bytes, length).map_err(|it| Error::at(offset, it))?;
            return Ok(Next::Block {
                kind,
                contents,
                offset,
            });
        }
    }

    /// Whether there is nothing more.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, Error> {
        let mut byte = Vec::new();
        fill(&mut self.input, &mut byte, 1, self.offset)?;
        Ok(byte.is_empty())
    }
}

/// Reads so many bytes, or fewer if the input ends.
fn fill(input: &mut impl Read, bytes: &mut Vec<u8>, count: u64, offset: u64) -> Result<(), Error> {
    let read = input.by_ref().take(count).read_to_end(bytes);
    read.map_err(|error| Error::at(offset, format!("cannot be read: {error}")))?;
    Ok(())
}

fn unpack(method: u8, bytes: Vec<u8>, length: usize) -> Result<Vec<u8>, String> {
    let contents = match method {
        STORED => bytes,
        ZLIB => decompress_to_vec_zlib_with_limit(&bytes, length)
            .map_err(|error| format!("a block that cannot be unpacked: {error}"))?,
        other => return Err(format!("a block packed by the unknown method {other}")),
    };
    if contents.len() != length {
        return Err("a block with other contents than its length says".to_owned());
    }
    Ok(contents)
}

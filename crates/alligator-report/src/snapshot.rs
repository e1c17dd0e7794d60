//! A snapshot of an Alligator heap, taken from inside it: the crate `alligator-snapshot` writes it.
//!
//! It is a sequence of chunks, all numbers of them little-endian and of 64 bits. `docs/heap.md` has the format.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use crate::Error;
use crate::format::{bytes, count, percent};

/// The first bytes of each chunk: a name, and the version.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"ALGSNAP\x01";

/// Words before a chunk's pieces.
const HEAD_WORDS: usize = 8;
/// Words of a piece.
const PIECE_WORDS: usize = 6;
/// Pieces of a chunk, at most.
const PIECES_MAX: u64 = 128;
/// Bytes of a page.
const PAGE_BYTES: u64 = 65_536;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// The heap's own records.
    Records,
    /// Slots of one size.
    MiniPage {
        /// Bytes of a slot.
        slot_bytes: u64,
        /// How many there are.
        slots: u64,
        /// Those that no block is in.
        free: u64,
    },
    /// A block above 1 KiB.
    Run,
    /// Memory that no block is in.
    FreeRun,
    /// Somebody else's.
    Foreign,
}

/// A piece of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// Of its first byte.
    pub address: u64,
    /// Its length.
    pub bytes: u64,
}

/// A heap at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By address.
    pub pieces: Vec<Piece>,
    /// The first invariant that does not hold, and the address at which it does not.
    pub broken: Option<(String, u64)>,
}

/// Words of a chunk after another.
struct Words<'a> {
    bytes: &'a [u8],
    /// How many were read.
    read: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Result<u64, Error> {
        let (word, rest) = self.bytes.split_first_chunk().ok_or_else(|| {
            Error::new(format!(
                "a snapshot that is cut off (at offset {:#x})",
                8 * self.read
            ))
        })?;
        self.bytes = rest;
        self.read += 1;
        Ok(u64::from_le_bytes(*word))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(format!(
            "{what} (at offset {:#x})",
            8 * self.read.saturating_sub(1)
        ))
    }
}

/// The length of a chunk in bytes, by its first ones.
///
/// # Errors
/// They are no chunk's.
pub fn chunk_bytes(start: &[u8]) -> Result<usize, Error> {
    let mut words = Words {
        bytes: start,
        read: 0,
    };
    Ok(8 * (HEAD_WORDS + PIECE_WORDS * pieces_of(&mut words)?))
}

/// The address from which the chunk after this one tells, 0 if it is the last.
pub fn next_chunk(chunk: &[u8]) -> u64 {
    let word = chunk.get(16..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

/// Reads the magic and the number of pieces.
fn pieces_of(words: &mut Words<'_>) -> Result<usize, Error> {
    if words.next()? != u64::from_le_bytes(SNAPSHOT_MAGIC) {
        return Err(words.wrong("no snapshot of version 1: a chunk does not start as one"));
    }
    let pieces = words.next()?;
    if pieces > PIECES_MAX {
        return Err(words.wrong("a chunk with too many pieces"));
    }
    Ok(usize::try_from(pieces).unwrap_or(0))
}

impl Snapshot {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// What is none, in one line, with the offset.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut words = Words { bytes, read: 0 };
        let mut snapshot = Self::default();
        loop {
            let next = snapshot.chunk(&mut words)?;
            if next == 0 {
                break;
            }
        }
        if !words.bytes.is_empty() {
            return Err(words.wrong("bytes after the last chunk"));
        }
        Ok(snapshot)
    }

    /// Reads a chunk and gives the address from which the next one tells, 0 if there is none.
    fn chunk(&mut self, words: &mut Words<'_>) -> Result<u64, Error> {
        let is_first = self.pieces.is_empty() && words.read == 0;
        let pieces = pieces_of(words)?;
        let next = words.next()?;
        let address = words.next()?;
        let length = words.next()?;
        let mut name = Vec::new();
        for _ in 0..HEAD_WORDS - 5 {
            name.extend(words.next()?.to_le_bytes());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let name = name.get(..length).map(String::from_utf8_lossy);
        let name = name.ok_or_else(|| words.wrong("an invariant with too long a name"))?;
        if is_first && !name.is_empty() {
            let plain = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "?");
            self.broken = Some((plain, address));
        }
        for _ in 0..pieces {
            let piece = piece(words)?;
            let end = self
                .pieces
                .last()
                .map_or(0, |last| last.address + last.bytes);
            if piece.address < end {
                return Err(words.wrong("pieces that are not in the order of their addresses"));
            }
            self.pieces.push(piece);
        }
        let end = self
            .pieces
            .last()
            .map_or(0, |last| last.address + last.bytes);
        if next != 0 && (next < end || pieces == 0) {
            return Err(words.wrong("a chunk that does not lead on"));
        }
        Ok(next)
    }
}

fn piece(words: &mut Words<'_>) -> Result<Piece, Error> {
    let mut numbers = [0; PIECE_WORDS];
    for number in &mut numbers {
        *number = words.next()?;
    }
    let [kind, address, bytes, slot_bytes, slots, free] = numbers;
    let kind = match kind {
        0 => PieceKind::Records,
        1 if free <= slots
            && slot_bytes
                .checked_mul(slots)
                .is_some_and(|all| all <= bytes) =>
        {
            PieceKind::MiniPage {
                slot_bytes,
                slots,
                free,
            }
        }
        1 => return Err(words.wrong("a MiniPage with more slots than there is room for")),
        2 => PieceKind::Run,
        3 => PieceKind::FreeRun,
        4 => PieceKind::Foreign,
        _ => return Err(words.wrong("a piece of an unknown kind")),
    };
    if bytes == 0 || address.checked_add(bytes).is_none() {
        return Err(words.wrong("a piece of no length, or beyond all memory"));
    }
    Ok(Piece {
        kind,
        address,
        bytes,
    })
}

/// What the slots of one size have.
#[derive(Default)]
struct ClassRow {
    mini_pages: u64,
    slots: u64,
    live: u64,
}

/// The snapshot for a terminal.
pub fn snapshot_text(name: &str, snapshot: &Snapshot) -> String {
    let mut classes: BTreeMap<u64, ClassRow> = BTreeMap::new();
    let [
        mut records,
        mut runs,
        mut run_bytes,
        mut free_runs,
        mut free_bytes,
        mut foreign,
    ] = [0_u64; 6];
    let (mut longest, mut longest_at, mut all) = (0, 0, 0_u64);
    for piece in &snapshot.pieces {
        all = all.saturating_add(piece.bytes);
        match piece.kind {
            PieceKind::Records => records = records.saturating_add(piece.bytes),
            PieceKind::MiniPage {
                slot_bytes,
                slots,
                free,
            } => {
                let row = classes.entry(slot_bytes).or_default();
                row.mini_pages += 1;
                row.slots = row.slots.saturating_add(slots);
                row.live = row.live.saturating_add(slots - free);
            }
            PieceKind::Run => {
                runs += 1;
                run_bytes = u64::saturating_add(run_bytes, piece.bytes);
            }
            PieceKind::FreeRun => {
                free_runs += 1;
                free_bytes = u64::saturating_add(free_bytes, piece.bytes);
                if piece.bytes > longest {
                    (longest, longest_at) = (piece.bytes, piece.address);
                }
            }
            PieceKind::Foreign => foreign = u64::saturating_add(foreign, piece.bytes),
        }
    }
    let mut text = format!("{name}\n");
    let _ = match &snapshot.broken {
        None => writeln!(text, "all invariants hold"),
        Some((invariant, address)) => writeln!(
            text,
            "BROKEN: the invariant {invariant} does not hold at {address:#x}; what follows may be wrong, and ends where the \
             heap's records lead nowhere"
        ),
    };
    let slots = |row: &(&u64, &ClassRow)| row.0.saturating_mul(row.1.live);
    let slot_bytes = classes
        .iter()
        .fold(0_u64, |sum, row| sum.saturating_add(slots(&row)));
    let live: u64 = classes
        .values()
        .map(|row| row.live)
        .fold(runs, u64::saturating_add);
    let _ = writeln!(
        text,
        "{} in {} pieces, {} pages: {} blocks in use in {} of slots and {} of {} runs",
        bytes(all),
        count(snapshot.pieces.len() as u64),
        count(all.div_ceil(PAGE_BYTES)),
        count(live),
        bytes(slot_bytes),
        bytes(run_bytes),
        count(runs),
    );
    let _ = writeln!(
        text,
        "free: {} in {} runs, the longest {} at {longest_at:#x}; records {}; somebody else's {}",
        bytes(free_bytes),
        count(free_runs),
        bytes(longest),
        bytes(records),
        bytes(foreign),
    );
    if !classes.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["slots of", "MiniPages", "slots", "live", "full"]);
        for (size, row) in &classes {
            table.add_row([
                bytes(*size),
                count(row.mini_pages),
                count(row.slots),
                count(row.live),
                percent(row.live, row.slots),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(text, "{table}");
    }
    text
}

//! A snapshot of a heap from inside: every piece of it, and whether its invariants hold.
//!
//! It takes constant memory and allocates nothing. A heap of any length is told in chunks of up to [`PIECES`] pieces:
//! each says where the next one begins.
//!
//! ```
//! use core::alloc::{GlobalAlloc, Layout};
//! use alligator_alloc::{AlligatorAlloc, Arena};
//! use alligator_snapshot::{Chunk, snapshot};
//!
//! static CHUNK: Chunk = Chunk::new();
//!
//! let memory = Box::leak(Box::new_uninit_slice(1 << 20));
//! let heap = AlligatorAlloc::<Arena>::with_source(Arena::new(memory));
//! // SAFETY: the size is not 0.
//! let block = unsafe { heap.alloc(Layout::new::<[u64; 3]>()) };
//! assert!(!block.is_null());
//! snapshot(&heap, 0, &CHUNK);
//! assert!(!CHUNK.is_empty() && CHUNK.next().is_none());
//! ```
#![no_std]

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use alligator_alloc::{AlligatorAlloc, Lock, Piece, Source};

/// The first word of each chunk: `ALGSNAP` and the version, 1, as bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"ALGSNAP\x01");

/// Words before the pieces: the magic; the number of pieces; the address from which the next chunk tells, 0 in the last;
/// the address at which an invariant does not hold; the length of its name, 0 if all hold; and the name.
pub const HEAD_WORDS: usize = 5 + NAME_WORDS;

/// Words of an invariant's name.
const NAME_WORDS: usize = 3;

/// Words of a piece: its kind, address and bytes; and of a MiniPage bytes of a slot, slots, and free slots. Kinds: 0 the
/// heap's own records, 1 a MiniPage, 2 a run in use, 3 a free run, 4 memory of somebody else.
pub const PIECE_WORDS: usize = 6;

/// Pieces of a chunk, at most.
pub const PIECES: usize = 128;

/// Words of a chunk.
pub const CHUNK_WORDS: usize = HEAD_WORDS + PIECES * PIECE_WORDS;

/// A part of a snapshot: little-endian words of 64 bits, of which those of pieces that are not there mean nothing.
#[derive(Debug)]
#[repr(transparent)]
pub struct Chunk([AtomicU64; CHUNK_WORDS]);

impl Default for Chunk {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunk {
    /// One with nothing in it.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; CHUNK_WORDS])
    }

    /// All its words.
    pub fn words(&self) -> &[AtomicU64; CHUNK_WORDS] {
        &self.0
    }

    /// How many words mean something: [`HEAD_WORDS`] and those of the pieces.
    pub fn len(&self) -> usize {
        let pieces = usize::try_from(self.0[1].load(Relaxed)).unwrap_or(PIECES);
        HEAD_WORDS + pieces.min(PIECES) * PIECE_WORDS
    }

    /// Whether it has no pieces.
    pub fn is_empty(&self) -> bool {
        self.len() == HEAD_WORDS
    }

    /// Where the next chunk begins, if there is one.
    pub fn next(&self) -> Option<usize> {
        let next = usize::try_from(self.0[2].load(Relaxed)).unwrap_or(0);
        (next != 0).then_some(next)
    }

    /// Writes one word. What is beyond the end is left out.
    fn put(&self, index: usize, word: usize) {
        if let Some(cell) = self.0.get(index) {
            cell.store(word as u64, Relaxed);
        }
    }
}

/// Fills a chunk with the pieces of a heap that start at the address `from` or above. The first chunk, from 0, also says
/// whether every invariant holds. *Time:* linear in the pieces of the heap.
pub fn snapshot<S: Source, L: Lock>(allocator: &AlligatorAlloc<S, L>, from: usize, chunk: &Chunk) {
    chunk.0[0].store(MAGIC, Relaxed);
    for index in 1..HEAD_WORDS {
        chunk.put(index, 0);
    }
    if from == 0
        && let Err(violation) = allocator.check()
    {
        let mut name = Name::default();
        // A name that is too long is cut.
        let _ = write!(name, "{:?}", violation.invariant);
        chunk.put(3, violation.address);
        chunk.put(4, name.length);
        for (index, bytes) in name.bytes.chunks_exact(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            chunk.0[5 + index].store(u64::from_le_bytes(word), Relaxed);
        }
    }
    let (mut pieces, mut next) = (0, 0);
    allocator.walk(|piece| {
        if piece.address() < from || next != 0 {
            return;
        }
        if pieces == PIECES {
            next = piece.address();
            return;
        }
        for (index, word) in numbers(piece).into_iter().enumerate() {
            chunk.put(HEAD_WORDS + pieces * PIECE_WORDS + index, word);
        }
        pieces += 1;
    });
    chunk.put(1, pieces);
    chunk.put(2, next);
}

fn numbers(piece: Piece) -> [usize; PIECE_WORDS] {
    match piece {
        Piece::Meta { address, bytes } => [0, address, bytes, 0, 0, 0],
        Piece::MiniPage {
            address,
            bytes,
            slot_bytes,
            slot_count,
            free_slots,
            ..
        } => [1, address, bytes, slot_bytes, slot_count, free_slots],
        Piece::Run { address, bytes } => [2, address, bytes, 0, 0, 0],
        Piece::FreeRun { address, bytes } => [3, address, bytes, 0, 0, 0],
        Piece::Foreign { address, bytes } => [4, address, bytes, 0, 0, 0],
        other => [5, other.address(), other.bytes(), 0, 0, 0], // Of a later version of the heap.
    }
}

/// The name of an invariant.
#[derive(Default)]
struct Name {
    bytes: [u8; 8 * NAME_WORDS],
    length: usize,
}

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let place = self.bytes.get_mut(self.length).ok_or(fmt::Error)?;
            *place = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Exports `alligator_snapshot(from) -> address`: fills a static chunk from the address `from` on, and gives the address
/// of its words. A host calls it with 0 first, and then with what the third word of each chunk says, until that is 0.
#[macro_export]
macro_rules! export {
    ($allocator:expr) => {
        const _: () = {
            static CHUNK: $crate::Chunk = $crate::Chunk::new();

            #[unsafe(no_mangle)]
            extern "C" fn alligator_snapshot(from: usize) -> *const u8 {
                $crate::snapshot(&$allocator, from, &CHUNK);
                CHUNK.words().as_ptr().cast()
            }
        };
    };
}

//! The heap walk as numbers for the host. Nothing is allocated while walking: the numbers go to a static table.

use alligator_alloc::Piece;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

const PIECES_MAX: usize = 16_384;
/// Kind, address, bytes, and of a MiniPage: bytes of a slot, slots, free slots.
const NUMBERS_PER_PIECE: usize = 6;

static NUMBERS: [AtomicU32; PIECES_MAX * NUMBERS_PER_PIECE] =
    [const { AtomicU32::new(0) }; PIECES_MAX * NUMBERS_PER_PIECE];

/// Walks the heap. Returns the number of pieces, of which at most [`PIECES_MAX`] are in the table.
#[unsafe(no_mangle)]
pub extern "C" fn picture() -> usize {
    let mut piece_count = 0;
    crate::heap::allocator().walk(|piece| {
        let first = piece_count * NUMBERS_PER_PIECE;
        if let Some(row) = NUMBERS.get(first..first + NUMBERS_PER_PIECE) {
            for (cell, number) in row.iter().zip(numbers(piece)) {
                cell.store(number as u32, Relaxed);
            }
        }
        piece_count += 1;
    });
    piece_count
}

/// The address of the table, little-endian 32-bit numbers, [`NUMBERS_PER_PIECE`] to a piece.
#[unsafe(no_mangle)]
pub extern "C" fn picture_address() -> *const AtomicU32 {
    NUMBERS.as_ptr()
}

fn numbers(piece: Piece) -> [usize; NUMBERS_PER_PIECE] {
    match piece {
        Piece::Meta { address, bytes } => [0, address, bytes, 0, 0, 0],
        Piece::MiniPage {
            address,
            bytes,
            slot_bytes,
            slot_count,
            free_slots,
        } => [
            1,
            address,
            bytes,
            slot_bytes,
            slot_count as usize,
            free_slots as usize,
        ],
        Piece::Run { address, bytes } => [2, address, bytes, 0, 0, 0],
        Piece::FreeRun { address, bytes } => [3, address, bytes, 0, 0, 0],
        Piece::Foreign { address, bytes } => [4, address, bytes, 0, 0, 0],
    }
}

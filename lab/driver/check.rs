//! Replays a trace and holds the allocator to its contract: every block is aligned, is zero where
//! zeroes were asked for, is filled with a pattern of its own, and still has that pattern when it
//! is resized and when it is given back. Two live blocks that overlap cannot both keep theirs.
//!
//! What is read back goes into a checksum. It depends on the trace alone, so it is the same for
//! every allocator and every engine; the host computes it without any.

use super::alloc::alloc as global;

use super::replay::{BLOCKS, BLOCKS_MAX, Op, TRACE};

/// Blocks up to this size are filled completely. Of larger ones the first and the last
/// `EDGE_BYTES`, and one word in every `STRIDE_BYTES` between.
const FULL_BYTES: usize = 16_384;
const EDGE_BYTES: usize = 4_096;
const STRIDE_BYTES: usize = 256;
const WORD_BYTES: usize = 8;

/// The operation that filled each block, by block.
static mut FILLS: [u32; BLOCKS_MAX] = [0; BLOCKS_MAX];

/// What went wrong first: the kind in bits 0–2, the operation above; 0 if nothing did.
static mut FAILURE: u32 = 0;

/// The kinds of failure, as the host names them.
const NULL: u32 = 1;
const NOT_ALIGNED: u32 = 2;
const NOT_ZERO: u32 = 3;
const CHANGED: u32 = 4;
const NOT_KEPT: u32 = 5;

/// `FAILURE`, for the host.
#[unsafe(no_mangle)]
pub extern "C" fn check_failure() -> u32 {
    // SAFETY: a static of the only thread.
    unsafe { (&raw const FAILURE).read() }
}

/// Runs the first `op_count` operations of the buffer. Returns the checksum of all contents read
/// back; `check_failure` says whether the allocator kept its contract.
///
/// # Safety
/// The buffer holds a trace that gives back only what it owns and ends with nothing live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn check(op_count: u32) -> u32 {
    let mut hash = 0;
    for index in 0..op_count {
        // SAFETY: the caller's duty is the callee's.
        if let Err(kind) = unsafe { step(index, &mut hash) } {
            // SAFETY: a static of the only thread.
            unsafe { (&raw mut FAILURE).write(kind | index << 3) };
            return 0;
        }
    }
    (hash ^ hash >> 32) as u32
}

/// # Safety
/// As for `check`; the operations before this one have been done.
unsafe fn step(index: u32, hash: &mut u64) -> Result<(), u32> {
    // SAFETY: the caller's duty: `index` is inside the buffer.
    let op = unsafe { *(&raw const TRACE).cast::<Op>().add(index as usize) };
    let (size, new_size) = (op.size as usize, op.new_size as usize);
    let (align, block) = (1_usize << (op.head >> 2 & 63), (op.head >> 8) as usize);
    // SAFETY: the caller's duty: the block's index is inside both tables.
    let place = unsafe { (&raw mut BLOCKS).cast::<*mut u8>().add(block) };
    // SAFETY: as above.
    let fill = unsafe { (&raw mut FILLS).cast::<u32>().add(block) };
    // SAFETY: the caller's duty, for the whole match: the block is live, or is not, as its
    // operation requires, and the sizes make layouts.
    unsafe {
        let layout = super::layout(size, align);
        let (ptr, len) = match op.head & 3 {
            0 => (global::alloc(layout), size),
            1 => {
                verify(*place, size, *fill, hash, CHANGED)?;
                global::dealloc(*place, layout);
                return Ok(());
            }
            2 => {
                verify(*place, size, *fill, hash, CHANGED)?;
                let kept = size.min(new_size);
                // The pattern of a block depends on its size: write the shorter one's first.
                write(*place, kept, *fill);
                let ptr = global::realloc(*place, layout, new_size);
                accept(ptr, align)?;
                verify(ptr, kept, *fill, hash, NOT_KEPT)?;
                (ptr, new_size)
            }
            _ => {
                let ptr = global::alloc_zeroed(layout);
                accept(ptr, align)?;
                if !is_zero(ptr, size) {
                    return Err(NOT_ZERO);
                }
                (ptr, size)
            }
        };
        accept(ptr, align)?;
        *place = ptr;
        *fill = index;
        write(ptr, len, index);
    }
    Ok(())
}

fn accept(ptr: *mut u8, align: usize) -> Result<(), u32> {
    if ptr.is_null() {
        return Err(NULL);
    }
    if !ptr.addr().is_multiple_of(align) {
        return Err(NOT_ALIGNED);
    }
    Ok(())
}

/// The word at `offset` of a block filled by operation `fill`.
fn word(fill: u32, offset: usize) -> u64 {
    let seed = u64::from(fill).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (seed ^ offset as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1
}

/// The offset after `offset` at which a block of `size` bytes has a word.
fn next(offset: usize, size: usize) -> usize {
    let step = if size > FULL_BYTES && offset >= EDGE_BYTES && offset < size - EDGE_BYTES {
        STRIDE_BYTES
    } else {
        WORD_BYTES
    };
    offset + step
}

/// Fills a block.
///
/// # Safety
/// `ptr` is a live block of `size` bytes.
unsafe fn write(ptr: *mut u8, size: usize, fill: u32) {
    let mut offset = 0;
    while offset < size {
        let bytes = word(fill, offset).to_le_bytes();
        let count = WORD_BYTES.min(size - offset);
        // SAFETY: `count` bytes from `offset` are inside the block.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), ptr.add(offset), count) };
        offset = next(offset, size);
    }
}

/// Reads a block back, adds what it holds to the hash, and fails as `kind` if that is not what
/// `write` wrote.
///
/// # Safety
/// `ptr` is a live block of `size` bytes.
unsafe fn verify(
    ptr: *mut u8,
    size: usize,
    fill: u32,
    hash: &mut u64,
    kind: u32,
) -> Result<(), u32> {
    let mut offset = 0;
    while offset < size {
        let count = WORD_BYTES.min(size - offset);
        let (mut read, mut expected) = ([0; WORD_BYTES], [0; WORD_BYTES]);
        expected[..count].copy_from_slice(&word(fill, offset).to_le_bytes()[..count]);
        // SAFETY: `count` bytes from `offset` are inside the block.
        unsafe { core::ptr::copy_nonoverlapping(ptr.add(offset), read.as_mut_ptr(), count) };
        if read != expected {
            return Err(kind);
        }
        *hash = (*hash ^ u64::from_le_bytes(read))
            .rotate_left(23)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        offset = next(offset, size);
    }
    Ok(())
}

/// # Safety
/// `ptr` is a live block of `size` bytes.
unsafe fn is_zero(ptr: *mut u8, size: usize) -> bool {
    // SAFETY: the caller's duty.
    (0..size).all(|offset| unsafe { ptr.add(offset).read_volatile() } == 0)
}

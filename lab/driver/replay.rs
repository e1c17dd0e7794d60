//! Replays a trace inside the guest, without a call from the host per operation.

use super::alloc::alloc as global;

/// One operation, as the host writes it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Op {
    /// Bits 0–1: alloc, dealloc, realloc, alloc_zeroed; bits 2–7: log2 of the alignment;
    /// bits 8–31: index of the block.
    pub(crate) head: u32,
    /// Bytes: of the new block, or of the block given back or resized.
    pub(crate) size: u32,
    /// Bytes after a resize.
    pub(crate) new_size: u32,
}

const OPS_MAX: usize = (8 << 20) / size_of::<Op>();
pub(crate) const BLOCKS_MAX: usize = 1 << 17;

/// In bss, so that the trace does not disturb where the allocator's memory lies.
pub(crate) static mut TRACE: [Op; OPS_MAX] = [Op {
    head: 0,
    size: 0,
    new_size: 0,
}; OPS_MAX];
pub(crate) static mut BLOCKS: [*mut u8; BLOCKS_MAX] = [core::ptr::null_mut(); BLOCKS_MAX];

/// Where the host writes the trace.
#[unsafe(no_mangle)]
pub extern "C" fn trace_address() -> *const u8 {
    (&raw const TRACE).cast()
}

/// Operations that fit in the buffer.
#[unsafe(no_mangle)]
pub extern "C" fn trace_capacity() -> usize {
    OPS_MAX
}

/// Blocks that fit in the table.
#[unsafe(no_mangle)]
pub extern "C" fn block_capacity() -> usize {
    BLOCKS_MAX
}

/// Writes to the first byte, the last, and one in each 4 KiB, as the owner of a block would.
#[inline(always)]
unsafe fn touch(ptr: *mut u8, size: usize) {
    if crate::IS_INERT {
        return;
    }
    let mut at = 0;
    while at < size {
        // SAFETY: `at` is inside the block.
        unsafe { ptr.add(at).write_volatile(1) };
        at += 4096;
    }
    // SAFETY: the last byte of a block that is not empty.
    unsafe { ptr.add(size - 1).write_volatile(1) };
}

/// Runs the first `op_count` operations of the buffer `rounds` times. Returns the exclusive or of
/// all addresses handed out, or 0 as soon as an allocation fails.
///
/// # Safety
/// The buffer holds a trace that gives back only what it owns and ends with nothing live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn replay(op_count: usize, rounds: usize) -> usize {
    let mut seen = usize::MAX;
    for _ in 0..rounds {
        for index in 0..op_count {
            // SAFETY: the caller's duty: `index` is inside the buffer.
            let op = unsafe { *(&raw const TRACE).cast::<Op>().add(index) };
            let (size, align) = (op.size as usize, 1_usize << (op.head >> 2 & 63));
            // SAFETY: the caller's duty: the block's index is inside the table.
            let block = unsafe {
                (&raw mut BLOCKS)
                    .cast::<*mut u8>()
                    .add((op.head >> 8) as usize)
            };
            // SAFETY: the caller's duty, for the whole match.
            unsafe {
                let layout = super::layout(size, align);
                let (ptr, len) = match op.head & 3 {
                    0 => (global::alloc(layout), size),
                    1 => {
                        global::dealloc(*block, layout);
                        continue;
                    }
                    2 => (
                        global::realloc(*block, layout, op.new_size as usize),
                        op.new_size as usize,
                    ),
                    _ => (global::alloc_zeroed(layout), size),
                };
                if ptr.is_null() {
                    return 0;
                }
                *block = ptr;
                touch(ptr, len);
                seen ^= ptr.addr();
            }
        }
    }
    seen
}

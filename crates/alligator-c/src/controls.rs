//! What C programs can ask the heap, and decide about it.

use alligator_alloc::PAGE_BYTES;

use crate::heap::{HEAP, whole};
use crate::memory;

/// Takes in memory until one block of `bytes`, or smaller ones that fill it, can be allocated without growing.
/// Also if growth is off.
///
/// Returns whether the host gave enough.
///
/// Time: the host's.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_reserve(bytes: usize) -> bool {
    HEAP.reserve(bytes)
}

/// Gives back what the sizes of small blocks keep for their next requests, so that it can become part of longer
/// free blocks: `sizes` of 24 at most, the next ones with each call. A request that finds no room does so for all;
/// this does some of it ahead of time.
///
/// Returns whether all have had their turn, and the first is the next.
///
/// Time: constant for each size.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_trim(sizes: usize) -> bool {
    whole().trim(sizes)
}

/// How many bytes there are from the start of the heap to its end: blocks, free memory, the heap's records, and
/// whatever others have between.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_heap_bytes() -> usize {
    whole().heap_bytes()
}

/// How many bytes a block may have, aligned to 1024 at most, that the next request is sure to get without growth.
/// There may be room for one that is up to a quarter longer; and for more after alligator_trim.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_largest_free() -> usize {
    whole().largest_free()
}

/// Whether an allocation that finds no room may grow the memory, and wait for the host meanwhile. At first it
/// may. If not, it returns NULL, and only alligator_reserve grows: then no call ever waits.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_grow_on_demand(on_demand: bool) {
    memory::set_on_demand(on_demand);
}

/// Limits the whole memory, data and stack included, to `bytes`, rounded down to pages of 64 KiB. Less than a
/// page is no limit, as at first. Memory that is there stays.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_limit(bytes: usize) {
    memory::set_pages_max(bytes / PAGE_BYTES);
}

/// Calls `hook` after the memory has grown, with the pages of 64 KiB that it has now: the place to tell a host
/// that its views of the memory must be renewed. NULL calls nothing. The hook may use the heap. It is not called
/// within itself: if the memory grows meanwhile, it is called once more afterwards, eight times at most.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_on_growth(hook: Option<extern "C" fn(pages: usize)>) {
    memory::set_hook(hook);
}

/// What the heap has done so far. Blocks are counted with the bytes that they take.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct alligator_stats {
    /// Blocks handed out so far.
    pub allocations: u64,
    /// Blocks given back so far.
    pub frees: u64,
    /// Calls of realloc that changed a block's size.
    pub reallocations: u64,
    /// Those of them that moved the block, and copied it.
    pub moves: u64,
    /// Bytes in blocks now.
    pub live_bytes: u64,
    /// The most bytes in blocks at a time.
    pub peak_bytes: u64,
    /// Bytes the heap has taken in, its own records included.
    pub heap_bytes: u64,
    /// How often the memory has grown.
    pub growths: u64,
    /// Pages of all growths together.
    pub grown_pages: u64,
    /// Requests that could not be met.
    pub failures: u64,
    /// The bytes that the last one of them asked for.
    pub last_failure_bytes: u64,
}

/// Writes to `*stats` what the heap has done so far. Only in liballigator-debug.a.
///
/// Time: constant.
///
/// # Safety
///
/// `*stats` can be written.
#[cfg(feature = "metrics")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_get_stats(stats: *mut alligator_stats) {
    let metrics = whole().metrics();
    let of_runs = &metrics.runs;
    let (mut allocations, mut frees) = (of_runs.allocations, of_runs.frees);
    for class in metrics.classes() {
        allocations += class.blocks.allocations;
        frees += class.blocks.frees;
    }
    let found = alligator_stats {
        allocations,
        frees,
        reallocations: metrics.reallocations,
        moves: metrics.moves,
        live_bytes: metrics.requested_bytes_live,
        peak_bytes: metrics.requested_bytes_peak,
        heap_bytes: metrics.heap_bytes,
        growths: metrics.growths,
        grown_pages: metrics.pages_grown,
        failures: metrics.failures,
        last_failure_bytes: metrics.last_failure_bytes as u64,
    };
    // SAFETY: the caller's duty.
    unsafe { stats.write(found) };
}

/// Checks the whole heap. Only in liballigator-debug.a.
///
/// Returns whether all is well. If not, something has written to memory that is not its own, or a block has
/// been given back twice.
///
/// Time: linear in the heap's pieces, and in the square of free pieces of one size.
#[cfg(feature = "check")]
#[unsafe(no_mangle)]
pub extern "C" fn alligator_check() -> bool {
    whole().check().is_ok()
}

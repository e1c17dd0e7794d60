//! The most memory that a heap needs for a program of which only some figures are known. Pure arithmetic, for constants:
//! no heap uses it, and nothing of it is left in a module that does not. `docs/memory.md` has the theorem and its proof,
//! with the same names.

#![expect(
    clippy::cast_possible_truncation,
    reason = "no more granules are cast than a heap can have"
)]

mod state;

use core::alloc::Layout;

use self::state::{Failing, Program};
use crate::records::{GRANULES_MAX, table_granules};
use crate::size_class::{CLASS_COUNT, SLOT_BYTES, SLOT_BYTES_MAX, granules, is_of_class};
use crate::units::{GRANULE_BYTES, PAGE_GRANULES, round_up};

/// Granules of a hardened heap that nobody uses: see [`crate::Hardened`]. Counted for all, so that one figure serves both.
const GUARD: u64 = 1;
/// A granule that an arena may lose where it does not start at one.
const UNALIGNED: u64 = 1;
/// The most granules that a bound is given for: half of what a table has records of, as much as an arena can be.
const MOST: u64 = {
    let table = GRANULES_MAX as u64 / 2;
    let arena = isize::MAX as u64 / GRANULE_BYTES as u64;
    if table < arena { table } else { arena }
};

/// How much memory a heap needs, in the worst case, for every program that keeps to some figures: a proof, not an
/// estimate. For [`Standard`](crate::Standard) and [`Hardened`](crate::Hardened) heaps with one owner or one lock; not
/// for `small` ones, nor for what threads keep for themselves with the feature `threads`.
///
/// A block counts as [`bytes_of`](Self::bytes_of) says. While `realloc` moves a block, both the old and the new one
/// count. The block that is asked for counts, too. Whatever else holds is up to the program: any order, any number of
/// calls, shrinking and growing in place.
///
/// ```
/// use alligator_alloc::MemoryBound;
/// use core::alloc::Layout;
///
/// // At most 20 blocks at once, none longer than 16 KiB, of 100 KiB together.
/// const LOG: MemoryBound = MemoryBound::of_blocks(100 << 10, 16 << 10, 20);
/// // At most 64 nodes and two buffers: it is known which, so less is enough.
/// const TREE: MemoryBound = MemoryBound::of_layouts(&[
///     (Layout::new::<[u64; 5]>(), 64),
///     (Layout::new::<[u8; 16 << 10]>(), 2),
/// ]);
/// assert!(TREE.heap_bytes() < LOG.heap_bytes());
/// ```
///
/// *Source:* the number of live blocks times the longest request bounds the holes of any allocator that merges at once;
/// Robson, *Worst case fragmentation of first fit and best fit storage allocation strategies*, Computer Journal 20, 1977,
/// shows that best fit comes that near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryBound {
    /// Granules of blocks and holes, with which no request finds nothing once the heap has gathered what it keeps.
    fixed: u64,
    /// The same of a heap that has grown for a request, which it does before it gathers.
    growing: u64,
}

/// The bytes of an arena, or of a [`reserve`](crate::Heap::reserve), in which no program gets null that has at most
/// `blocks` blocks in use at once, none of more than `largest` bytes, of `live_bytes` bytes together:
/// [`MemoryBound::of_blocks`], [`MemoryBound::heap_bytes`]. `usize::MAX` if no heap can be so long.
///
/// ```
/// use alligator_alloc::{AlligatorAlloc, Arena, ArenaMemory, heap_bytes_for};
///
/// const BYTES: usize = heap_bytes_for(100 << 10, 16 << 10, 20);
/// static MEMORY: ArenaMemory<BYTES> = ArenaMemory::new();
/// static HEAP: AlligatorAlloc<Arena> = AlligatorAlloc::with_source(MEMORY.arena());
/// ```
#[must_use]
pub const fn heap_bytes_for(live_bytes: usize, largest: usize, blocks: usize) -> usize {
    MemoryBound::of_blocks(live_bytes, largest, blocks).heap_bytes()
}

impl MemoryBound {
    /// For programs that have at most `live_bytes` bytes in use at once, and no block of more than `largest` bytes. The
    /// number of blocks may be any: where it is known, [`of_blocks`](Self::of_blocks) is far less.
    ///
    /// *Time:* constant, but long: meant for constants.
    #[must_use]
    pub const fn of_bytes(live_bytes: usize, largest: usize) -> Self {
        Self::of_blocks(live_bytes, largest, usize::MAX)
    }

    /// For programs that have at most `blocks` blocks in use at once, none of more than `largest` bytes, of `live_bytes`
    /// bytes together.
    ///
    /// *Time:* as [`of_bytes`](Self::of_bytes).
    #[must_use]
    pub const fn of_blocks(live_bytes: usize, largest: usize, blocks: usize) -> Self {
        let program = Program::new(live_bytes as u64, largest as u64, blocks as u64);
        if program.is_empty() {
            return Self {
                fixed: 0,
                growing: 0,
            };
        }
        Self {
            fixed: program.worst(Failing::Gathered).saturating_add(1),
            growing: program.worst(Failing::Growing),
        }
    }

    /// For programs whose blocks are of these layouts, of each at most so many at once as stand beside it. Layouts may
    /// come more than once; of those without a size there may be any number.
    ///
    /// *Time:* linear in the layouts.
    #[must_use]
    pub const fn of_layouts(layouts: &[(Layout, usize)]) -> Self {
        let mut slots = [0_u64; CLASS_COUNT];
        let mut all = state::Layouts::NONE;
        let mut i = 0;
        while i < layouts.len() {
            let (layout, count) = (layouts[i].0, layouts[i].1 as u64);
            let bytes = Self::bytes_of(layout);
            if layout.size() != 0 && bytes <= SLOT_BYTES_MAX {
                let mut class = 0;
                while !is_of_class(class, bytes) {
                    class += 1;
                }
                slots[class] = slots[class].saturating_add(count);
            } else if layout.size() != 0 {
                // A run with a larger alignment keeps what lies before the block: it may be of any length up to this.
                let is_exact = layout.align() <= GRANULE_BYTES;
                all = all.and(count, state::granules_of(bytes as u64), is_exact);
            }
            i += 1;
        }
        let mut class = 0;
        while class < CLASS_COUNT {
            let in_each = state::slots_in_mini_page(class);
            let length = granules(SLOT_BYTES[class]) as u64;
            all = all.and(slots[class].div_ceil(in_each), length, true);
            class += 1;
        }
        Self {
            fixed: all.fixed(),
            growing: all.growing(),
        }
    }

    /// The bytes of an [`Arena`](crate::Arena), wherever it lies, or of a [`reserve`](crate::Heap::reserve) with which no
    /// request of such a program gets null. The records are among them. A heap that has reserved so much keeps that promise
    /// without growth, if it did so before its first block of 256 KiB or more, and nobody else's memory lies between its
    /// own.
    ///
    /// `usize::MAX` if no heap can be so long. *Unit:* bytes, a multiple of 1 KiB.
    #[must_use]
    pub const fn heap_bytes(self) -> usize {
        bytes_of(with_table(self.fixed).saturating_add(UNALIGNED))
    }

    /// The most that a heap over memory that grows takes in for such a program, if nobody else grows that memory, by steps
    /// of one page: [`Heap::heap_bytes`](crate::Heap::heap_bytes) never says more, unless the memory had more to spare at
    /// first or was reserved. More than [`heap_bytes`](Self::heap_bytes), since such a heap grows before it gathers what it
    /// keeps, and by a 64th of itself.
    ///
    /// `usize::MAX` if no heap can be so long, and for blocks of 40 MiB and more: of free runs as long as these the heap
    /// looks at one before it grows. *Unit:* bytes, a multiple of 1 KiB.
    #[must_use]
    pub const fn growing_bytes(self) -> usize {
        let all = with_table(self.growing);
        let step = all / 64;
        let least = PAGE_GRANULES as u64;
        bytes_of(all.saturating_add(if step < least { least } else { step }))
    }

    /// The bytes that a block of `layout` counts with: its size, rounded up to its alignment, and 16 at least. With an
    /// alignment above 16 a block of up to 1 KiB counts with the next power of two; with one above 1 KiB, any block counts
    /// with the alignment besides. None if it has no size.
    #[must_use]
    pub const fn bytes_of(layout: Layout) -> usize {
        let (size, align) = (layout.size(), layout.align());
        if size == 0 {
            0
        } else if align > GRANULE_BYTES {
            size + align
        } else if size > SLOT_BYTES_MAX {
            size
        } else if align > 16 {
            let least = if size < align { align } else { size };
            least.next_power_of_two()
        } else {
            let bytes = round_up(size, align);
            if bytes < 16 { 16 } else { bytes }
        }
    }
}

/// The granules of a heap with so many of blocks and holes, and the table that knows of all.
const fn with_table(granules: u64) -> u64 {
    let mut all = granules;
    while all <= MOST {
        // The records of the granules that the table takes lengthen it: by less each time.
        let table = table_granules(all as usize + 1) as u64;
        let sum = granules + GUARD + table;
        if sum == all {
            return all;
        }
        all = sum;
    }
    u64::MAX
}

/// The bytes of so many granules, if a heap can be so long.
const fn bytes_of(granules: u64) -> usize {
    if granules > MOST {
        usize::MAX
    } else {
        granules as usize * GRANULE_BYTES
    }
}

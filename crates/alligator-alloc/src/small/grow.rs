//! Taking in memory: new pages, the spare end of the initial memory, and the table for both. All of it is off
//! the real-time path: whoever comes here waits for the host.
//!
//! ```text
//! before   | old table | blocks ..           |
//! after    | free      | blocks ..           | new memory, free        | new table |
//! ```
//!
//! A table has room for twice the headers that are needed when it is made. So the headers are copied once per
//! doubling of the memory, and take 2.3 to 4.7 % of it (on 32 bits). It stands at the end, so that the new memory
//! joins a free run before it: see `docs/design.md`.

use super::Heap;
use super::headers::{ADDRESS_MIN, HEADER_BYTES, Id};
use crate::policy::Policy;
use crate::source::Source;
use crate::source::range::{GROWTHS_MAX, new_range, whole_granules};
use crate::units::{GRANULE_BYTES, PAGE_BYTES, PAGE_SHIFT, granule_floor, round_up};

impl<S: Source, P: Policy> Heap<S, P> {
    /// Whether nobody else can grow the memory while this heap does: new pages begin where it ended then, and the table
    /// reaches their end, by `new_table_bytes`.
    const IS_ALONE: bool = GROWTHS_MAX == 1 && S::IS_TRUSTED && !cfg!(target_os = "emscripten");

    /// Makes a free run of `bytes`, whole granules: of the source's spare memory at the heap's first request, if that is
    /// enough, or at the end of the memory by few new pages. Adds none if the source does not grow on demand and this
    /// is not a `reservation`. If the source gives too little, what it gave is kept.
    ///
    /// *Time:* the source's, constant besides, and where the heap outgrows its table, the copy of that.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, bytes: usize, reservation: bool) {
        if self.end == 0 {
            let spare = self.source.spare();
            let spare = spare.start.max(ADDRESS_MIN).min(spare.end)..spare.end;
            let (first, after) = whole_granules::<S>(spare, self.source.end());
            self.table = Id::at(first).raw(); // No headers yet: where the first would stand.
            self.take_in(
                first,
                after,
                self.new_table_bytes(after, 0, usize::BITS - 1),
            );
            if self.find(bytes).is_some() {
                return;
            }
        }
        if (S::ON_DEMAND || reservation) && self.source.may_grow(reservation) {
            for _ in 0..GROWTHS_MAX {
                let Some((new, end, table)) = self.more_pages(bytes) else {
                    return;
                };
                self.take_in(new, end, table);
                if GROWTHS_MAX == 1 || self.find(bytes).is_some() {
                    return;
                }
            }
        }
    }

    /// The end of the memory, whoever owns it.
    #[inline(always)]
    fn memory_end(&self) -> usize {
        let end = self.source.end();
        if S::IS_TRUSTED || end == 0 {
            end
        } else {
            end.max(self.lowest_new())
        }
    }

    /// No new memory lies below this address: the heap's end or, before there is one, that of the granule whose
    /// header would be the first.
    #[inline(always)]
    fn lowest_new(&self) -> usize {
        if self.end == 0 {
            Id::from_raw(self.table).place()
        } else {
            self.end
        }
    }

    /// New pages that make a free run of `bytes` at the memory's end: the address of the first, the one after them, and
    /// the bytes of the new table, if there must be one, that ends there. `None` if the source refuses.
    #[inline(always)]
    fn more_pages(&mut self, bytes: usize) -> Option<(usize, usize, usize)> {
        let end = usable_end(self.memory_end());
        // At least one byte: who comes here has not found a run that can be found in constant time.
        let mut missing = bytes;
        if self.end == end {
            let below = self.header(Id::at(end)).below.get();
            if below.is_some() {
                missing = bytes - self.header(below).bytes.get().min(bytes - 1);
            }
        }
        let added = bytes.max((S::STEP_PAGES - 1) << PAGE_SHIFT) + PAGE_BYTES; // Pages are rounded up.
        let mut table = self.new_table_bytes(end, added, 0);
        let mut new = self.ask_for(missing + table);
        if new.is_none() {
            // A 32nd more is enough for its own headers: they take a 42nd of it.
            table = self.new_table_bytes(end, added, 5);
            new = self.ask_for(missing + table);
        }
        let (new, after) = new?;
        if Self::IS_ALONE && new != end {
            return None; // The table may not reach so far.
        }
        Some((new, usable_end(after), table))
    }

    /// Pages for `bytes`, or the step if that is longer: the address of the first and the one after them.
    #[inline(always)]
    fn ask_for(&mut self, bytes: usize) -> Option<(usize, usize)> {
        let mut pages = (bytes + (PAGE_BYTES - 1)) >> PAGE_SHIFT;
        let mut new = None;
        if S::STEP_PAGES > 1 && S::STEP_PAGES > pages {
            new = self.source.grow(S::STEP_PAGES);
        }
        if new.is_some() {
            pages = S::STEP_PAGES;
        } else {
            new = self.source.grow(pages);
        }
        let Some(new) = new else {
            self.recorder.refused(pages, self.source.end());
            return None;
        };
        self.recorder.grown(pages);
        new_range::<S>(new, pages, self.lowest_new())
    }

    /// The bytes of a new table, whole granules, if `added` bytes after `end` need headers that the table does not have;
    /// else none. It has more than needed: 1 / 2^`spare_shift` of that.
    #[inline(never)]
    fn new_table_bytes(&self, end: usize, added: usize, spare_shift: u32) -> usize {
        // The header at the end is needed, too.
        let needed = self.offset_in_table(Id::at(end)) + Id::at(added).raw() + HEADER_BYTES;
        if needed <= self.table_bytes {
            return 0;
        }
        round_up(needed + (needed >> spare_shift), GRANULE_BYTES)
    }

    /// How far from the table's start the header called `id` stands, or would stand.
    #[inline(always)]
    pub(super) fn offset_in_table(&self, id: Id) -> usize {
        self.base.wrapping_add(id.raw()).wrapping_sub(self.table)
    }

    /// Takes in the granules from `start` to `end`, which the source gave, the last `table_bytes` of it as a new
    /// table. Memory too short for its headers is left alone, as is what the table does not reach.
    #[inline(never)]
    fn take_in(&mut self, start: usize, end: usize, table_bytes: usize) {
        if end - start <= table_bytes {
            return;
        }
        let covered = if table_bytes == 0 {
            self.table_bytes
        } else {
            table_bytes
        };
        let is_reached = self.offset_in_table(Id::at(end)) + HEADER_BYTES <= covered;
        if Self::IS_ALONE {
            debug_assert!(is_reached);
        } else if !is_reached {
            return;
        }
        let after = end - table_bytes;
        if table_bytes != 0 {
            self.move_table(after, table_bytes);
        }
        self.end = end;
        self.recorder.taken_in(end - start);
        self.free_run(Id::at(start), after - start);
    }

    /// Makes the `bytes` at `place`, which the heap owns and nobody uses, the table.
    #[inline(always)]
    fn move_table(&mut self, place: usize, bytes: usize) {
        let (old, old_bytes) = (self.table, self.table_bytes);
        let table = self.source.pointer(place);
        // SAFETY: the caller owns these bytes, and nobody uses them.
        unsafe { table.write_bytes(0, bytes) };
        self.base = self.base.wrapping_add(place).wrapping_sub(old);
        self.table = place;
        self.table_bytes = bytes;
        if old_bytes != 0 {
            // SAFETY: the old table has these bytes; the new one is longer, and lies elsewhere.
            unsafe { table.copy_from_nonoverlapping(self.source.pointer(old), old_bytes) };
            self.free_run(Id::at(old), old_bytes);
        }
    }
}

/// The end of the heap in a memory that ends at `end`, 0 for all of the address space. The last granule below that has
/// no header after it, so it cannot be used.
#[inline(always)]
fn usable_end(end: usize) -> usize {
    granule_floor(if end == 0 { usize::MAX } else { end })
}

#[cfg(all(test, feature = "check"))]
mod tests {
    extern crate std;

    use core::alloc::Layout;
    use core::ops::Range;
    use std::vec::Vec;

    use super::Heap;
    use crate::source::Source;
    use crate::units::PAGE_BYTES;

    /// A memory of one page whose addresses start at 0, as a module's do, and whose data end at once.
    struct Low(Vec<u64>);

    // SAFETY: the memory is nobody else's. Its pointers have other addresses: no block is given back by one.
    unsafe impl Source for Low {
        fn spare(&mut self) -> Range<usize> {
            1024..PAGE_BYTES
        }

        fn end(&self) -> usize {
            PAGE_BYTES
        }

        fn grow(&mut self, _pages: usize) -> Option<usize> {
            None
        }

        fn pointer(&self, address: usize) -> *mut u8 {
            let first = self.0.as_ptr().cast_mut().cast::<u8>();
            if address == 0 {
                return core::ptr::null_mut(); // No block.
            }
            first.wrapping_add(address)
        }
    }

    /// A memory of one page at first, of which somebody else takes `PAGES_TAKEN` while the heap grows it, once.
    struct Raced {
        memory: Vec<u64>,
        pages: usize,
        others: Range<usize>,
    }

    impl Raced {
        const PAGES: usize = 64;
        const PAGES_TAKEN: usize = 20;

        fn new() -> Self {
            Self {
                memory: std::vec![0; Self::PAGES * PAGE_BYTES / 8],
                pages: 1,
                others: 0..0,
            }
        }

        /// Whether nobody has written to the `addresses`.
        fn is_zero(&self, addresses: Range<usize>) -> bool {
            let words = addresses.start / 8..addresses.end / 8;
            self.memory[words].iter().all(|&word| word == 0)
        }
    }

    // SAFETY: the memory is nobody else's. Its pointers have other addresses: no block is given back by one.
    unsafe impl Source for Raced {
        fn spare(&mut self) -> Range<usize> {
            1024..PAGE_BYTES
        }

        fn end(&self) -> usize {
            self.pages * PAGE_BYTES
        }

        fn grow(&mut self, pages: usize) -> Option<usize> {
            if pages != 0 && self.others.is_empty() {
                self.others = self.end()..self.end() + Self::PAGES_TAKEN * PAGE_BYTES;
                self.pages += Self::PAGES_TAKEN;
            }
            let new = self.end();
            self.pages += pages;
            (self.pages <= Self::PAGES).then_some(new)
        }

        fn pointer(&self, address: usize) -> *mut u8 {
            let first = self.memory.as_ptr().cast_mut().cast::<u8>();
            if address == 0 {
                return core::ptr::null_mut(); // No block.
            }
            first.wrapping_add(address)
        }
    }

    #[test]
    fn memory_that_the_table_does_not_reach_is_left_alone() {
        let mut heap = Heap::new(Raced::new());
        let run = Layout::new::<[u64; 1_000]>();
        let served = (0..50).filter(|_| {
            let block = heap.allocate(run);
            assert_eq!(heap.check(), Ok(()));
            let memory = &heap.source;
            assert!(memory.is_zero(memory.others.clone()));
            assert!(memory.is_zero(memory.end()..Raced::PAGES * PAGE_BYTES));
            block.is_some()
        });
        assert!(served.count() > 40);
    }

    #[test]
    fn a_heap_may_start_where_the_lowest_data_end() {
        let mut heap = Heap::new(Low(std::vec![0; PAGE_BYTES / 8]));
        let mut addresses = Vec::new();
        let slot = Layout::new::<[u64; 64]>();
        while heap.allocate(slot).is_some() {
            assert_eq!(heap.check(), Ok(()));
        }
        heap.walk(|piece| {
            if let crate::Piece::MiniPage { address, .. } = piece {
                addresses.push(address);
            }
        });
        assert!(addresses.len() > 50, "{} MiniPages", addresses.len());
        // The lowest last, so that its header is first in the list; then the others go from behind it.
        for slot in [0, 512] {
            for &address in addresses.iter().rev() {
                heap.deallocate_address(address + slot);
                assert_eq!(heap.check(), Ok(()));
            }
        }
    }
}

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
use crate::source::Source;
use crate::units::{GRANULE_BYTES, PAGE_BYTES, PAGE_SHIFT, granule_floor, round_up};

impl<S: Source> Heap<S> {
    /// Adds as few pages as make a free run of `bytes`, whole granules, at the end of the memory, none if the
    /// source does not grow on demand and this is not a `reservation`; the first time, takes the source's spare
    /// memory in, too. If the source gives too little, what it gave is kept.
    ///
    /// *Time:* the source's, constant besides, and where the heap outgrows its table, the copy of that.
    #[cold]
    pub(super) fn grow(&mut self, bytes: usize, reservation: bool) {
        let may_add = S::ON_DEMAND || reservation;
        let source_end = self.source.end();
        let mut end = usable_end(source_end);
        let mut start = end;
        // The free run at the memory's end, which becomes part of the new one.
        let mut present = 0;
        if self.end == 0 {
            let spare = self.source.spare();
            let first = spare.start.max(ADDRESS_MIN);
            if spare.end == source_end && spare.end.saturating_sub(first) >= GRANULE_BYTES {
                start = round_up(first, GRANULE_BYTES);
            }
            self.table = Id::at(start).raw(); // No headers yet: where the first would stand.
        } else if self.end == end {
            let below = self.header(Id::at(end)).below.get();
            if below.is_some() {
                present = self.header(below).bytes.get();
            }
        }
        let table = self.new_table_bytes(end, bytes, may_add);
        if may_add {
            // At least one byte: who comes here has not found a run that can be found in constant time.
            let missing = if bytes > present { bytes - present } else { 1 };
            let missing = (missing + table + (PAGE_BYTES - 1)).saturating_sub(end - start);
            if let Some((new, pages)) = self.more_pages(missing >> PAGE_SHIFT) {
                if new != end {
                    start = new;
                }
                end = new.wrapping_add(pages << PAGE_SHIFT);
            }
        }
        self.take_in(start, end, table);
    }

    /// At least `pages` new pages, perhaps none: the address of the first and their number.
    ///
    /// The host is asked for none, too: what is paid only on the way there then counts as growth in the bounds,
    /// not as part of every allocation.
    #[inline(always)]
    fn more_pages(&mut self, pages: usize) -> Option<(usize, usize)> {
        if pages != 0 && S::STEP_PAGES > pages {
            if let Some(new) = self.source.grow(S::STEP_PAGES) {
                self.record.grown(S::STEP_PAGES);
                return Some((new, S::STEP_PAGES));
            }
        }
        let new = self.source.grow(pages);
        if new.is_some() {
            self.record.grown(pages);
        } else {
            self.record.refused(pages, self.source.end());
        }
        new.map(|new| (new, pages))
    }

    /// The bytes of a new table, whole granules, if what `grow` adds after `end` may need headers that the table
    /// does not have; else none.
    #[inline(always)]
    fn new_table_bytes(&self, end: usize, bytes: usize, may_add: bool) -> usize {
        // The header at the end is needed, too.
        let mut needed = self.offset_in_table(Id::at(end)) + HEADER_BYTES;
        if may_add {
            let step_bytes = (S::STEP_PAGES - 1) << PAGE_SHIFT;
            // Pages are rounded up.
            needed += Id::at(bytes.max(step_bytes)).above(PAGE_BYTES).raw();
        }
        if needed <= self.table_bytes {
            return 0;
        }
        round_up(if may_add { 2 * needed } else { needed }, GRANULE_BYTES)
    }

    /// How far from the table's start the header called `id` stands, or would stand.
    #[inline(always)]
    pub(super) fn offset_in_table(&self, id: Id) -> usize {
        self.base.wrapping_add(id.raw()).wrapping_sub(self.table)
    }

    /// Takes in the memory from `start` to `end`, which the source gave, the last `table_bytes` of it as a new
    /// table. Memory too short for its headers is left alone, as is what the table does not reach.
    #[inline(always)]
    fn take_in(&mut self, start: usize, end: usize, table_bytes: usize) {
        let end = usable_end(end);
        let covered = if table_bytes == 0 {
            self.table_bytes
        } else {
            table_bytes
        };
        if end - start <= table_bytes || self.offset_in_table(Id::at(end)) >= covered {
            return;
        }
        let after = end - table_bytes;
        if table_bytes != 0 {
            self.move_table(after, table_bytes);
        }
        self.end = end;
        self.record.taken_in(end - start);
        self.free_run(Id::at(start), after - start);
    }

    /// Makes the `bytes` at `place`, which the heap owns and nobody uses, the table.
    #[inline(always)]
    fn move_table(&mut self, place: usize, bytes: usize) {
        let (old, old_bytes) = (self.table, self.table_bytes);
        let table = self.source.pointer(place);
        // SAFETY: the caller owns these bytes, and nobody uses them.
        unsafe { table.write_bytes(0, bytes) };
        // SAFETY: the old table has these bytes; the new one is longer, and lies elsewhere.
        unsafe { table.copy_from_nonoverlapping(self.source.pointer(old), old_bytes) };
        self.base = self.base.wrapping_add(place).wrapping_sub(old);
        self.table = place;
        self.table_bytes = bytes;
        self.header(Id::at(place)).bytes.set(bytes);
        if old_bytes != 0 {
            self.free_run(Id::at(old), old_bytes);
        }
    }
}

/// The end of the heap in a memory that ends at `end`, 0 for 4 GiB. The last granule below that has no header after
/// it, so it cannot be used.
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

//! Taking in memory: new pages, the spare end of the initial memory, and the table for both, which always lies at the
//! heap's end. All of it is off the real-time path: whoever comes here waits for the host.
//!
//! ```text
//! before   | blocks ..      free | table |
//! grown    | blocks ..      free                new memory | longer table |
//! ```
//!
//! So the table parts no free memory, and needs no room to spare: what is free at the heap's end, and the old table, are
//! one run with the new memory; if others' pages lie between, it is one of its own. Each growth copies the headers. So
//! that a long heap is not copied too often, it grows by a share of itself besides.

use super::Heap;
use super::headers::{ADDRESS_MIN, HEADER_BYTES, Id};
use crate::policy::Policy;
use crate::source::Source;
use crate::source::range::{GROWTHS_MAX, new_range, whole_granules};
use crate::units::{GRANULE_BYTES, PAGE_BYTES, PAGE_GRANULES, granule_floor};

/// A heap grows by as many pages as its headers have bytes, shifted by this, besides: on 32 bits, one part in 85 of
/// itself.
const SHARE_SHIFT: u32 = 17;
/// What a page adds to a heap that has its headers, too.
const PAGE_BYTES_LEFT: usize = PAGE_BYTES - PAGE_GRANULES * HEADER_BYTES;

impl<S: Source, P: Policy> Heap<S, P> {
    /// Makes a free run of `bytes`, whole granules: of the source's spare memory at the heap's first request, if that is
    /// enough, or at the end of the memory by as few new pages as that takes. Adds none if the source does not grow on
    /// demand and this is not a `reservation`. If the source gives too little, what it gave is kept.
    ///
    /// *Time:* the source's, and a copy of the table.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, bytes: usize, reservation: bool) {
        if self.base == 0 {
            let spare = self.source.spare();
            let spare = spare.start.max(ADDRESS_MIN)..spare.end;
            let (first, after) = whole_granules::<S>(spare, self.source.end());
            // No memory yet, and no table: where the first header would stand.
            self.table = id_at(first).raw();
            self.end = self.table;
            if S::IS_TRUSTED || first < after {
                self.take_in(first, after);
            }
            if self.find(bytes).is_some() {
                return;
            }
        }
        if (S::ON_DEMAND || reservation) && self.source.may_grow(reservation) {
            for turn in 0..GROWTHS_MAX {
                // Somebody else's pages may come between again.
                let Some((new, after)) = self.more_pages(bytes, turn != 0) else {
                    return;
                };
                self.take_in(new, after);
                if GROWTHS_MAX == 1 || self.find(bytes).is_some() {
                    return;
                }
            }
        }
    }

    /// The end of the memory, whoever owns it. A memory of 4 GiB ends at 0: then no sum that follows makes sense, but it
    /// cannot grow.
    #[inline(always)]
    fn memory_end(&self) -> usize {
        let end = self.source.end();
        if S::IS_TRUSTED {
            end
        } else {
            granule_floor(usable_end(end)).max(self.lowest_new())
        }
    }

    /// No new memory lies below this address: the heap's end or, before there is one, that of the granule whose
    /// header would be the first.
    #[inline(always)]
    fn lowest_new(&self) -> usize {
        self.end.max(self.first_header().place())
    }

    /// The fewest pages that make a free run of `bytes` at the memory's end, with room for the table, and a share of the
    /// heap if the source has that, too: the address of the first page and the one after the last. `None` if the source
    /// refuses, or there is such a run, which is first in its list now. What is free below does not count if the pages
    /// are `alone`, and a page is for headers of what lies between.
    #[inline(always)]
    fn more_pages(&mut self, bytes: usize, alone: bool) -> Option<(usize, usize)> {
        let end = self.memory_end();
        let headers = self.headers_bytes(end);
        let mut missing = headers.wrapping_add(bytes);
        if alone {
            missing = missing.wrapping_add(PAGE_BYTES);
        } else if self.end == end && (S::IS_TRUSTED || self.base != 0) {
            // There is a table: a trusted source's is made even of no memory.
            // What the table takes already: as many bytes as the headers, rounded up.
            missing -= end - self.table;
            let below = self.header(id_at(self.table)).below.get();
            if below.is_some() {
                let free = self.unlink(below);
                self.push(below, free);
                if free >= bytes {
                    return None;
                }
                missing -= free;
            }
        }
        let pages = missing.wrapping_sub(1) / PAGE_BYTES_LEFT + 1;
        let mut taken = pages + (headers >> SHARE_SHIFT);
        if S::STEP_PAGES > 1 {
            taken = taken.max(S::STEP_PAGES);
        }
        let mut new = self.source.grow(taken);
        if new.is_none() {
            taken = pages;
            new = self.source.grow(taken);
        }
        let Some(new) = new else {
            self.recorder.refused(pages, self.source.end());
            return None;
        };
        self.recorder.grown(taken);
        let (new, after) = new_range::<S>(new, taken, self.lowest_new())?;
        Some((new, usable_end(after)))
    }

    /// The bytes of the headers of a heap that ends at `end`, that of its end included.
    #[inline(always)]
    pub(super) fn headers_bytes(&self, end: usize) -> usize {
        let first = self.first_header().raw();
        id_at(end)
            .raw()
            .wrapping_sub(first)
            .wrapping_add(HEADER_BYTES)
    }

    /// Takes in the granules from `start` to `end`, which the source gave, and moves the table to their end. Memory too
    /// short for that is left alone.
    #[inline(never)]
    fn take_in(&mut self, start: usize, end: usize) {
        let bytes = granule_floor(self.headers_bytes(end).wrapping_add(GRANULE_BYTES - 1));
        let (old, old_end) = (self.table, self.end);
        let old_bytes = old_end - old;
        let is_next = start == old_end;
        let from = if is_next { old } else { start };
        let table = end - bytes;
        if table <= from {
            return;
        }
        let to = self.source.pointer(table);
        let more = to.wrapping_add(old_bytes);
        // SAFETY: the heap owns these bytes. Nobody uses them: they are new, above the old table.
        unsafe { more.write_bytes(0, bytes - old_bytes) };
        let distance = self.base.wrapping_sub(old);
        self.base = distance.wrapping_add(table);
        self.table = table;
        self.end = end;
        self.recorder.taken_in(end - start);
        if old_bytes != 0 {
            // SAFETY: the heap owns both tables, and the new one is longer.
            unsafe { to.copy_from(self.source.pointer(old), old_bytes) };
            if !is_next {
                self.free_run(id_at(old), old_bytes);
            }
        }
        self.free_run(id_at(from), table - from);
    }
}

/// [`Id::at`], where only its bytes of code count.
#[inline(never)]
fn id_at(address: usize) -> Id {
    Id::at(address)
}

/// The end of the heap in a memory that ends at `end`, 0 for all of the address space. The last granule below that has
/// no header after it, so it cannot be used.
#[inline(always)]
fn usable_end(end: usize) -> usize {
    if end == 0 {
        GRANULE_BYTES.wrapping_neg()
    } else {
        end
    }
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
    fn pages_that_somebody_takes_meanwhile_are_left_alone() {
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

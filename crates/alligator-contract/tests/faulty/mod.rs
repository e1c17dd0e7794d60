//! An allocator over a memory of its own, first fit, which can be made wrong in one way.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use alligator_contract::World;

const PAGE_BYTES: usize = 65_536;
const PAGES_MAX: usize = 128;
const INITIAL_PAGES: usize = 6;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Nothing is.
    Nothing,
    /// Larger alignments than this are not kept.
    AlignsTo(usize),
    /// Blocks above eight bytes are taken to be so much shorter.
    TooShortBy(usize),
    /// A freed place is free twice.
    GivesTwice,
    /// A byte beyond a block is written when it is given back.
    WritesBeyond,
    /// `realloc` does not copy the last byte.
    LosesLastByte,
    /// `realloc` gives the block back even when it answers null.
    FreesWhatItCannotResize,
    /// `alloc_zeroed` does not fill.
    DoesNotZero,
    /// Sizes are computed modulo a mebibyte.
    WrapsAround,
    /// Once it has refused, it always refuses.
    StaysFull,
    /// It takes the memory to be a page longer than it is.
    OverrunsTheEnd,
    /// It panics instead of answering null.
    Panics,
    /// Every tenth block given back is forgotten.
    Leaks,
    /// It takes pages that somebody else has added.
    TakesForeignPages,
    /// It never uses the initial memory.
    SkipsTheTail,
    /// It never uses the last eighth.
    LeavesTheEnd,
}

/// A memory of pages that grows up to a limit.
pub(crate) struct Zone {
    reserved: *mut u8,
    pages: Cell<usize>,
    foreign: RefCell<Vec<Range<usize>>>,
}

impl Zone {
    /// One page before it for rounding up, one after it that nobody may touch.
    const LAYOUT: Layout = match Layout::from_size_align((PAGES_MAX + 2) * PAGE_BYTES, PAGE_BYTES) {
        Ok(layout) => layout,
        Err(_) => panic!("a layout"),
    };

    pub(crate) fn new() -> Self {
        // SAFETY: the layout is longer than zero bytes.
        let reserved = unsafe { System.alloc_zeroed(Self::LAYOUT) };
        assert!(!reserved.is_null());
        Self {
            reserved,
            pages: Cell::new(INITIAL_PAGES),
            foreign: RefCell::default(),
        }
    }

    fn start(&self) -> usize {
        self.reserved.addr()
    }

    /// Adds `pages`; the address of the first one.
    fn grow(&self, pages: usize) -> Option<usize> {
        let total = self.pages.get() + pages;
        let start = self.start() + self.pages.replace(total.min(PAGES_MAX)) * PAGE_BYTES;
        (total <= PAGES_MAX).then_some(start)
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout.
        unsafe { System.dealloc(self.reserved, Self::LAYOUT) };
    }
}

impl World for Zone {
    fn room_bytes(&self) -> usize {
        PAGES_MAX * PAGE_BYTES
    }

    fn last_byte(&self) -> Option<usize> {
        Some(self.start() + (PAGES_MAX * PAGE_BYTES - 1))
    }

    fn initial_tail(&self) -> Range<usize> {
        self.start() + 1000..self.start() + INITIAL_PAGES * PAGE_BYTES
    }

    fn grow_by_somebody_else(&self, pages: usize) -> Option<*mut u8> {
        let start = self.grow(pages)?;
        let range = start..start + pages * PAGE_BYTES;
        self.foreign.borrow_mut().push(range);
        Some(self.reserved.with_addr(start))
    }
}

/// First fit over a map of free ranges.
pub(crate) struct Faulty<'a> {
    zone: &'a Zone,
    wrong: Wrong,
    /// Free ranges, by their first address.
    free: RefCell<BTreeMap<usize, usize>>,
    frees: Cell<usize>,
    has_refused: Cell<bool>,
}

impl<'a> Faulty<'a> {
    pub(crate) fn new(zone: &'a Zone, wrong: Wrong) -> Self {
        let faulty = Self {
            zone,
            wrong,
            free: RefCell::default(),
            frees: Cell::new(0),
            has_refused: Cell::new(false),
        };
        if wrong != Wrong::SkipsTheTail {
            let tail = zone.initial_tail();
            faulty.add(tail.start, tail.end);
        }
        faulty
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// Makes a range free, and one with its free neighbours.
    fn add(&self, mut start: usize, mut end: usize) {
        let mut free = self.free.borrow_mut();
        if let Some((&lower, &lower_end)) = free.range(..start).next_back() {
            if lower_end == start {
                free.remove(&lower);
                start = lower;
            }
        }
        if let Some(higher_end) = free.remove(&end) {
            end = higher_end;
        }
        if start < end {
            free.insert(start, end);
        }
    }

    /// The bytes that a block of `size` takes.
    fn taken(&self, size: usize) -> usize {
        match self.wrong {
            Wrong::TooShortBy(bytes) if size > 8 => size.saturating_sub(bytes).max(1),
            Wrong::WrapsAround => (size & 0xF_FFFF).max(1),
            _ => size,
        }
    }

    fn find(&self, size: usize, align: usize) -> Option<usize> {
        let align = match self.wrong {
            Wrong::AlignsTo(most) => align.min(most),
            _ => align,
        };
        let found = self.free.borrow().iter().find_map(|(&start, &end)| {
            let place = start.checked_next_multiple_of(align)?;
            (place.checked_add(size)? <= end).then_some((start, place, end))
        });
        let (start, place, end) = found?;
        self.free.borrow_mut().remove(&start);
        self.add(start, place);
        self.add(place + size, end);
        Some(place)
    }

    fn grow_for(&self, size: usize, align: usize) -> Option<()> {
        let limit = if self.is(Wrong::LeavesTheEnd) {
            PAGES_MAX - PAGES_MAX / 8
        } else {
            PAGES_MAX
        };
        let left = limit - self.zone.pages.get();
        let wanted = size.checked_add(align)?.div_ceil(PAGE_BYTES);
        if wanted > left && left == 0 {
            return None;
        }
        let pages = wanted.min(left);
        let mut start = self.zone.grow(pages)?;
        let mut end = start + pages * PAGE_BYTES;
        if self.is(Wrong::OverrunsTheEnd) && self.zone.pages.get() == PAGES_MAX {
            end += PAGE_BYTES;
        }
        if self.is(Wrong::TakesForeignPages) {
            if let Some(foreign) = self.zone.foreign.borrow_mut().pop() {
                start = foreign.start;
            }
        }
        self.add(start, end);
        Some(())
    }

    fn give(&self, layout: Layout) -> Option<usize> {
        let size = self.taken(layout.size());
        if self.is(Wrong::StaysFull) && self.has_refused.get() {
            return None;
        }
        self.find(size, layout.align()).or_else(|| {
            self.grow_for(size, layout.align())?;
            self.find(size, layout.align())
        })
    }

    /// Whether what `alloc_zeroed` gave must be filled: it is always, memory is used again.
    fn fills(&self) -> bool {
        !self.is(Wrong::DoesNotZero)
    }
}

// SAFETY: it is not, but for `Wrong::Nothing`: then ranges are free or in a block, and never both.
unsafe impl GlobalAlloc for Faulty<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.give(layout) {
            Some(address) => self.zone.reserved.with_addr(address),
            None if self.is(Wrong::Panics) => panic!("no room for {layout:?}"),
            None => {
                self.has_refused.set(true);
                std::ptr::null_mut()
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let (start, size) = (pointer.addr(), self.taken(layout.size()));
        self.frees.set(self.frees.get() + 1);
        if self.is(Wrong::Leaks) && self.frees.get() % 10 == 0 {
            return;
        }
        if self.is(Wrong::WritesBeyond) && self.frees.get() % 50 == 0 {
            // SAFETY: a byte of the zone, or of the page after it.
            let beyond = unsafe { pointer.add(size) };
            // SAFETY: as above.
            unsafe { beyond.write(0x77) };
        }
        self.add(start, start + size);
        if self.is(Wrong::GivesTwice) && self.frees.get() % 20 == 0 {
            // Its neighbour is free as well, used or not.
            self.add(start + size, start + size + 64);
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && self.fills() {
            // SAFETY: the block has so many bytes.
            unsafe { block.write_bytes(0, self.taken(layout.size())) };
        }
        block
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let new_layout = Layout::from_size_align(new_size, layout.align()).expect("a layout");
        // SAFETY: the caller's duty.
        let new = unsafe { self.alloc(new_layout) };
        if new.is_null() {
            if self.is(Wrong::FreesWhatItCannotResize) {
                // SAFETY: it is not: the caller still has the block.
                unsafe { self.dealloc(pointer, layout) };
            }
            return new;
        }
        let lost = usize::from(self.is(Wrong::LosesLastByte));
        let kept = layout.size().min(new_size) - lost;
        // SAFETY: both blocks have so many bytes, and are apart.
        unsafe { new.copy_from_nonoverlapping(pointer, kept) };
        // SAFETY: the caller's duty.
        unsafe { self.dealloc(pointer, layout) };
        new
    }
}

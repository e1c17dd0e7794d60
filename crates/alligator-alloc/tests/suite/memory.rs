//! A Wasm memory on any host: it starts with a module's data and a spare tail, grows by pages at its end,
//! can be grown by somebody else as well, and refuses beyond a limit.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ops::Range;
use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error};
use std::rc::Rc;

use alligator_alloc::{AlligatorAlloc, PAGE_BYTES, Source, SpinLock};

/// What the module's data, the spare tail and foreign pages are filled with.
const DATA: u8 = 0xDA;
const SPARE: u8 = 0x5A;
const FOREIGN: u8 = 0xF0;

/// A heap over a simulated memory.
pub(crate) type Simulated<const STEP_PAGES: usize = 1, const ON_DEMAND: bool = true> =
    AlligatorAlloc<SimulatedMemory<STEP_PAGES, ON_DEMAND>, SpinLock>;

/// The memory as the host sees it.
pub(crate) struct Memory {
    /// All the bytes there can ever be, and one page for rounding up the first address.
    reserved: *mut u8,
    layout: Layout,
    /// The address of the first page.
    start: usize,
    data_bytes: usize,
    initial_pages: usize,
    pages: Cell<usize>,
    /// No growth goes beyond so many pages.
    pub(crate) pages_max: Cell<usize>,
    /// The growths that were the heap's.
    pub(crate) growths: Cell<usize>,
    /// How often the heap has asked for pages.
    pub(crate) asked: Cell<usize>,
    /// Pages that somebody else takes just before each growth of the heap's ..
    pub(crate) intruder_pages: Cell<usize>,
    /// .. so many times.
    pub(crate) intrusions: Cell<usize>,
    /// Whether the heap may ask for pages.
    pub(crate) may_grow: Cell<bool>,
    foreign: RefCell<Vec<Range<usize>>>,
}

impl Memory {
    /// A memory of `initial_pages`, `data_bytes` of which are the module's, that can grow to `pages_max`.
    pub(crate) fn new(initial_pages: usize, data_bytes: usize, pages_max: usize) -> Rc<Self> {
        let bytes = (pages_max + 1) * PAGE_BYTES;
        let layout = Layout::from_size_align(bytes, 16).expect("a memory of this size");
        // SAFETY: the layout is longer than zero bytes.
        let reserved = unsafe { alloc_zeroed(layout) };
        if reserved.is_null() {
            handle_alloc_error(layout);
        }
        let memory = Self {
            reserved,
            layout,
            start: reserved.addr().next_multiple_of(PAGE_BYTES),
            data_bytes,
            initial_pages,
            pages: Cell::new(initial_pages),
            pages_max: Cell::new(pages_max),
            growths: Cell::new(0),
            asked: Cell::new(0),
            intruder_pages: Cell::new(0),
            intrusions: Cell::new(usize::MAX),
            may_grow: Cell::new(true),
            foreign: RefCell::default(),
        };
        memory.fill(memory.data(), DATA);
        memory.fill(memory.spare(), SPARE);
        Rc::new(memory)
    }

    /// A memory without data or spare tail.
    pub(crate) fn empty(pages_max: usize) -> Rc<Self> {
        Self::new(0, 0, pages_max)
    }

    /// A heap that takes its memory from here.
    pub(crate) fn heap<const STEP_PAGES: usize, const ON_DEMAND: bool>(
        self: &Rc<Self>,
    ) -> Simulated<STEP_PAGES, ON_DEMAND> {
        AlligatorAlloc::with_source(self.source())
    }

    /// The memory for a heap.
    pub(crate) fn source<const STEP_PAGES: usize, const ON_DEMAND: bool>(
        self: &Rc<Self>,
    ) -> SimulatedMemory<STEP_PAGES, ON_DEMAND> {
        SimulatedMemory(Rc::clone(self))
    }

    /// Pages there are now.
    pub(crate) fn pages(&self) -> usize {
        self.pages.get()
    }

    /// The addresses of all memory there is now.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.pages.get() * PAGE_BYTES
    }

    /// Adds `pages` that belong to somebody else; false if there is no room.
    pub(crate) fn grow_by_somebody_else(&self, pages: usize) -> bool {
        let Some(start) = self.add(pages) else {
            return false;
        };
        let range = start..start + pages * PAGE_BYTES;
        self.fill(range.clone(), FOREIGN);
        self.foreign.borrow_mut().push(range);
        true
    }

    /// Panics if somebody wrote to the module's data or to somebody else's pages.
    pub(crate) fn assert_others_are_intact(&self) {
        self.assert_filled(self.data(), DATA);
        for range in self.foreign.borrow().iter() {
            self.assert_filled(range.clone(), FOREIGN);
        }
    }

    /// Looks at somebody else's pages no more: whoever asked for them has written to them.
    pub(crate) fn forget_foreign(&self) {
        self.foreign.borrow_mut().clear();
    }

    /// Writes `byte` all over `range`, which no block is in.
    pub(crate) fn fill(&self, range: Range<usize>, byte: u8) {
        let first = self.pointer(range.start);
        // SAFETY: `range` is inside the reserved bytes, and no reference to them exists.
        unsafe { first.write_bytes(byte, range.len()) };
    }

    fn assert_filled(&self, range: Range<usize>, byte: u8) {
        for address in range.step_by(if cfg!(miri) { 1021 } else { 61 }) {
            // SAFETY: as in `fill`; all bytes were initialised.
            let found = unsafe { self.pointer(address).read() };
            assert_eq!(found, byte, "the heap wrote to {address:#x}");
        }
    }

    fn add(&self, pages: usize) -> Option<usize> {
        let total = self.pages.get().checked_add(pages)?;
        if total > self.pages_max.get() {
            return None;
        }
        let start = self.range().end;
        self.pages.set(total);
        Some(start)
    }

    fn data(&self) -> Range<usize> {
        self.start..self.start + self.data_bytes
    }

    /// The part of the initial memory that nobody uses.
    pub(crate) fn spare(&self) -> Range<usize> {
        self.data().end..self.start + self.initial_pages * PAGE_BYTES
    }

    /// A pointer to `address`, which is inside the memory.
    pub(crate) fn pointer(&self, address: usize) -> *mut u8 {
        self.reserved.with_addr(address)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(self.reserved, self.layout) };
    }
}

/// [`Memory`] as the heap sees it.
pub(crate) struct SimulatedMemory<const STEP_PAGES: usize, const ON_DEMAND: bool>(Rc<Memory>);

// SAFETY: `add` never gives the same page twice, each above all earlier ones; the reserved bytes are zero,
// are nobody else's and live as long as the `Rc`; the hosts place nothing in the first 1024 bytes.
unsafe impl<const STEP_PAGES: usize, const ON_DEMAND: bool> Source
    for SimulatedMemory<STEP_PAGES, ON_DEMAND>
{
    const ON_DEMAND: bool = ON_DEMAND;
    const STEP_PAGES: usize = STEP_PAGES;

    fn spare(&mut self) -> Range<usize> {
        self.0.spare()
    }

    fn end(&self) -> usize {
        self.0.range().end
    }

    fn may_grow(&self, _reservation: bool) -> bool {
        self.0.may_grow.get()
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        self.0.asked.set(self.0.asked.get() + 1);
        if self.0.intruder_pages.get() > 0 && self.0.intrusions.get() > 0 {
            self.0.intrusions.set(self.0.intrusions.get() - 1);
            self.0.grow_by_somebody_else(self.0.intruder_pages.get());
        }
        let start = self.0.add(pages)?;
        self.0
            .growths
            .set(self.0.growths.get() + usize::from(pages > 0));
        Some(start)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

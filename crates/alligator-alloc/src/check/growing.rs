//! Memory that grows, for the tests of the checker: of the default heap and of the small one.

extern crate std;

use core::alloc::Layout;
use core::ops::Range;

use crate::source::Source;
use crate::units::PAGE_BYTES;

/// Pages the test's memory can grow to.
const PAGES_MAX: usize = 60;

/// Memory that grows page by page.
pub(crate) struct Growing {
    memory: *mut u8,
    pages: usize,
}

impl Growing {
    pub(crate) fn new() -> Self {
        let layout = Layout::from_size_align(PAGES_MAX * PAGE_BYTES, PAGE_BYTES);
        // SAFETY: the layout is not empty. The memory is never given back: the heap may outlive the test.
        let memory = unsafe { std::alloc::alloc_zeroed(layout.expect("a layout")) };
        assert!(!memory.is_null());
        Self { memory, pages: 0 }
    }
}

// SAFETY: the memory is zero, nobody else's, and given out once, from its start to its end.
unsafe impl Source for Growing {
    fn spare(&mut self) -> Range<usize> {
        0..0
    }

    fn end(&self) -> usize {
        self.memory.addr() + self.pages * PAGE_BYTES
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        let new = self.end();
        let is_room = pages <= PAGES_MAX - self.pages;
        self.pages += if is_room { pages } else { 0 };
        is_room.then_some(new)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.memory.with_addr(address)
    }
}

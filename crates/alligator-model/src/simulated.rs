//! Alligator's heap in a memory simulated on the host, the one that its own tests use.

#[path = "../../alligator-alloc/tests/suite/memory.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod memory;

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;
use std::rc::Rc;

use alligator_alloc::{Heap, PAGE_BYTES};
use alligator_model::Subject;
use memory::{Memory, SimulatedMemory};

/// Pages the memory can ever have.
const PAGES_MAX: usize = 256;

/// A heap and its memory.
pub(crate) struct Simulated<const STEP_PAGES: usize, const ON_DEMAND: bool> {
    heap: Heap<SimulatedMemory<STEP_PAGES, ON_DEMAND>>,
    memory: Rc<Memory>,
}

impl<const STEP_PAGES: usize, const ON_DEMAND: bool> Simulated<STEP_PAGES, ON_DEMAND> {
    /// A heap in a memory of so many pages at first, half of the first one data of the program's.
    pub(crate) fn new(initial_pages: usize) -> Self {
        let data_bytes = if initial_pages == 0 {
            0
        } else {
            PAGE_BYTES / 2 + 5
        };
        let memory = Memory::new(initial_pages, data_bytes, PAGES_MAX);
        let mut heap = Heap::new(memory.source());
        if !ON_DEMAND {
            let _ = heap.reserve(PAGES_MAX / 2 * PAGE_BYTES);
        }
        Self { heap, memory }
    }
}

impl<const STEP_PAGES: usize, const ON_DEMAND: bool> Subject for Simulated<STEP_PAGES, ON_DEMAND> {
    #[inline(always)]
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.heap.allocate(layout)
    }

    #[inline(always)]
    fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.heap.allocate_zeroed(layout)
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.heap.deallocate(block, layout) };
    }

    #[inline(always)]
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        unsafe { self.heap.reallocate(block, layout, new_size) }
    }

    fn reserve(&mut self, bytes: usize) {
        let _ = self.heap.reserve(bytes);
    }

    fn grow_by_somebody_else(&mut self, pages: usize) {
        // Half of the memory at most is somebody else's.
        if self.memory.pages() < PAGES_MAX / 2 {
            self.memory.grow_by_somebody_else(pages);
        }
    }

    fn limit(&mut self, pages: usize) {
        let limit = PAGES_MAX.min(self.memory.pages() + pages);
        self.memory.pages_max.set(limit);
    }

    fn range(&self) -> Range<usize> {
        let start = self.memory.range().start;
        start..start + PAGES_MAX * PAGE_BYTES
    }

    #[cfg(feature = "check")]
    fn check(&self) -> Result<(), String> {
        self.heap.check().map_err(|violation| violation.to_string())
    }

    #[cfg(not(feature = "check"))]
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn require_empty(&self) -> Result<(), String> {
        self.memory.assert_others_are_intact();
        #[cfg(feature = "check")]
        {
            let mut used = None;
            self.heap.walk(|piece| {
                let is_used = match piece {
                    alligator_alloc::Piece::Run { .. } => true,
                    alligator_alloc::Piece::MiniPage {
                        slot_count,
                        free_slots,
                        ..
                    } => slot_count != free_slots,
                    _ => false,
                };
                if is_used {
                    used = Some(piece);
                }
            });
            if let Some(piece) = used {
                return Err(format!(
                    "all blocks are given back, but {piece:?} is in use"
                ));
            }
        }
        Ok(())
    }
}

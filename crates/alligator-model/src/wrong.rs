//! A heap with a planted fault, to show that one is found and its program made short.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

use alligator_model::Subject;

/// A freed block of 33 to 40 bytes stays at hand, and is given to two requests.
pub(crate) struct GivesTwice<S> {
    right: S,
    at_hand: Option<(NonNull<u8>, u8)>,
}

impl<S> GivesTwice<S> {
    pub(crate) fn new(right: S) -> Self {
        Self {
            right,
            at_hand: None,
        }
    }
}

fn is_special(layout: Layout) -> bool {
    (33..=40).contains(&layout.size()) && layout.align() <= 8
}

impl<S: Subject> Subject for GivesTwice<S> {
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match self.at_hand.take() {
            Some((block, times)) if is_special(layout) => {
                self.at_hand = (times > 1).then_some((block, times - 1));
                Some(block)
            }
            at_hand => {
                self.at_hand = at_hand;
                self.right.allocate(layout)
            }
        }
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.right.allocate_zeroed(layout)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        if is_special(layout) && self.at_hand.is_none() {
            self.at_hand = Some((block, 2));
            return;
        }
        // SAFETY: the caller's duty.
        unsafe { self.right.deallocate(block, layout) };
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        unsafe { self.right.reallocate(block, layout, new_size) }
    }

    fn reserve(&mut self, bytes: usize) {
        self.right.reserve(bytes);
    }

    fn grow_by_somebody_else(&mut self, pages: usize) {
        self.right.grow_by_somebody_else(pages);
    }

    fn limit(&mut self, pages: usize) {
        self.right.limit(pages);
    }

    fn range(&self) -> Range<usize> {
        self.right.range()
    }

    fn check(&self) -> Result<(), String> {
        self.right.check()
    }

    /// What is at hand is in use to the heap below: nothing is required.
    fn require_empty(&self) -> Result<(), String> {
        Ok(())
    }
}

//! A heap whose user keeps to limits, and counts as the theorem does.

use std::alloc::Layout;
use std::ptr::NonNull;

use alligator_alloc::{Heap, MemoryBound, Policy, Source};

/// What a program keeps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) largest: usize,
    pub(super) blocks: usize,
}

/// The heap gave null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) layout: Layout,
    pub(super) bytes: usize,
    pub(super) blocks: usize,
}

pub(super) struct Limited<S: Source, P: Policy> {
    heap: Heap<S, P>,
    limits: Limits,
    live: Vec<(NonNull<u8>, Layout)>,
    bytes: usize,
    steps: usize,
}

impl<S: Source, P: Policy> Limited<S, P> {
    pub(super) fn new(heap: Heap<S, P>, limits: Limits) -> Self {
        Self {
            heap,
            limits,
            live: Vec::new(),
            bytes: 0,
            steps: 0,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.live.len()
    }

    pub(super) fn layout(&self, index: usize) -> Layout {
        self.live[index].1
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap.heap_bytes()
    }

    /// Whether a block of `layout` more is within the limits.
    pub(super) fn may(&self, layout: Layout) -> bool {
        let bytes = MemoryBound::bytes_of(layout);
        bytes <= self.limits.largest
            && self.bytes + bytes <= self.limits.bytes
            && self.live.len() < self.limits.blocks
    }

    /// A new block, the last; its index.
    pub(super) fn allocate(&mut self, layout: Layout) -> Result<usize, Refused> {
        assert!(self.may(layout), "{layout:?} is beyond {:?}", self.limits);
        let block = self.heap.allocate(layout).ok_or(self.refused(layout))?;
        assert_eq!(block.addr().get() % layout.align(), 0);
        self.bytes += MemoryBound::bytes_of(layout);
        self.live.push((block, layout));
        self.check();
        Ok(self.live.len() - 1)
    }

    /// Gives back the block `index`; the last takes its place.
    pub(super) fn free(&mut self, index: usize) {
        let (block, layout) = self.live.swap_remove(index);
        // SAFETY: the heap gave it for this layout.
        unsafe { self.heap.deallocate(block, layout) };
        self.bytes -= MemoryBound::bytes_of(layout);
        self.check();
    }

    /// As `free`, but all others keep their order.
    pub(super) fn free_in_order(&mut self, index: usize) {
        let last = self.live.len() - 1;
        self.live[index..].rotate_left(1);
        self.free(last);
    }

    /// Whether so many bytes more are within the limits, in blocks of any length.
    pub(super) fn may_bytes(&self, bytes: usize) -> bool {
        self.bytes + bytes <= self.limits.bytes
    }

    /// Makes the block `index` shorter where it is: it does not move, so it never counts twice.
    pub(super) fn shrink(&mut self, index: usize, size: usize) {
        let (block, layout) = self.live[index];
        assert!(size <= layout.size());
        // SAFETY: the heap gave it for this layout.
        let same = unsafe { self.heap.reallocate(block, layout, size) };
        assert_eq!(same, Some(block));
        let new = Layout::from_size_align(size, layout.align()).expect("a layout");
        self.live[index].1 = new;
        self.bytes -= MemoryBound::bytes_of(layout);
        self.bytes += MemoryBound::bytes_of(new);
        self.check();
    }

    /// Changes the size of the block `index`. Nothing if old and new are beyond the limits together.
    pub(super) fn resize(&mut self, index: usize, size: usize) -> Result<(), Refused> {
        let (block, layout) = self.live[index];
        let new = Layout::from_size_align(size, layout.align()).expect("a layout");
        if size == 0 || !self.may(new) {
            return Ok(());
        }
        // SAFETY: the heap gave it for this layout.
        let moved = unsafe { self.heap.reallocate(block, layout, size) };
        self.live[index] = (moved.ok_or(self.refused(new))?, new);
        self.bytes -= MemoryBound::bytes_of(layout);
        self.bytes += MemoryBound::bytes_of(new);
        self.check();
        Ok(())
    }

    fn refused(&self, layout: Layout) -> Refused {
        Refused {
            layout,
            bytes: self.bytes,
            blocks: self.live.len(),
        }
    }

    /// Each step of a short program, and some of a long one.
    fn check(&mut self) {
        self.steps += 1;
        #[cfg(feature = "check")]
        if self.steps % (1 + (self.live.len() / 30).pow(2)) == 0 {
            assert_eq!(self.heap.check(), Ok(()));
        }
    }
}

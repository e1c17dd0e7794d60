//! The heap: routes a request to a MiniPage or a run, and owns all state.

use core::alloc::Layout;
use core::fmt;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::mini_page::ClassState;
use crate::mini_page::medium::{Medium, MediumClass, SMALL_HEAP_BYTES};
use crate::runs::Runs;
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, HARDENED, MEDIUM, REQUEST_BYTES_MAX, granules_for};

/// A heap over a [`Source`] of memory, as a value. *Time:* every operation is constant, except that the
/// source may take its own time to grow, a block that moves is copied, and a block that must be zero is
/// filled.
pub struct Heap<S: Source> {
    pub(crate) classes: [ClassState; CLASS_COUNT],
    pub(crate) medium: Medium,
    pub(crate) runs: Runs<S>,
}

impl<S: Source> fmt::Debug for Heap<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Heap").finish_non_exhaustive()
    }
}

impl<S: Source> Heap<S> {
    /// A heap with nothing yet. All its state is zero but the source, so a `static` heap over a zero-sized
    /// source takes no bytes in the module.
    #[allow(
        clippy::large_stack_arrays,
        reason = "a static's, in 64-bit programs only"
    )]
    pub const fn new(source: S) -> Self {
        Self {
            classes: [ClassState::NEW; CLASS_COUNT],
            medium: Medium::NEW,
            runs: Runs::new(source),
        }
    }

    /// The first of `layout.size()` bytes at a multiple of `layout.align()`, or `None` when no free run is
    /// long enough and the source refuses to grow. A size of zero gets the smallest slot.
    ///
    /// *Time:* constant, the source's growth apart.
    #[inline(always)]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        NonNull::new(self.allocate_nonzero(at_least_one_byte(layout)))
    }

    /// [`allocate`](Self::allocate) for a size above zero; null for none.
    #[inline(always)]
    pub(crate) fn allocate_nonzero(&mut self, layout: Layout) -> *mut u8 {
        let address = self.allocate_address(layout);

        self.runs.record.allocated(layout, address);
        self.runs.meta.source.pointer(address)
    }

    /// The address of a block for `layout`, whose size is not zero, or zero.
    #[inline(always)]
    fn allocate_address(&mut self, layout: Layout) -> usize {
        let Some(class) = class_of(layout) else {
            return self.allocate_long(layout);
        };
        if HARDENED {
            let (classes, state, runs) = self.all_parts(class);
            return state.take_fast(classes, runs);
        }
        self.allocate_slot(class)
    }

    /// Gives back the block at `pointer`. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` for the same `layout` and it has not been given back since.
    #[inline(always)]
    pub unsafe fn deallocate(&mut self, pointer: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.deallocate_nonzero(pointer, at_least_one_byte(layout)) };
    }

    /// [`deallocate`](Self::deallocate) for a size above zero.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_nonzero(&mut self, pointer: NonNull<u8>, layout: Layout) {
        if HARDENED {
            self.deallocate_address(pointer.addr(), layout);
            return self.runs.record.freed(layout); // What is refused is not counted.
        }
        self.runs.record.freed(layout);
        self.deallocate_address(pointer.addr(), layout);
    }

    #[inline(always)]
    fn deallocate_address(&mut self, address: NonZeroUsize, layout: Layout) {
        match class_of(layout) {
            Some(class) => self.deallocate_slot(address, class),
            None => self.deallocate_long(address, layout),
        }
    }

    /// The address of a slot of `class`, or zero.
    #[inline(always)]
    pub(crate) fn allocate_slot(&mut self, class: Class) -> usize {
        let (classes, state, runs) = self.all_parts(class);
        match state.pop() {
            Some(slot) => slot.get(),
            None => state.take(classes, runs),
        }
    }

    #[inline(always)]
    pub(crate) fn deallocate_slot(&mut self, slot: NonZeroUsize, class: Class) {
        if HARDENED {
            return self.deallocate_slot_if_in_use(slot, class);
        }
        let (state, runs) = self.parts(class);
        if !state.push(slot) {
            state.give_back(slot.get(), runs);
        }
    }

    /// What the heap has counted.
    #[cfg(feature = "metrics")]
    pub(crate) fn record(&self) -> &crate::metrics::Recorder {
        &self.runs.record
    }

    /// Where the first class's state is, the state of `class`, and all runs.
    #[inline(always)]
    fn all_parts(&mut self, class: Class) -> (*mut ClassState, &mut ClassState, &mut Runs<S>) {
        let classes = self.classes.as_mut_ptr();
        // SAFETY: a class's index is below CLASS_COUNT.
        let state = unsafe { classes.add(class.index()) };
        // SAFETY: it is borrowed as long as the heap is; `classes` is not used for this class meanwhile.
        (classes, unsafe { &mut *state }, &mut self.runs)
    }

    /// The state of `class`, and all runs.
    #[inline(always)]
    pub(crate) fn parts(&mut self, class: Class) -> (&mut ClassState, &mut Runs<S>) {
        let (_, state, runs) = self.all_parts(class);
        (state, runs)
    }

    /// [`allocate_address`](Self::allocate_address) for a layout that no class serves.
    #[inline(never)]
    pub(crate) fn allocate_long(&mut self, layout: Layout) -> usize {
        let granules = granules_for(layout.size());
        if layout.align() > GRANULE_BYTES {
            return self.runs.allocate_aligned(granules, layout.align());
        }
        if MEDIUM && self.runs.bytes() > SMALL_HEAP_BYTES {
            if let Some(class) = MediumClass::of(layout) {
                return self.medium.allocate(class, granules, &mut self.runs);
            }
        }
        let run = self.runs.allocate(granules);
        self.runs.place_of(run)
    }

    /// Gives back a medium slot. `place` is what its header says.
    #[inline(always)]
    pub(crate) fn deallocate_medium(
        &mut self,
        slot: NonZeroUsize,
        class: MediumClass,
        place: usize,
    ) {
        let (medium, runs) = (&mut self.medium, &mut self.runs);
        medium.give_back(slot.get(), class, place, runs);
    }

    /// Gives back the run in which the block of `layout` at `address` is, or its medium slot.
    #[inline(always)]
    fn deallocate_long(&mut self, address: NonZeroUsize, layout: Layout) {
        if HARDENED {
            return self.deallocate_run_if_in_use(address, layout);
        }
        let mut run = self.runs.meta.id_at(address.get());
        let place = self.runs.meta.header(run).place.get();
        if let Some(class) = MediumClass::in_place(place) {
            return self.deallocate_medium(address, class, place);
        }
        if layout.align() > GRANULE_BYTES {
            run = self.runs.aligned_run_at(run);
        }
        self.runs.free(run);
    }

    /// Makes the block at `pointer` hold `new_size` bytes at the same alignment, where it is if that can be,
    /// elsewhere if not, and keeps as many of its first bytes as both sizes have. `None` if there is no
    /// room, and then the block is as it was.
    ///
    /// *Time:* constant, the copy of a block that moves and the source's growth apart.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` for the same `layout` and it has not been given back since; `new_size`
    /// rounded up to `layout.align()` does not exceed `isize::MAX`.
    #[inline]
    pub unsafe fn reallocate(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        unsafe { self.reallocate_nonzero(pointer, at_least_one_byte(layout), new_size.max(1)) }
    }

    /// [`reallocate`](Self::reallocate) for sizes above zero.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn reallocate_nonzero(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller's duty.
        let new = unsafe { self.resize_or_move(pointer, layout, new_layout) };
        let record = &mut self.runs.record;
        record.reallocated(layout, new_layout, pointer, new);
        new
    }

    /// [`reallocate`](Self::reallocate) from one layout to another of the same alignment.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn resize_or_move(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_layout: Layout,
    ) -> Option<NonNull<u8>> {
        let (old_class, new_class) = (class_of(layout), class_of(new_layout));
        if HARDENED {
            self.require_block(pointer.addr(), layout);
        }
        let address = match (old_class, new_class) {
            (Some(old), Some(new)) if old == new => return Some(pointer),
            (_, Some(new)) => self.allocate_slot(new),
            (None, None) if layout.align() <= GRANULE_BYTES => {
                let run = self.runs.meta.id_at(pointer.addr().get());
                let place = self.runs.meta.header(run).place.get();
                if let Some(old) = MediumClass::in_place(place) {
                    if MediumClass::of(new_layout) == Some(old) {
                        return Some(pointer);
                    }
                    self.allocate_long(new_layout)
                } else {
                    let new = self.runs.reallocate(run, granules_for(new_layout.size()));
                    if new == run {
                        return Some(pointer);
                    }
                    self.runs.place_of(new)
                }
            }
            (_, None) => self.allocate_long(new_layout),
        };
        let new = NonNull::new(self.runs.meta.source.pointer(address))?;
        // SAFETY: both blocks have that many bytes and are apart, since both are in use.
        unsafe { new.copy_from_nonoverlapping(pointer, layout.size().min(new_layout.size())) };
        match old_class {
            Some(old) => self.deallocate_slot(pointer.addr(), old),
            None => self.deallocate_long(pointer.addr(), layout),
        }
        Some(new)
    }

    /// As [`allocate`](Self::allocate), with all bytes zero. Memory that is still as the host gave it is not
    /// touched. *Time:* linear in the bytes that are filled.
    #[inline(never)]
    pub fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = at_least_one_byte(layout);
        // Before anything is taken in, all counts as touched: the first memory may be the source's spare.
        let untouched = match self.runs.untouched() {
            0 => usize::MAX,
            address => address,
        };
        let block = self.allocate(layout)?;
        let mut bytes = layout.size();
        if class_of(layout).is_none() {
            bytes = bytes.min(untouched.saturating_sub(block.addr().get()));
        }
        // SAFETY: the block has at least that many bytes and nobody else knows it yet.
        unsafe { block.write_bytes(0, bytes) };
        Some(block)
    }

    /// Takes in memory until one block of `bytes`, or smaller ones that fill it, can be allocated without
    /// growing; also if the source does not grow on demand. False if the source gives too little.
    /// *Time:* the source's.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let done = bytes <= REQUEST_BYTES_MAX && self.runs.reserve(granules_for(bytes).max(1));
        self.runs.record.reserved(bytes, done);
        done
    }
}

/// `layout` with a size of zero made one: a heap's blocks are all different.
#[inline(always)]
pub(crate) fn at_least_one_byte(layout: Layout) -> Layout {
    // SAFETY: one byte, rounded up to any alignment, does not overflow.
    unsafe { Layout::from_size_align_unchecked(layout.size().max(1), layout.align()) }
}

/// The class whose slots serve `layout`, if any does.
#[inline(always)]
pub(crate) fn class_of(layout: Layout) -> Option<Class> {
    Class::of(layout.size(), layout.align())
}

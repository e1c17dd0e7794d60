//! The heap: routes a request to a MiniPage or a run, and owns all state.

use core::alloc::Layout;
use core::fmt;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};

use crate::meta_page::HeaderId;
use crate::mini_page::ClassState;
use crate::mini_page::medium::{Medium, MediumClass, SMALL_HEAP_BYTES};
use crate::runs::Runs;
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::{Source, check_constants};
use crate::units::{
    GRANULE_BYTES, GRANULE_SHIFT, HARDENED, MEDIUM, REQUEST_BYTES_MAX, granules_for,
};

/// A heap over a [`Source`] of memory, as a value. *Time:* every operation is constant, except that the
/// source may take its own time to grow, a block that moves is copied, and a block that must be zero is
/// filled.
pub struct Heap<S: Source> {
    pub(crate) classes: [ClassState; CLASS_COUNT],
    pub(crate) medium: Medium,
    pub(crate) runs: Runs<S>,
}

/// The class whose slots serve a request, if any does.
pub(crate) type Wanted = Option<Class>;

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
        const { check_constants::<S>() };
        Self {
            classes: [ClassState::NEW; CLASS_COUNT],
            medium: Medium::NEW,
            runs: Runs::new(source),
        }
    }

    /// Whether a fault ends the process from now on, where it could unwind.
    #[inline(always)]
    pub(crate) fn never_unwinding(&mut self, is_on: bool) {
        self.runs.never_unwinding(is_on);
    }

    /// The source of the memory.
    #[inline(always)]
    pub(crate) fn source_mut(&mut self) -> &mut S {
        &mut self.runs.meta.source
    }

    /// The source of the memory.
    #[inline(always)]
    pub(crate) fn source(&self) -> &S {
        &self.runs.meta.source
    }

    /// A pointer to the block at `address`, or null for zero.
    #[inline(always)]
    pub(crate) fn pointer_to(&self, address: usize) -> *mut u8 {
        if address == 0 {
            return ptr::null_mut();
        }
        self.runs.meta.source.pointer(address)
    }

    /// The block for `layout`, whose size is not zero, that needs neither a header nor a call, if there is one.
    #[inline(always)]
    pub(crate) fn allocate_at_hand(&mut self, layout: Layout) -> Result<*mut u8, Wanted> {
        let wanted = class_of(layout);
        if let (Some(class), false) = (wanted, HARDENED) {
            let (state, _) = self.parts(class);
            if let Some(slot) = state.pop() {
                self.runs.record.allocated(layout, slot.get());
                return Ok(self.runs.meta.source.pointer(slot.get()));
            }
        }
        Err(wanted)
    }

    /// A block for `layout`, where [`allocate_at_hand`](Self::allocate_at_hand) has said what is wanted; null for none.
    #[inline(always)]
    pub(crate) fn allocate_wanted(&mut self, wanted: Wanted, layout: Layout) -> *mut u8 {
        if HARDENED {
            self.runs.require_no_fault();
        }
        let address = match wanted {
            Some(class) => {
                let (classes, state, runs) = self.all_parts(class);
                if HARDENED {
                    state.take_fast(classes, runs)
                } else {
                    state.take(classes, runs)
                }
            }
            None => self.allocate_long(layout),
        };
        self.runs.record.allocated(layout, address);
        self.pointer_to(address)
    }

    /// [`allocate`](Self::allocate) for a size above zero; null for none.
    #[inline(always)]
    pub(crate) fn allocate_nonzero(&mut self, layout: Layout) -> *mut u8 {
        match self.allocate_at_hand(layout) {
            Ok(block) => block,
            Err(wanted) => self.allocate_wanted(wanted, layout),
        }
    }

    /// [`deallocate`](Self::deallocate) for a size above zero.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_nonzero(&mut self, pointer: NonNull<u8>, layout: Layout) {
        if HARDENED {
            self.runs.require_no_fault();
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
            self.runs.require_no_fault();
            self.require_block(pointer.addr(), layout);
        }
        let moved = match (old_class, new_class) {
            (Some(old), Some(new)) if old == new => None,
            (_, Some(new)) => Some(self.allocate_slot(new)),
            (None, None) => self.resize_long(pointer.addr(), new_layout),
            (Some(_), None) => Some(self.allocate_long(new_layout)),
        };
        let Some(address) = moved else {
            return NonNull::new(self.pointer_to(pointer.addr().get()));
        };
        let new = NonNull::new(self.pointer_to(address))?;
        // SAFETY: both blocks have that many bytes and are apart, since both are in use.
        unsafe { new.copy_from_nonoverlapping(pointer, layout.size().min(new_layout.size())) };
        match old_class {
            Some(old) => self.deallocate_slot(pointer.addr(), old),
            None => self.deallocate_long(pointer.addr(), layout),
        }
        Some(new)
    }

    /// Makes the block at `address`, longer than a slot, one of `layout`, of the same alignment and longer than a slot,
    /// too: `None` if it stays where it is, else the address of another for what it holds, or zero.
    #[inline(always)]
    fn resize_long(&mut self, address: NonZeroUsize, layout: Layout) -> Option<usize> {
        let mut run = self.runs.meta.id_at(address.get());
        let place = self.runs.meta.header(run).place.get();
        if let Some(old) = MediumClass::in_place(place) {
            let stays = MediumClass::of(layout) == Some(old);
            return (!stays).then(|| self.allocate_long(layout));
        }
        if place != address.get() {
            run = self.runs.aligned_run_at(run);
        }
        if self.resizes(run, address, layout) {
            return None;
        }
        if layout.align() > GRANULE_BYTES {
            return Some(self.allocate_long(layout));
        }
        let new = self.runs.move_or_grow(run, granules_for(layout.size()));
        (new != run).then(|| self.runs.place_of(new))
    }

    /// Makes the used run `run` end with the block of `layout` that is in it at `address`; false if that cannot be
    /// without growth.
    #[inline(always)]
    pub(crate) fn resizes(&mut self, run: HeaderId, address: NonZeroUsize, layout: Layout) -> bool {
        let before = (address.get() - self.runs.place_of(run)) >> GRANULE_SHIFT;
        self.runs.resize(run, before + granules_for(layout.size()))
    }

    /// [`allocate_zeroed`](Self::allocate_zeroed) for a size above zero.
    #[inline(never)]
    pub(crate) fn allocate_zeroed_nonzero(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // Before anything is taken in, all counts as touched: the first memory may be the source's spare.
        let untouched = match self.runs.untouched() {
            0 => usize::MAX,
            address => address,
        };
        let block = NonNull::new(self.allocate_nonzero(layout))?;
        let mut bytes = layout.size();
        if class_of(layout).is_none() {
            bytes = bytes.min(untouched.saturating_sub(block.addr().get()));
        }
        // SAFETY: the block has at least that many bytes and nobody else knows it yet.
        unsafe { block.write_bytes(0, bytes) };
        Some(block)
    }

    /// [`reserve`](Self::reserve).
    pub(crate) fn reserve_bytes(&mut self, bytes: usize) -> bool {
        if HARDENED {
            self.runs.require_no_fault();
        }
        let done = bytes <= REQUEST_BYTES_MAX && self.runs.reserve(granules_for(bytes).max(1));
        self.runs.record.reserved(bytes, done);
        done
    }
}

/// The class whose slots serve `layout`, if any does.
#[inline(always)]
pub(crate) fn class_of(layout: Layout) -> Option<Class> {
    Class::of(layout.size(), layout.align())
}

//! The heap: routes a request to a MiniPage or a run, and owns all state.

#[cfg(feature = "check")]
mod check;
mod hardened;
mod room;
#[cfg(thread_caches)]
mod without_growth;

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};

use crate::mini_page::ClassState;
use crate::policy::{DefaultPolicy, Policy};
use crate::records::{GRANULES_MAX, Id, Length};
use crate::runs::{Runs, aligned_length, length_for};
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::{Source, check_constants};
use crate::units::{GRANULE_BYTES, REQUEST_BYTES_MAX, bytes_of};

/// A heap over a [`Source`] of memory, as a value. *Time:* every operation is constant, except that the
/// source may take its own time to grow and the records may move then, a block that moves is copied, and a block that
/// must be zero is filled.
pub struct Heap<S: Source, P: Policy = DefaultPolicy> {
    pub(crate) classes: [ClassState<P>; CLASS_COUNT],
    /// The class that is trimmed next.
    next_trimmed: Cell<usize>,
    /// Written by each call that gathers, and read by nobody: see `GATHERING`.
    gathered: Cell<u64>,
    pub(crate) runs: Runs<S, P>,
}

/// The class whose slots serve a request, if any does.
pub(crate) type Wanted = Option<Class>;

/// Whether more bytes can be asked for than a table has records of.
const CAN_ASK_FOR_TOO_MUCH: bool = usize::BITS > 32;

impl<S: Source, P: Policy> fmt::Debug for Heap<S, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Heap")
            .field("heap_bytes", &self.heap_bytes())
            .field("largest_free", &self.largest_free())
            .finish_non_exhaustive()
    }
}

impl<S: Source> Heap<S> {
    /// A heap with nothing yet, of the mode that the program's features ask for.
    #[must_use]
    pub const fn new(source: S) -> Self {
        Self::with_policy(source)
    }
}

impl<S: Source, P: Policy> Heap<S, P> {
    /// A heap with nothing yet. All its state is zero but the source, so a `static` heap over a zero-sized
    /// source takes no bytes in the module.
    #[must_use]
    pub const fn with_policy(source: S) -> Self {
        const { check_constants::<S>() };
        Self {
            classes: [const { ClassState::NEW }; CLASS_COUNT],
            next_trimmed: Cell::new(0),
            gathered: Cell::new(0),
            runs: Runs::new(source),
        }
    }

    /// Whether a fault ends the process from now on, where it could unwind.
    #[inline(always)]
    pub(crate) fn never_unwinding(&self, is_on: bool) {
        self.runs.never_unwinding(is_on);
    }

    /// Says to the source that this heap is used as a value.
    #[inline(always)]
    pub(crate) fn used_as_value(&self) {
        self.runs.records.with_source(S::used_as_value);
    }

    /// The source of the memory.
    #[inline(always)]
    pub(crate) fn source(&self) -> &S {
        self.runs.records.source()
    }

    /// A pointer to the block at `address`, or null for zero.
    #[inline(always)]
    pub(crate) fn pointer_to(&self, address: usize) -> *mut u8 {
        if address == 0 {
            return ptr::null_mut();
        }
        self.source().pointer(address)
    }

    /// The block for `layout`, whose size is not zero, that needs neither a record nor a call, if there is one.
    #[inline(always)]
    pub(crate) fn allocate_at_hand(&self, layout: Layout) -> Result<*mut u8, Wanted> {
        let wanted = class_of(layout);
        if let (Some(class), false) = (wanted, P::HARDENED) {
            if let Some(slot) = self.state(class).pop() {
                self.runs.recorder.allocated(layout, slot.get());
                return Ok(self.source().pointer(slot.get()));
            }
        }
        Err(wanted)
    }

    /// A block for `layout`, where [`allocate_at_hand`](Self::allocate_at_hand) has said what is wanted; null for none.
    #[inline(always)]
    pub(crate) fn allocate_wanted(&self, wanted: Wanted, layout: Layout) -> *mut u8 {
        if P::HARDENED {
            self.runs.require_no_fault();
        }
        let address = match wanted {
            Some(class) => self.take_slot(self.state(class)),
            None => self.allocate_long(layout),
        };
        self.runs.recorder.allocated(layout, address);
        self.pointer_to(address)
    }

    /// [`allocate`](Self::allocate) for a size above zero; null for none.
    #[inline(always)]
    pub(crate) fn allocate_nonzero(&self, layout: Layout) -> *mut u8 {
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
    pub(crate) unsafe fn deallocate_nonzero(&self, pointer: NonNull<u8>, layout: Layout) {
        if P::HARDENED {
            self.runs.require_no_fault();
            self.deallocate_address(pointer.addr(), layout);
            return self.runs.recorder.freed(layout); // What is refused is not counted.
        }
        self.runs.recorder.freed(layout);
        self.deallocate_address(pointer.addr(), layout);
    }

    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline(always))]
    fn deallocate_address(&self, address: NonZeroUsize, layout: Layout) {
        match class_of(layout) {
            Some(class) => self.deallocate_slot(address, class),
            None => self.deallocate_long(address, layout),
        }
    }

    /// The address of a slot of `class`, or zero.
    #[inline(always)]
    pub(crate) fn allocate_slot(&self, class: Class) -> usize {
        let state = self.state(class);
        match state.pop() {
            Some(slot) => slot.get(),
            None => self.take_slot(state),
        }
    }

    /// The address of a slot of the class whose state `state` is, which has none in its magazine; or zero.
    #[inline(never)]
    fn take_slot(&self, state: &ClassState<P>) -> usize {
        let classes = self.classes.as_ptr();
        state.take(classes, &self.runs, |length| self.make_room(length, false))
    }

    #[inline(always)]
    pub(crate) fn deallocate_slot(&self, slot: NonZeroUsize, class: Class) {
        if P::HARDENED {
            return self.deallocate_slot_if_in_use(slot, class);
        }
        let state = self.state(class);
        if !state.push_slot(slot) {
            state.give_back(slot.get(), &self.runs);
        }
    }

    /// The state of `class`.
    #[inline(always)]
    pub(crate) fn state(&self, class: Class) -> &ClassState<P> {
        // SAFETY: a class's index is below CLASS_COUNT.
        unsafe { self.classes.get_unchecked(class.index()) }
    }

    /// The address of a block for `layout` that no class serves, or zero.
    #[inline(never)]
    pub(crate) fn allocate_long(&self, layout: Layout) -> usize {
        self.take_run(self.run_for(layout), layout)
    }

    /// [`allocate_long`](Self::allocate_long), and how many of the block's first bytes need not be zero.
    #[inline(always)]
    pub(crate) fn allocate_long_dirty(&self, layout: Layout) -> (usize, usize) {
        let free = self.run_for(layout);
        self.take_run_dirty(free, layout)
    }

    /// [`take_run`](Self::take_run), and how many of the block's first bytes need not be zero.
    #[inline(always)]
    fn take_run_dirty(&self, free: Id, layout: Layout) -> (usize, usize) {
        let untouched = self.runs.untouched();
        let address = self.take_run(free, layout);
        let dirty = untouched.saturating_sub(address);
        (address, layout.size().min(dirty))
    }

    /// A free run with room for a block for `layout`, which no class serves, or none. The next call finds the same.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    fn run_for(&self, layout: Layout) -> Id {
        if is_too_much(layout) {
            return Id::NONE;
        }
        let length = run_length(layout);
        let free = self.runs.find(length);
        if free.is_some() {
            free
        } else {
            self.make_room(length, false)
        }
    }

    /// The address of a block for `layout` in the free run `free`, which has room for it; zero for none.
    #[cfg_attr(not(in_place), inline(never))]
    #[cfg_attr(in_place, inline(always))]
    fn take_run(&self, free: Id, layout: Layout) -> usize {
        if !free.is_some() {
            return 0;
        }
        let length = length_for(layout.size());
        if layout.align() > GRANULE_BYTES {
            self.runs.cut_aligned(free, length, layout.align())
        } else {
            self.runs.records.place(self.runs.cut(free, length))
        }
    }

    /// Gives back the run in which the block of `layout` at `address` is.
    #[inline(always)]
    pub(crate) fn deallocate_long(&self, address: NonZeroUsize, layout: Layout) {
        if P::HARDENED {
            return self.deallocate_run_if_in_use(address, layout);
        }
        let run = self.runs.records.id_at(address.get());
        if layout.align() > GRANULE_BYTES {
            return self.free_aligned(self.runs.records.record(run).next.get());
        }
        self.runs.free(run, length_for(layout.size()));
    }

    /// Gives back the used run `run`, whose length its record says.
    #[cfg_attr(thread_caches, inline(always))]
    #[cfg_attr(not(thread_caches), inline(never))]
    pub(crate) fn free_aligned(&self, run: Id) {
        self.runs
            .free(run, self.runs.records.record(run).length.get());
    }

    /// [`reallocate`](Self::reallocate) for sizes above zero.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn reallocate_nonzero(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller's duty.
        let new = unsafe { self.resize_or_move(pointer, layout, new_layout) };
        let recorder = &self.runs.recorder;
        recorder.reallocated(layout, new_layout, pointer, new);
        new
    }

    /// [`reallocate`](Self::reallocate) from one layout to another of the same alignment.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn resize_or_move(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
        new_layout: Layout,
    ) -> Option<NonNull<u8>> {
        let (old_class, new_class) = (class_of(layout), class_of(new_layout));
        if P::HARDENED {
            self.runs.require_no_fault();
            self.require_block(pointer.addr(), layout);
        }
        let address = pointer.addr().get();
        let new = match (old_class, new_class) {
            (Some(old), Some(new)) if old == new => address,
            (_, Some(new)) => self.allocate_slot(new),
            (None, None) => self.resize_long(address, layout, new_layout),
            (Some(_), None) => self.allocate_long(new_layout),
        };
        let new_block = NonNull::new(self.pointer_to(new))?;
        if new != address {
            // SAFETY: both blocks have that many bytes and are apart, since both are in use.
            unsafe {
                new_block.copy_from_nonoverlapping(pointer, layout.size().min(new_layout.size()));
            }
            self.deallocate_address(pointer.addr(), layout);
        }
        Some(new_block)
    }

    /// Makes the block of `layout` at `address`, longer than a slot, one of `new`, of the same alignment and longer than
    /// a slot, too: the same address if it stays where it is, else that of another for what it holds, or zero.
    #[inline(always)]
    pub(crate) fn resize_long(&self, address: usize, layout: Layout, new: Layout) -> usize {
        let run = self.runs.records.id_at(address);
        if layout.align() > GRANULE_BYTES {
            return self.resize_aligned(address, new);
        }
        self.resize_run(run, length_for(layout.size()), new)
    }

    /// Makes the used run `run` of `old` hold a block for `layout`: as [`resize_long`](Self::resize_long).
    #[inline(always)]
    pub(crate) fn resize_run(&self, run: Id, old: Length, layout: Layout) -> usize {
        if is_too_much(layout) {
            return 0;
        }
        let length = length_for(layout.size());
        if self.runs.resize(run, old, length) {
            return self.runs.records.place(run);
        }
        let mut free = self.runs.find(length); // Moving costs a copy; growing would cost memory.
        if !free.is_some() {
            free = self.grow_run(run, old, length);
            if free == run {
                return self.runs.records.place(run);
            }
        }
        self.take_run(free, layout)
    }

    /// [`resize_long`](Self::resize_long) for a block with an alignment above a granule.
    #[inline(never)]
    pub(crate) fn resize_aligned(&self, address: usize, new: Layout) -> usize {
        let id = self.runs.records.id_at(address);
        let run = self.runs.records.record(id).next.get();
        let before = id.distance_from(run);
        let old = self.runs.records.record(run).length.get();
        if !is_too_much(new) && self.runs.resize(run, old, before + length_for(new.size())) {
            address
        } else {
            self.allocate_long(new)
        }
    }

    /// [`allocate_zeroed`](Self::allocate_zeroed) for a size above zero.
    #[inline(never)]
    pub(crate) fn allocate_zeroed_nonzero(&self, layout: Layout) -> Option<NonNull<u8>> {
        if P::HARDENED {
            self.runs.require_no_fault();
        }
        let (address, bytes) = match class_of(layout) {
            Some(class) => (self.allocate_slot(class), layout.size()),
            None => self.allocate_long_dirty(layout),
        };
        self.runs.recorder.allocated(layout, address);
        let block = NonNull::new(self.pointer_to(address))?;
        // SAFETY: the block has at least that many bytes and nobody else knows it yet.
        unsafe { block.write_bytes(0, bytes) };
        Some(block)
    }

    /// [`reserve`](Self::reserve).
    pub(crate) fn reserve_bytes(&self, bytes: usize) -> bool {
        if P::HARDENED {
            self.runs.require_no_fault();
        }
        let done = bytes <= HEAP_BYTES_MAX && self.reserve_run(length_for(bytes.max(1)));
        self.runs.recorder.reserved(bytes, done);
        done
    }

    /// What the heap has counted.
    #[cfg(feature = "metrics")]
    pub(crate) fn recorder(&self) -> &crate::metrics::Recorder {
        &self.runs.recorder
    }
}

/// The most bytes that a heap can have.
pub(crate) const HEAP_BYTES_MAX: usize = if CAN_ASK_FOR_TOO_MUCH {
    bytes_of(GRANULES_MAX)
} else {
    REQUEST_BYTES_MAX
};

/// Whether no heap can have a block of `layout`.
#[inline(always)]
pub(crate) fn is_too_much(layout: Layout) -> bool {
    CAN_ASK_FOR_TOO_MUCH && layout.size().max(layout.align()) > HEAP_BYTES_MAX / 2
}

/// The length of a run that has room for a block for `layout`, wherever it starts.
#[inline(always)]
pub(crate) fn run_length(layout: Layout) -> Length {
    let length = length_for(layout.size());
    if layout.align() > GRANULE_BYTES {
        aligned_length(length, layout.align())
    } else {
        length
    }
}

/// The class whose slots serve `layout`, if any does.
#[inline(always)]
pub(crate) fn class_of(layout: Layout) -> Option<Class> {
    Class::of(layout.size(), layout.align())
}

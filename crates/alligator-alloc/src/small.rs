//! The heap of the feature `small`: a design of its own, made for few bytes of code.
//!
//! ```text
//! block_bytes   a request's bytes: a slot's or whole granules          sizes.rs
//!   slot        first MiniPage of its list -> lowest free bit          here
//!   run         first long enough -> split; freed -> merged at once    runs.rs
//! lists         one array for both, a bit for each that is not empty   headers.rs
//! growth        new pages, and a longer table of headers               grow.rs
//! ```
//!
//! What the default heap has and this one does not: magazines, recent granules, tables of constants, a word of free
//! bits outside its header, runs that grow or shrink where they are, and headers that never move. What a block
//! is follows from its address alone, so there is one way to free it.

#[cfg(feature = "check")]
mod check;
mod grow;
mod headers;
#[cfg(feature = "metrics")]
pub(crate) mod kinds;
mod runs;
mod sizes;

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};

use self::headers::Id;
use self::sizes::{LIST_COUNT, block_bytes, list_of};
use crate::metrics::Recorder;
use crate::policy::{DefaultPolicy, Policy};
use crate::source::{Source, check_constants};
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, REQUEST_BYTES_MAX, round_up};

/// A heap over a [`Source`] of memory, as a value. *Time:* every operation is constant, except that the
/// source may take its own time to grow and the headers may move then, a block that moves is copied, and a block
/// that must be zero is filled.
pub struct Heap<S: Source, P: Policy = DefaultPolicy> {
    /// Bit `l` is set when `lists[l]` is not empty.
    nonempty: u64,
    /// The first header of each list: MiniPages with free slots by the slots' bytes, free runs by theirs. The
    /// last is always empty.
    lists: [Id; LIST_COUNT + 1],
    /// Where the header of address 0 would stand. Zero before there is a table.
    base: usize,
    /// The address of the table; before there is one, that of the first header if `base` is right.
    table: usize,
    /// The address after the heap's last granule, where the table ends; before there is one, `table`.
    end: usize,
    /// How often headers were put into lists or taken out.
    #[cfg(feature = "check")]
    changes: usize,
    source: S,
    recorder: Recorder,
    policy: PhantomData<P>,
}

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
            nonempty: 0,
            lists: [Id::NONE; LIST_COUNT + 1],
            base: 0,
            table: 0,
            end: 0,
            #[cfg(feature = "check")]
            changes: 0,
            source,
            recorder: Recorder::NEW,
            policy: PhantomData,
        }
    }

    /// Nothing: no fault is found.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "a hardened heap does something")]
    pub(crate) fn never_unwinding(&mut self, _is_on: bool) {}

    /// Says to the source that this heap is used as a value.
    #[inline(always)]
    pub(crate) fn used_as_value(&mut self) {
        self.source.used_as_value();
    }

    /// The source of the memory.
    #[inline(always)]
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// A pointer to the block at `address`, or null for zero.
    #[inline(always)]
    fn pointer_to(&self, address: usize) -> *mut u8 {
        if address == 0 {
            return ptr::null_mut();
        }
        self.source.pointer(address)
    }

    /// No block is at hand: each takes the look at a header.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the default heap has some")]
    pub(crate) fn allocate_at_hand(&mut self, _layout: Layout) -> Result<*mut u8, ()> {
        Err(())
    }

    /// A block for `layout`, whose size is not zero; null for none.
    #[inline(always)]
    pub(crate) fn allocate_wanted(&mut self, (): (), layout: Layout) -> *mut u8 {
        self.allocate_nonzero(layout)
    }

    /// [`allocate`](Self::allocate) for a size above zero; null for none.
    #[inline(always)]
    pub(crate) fn allocate_nonzero(&mut self, layout: Layout) -> *mut u8 {
        let address = self.allocate_address(layout.size(), layout.align());
        self.recorder.allocated(layout, address);
        self.pointer_to(address)
    }

    /// [`deallocate`](Self::deallocate) for a size above zero.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_nonzero(&mut self, pointer: NonNull<u8>, layout: Layout) {
        self.recorder.freed(layout);
        self.deallocate_address(pointer.addr().get());
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
        let new = unsafe { self.keep_or_move(pointer, layout.size(), new_layout) };
        self.recorder.reallocated(layout, new_layout, pointer, new);
        new
    }

    /// [`allocate_zeroed`](Self::allocate_zeroed) for a size above zero.
    #[inline]
    pub(crate) fn allocate_zeroed_nonzero(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.allocate_nonzero(layout))?;
        // SAFETY: the block has at least that many bytes and nobody else knows it yet.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// [`reserve`](Self::reserve).
    pub(crate) fn reserve_bytes(&mut self, bytes: usize) -> bool {
        let done =
            bytes <= REQUEST_BYTES_MAX && self.reserve_run(round_up(bytes.max(1), GRANULE_BYTES));
        self.recorder.reserved(bytes, done);
        done
    }

    /// [`trim`](Self::trim).
    #[expect(clippy::unused_self, reason = "the default heap keeps something")]
    pub(crate) fn trim_classes(&self, _classes: usize) -> bool {
        true
    }

    /// [`heap_bytes`](Self::heap_bytes).
    pub(crate) fn bytes_in_all(&self) -> usize {
        self.end.saturating_sub(self.first_header().place()) // A table begins above.
    }

    /// [`largest_free`](Self::largest_free).
    pub(crate) fn bytes_of_largest_free(&self) -> usize {
        let Some(list) = self.nonempty.checked_ilog2() else {
            return 0;
        };
        let bytes = self.header(self.first(list as usize)).bytes.get();
        if bytes < GRANULE_BYTES { 0 } else { bytes } // Lists of MiniPages come first.
    }

    /// What the heap has counted.
    #[cfg(feature = "metrics")]
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The address of a block of `size` bytes at a multiple of `align`, or zero.
    #[inline]
    fn allocate_address(&mut self, size: usize, align: usize) -> usize {
        let bytes = block_bytes(size, align);
        if bytes >= GRANULE_BYTES {
            return self.allocate_run(bytes, align);
        }
        let mut id = self.first(list_of(bytes));
        if !id.is_some() {
            id = self.take(GRANULE_BYTES);
            if id.is_some() {
                self.push(id, bytes);
                self.header(id).slots.set(1);
            }
            return id.place();
        }
        let header = self.header(id);
        let in_use = header.slots.get();
        header.slots.set(in_use | (in_use + 1));
        let index = in_use.trailing_ones() as usize;
        let next = header.slots.get().trailing_ones() as usize;
        if (next + 1) * bytes > GRANULE_BYTES {
            self.unlink(id);
        }
        id.place() + index * bytes
    }

    /// The address of a block of `bytes`, whole granules, at a multiple of `align`, or zero. Its run may start
    /// lower and end higher, by less than `align` together: the header at the block leads to the run.
    #[inline(always)]
    fn allocate_run(&mut self, bytes: usize, align: usize) -> usize {
        // Wherever a run of this length starts, an aligned one is in it.
        let longest = bytes + ((align - 1) & GRANULE_BYTES.wrapping_neg());
        let run = self.take(longest);
        if !run.is_some() {
            return 0;
        }
        let place = run.place();
        let address = round_up(place, align);
        let header = self.header(Id::at(address));
        header.next.set(run);
        header.bytes.set(longest - (address - place));
        address
    }

    /// Gives back the block at `address`.
    #[inline]
    fn deallocate_address(&mut self, address: usize) {
        let id = Id::at(address);
        let header = self.header(id);
        let bytes = header.bytes.get();
        if bytes >= GRANULE_BYTES {
            let run = header.next.get();
            return self.free_run(run, self.header(run).bytes.get());
        }
        let index = slot_index(address, bytes);
        let in_use = header.slots.get() & !(1 << index);
        header.slots.set(in_use);
        if header.previous.get() == 0 {
            self.push(id, bytes); // It was full, and has several slots.
        } else if in_use == 0 {
            self.unlink(id);
            self.free_run(id, GRANULE_BYTES);
        }
    }

    /// The block at `pointer`, of `size` bytes, as one of `layout`: itself if both take the same bytes; or a new
    /// one, with what the old one held; or none.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` for a block of `size` bytes and `layout.align()`, and it has not been given back
    /// since.
    #[inline]
    unsafe fn keep_or_move(
        &mut self,
        pointer: NonNull<u8>,
        size: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if block_bytes(size, layout.align()) == block_bytes(layout.size(), layout.align()) {
            return NonNull::new(self.pointer_to(pointer.addr().get()));
        }
        let address = self.allocate_address(layout.size(), layout.align());
        let new = NonNull::new(self.pointer_to(address))?;
        // SAFETY: both blocks have that many bytes and are apart, since both are in use.
        unsafe { new.copy_from_nonoverlapping(pointer, size.min(layout.size())) };
        self.deallocate_address(pointer.addr().get());
        Some(new)
    }
}

/// Blocks by address. Any block of this heap will do, whoever allocated it and with what layout.
impl<S: Source, P: Policy> Heap<S, P> {
    /// No block is at hand.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the default heap has some")]
    pub(crate) fn allocate_unsized_at_hand(&mut self, _layout: Layout) -> Result<NonNull<u8>, ()> {
        Err(())
    }

    /// [`allocate_by_address`](Self::allocate_by_address).
    #[inline(always)]
    pub(crate) fn allocate_unsized_wanted(
        &mut self,
        (): (),
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let address = self.allocate_address(layout.size(), layout.align());
        let counted = if address == 0 {
            layout
        } else {
            self.layout_at(address)
        };
        self.recorder.allocated(counted, address);
        NonNull::new(self.pointer_to(address))
    }

    /// [`usable_size`](Self::usable_size).
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn bytes_of_block(&self, pointer: NonNull<u8>) -> usize {
        self.bytes_at(pointer.addr().get())
    }

    /// [`deallocate_by_address`](Self::deallocate_by_address).
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_unsized(&mut self, pointer: NonNull<u8>) {
        let address = pointer.addr().get();
        self.recorder.freed(self.layout_at(address));
        self.deallocate_address(address);
    }

    /// [`reallocate_by_address`](Self::reallocate_by_address).
    ///
    /// # Safety
    ///
    /// As there.
    #[inline]
    pub(crate) unsafe fn reallocate_unsized(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        debug_assert!(layout.size() != 0);
        let old = self.layout_at(pointer.addr().get());
        // SAFETY: the caller's duty; the block has all these bytes.
        let mut new = unsafe { self.keep_or_move(pointer, old.size(), layout) };
        if new.is_none() && layout.size() <= old.size() {
            // Who asks for less can do with what there is.
            new = NonNull::new(self.pointer_to(pointer.addr().get()));
        }
        let counted = new.map_or(layout, |block| self.layout_at(block.addr().get()));
        self.recorder.reallocated(old, counted, pointer, new);
        new
    }

    /// The bytes from `address`, where a block starts, to the block's end.
    #[inline(always)]
    fn bytes_at(&self, address: usize) -> usize {
        self.header(Id::at(address)).bytes.get()
    }

    /// A layout that takes as many bytes as the block at `address`.
    #[inline(always)]
    fn layout_at(&self, address: usize) -> Layout {
        // SAFETY: one is a power of two, and no block is longer than `isize::MAX`.
        unsafe { Layout::from_size_align_unchecked(self.bytes_at(address), 1) }
    }
}

/// The index of the slot of `bytes` at `address`, in its MiniPage.
#[inline(always)]
fn slot_index(address: usize, bytes: usize) -> usize {
    /// Shifted up by this, an address has lost the bits of its granule: fewer bytes of code than masks.
    const SHIFT: u32 = usize::BITS - GRANULE_SHIFT;
    // SAFETY: a header's bytes are those of a block, which has some; a slot has fewer than a granule.
    let bytes = unsafe { NonZeroUsize::new_unchecked(bytes << SHIFT) };
    (address << SHIFT) / bytes
}

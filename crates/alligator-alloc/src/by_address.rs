//! Blocks known by their address alone, as C's `free` has them: the record of a block's granule says what the
//! block is.
//!
//! ```text
//! length of the record    the block                             its run
//! MINI_PAGE | class       a slot of that class                  -
//! a run's                 a run from its first byte on          the record itself
//! ALIGNED                 aligned to more than a granule, in    `next`
//!                         a run that starts before it
//! ```

use core::alloc::Layout;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::heap::{Heap, Wanted, class_of};
use crate::policy::Policy;
use crate::records::{ALIGNED, GRANULE, Id};
use crate::size_class::{Class, SLOT_BYTES};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, bytes_of};
use crate::value::at_least_one_byte;

/// Bytes in the smallest slot, and what it is aligned to.
const SLOT_BYTES_MIN: usize = SLOT_BYTES[0] as usize;

/// What stands at an address.
#[derive(Clone, Copy)]
enum Block {
    Slot(Class),
    /// A run from its first byte on.
    Run(Id),
    /// A run that starts before the block, whose first granule's record this is.
    Aligned(Id),
}

impl<S: Source, P: Policy> Heap<S, P> {
    /// The block for `layout` that needs neither a record nor a call, if there is one.
    #[inline(always)]
    pub(crate) fn allocate_unsized_at_hand(&self, layout: Layout) -> Result<NonNull<u8>, Wanted> {
        let wanted = class_of(least_layout(layout));
        if let (Some(class), false) = (wanted, P::HARDENED) {
            if let Some(slot) = self.state(class).pop() {
                let block = self.counted(slot.get(), layout);
                return block.ok_or(wanted);
            }
        }
        Err(wanted)
    }

    /// A block for `layout`, where [`allocate_unsized_at_hand`](Self::allocate_unsized_at_hand) has said what is wanted.
    #[inline(always)]
    pub(crate) fn allocate_unsized_wanted(
        &self,
        wanted: Wanted,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if P::HARDENED {
            self.runs.require_no_fault();
        }
        let address = match wanted {
            Some(class) => self.allocate_slot(class),
            None => self.allocate_long(least_layout(layout)),
        };
        self.counted(address, layout)
    }

    /// The block at `address`, or none for zero, counted as what it takes.
    #[inline(always)]
    fn counted(&self, address: usize, layout: Layout) -> Option<NonNull<u8>> {
        let counted = match NonZeroUsize::new(address) {
            Some(block) => self.layout_at(block),
            None => layout,
        };
        self.runs.recorder.allocated(counted, address);
        NonNull::new(self.pointer_to(address))
    }

    /// [`usable_size`](Self::usable_size).
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn bytes_of_block(&self, pointer: NonNull<u8>) -> usize {
        let address = pointer.addr();
        if P::HARDENED {
            self.runs.require_no_fault();
            self.require_any_block(address);
        }
        self.bytes_at(address)
    }

    /// [`deallocate_by_address`](Self::deallocate_by_address).
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_unsized(&self, pointer: NonNull<u8>) {
        let address = pointer.addr();
        if P::HARDENED {
            self.runs.require_no_fault();
            self.require_any_block(address);
        }
        self.runs.recorder.freed(self.layout_at(address));
        self.deallocate_at(address);
    }

    /// [`reallocate_by_address`](Self::reallocate_by_address).
    ///
    /// # Safety
    ///
    /// As there.
    #[inline]
    pub(crate) unsafe fn reallocate_unsized(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let address = pointer.addr();
        if P::HARDENED {
            self.runs.require_no_fault();
            self.require_any_block(address);
        }
        let old = self.layout_at(address);
        // SAFETY: the caller's duty.
        let new = unsafe { self.resize_or_move_at(pointer, layout) };
        let counted = new.map_or(layout, |block| self.layout_at(block.addr()));
        let recorder = &self.runs.recorder;
        recorder.reallocated(old, counted, pointer, new);
        new
    }

    /// [`reallocate_unsized`](Self::reallocate_unsized), not counted.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn resize_or_move_at(
        &self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        debug_assert!(layout.size() != 0 && layout.align() <= GRANULE_BYTES);
        let address = pointer.addr();
        let bytes = self.bytes_at(address);
        let new = match (self.block_at(address), class_of(layout)) {
            (Block::Slot(old), Some(new)) if old == new => address.get(),
            (Block::Run(run), None) => {
                let old = self.runs.records.record(run).length.get();
                self.resize_run(run, old, layout)
            }
            (Block::Aligned(_), None) => self.resize_aligned(address.get(), layout),
            _ => self.allocate_layout(layout),
        };
        let Some(new_block) = NonNull::new(self.pointer_to(new)) else {
            // Who asks for less can do with what there is.
            return NonNull::new(self.pointer_to(address.get())).filter(|_| layout.size() <= bytes);
        };
        if new != address.get() {
            // SAFETY: both blocks have that many bytes and are apart, since both are in use.
            unsafe { new_block.copy_from_nonoverlapping(pointer, bytes.min(layout.size())) };
            self.deallocate_at(address);
        }
        Some(new_block)
    }

    /// The address of a block for `layout`, or zero.
    #[inline(always)]
    fn allocate_layout(&self, layout: Layout) -> usize {
        let layout = least_layout(layout);
        match class_of(layout) {
            Some(class) => self.allocate_slot(class),
            None => self.allocate_long(layout),
        }
    }

    /// [`deallocate_unsized`](Self::deallocate_unsized), not counted.
    #[inline(always)]
    fn deallocate_at(&self, address: NonZeroUsize) {
        match self.block_at(address) {
            Block::Slot(class) => self.deallocate_slot(address, class),
            Block::Run(run) => self.deallocate_run_at(address, run),
            Block::Aligned(id) => {
                self.deallocate_run_at(address, self.runs.records.record(id).next.get());
            }
        }
    }

    #[inline(never)]
    fn deallocate_run_at(&self, address: NonZeroUsize, run: Id) {
        if P::HARDENED {
            self.runs.leave(address.get(), run);
        }
        self.free_aligned(run);
    }

    #[inline(always)]
    fn block_at(&self, address: NonZeroUsize) -> Block {
        let id = self.runs.records.id_at(address.get());
        let record = self.runs.records.record(id);
        if let Some(class) = record.class() {
            Block::Slot(Class::from_index(class))
        } else if record.length.get() & ALIGNED != 0 {
            Block::Aligned(id)
        } else {
            Block::Run(id)
        }
    }

    /// The bytes from `address`, where a block starts, to the block's end.
    #[inline(always)]
    fn bytes_at(&self, address: NonZeroUsize) -> usize {
        match self.block_at(address) {
            Block::Slot(class) => class.info().slot_bytes.into(),
            Block::Run(run) => self.bytes_of_run(run),
            Block::Aligned(id) => {
                let run = self.runs.records.record(id).next.get();
                let before = id.distance_from(run) / GRANULE;
                self.bytes_of_run(run) - bytes_of(before as usize)
            }
        }
    }

    #[inline(always)]
    fn bytes_of_run(&self, run: Id) -> usize {
        bytes_of((self.runs.records.record(run).length.get() / GRANULE) as usize)
    }

    /// A layout of the kind and size that the block at `address` has, for the metrics. Without them it is any: the
    /// compiler does not see that nobody looks at what it was made from.
    #[inline(always)]
    fn layout_at(&self, address: NonZeroUsize) -> Layout {
        if !cfg!(feature = "metrics") {
            return Layout::new::<u8>();
        }
        let align = match self.block_at(address) {
            Block::Slot(_) => 1,
            // No slot is aligned to more than a granule.
            Block::Run(_) | Block::Aligned(_) => 2 * GRANULE_BYTES,
        };
        // SAFETY: a block's size, rounded up to a multiple of two granules, does not overflow: no block
        // reaches the end of the address space.
        unsafe { Layout::from_size_align_unchecked(self.bytes_at(address), align) }
    }
}

/// `layout`, with no bytes made one where that matters: the smallest slot will do for none.
#[inline(always)]
fn least_layout(layout: Layout) -> Layout {
    if layout.align() <= SLOT_BYTES_MIN {
        layout
    } else {
        at_least_one_byte(layout)
    }
}

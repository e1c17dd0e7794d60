//! Blocks known by their address alone, as C's `free` has them: the header of a block's granule says what the
//! block is.
//!
//! ```text
//! place of the header     the block                             its run
//! ..| MINI_PAGE | class   a slot of that class                  -
//! ..| MEDIUM_MINI_PAGE    a medium slot                         -
//! its own address         a run from its first byte on          the header itself
//! another address         aligned to more than a granule, in    `next`, whose address that is
//!                         a run that starts before it
//! ```

use core::alloc::Layout;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::heap::{Heap, Wanted, class_of};
use crate::meta_page::{CLASS_MASK, HeaderId, MINI_PAGE};
use crate::mini_page::medium::MediumClass;
use crate::size_class::{Class, SLOT_BYTES};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, HARDENED, bytes_of, granules_for};
use crate::value::at_least_one_byte;

/// Bytes in the smallest slot, and what it is aligned to.
const SLOT_BYTES_MIN: usize = SLOT_BYTES[0] as usize;

/// What stands at an address.
#[derive(Clone, Copy)]
enum Block {
    Slot(Class),
    /// A medium slot, and the `place` of its MiniPage.
    Medium(MediumClass, usize),
    /// A run from its first byte on.
    Run(HeaderId),
    /// A run that starts before the block.
    Aligned(HeaderId),
}

impl<S: Source> Heap<S> {
    /// The block for `layout` that needs neither a header nor a call, if there is one.
    #[inline(always)]
    pub(crate) fn allocate_unsized_at_hand(
        &mut self,
        layout: Layout,
    ) -> Result<NonNull<u8>, Wanted> {
        let wanted = class_of(least_layout(layout));
        if let (Some(class), false) = (wanted, HARDENED) {
            let (state, _) = self.parts(class);
            if let Some(slot) = state.pop() {
                let block = self.counted(slot.get(), layout);
                return block.ok_or(wanted);
            }
        }
        Err(wanted)
    }

    /// A block for `layout`, where [`allocate_unsized_at_hand`](Self::allocate_unsized_at_hand) has said what is wanted.
    #[inline(always)]
    pub(crate) fn allocate_unsized_wanted(
        &mut self,
        wanted: Wanted,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if HARDENED {
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
    fn counted(&mut self, address: usize, layout: Layout) -> Option<NonNull<u8>> {
        let counted = match NonZeroUsize::new(address) {
            Some(block) => self.layout_at(block),
            None => layout,
        };
        self.runs.record.allocated(counted, address);
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
        if HARDENED {
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
    pub(crate) unsafe fn deallocate_unsized(&mut self, pointer: NonNull<u8>) {
        let address = pointer.addr();
        if HARDENED {
            self.runs.require_no_fault();
            self.require_any_block(address);
        }
        self.runs.record.freed(self.layout_at(address));
        self.deallocate_at(address);
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
        let address = pointer.addr();
        if HARDENED {
            self.runs.require_no_fault();
            self.require_any_block(address);
        }
        let old = self.layout_at(address);
        // SAFETY: the caller's duty.
        let new = unsafe { self.resize_or_move_at(pointer, layout) };
        let counted = new.map_or(layout, |block| self.layout_at(block.addr()));
        let record = &mut self.runs.record;
        record.reallocated(old, counted, pointer, new);
        new
    }

    /// [`reallocate_unsized`](Self::reallocate_unsized), not counted.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn resize_or_move_at(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        debug_assert!(layout.size() != 0 && layout.align() <= GRANULE_BYTES);
        let address = pointer.addr();
        let bytes = self.bytes_at(address);
        let moved = match (self.block_at(address), class_of(layout)) {
            (Block::Slot(old), Some(new)) if old == new => None,
            (Block::Medium(old, _), None) if MediumClass::of(layout) == Some(old) => None,
            (Block::Run(run) | Block::Aligned(run), None) if self.resizes(run, address, layout) => {
                None
            }
            (Block::Run(run), None) => {
                let new = self.runs.move_or_grow(run, granules_for(layout.size()));
                (new != run).then(|| self.runs.place_of(new))
            }
            _ => Some(self.allocate_layout(layout)),
        };
        let Some(new) = moved else {
            return NonNull::new(self.pointer_to(address.get()));
        };
        let Some(new) = NonNull::new(self.pointer_to(new)) else {
            // Who asks for less can do with what there is.
            return NonNull::new(self.pointer_to(address.get())).filter(|_| layout.size() <= bytes);
        };
        // SAFETY: both blocks have that many bytes and are apart, since both are in use.
        unsafe { new.copy_from_nonoverlapping(pointer, bytes.min(layout.size())) };
        self.deallocate_at(address);
        Some(new)
    }

    /// The address of a block for `layout`, or zero.
    #[inline(always)]
    fn allocate_layout(&mut self, layout: Layout) -> usize {
        let layout = least_layout(layout);
        match class_of(layout) {
            Some(class) => self.allocate_slot(class),
            None => self.allocate_long(layout),
        }
    }

    /// [`deallocate_unsized`](Self::deallocate_unsized), not counted.
    #[inline(always)]
    fn deallocate_at(&mut self, address: NonZeroUsize) {
        match self.block_at(address) {
            Block::Slot(class) => self.deallocate_slot(address, class),
            Block::Medium(class, place) => self.deallocate_medium(address, class, place),
            Block::Run(run) | Block::Aligned(run) => self.deallocate_run_at(address, run),
        }
    }

    #[inline(never)]
    fn deallocate_run_at(&mut self, address: NonZeroUsize, run: HeaderId) {
        if HARDENED {
            self.runs.leave(address.get());
        }
        self.runs.free(run);
    }

    #[inline(always)]
    fn block_at(&self, address: NonZeroUsize) -> Block {
        let id = self.runs.meta.id_at(address.get());
        let header = self.runs.meta.header(id);
        let place = header.place.get();
        if place & MINI_PAGE != 0 {
            Block::Slot(Class::from_index(place & CLASS_MASK))
        } else if place == address.get() {
            Block::Run(id)
        } else if let Some(class) = MediumClass::in_place(place) {
            Block::Medium(class, place)
        } else {
            Block::Aligned(header.next.get())
        }
    }

    /// The bytes from `address`, where a block starts, to the block's end.
    #[inline(always)]
    fn bytes_at(&self, address: NonZeroUsize) -> usize {
        match self.block_at(address) {
            Block::Slot(class) => class.info().slot_bytes.into(),
            Block::Medium(class, _) => class.slot_bytes(),
            Block::Run(run) | Block::Aligned(run) => {
                let header = self.runs.meta.header(run);
                let end = header.first_byte() + bytes_of(header.granules.get());
                end - address.get()
            }
        }
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
            Block::Medium(..) | Block::Run(_) | Block::Aligned(_) => 2 * GRANULE_BYTES,
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

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

use crate::heap::{Heap, at_least_one_byte, class_of};
use crate::meta_page::{CLASS_MASK, HeaderId, MINI_PAGE};
use crate::mini_page::medium::MediumClass;
use crate::size_class::{Class, SLOT_BYTES};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, HARDENED, bytes_of, granules_for};

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

/// Blocks by address. Any block of this heap will do, whoever allocated it and with what layout.
impl<S: Source> Heap<S> {
    /// [`allocate`](Self::allocate) for a block that is given back by its address, where its layout is not
    /// known: the metrics count the bytes that the block takes, not those asked for. A size of zero gets the
    /// smallest slot.
    ///
    /// *Time:* constant, the source's growth apart.
    #[inline(always)]
    pub fn allocate_by_address(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let address = self.allocate_layout(layout);
        let counted = match NonZeroUsize::new(address) {
            Some(block) => self.layout_at(block),
            None => layout,
        };
        self.runs.record.allocated(counted, address);
        NonNull::new(self.runs.meta.source.pointer(address))
    }

    /// How many bytes the block at `pointer` has: those asked for, or more. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since.
    #[inline(always)]
    pub unsafe fn usable_size(&self, pointer: NonNull<u8>) -> usize {
        let address = pointer.addr();
        if HARDENED {
            self.require_any_block(address);
        }
        self.bytes_at(address)
    }

    /// Gives back the block at `pointer`. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` and it has not been given back since.
    #[inline(always)]
    pub unsafe fn deallocate_by_address(&mut self, pointer: NonNull<u8>) {
        let address = pointer.addr();
        if HARDENED {
            self.require_any_block(address);
        }
        self.runs.record.freed(self.layout_at(address));
        self.deallocate_at(address);
    }

    /// Makes the block at `pointer` hold `layout.size()` bytes, where it is if that can be, elsewhere if not,
    /// and keeps as many of its first bytes as both sizes have. A block that moves has `layout.align()`; one
    /// that stays has the alignment it had. `None` if there is no room, and then the block is as it was.
    ///
    /// *Time:* constant, the copy of a block that moves and the source's growth apart.
    ///
    /// # Safety
    ///
    /// This heap gave `pointer` with at least `layout.align()`, and it has not been given back since; the
    /// size is not zero, nor the alignment above a granule.
    #[inline]
    pub unsafe fn reallocate_by_address(
        &mut self,
        pointer: NonNull<u8>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let address = pointer.addr();
        if HARDENED {
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

    /// [`reallocate_by_address`](Self::reallocate_by_address), not counted.
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
        let new = match (self.block_at(address), class_of(layout)) {
            (Block::Slot(old), Some(new)) if old == new => return Some(pointer),
            (Block::Medium(old, _), None) if MediumClass::of(layout) == Some(old) => {
                return Some(pointer);
            }
            (Block::Run(run), None) => {
                let new = self.runs.reallocate(run, granules_for(layout.size()));
                if new == run {
                    return Some(pointer);
                }
                self.runs.place_of(new)
            }
            (Block::Aligned(_), None) if bytes_of(granules_for(layout.size())) == bytes => {
                return Some(pointer);
            }
            _ => self.allocate_layout(layout),
        };
        let Some(new) = NonNull::new(self.runs.meta.source.pointer(new)) else {
            // Who asks for less can do with what there is.
            return (layout.size() <= bytes).then_some(pointer);
        };
        // SAFETY: both blocks have that many bytes and are apart, since both are in use.
        unsafe { new.copy_from_nonoverlapping(pointer, bytes.min(layout.size())) };
        self.deallocate_at(address);
        Some(new)
    }

    /// The address of a block for `layout`, or zero.
    #[inline(always)]
    fn allocate_layout(&mut self, layout: Layout) -> usize {
        let layout = if layout.align() <= SLOT_BYTES_MIN {
            layout // The smallest slot will do for no bytes.
        } else {
            at_least_one_byte(layout)
        };
        match class_of(layout) {
            Some(class) => self.allocate_slot(class),
            None => self.allocate_long(layout),
        }
    }

    /// [`deallocate_by_address`](Self::deallocate_by_address), not counted.
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

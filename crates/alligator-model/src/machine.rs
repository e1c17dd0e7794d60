//! Takes steps on a heap, and checks every answer against a model: a table of the blocks, what each contains,
//! and which memory is in one.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::contents;
use crate::shadow::Shadow;
use crate::step::Step;
use crate::subject::Subject;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A block is not at a multiple of its alignment.
    NotAligned,
    /// A block is over another one, or outside the memory.
    NotApart,
    /// A block of zeros has other bytes.
    NotZero,
    /// A block's bytes changed while it was in use.
    Changed,
    /// `realloc` did not keep what it must.
    NotKept,
    /// The heap's checker found something.
    Unsound(String),
}

/// A fault, and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub fault: Fault,
    /// The address of the block, less that of the memory; 0 for none.
    pub offset: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} at offset {:#x}", self.fault, self.offset)
    }
}

impl core::error::Error for Failure {}

/// What has been done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests made of the heap.
    pub operations: u64,
    /// Of these, those that got null.
    pub refused: u64,
    /// Looks at the whole heap.
    pub checks: u64,
    /// Of all addresses, as offsets into the memory, and of what blocks contained when they were looked at, in
    /// their order.
    pub hash: u64,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    first: NonNull<u8>,
    layout: Layout,
    fill: u64,
}

/// A heap and the model of it.
#[derive(Debug)]
pub struct Machine<S> {
    subject: S,
    blocks: Vec<Option<Block>>,
    shadow: Shadow,
    tally: Tally,
    start: usize,
}

impl<S: Subject> Machine<S> {
    /// A machine for programs with so many slots, on a subject without blocks.
    pub fn new(subject: S, slots: u32) -> Self {
        let range = subject.range();
        Self {
            blocks: vec![None; slots as usize],
            shadow: Shadow::new(&range),
            tally: Tally::default(),
            start: range.start,
            subject,
        }
    }

    /// What has been done.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What it runs on.
    pub fn subject(&self) -> &S {
        &self.subject
    }

    /// Takes one step. One that does not fit does nothing.
    ///
    /// # Errors
    ///
    /// The heap did not do what it owes.
    #[inline(always)]
    pub fn step(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Allocate {
                slot,
                size,
                align_log2,
                zeroed,
            } => self.allocate(slot as usize, size as usize, 1 << align_log2, zeroed),
            Step::Free { slot } => self.free(slot as usize),
            Step::Reallocate { slot, size } => self.reallocate(slot as usize, size as usize),
            Step::Reserve { bytes } => {
                self.subject.reserve(bytes as usize);
                Ok(())
            }
            Step::GrowBySomebodyElse { pages } => {
                self.subject.grow_by_somebody_else(pages as usize);
                Ok(())
            }
            Step::Limit { pages } => {
                self.subject.limit(pages as usize);
                Ok(())
            }
        }
    }

    /// Looks at the whole heap.
    ///
    /// # Errors
    ///
    /// Something is wrong inside.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.tally.checks += 1;
        self.subject.check().map_err(|message| Failure {
            fault: Fault::Unsound(message),
            offset: 0,
        })
    }

    /// Gives back all blocks, in the order of their slots.
    ///
    /// # Errors
    ///
    /// One of them was damaged.
    pub fn free_all(&mut self) -> Result<(), Failure> {
        (0..self.blocks.len()).try_for_each(|slot| self.free(slot))
    }

    #[inline(always)]
    fn allocate(
        &mut self,
        slot: usize,
        size: usize,
        align: usize,
        zeroed: bool,
    ) -> Result<(), Failure> {
        let Some(None) = self.blocks.get(slot) else {
            return Ok(());
        };
        let Ok(layout) = Layout::from_size_align(size, align) else {
            return Ok(());
        };
        let block = if zeroed {
            self.subject.allocate_zeroed(layout)
        } else {
            self.subject.allocate(layout)
        };
        self.tally.operations += 1;
        let Some(first) = block else {
            self.tally.refused += 1;
            return Ok(());
        };
        self.place(first, layout)?;
        // SAFETY: the heap gave so many bytes, inside the memory, all of which is initialised.
        if zeroed && unsafe { !contents::is_zero(first.as_ptr(), size) } {
            return self.fail(Fault::NotZero, first.addr().get());
        }
        self.fill(slot, first, layout);
        Ok(())
    }

    #[inline(always)]
    fn free(&mut self, slot: usize) -> Result<(), Failure> {
        let Some(block) = self.blocks.get_mut(slot).and_then(Option::take) else {
            return Ok(());
        };
        self.require_intact(&block, block.first, block.layout.size(), Fault::Changed)?;
        let address = block.first.addr().get();
        self.shadow.give_back(address, block.layout.size());
        // SAFETY: the subject gave it for this layout, and it has just left the table.
        unsafe { self.subject.deallocate(block.first, block.layout) };
        self.tally.operations += 1;
        Ok(())
    }

    #[inline(always)]
    fn reallocate(&mut self, slot: usize, size: usize) -> Result<(), Failure> {
        let Some(&Some(block)) = self.blocks.get(slot) else {
            return Ok(());
        };
        let Ok(layout) = Layout::from_size_align(size, block.layout.align()) else {
            return Ok(());
        };
        let old = block.layout.size();
        self.require_intact(&block, block.first, old, Fault::Changed)?;
        // SAFETY: the subject gave it for this layout, and it is in the table; the sizes make layouts.
        let moved = unsafe { self.subject.reallocate(block.first, block.layout, size) };
        self.tally.operations += 1;
        let Some(first) = moved else {
            self.tally.refused += 1;
            return self.require_intact(&block, block.first, old, Fault::Changed);
        };
        self.shadow.give_back(block.first.addr().get(), old);
        self.place(first, layout)?;
        self.require_intact(&block, first, old.min(size), Fault::NotKept)?;
        self.fill(slot, first, layout);
        Ok(())
    }

    /// Requires the place to be right, and notes that it is in a block.
    #[inline(always)]
    fn place(&mut self, first: NonNull<u8>, layout: Layout) -> Result<(), Failure> {
        let address = first.addr().get();
        if !address.is_multiple_of(layout.align()) {
            return self.fail(Fault::NotAligned, address);
        }
        if !self.shadow.take(address, layout.size()) {
            return self.fail(Fault::NotApart, address);
        }
        self.mix_in((address - self.start) as u64);
        Ok(())
    }

    /// Notes the block, whose place is right, and fills it.
    #[inline(always)]
    fn fill(&mut self, slot: usize, first: NonNull<u8>, layout: Layout) {
        let fill = self.tally.operations;
        // SAFETY: the heap gave so many bytes, inside the memory, and nobody else refers to them.
        unsafe { contents::write(first.as_ptr(), layout.size(), fill) };
        self.blocks[slot] = Some(Block {
            first,
            layout,
            fill,
        });
    }

    /// Requires `kept` bytes from `first` on to be the first ones of the block.
    #[inline(always)]
    fn require_intact(
        &mut self,
        block: &Block,
        first: NonNull<u8>,
        kept: usize,
        fault: Fault,
    ) -> Result<(), Failure> {
        let size = block.layout.size();
        // SAFETY: the heap gave at least so many bytes, and they were written.
        if unsafe { contents::is_intact(first.as_ptr(), size, kept, block.fill) } {
            // They are what the fill says, so that is all there is to mix in.
            self.mix_in(block.fill ^ kept as u64);
            return Ok(());
        }
        self.fail(fault, first.addr().get())
    }

    #[inline(always)]
    fn mix_in(&mut self, number: u64) {
        let hash = (self.tally.hash ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.tally.hash = hash.rotate_left(29);
    }

    #[cold]
    fn fail(&self, fault: Fault, address: usize) -> Result<(), Failure> {
        Err(Failure {
            fault,
            offset: address.wrapping_sub(self.start),
        })
    }
}

//! Why there was no memory.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;

use crate::slot::Slot;

/// Why a request got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The limit of a [`Budget`](crate::Budget) or of [`Limited`](crate::Limited).
    Limit,
    /// It would have gone into the reserve of [`Limited`](crate::Limited), which is open to
    /// [`permit`](crate::permit)-ted code only.
    Reserve,
    /// The limit of the module's pages: see [`pages`](crate::pages).
    Pages,
    /// A guard: see [`Guard::null`](crate::Guard::null).
    Guard,
    /// The allocator below had no room.
    Heap,
}

/// A request that got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// The bytes asked for; those of the whole block if it was to be resized. Of a growth, its bytes.
    pub size: usize,
    /// The alignment in bytes.
    pub align: usize,
    /// Bytes in use at that moment, as far as who refused it counts them; of a growth, the memory's.
    pub in_use: usize,
    /// The limit in bytes that was in the way, if one was.
    pub limit: Option<usize>,
    /// Whose limit it was: a budget's name, else nothing.
    pub name: &'static str,
    /// The bytes of the longest block that the heap could still give, where somebody can say:
    /// [`Limited::set_largest_free`](crate::Limited::set_largest_free).
    pub largest_free: Option<usize>,
}

impl Failure {
    pub(crate) const fn new(cause: Cause, size: usize, align: usize) -> Self {
        Self {
            cause,
            size,
            align,
            in_use: 0,
            limit: None,
            name: "",
            largest_free: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no memory for {} bytes: ", self.size)?;
        formatter.write_str(match self.cause {
            Cause::Limit => "a limit is reached",
            Cause::Reserve => "what is left is reserved",
            Cause::Pages => "the limit of pages is reached",
            Cause::Guard => "a guard refuses it",
            Cause::Heap => "the heap has no room",
        })?;
        if !self.name.is_empty() {
            write!(formatter, " ({})", self.name)?;
        }
        if let Some(limit) = self.limit {
            write!(formatter, ", {} of {limit} bytes in use", self.in_use)?;
        }
        if let Some(largest) = self.largest_free {
            write!(formatter, ", the longest free block has {largest}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Failure {}

static LAST: Slot<Failure> = Slot::new();

/// The last request that got nothing, as far as the types of this crate have seen it. If another thread is at it at the
/// same moment, that one's is not kept, or none is returned. *Time:* constant.
pub fn last_failure() -> Option<Failure> {
    LAST.get()
}

/// Forgets it. *Time:* constant.
pub fn forget_failure() {
    LAST.put(None);
}

#[cold]
#[inline(never)]
pub(crate) fn note(failure: Failure) {
    LAST.put(Some(failure));
}

/// The longest block at `align` that `allocator` can give now, up to `bytes_max`, in bytes: found by asking for one
/// and giving it back, at most as often as `usize` has bits. The memory may grow for it, unless
/// [`GROW`](crate::Guard::GROW) is refused meanwhile. 0 if `align` is no power of two.
pub fn largest_block(allocator: &impl GlobalAlloc, align: usize, bytes_max: usize) -> usize {
    let (mut fits, mut too_long) = (0, bytes_max.saturating_add(1));
    // Each turn halves what lies between.
    while too_long - fits > 1 {
        let size = fits + (too_long - fits) / 2;
        let block = Layout::from_size_align(size, align)
            .ok()
            .and_then(|layout| {
                // SAFETY: the size is not zero.
                Some((NonNull::new(unsafe { allocator.alloc(layout) })?, layout))
            });
        if let Some((block, layout)) = block {
            // SAFETY: it was given just now, for this layout.
            unsafe { allocator.dealloc(block.as_ptr(), layout) };
            fits = size;
        } else {
            too_long = size;
        }
    }
    fits
}

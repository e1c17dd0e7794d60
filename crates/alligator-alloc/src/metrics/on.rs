//! The counters, and the recorder that keeps them.

use core::alloc::Layout;
use core::array;
use core::cell::RefCell;
use core::ptr::NonNull;

use super::kinds::{CLASS_COUNT, class_index, slot_bytes};
use crate::global::AlligatorAlloc;
use crate::heap::Heap;
use crate::lock::Lock;
use crate::policy::Policy;
use crate::source::Source;
use crate::units::{PAGE_SHIFT, REQUEST_BYTES_MAX};

/// How often blocks of one kind were asked for and given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockCounts {
    /// Blocks handed out so far.
    pub allocations: u64,
    /// Blocks given back so far.
    pub frees: u64,
    /// Blocks handed out and not given back: `allocations - frees`.
    pub live: u64,
    /// The most blocks that were live at a time.
    pub peak: u64,
}

impl BlockCounts {
    const ZERO: Self = Self {
        allocations: 0,
        frees: 0,
        live: 0,
        peak: 0,
    };

    fn add(&mut self) {
        self.allocations += 1;
        self.live += 1;
        self.peak = self.peak.max(self.live);
    }

    fn remove(&mut self) {
        self.frees += 1;
        self.live = self.live.wrapping_sub(1);
    }
}

/// The blocks of one size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassMetrics {
    /// Bytes in a slot: every block of the class takes this many.
    pub slot_bytes: usize,
    /// The blocks in the class's slots.
    pub blocks: BlockCounts,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)] // With no variant at zero, `None` is zero: a heap that is all zero takes no bytes in a module.
pub enum Failure {
    /// No free run was long enough, and the source grows only when told by
    /// [`reserve`](Heap::reserve).
    GrowthOff = 1,
    /// No free run was long enough, and the source gave no more memory, or less than the request needs.
    SourceRefused,
    /// The request does not fit into what is left of the address space.
    TooLarge,
}

/// What a heap has done so far. A size of zero counts as one byte.
///
/// `realloc` counts as neither an allocation nor a free as long as the block stays in its class, or stays a
/// run; if not, it is a free there and an allocation here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    classes: [ClassMetrics; CLASS_COUNT],
    /// The blocks larger than any slot of these classes.
    pub runs: BlockCounts,
    /// Successful calls of `realloc`.
    pub reallocations: u64,
    /// Those of them that moved the block, and copied it.
    pub moves: u64,
    /// The sizes of all live blocks as they were asked for, in bytes.
    pub requested_bytes_live: u64,
    /// The most that [`requested_bytes_live`](Self::requested_bytes_live) has been.
    pub requested_bytes_peak: u64,
    /// Bytes the heap has taken in, its own records included. It never gives any back to the host.
    pub heap_bytes: u64,
    /// How often the source has grown.
    pub growths: u64,
    /// The pages of all growths together.
    pub pages_grown: u64,
    /// Requests that could not be met.
    pub failures: u64,
    /// Why the last one of them could not.
    pub last_failure: Option<Failure>,
    /// The bytes it asked for.
    pub last_failure_bytes: usize,
}

impl Metrics {
    /// The size classes, smallest first. There may be more or fewer of them in another version.
    #[must_use]
    pub fn classes(&self) -> &[ClassMetrics] {
        &self.classes
    }
}

impl<S: Source, P: Policy> Heap<S, P> {
    /// What this heap has done so far (feature `metrics`). *Time:* constant.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.recorder().metrics()
    }
}

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// What this heap has done so far: see [`Heap::metrics`]. *Time:* constant.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.with(|heap| heap.metrics())
    }
}

/// Keeps a heap's counters. All zero: nothing has happened.
#[derive(Debug)]
pub(crate) struct Recorder(RefCell<Counters>);

#[derive(Debug)]
struct Counters {
    classes: [BlockCounts; CLASS_COUNT],
    runs: BlockCounts,
    reallocations: u64,
    moves: u64,
    requested_bytes_live: u64,
    requested_bytes_peak: u64,
    heap_bytes: u64,
    growths: u64,
    pages_grown: u64,
    failures: u64,
    last_failure: Option<Failure>,
    last_failure_bytes: usize,
    /// Why the request in progress fails, if it does and the source was asked.
    cause: Option<Failure>,
}

impl Recorder {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each heap gets one of its own"
    )]
    pub(crate) const NEW: Self = Self(RefCell::new(Counters::NEW));

    /// A request of `layout` got the block at `address`, or zero.
    #[inline(never)]
    pub(crate) fn allocated(&self, layout: Layout, address: usize) {
        self.0.borrow_mut().allocated(layout, address);
    }

    /// A block of `layout` is given back.
    #[inline(never)]
    pub(crate) fn freed(&self, layout: Layout) {
        self.0.borrow_mut().freed(layout);
    }

    /// The block at `old` has got another layout, at `new`; if that is none, the request failed.
    #[inline(never)]
    pub(crate) fn reallocated(
        &self,
        old_layout: Layout,
        new_layout: Layout,
        old: NonNull<u8>,
        new: Option<NonNull<u8>>,
    ) {
        let mut counters = self.0.borrow_mut();
        counters.reallocated(old_layout, new_layout, old, new);
    }

    /// Room for `bytes` has been made ahead of time if `done`.
    pub(crate) fn reserved(&self, bytes: usize, done: bool) {
        self.0.borrow_mut().reserved(bytes, done);
    }

    /// The source has given `pages`.
    pub(crate) fn grown(&self, pages: usize) {
        self.0.borrow_mut().grown(pages);
    }

    /// The source has not given `pages` after the memory's `end`.
    pub(crate) fn refused(&self, pages: usize, end: usize) {
        self.0.borrow_mut().refused(pages, end);
    }

    /// The heap owns `bytes` more.
    pub(crate) fn taken_in(&self, bytes: usize) {
        self.0.borrow_mut().heap_bytes += bytes as u64;
    }

    fn metrics(&self) -> Metrics {
        self.0.borrow().metrics()
    }
}

impl Counters {
    const NEW: Self = Self {
        classes: [BlockCounts::ZERO; CLASS_COUNT],
        runs: BlockCounts::ZERO,
        reallocations: 0,
        moves: 0,
        requested_bytes_live: 0,
        requested_bytes_peak: 0,
        heap_bytes: 0,
        growths: 0,
        pages_grown: 0,
        failures: 0,
        last_failure: None,
        last_failure_bytes: 0,
        cause: None,
    };

    /// A request of `layout` got the block at `address`, or zero.
    fn allocated(&mut self, layout: Layout, address: usize) {
        if self.finish(layout.size(), address != 0) {
            self.blocks(layout).add();
            self.add_bytes(layout.size());
        }
    }

    /// A block of `layout` is given back.
    fn freed(&mut self, layout: Layout) {
        self.blocks(layout).remove();
        self.remove_bytes(layout.size());
    }

    /// The block at `old` has got another layout, at `new`; if that is none, the request failed.
    fn reallocated(
        &mut self,
        old_layout: Layout,
        new_layout: Layout,
        old: NonNull<u8>,
        new: Option<NonNull<u8>>,
    ) {
        if !self.finish(new_layout.size(), new.is_some()) {
            return;
        }
        self.reallocations += 1;
        self.moves += u64::from(new != Some(old));
        if class_index(old_layout) != class_index(new_layout) {
            self.blocks(old_layout).remove();
            self.blocks(new_layout).add();
        }
        self.remove_bytes(old_layout.size());
        self.add_bytes(new_layout.size());
    }

    /// Room for `bytes` has been made ahead of time if `done`.
    fn reserved(&mut self, bytes: usize, done: bool) {
        if bytes > REQUEST_BYTES_MAX {
            self.cause = Some(Failure::TooLarge);
        }
        self.finish(bytes, done);
    }

    /// The source has given `pages`, perhaps none.
    fn grown(&mut self, pages: usize) {
        if pages == 0 {
            return;
        }
        self.growths += 1;
        self.pages_grown += pages as u64;
        self.cause = Some(Failure::SourceRefused); // In case they are not enough.
    }

    /// The source has not given `pages`, perhaps none, after the memory's `end`.
    fn refused(&mut self, pages: usize, end: usize) {
        if pages == 0 {
            return;
        }
        // On 32 bits an end of zero is 4 GiB.
        let last = end.wrapping_sub(1).checked_add(pages << PAGE_SHIFT);
        self.cause = Some(match last {
            Some(_) => Failure::SourceRefused,
            None => Failure::TooLarge,
        });
    }

    /// Ends a request of `bytes`; returns `done`, and remembers why not.
    fn finish(&mut self, bytes: usize, done: bool) -> bool {
        let cause = self.cause.take();
        if !done {
            self.failures += 1;
            self.last_failure = Some(cause.unwrap_or(Failure::GrowthOff));
            self.last_failure_bytes = bytes;
        }
        done
    }

    /// The counters of the blocks of `layout`.
    fn blocks(&mut self, layout: Layout) -> &mut BlockCounts {
        let class = self.classes.get_mut(class_index(layout));
        class.unwrap_or(&mut self.runs)
    }

    fn add_bytes(&mut self, bytes: usize) {
        self.requested_bytes_live += bytes as u64;
        self.requested_bytes_peak = self.requested_bytes_peak.max(self.requested_bytes_live);
    }

    fn remove_bytes(&mut self, bytes: usize) {
        // A block that is given back by its address counts with all its bytes, more than were asked for.
        self.requested_bytes_live = self.requested_bytes_live.saturating_sub(bytes as u64);
    }

    fn metrics(&self) -> Metrics {
        Metrics {
            classes: array::from_fn(|class| ClassMetrics {
                slot_bytes: slot_bytes(class),
                blocks: self.classes[class],
            }),
            runs: self.runs,
            reallocations: self.reallocations,
            moves: self.moves,
            requested_bytes_live: self.requested_bytes_live,
            requested_bytes_peak: self.requested_bytes_peak,
            heap_bytes: self.heap_bytes,
            growths: self.growths,
            pages_grown: self.pages_grown,
            failures: self.failures,
            last_failure: self.last_failure,
            last_failure_bytes: self.last_failure_bytes,
        }
    }
}

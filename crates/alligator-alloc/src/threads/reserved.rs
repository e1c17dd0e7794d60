//! Threads that never wait, not even to allocate: a heap of their own, in a block of the shared one. It never grows, and
//! blocks that others give back come home through an inbox.
//!
//! ```text
//! others   next := PENDING; old := inbox.swap(block); next := old      two exchanges, no retry
//! owner    takes the whole list by inbox.swap(0), and gives one of it back with each operation
//! ```
//!
//! Between its two exchanges, whoever gives back is the only one who knows what follows: the owner leaves a block with
//! PENDING where it is, and looks again next time.

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::hint;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

use super::owed::Owed;
use crate::global::AlligatorAlloc;
use crate::heap::Heap;
use crate::lock::Lock;
use crate::policy::{Policy, Standard};
use crate::records::{BYTES_PER_GRANULE, FRONT_BYTES};
use crate::source::{Arena, Source};
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, round_up};
use crate::value::at_least_one_byte;

/// How often a thread looks whether another has changed the list of regions, before it takes it for dead.
const TURNS_MAX: usize = 1 << 26;
/// Regions that an allocator can have at a time.
const REGIONS_MAX: usize = 16;
/// Where in an entry of [`Regions`] the first granule's number stands; below, how many granules there are.
const START_SHIFT: u32 = 24;

/// Where an allocator's regions are. Anybody reads it; one thread at a time changes it: see `is_changing`.
#[derive(Debug)]
pub(super) struct Regions {
    /// Each in one word, so that nobody reads half of a change; zero for none.
    entries: [AtomicU64; REGIONS_MAX],
    /// No region starts below the complement of this ..
    lowest: AtomicUsize,
    /// .. or ends above this.
    highest: AtomicUsize,
    /// How many have no thread any more.
    orphans: AtomicUsize,
    /// Whether a thread looks for those that are over, or changes the list.
    is_changing: AtomicBool,
}

impl Regions {
    /// None.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each allocator gets one of its own"
    )]
    pub(super) const NEW: Self = Self {
        entries: [const { AtomicU64::new(0) }; REGIONS_MAX],
        lowest: AtomicUsize::new(0),
        highest: AtomicUsize::new(0),
        orphans: AtomicUsize::new(0),
        is_changing: AtomicBool::new(false),
    };

    /// Whether a region may have a block at `address`. *Time:* constant.
    #[inline(always)]
    pub(super) fn may_have(&self, address: NonZeroUsize) -> bool {
        let address = address.get();
        address < self.highest.load(Relaxed) && address >= !self.lowest.load(Relaxed)
    }

    /// The region in which the block at `address` is. *Time:* constant.
    #[inline(always)]
    pub(super) fn of(&self, address: NonZeroUsize) -> Option<&'static Region> {
        if self.may_have(address) {
            self.with_block(address)
        } else {
            None
        }
    }

    #[cold]
    #[inline(never)]
    fn with_block(&self, address: NonZeroUsize) -> Option<&'static Region> {
        let granule = (address.get() >> GRANULE_SHIFT) as u64;
        self.entries.iter().find_map(|entry| {
            let entry = entry.load(SeqCst);
            let (first, granules) = (entry >> START_SHIFT, entry & ((1 << START_SHIFT) - 1));
            if granule.wrapping_sub(first) < granules {
                region_of(entry)
            } else {
                None
            }
        })
    }

    /// Adds `region`; false if there are too many. Only one thread at a time calls this.
    fn add(&self, region: &Region) -> bool {
        let Some(entry) = self.entries.iter().find(|entry| entry.load(Relaxed) == 0) else {
            return false;
        };
        self.lowest.fetch_max(!region.address(), SeqCst);
        self.highest
            .fetch_max(region.address() + region.layout.size(), SeqCst);
        entry.swap(region.entry(), SeqCst);
        true
    }

    /// Whether one has no thread any more. Whoever has given a block back to a region asks this, since the region itself
    /// may be gone by then.
    #[inline(always)]
    pub(super) fn has_orphans(&self) -> bool {
        self.orphans.load(SeqCst) != 0
    }

    /// Takes the regions that are over out of the list, if `give_back` can give their memory back. Only one thread at a
    /// time calls this.
    fn end_those_over(&self, give_back: impl Fn(&'static Region) -> bool) {
        for entry in &self.entries {
            let word = entry.load(SeqCst);
            if let Some(region) = region_of(word).filter(|region| (region.does.is_over)(region)) {
                entry.swap(0, SeqCst); // Before somebody else can have that memory.
                if give_back(region) {
                    self.orphans.fetch_sub(1, SeqCst);
                } else {
                    entry.swap(word, SeqCst);
                }
            }
        }
    }
}

/// The region whose entry is `entry`, if there is one.
fn region_of(entry: u64) -> Option<&'static Region> {
    #[expect(clippy::cast_possible_truncation, reason = "it was an address")]
    Region::at((entry >> START_SHIFT << GRANULE_SHIFT) as usize)
}

/// A heap of one thread, at the start of the block that it is in.
#[repr(C, align(64))]
pub(crate) struct Region {
    /// What others have given back, latest first, or zero.
    inbox: AtomicUsize,
    /// Non-zero once it has no thread any more.
    is_orphan: AtomicUsize,
    /// What is left of the list that was last in the inbox.
    collected: Cell<usize>,
    /// Blocks in use.
    live: Cell<usize>,
    /// The allocator that it is from.
    owner: usize,
    /// All regions of that allocator.
    regions: &'static Regions,
    layout: Layout,
    does: Does,
    heap: Heap<Arena<'static>, Standard>,
}

/// What can be done with a region, by whoever need not know how: so a program that reserves nothing has none of it.
#[derive(Clone, Copy)]
pub(super) struct Does {
    /// [`Region::allocate`].
    pub(super) allocate: fn(&Region, Layout) -> *mut u8,
    /// [`Region::deallocate`].
    pub(super) deallocate: unsafe fn(&Region, NonNull<u8>, Layout),
    /// [`Region::reallocate`].
    pub(super) reallocate: unsafe fn(&Region, NonNull<u8>, Layout, usize) -> *mut u8,
    /// [`Region::is_over`].
    is_over: fn(&Region) -> bool,
    /// Gives the memory of those of an allocator's regions back that are over, if the lock can be had.
    sweep: unsafe fn(usize),
}

impl Region {
    /// The region at `address`, none for zero.
    #[inline(always)]
    pub(super) fn at(address: usize) -> Option<&'static Self> {
        let region = ptr::with_exposed_provenance::<Self>(address);
        // SAFETY: addresses of regions are only kept while there is one.
        unsafe { region.as_ref() }
    }

    #[inline(always)]
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    #[inline(always)]
    pub(super) fn is(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }

    #[inline(always)]
    pub(super) fn does(&self) -> &Does {
        &self.does
    }

    /// Its entry of [`Regions`].
    fn entry(&self) -> u64 {
        let granules = self.layout.size() >> GRANULE_SHIFT;
        ((self.address() >> GRANULE_SHIFT) as u64) << START_SHIFT | granules as u64
    }

    /// A block, or null if there is no room. Only its thread calls this. *Time:* constant.
    fn allocate(&self, layout: Layout) -> *mut u8 {
        self.collect();
        let block = self.heap.allocate_nonzero(layout);
        if !block.is_null() {
            self.live.set(self.live.get() + 1);
            block.expose_provenance();
        }
        block
    }

    /// Gives a block back. Only its thread calls this. *Time:* constant.
    ///
    /// # Safety
    ///
    /// This gave `block` for `layout`, and it has not been given back since.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.collect();
        // SAFETY: the caller's duty.
        unsafe { self.heap.deallocate_nonzero(block, layout) };
        self.live.set(self.live.get() - 1);
    }

    /// Makes a block hold `new_size` bytes. Only its thread calls this. *Time:* constant, a copy apart.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) and `GlobalAlloc::realloc`.
    unsafe fn reallocate(&self, block: NonNull<u8>, layout: Layout, new_size: usize) -> *mut u8 {
        self.collect();
        // SAFETY: the caller's duty.
        let new = unsafe { self.heap.reallocate_nonzero(block, layout, new_size) };
        new.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// Gives one block back that others have put into the inbox, if there is one. Only its thread calls this, or, if it has
    /// none, who looks for regions that are over. *Time:* constant.
    #[inline(always)]
    fn collect(&self) {
        if self.collected.get() == 0 {
            if self.inbox.load(Relaxed) == 0 {
                return;
            }
            self.collected.set(self.inbox.swap(0, SeqCst));
        }
        self.give_back_collected();
    }

    #[inline(never)]
    fn give_back_collected(&self) {
        if let Some(block) = Owed::at(self.collected.get()) {
            if let Some(next) = block.posted_next() {
                self.collected.set(next);
                block.go_home(&self.heap);
                self.live.set(self.live.get() - 1);
            }
        }
    }

    /// Puts a block into the inbox. Any thread may call this. *Time:* constant. Afterwards, the region may be gone.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate).
    #[inline(never)]
    pub(super) unsafe fn post(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duty.
        let block = unsafe { Owed::new(block, layout) };
        block.post(&self.inbox);
    }

    /// Whether it has no thread any more and, when all that others have given back is home, no block in use. Only
    /// one thread at a time asks.
    fn is_over(&self) -> bool {
        if self.is_orphan.load(SeqCst) == 0 {
            return false;
        }
        while self.collected.get() != 0 || self.inbox.load(SeqCst) != 0 {
            let live = self.live.get();
            self.collect();
            if self.live.get() == live {
                break; // Somebody is between two exchanges.
            }
        }
        self.live.get() == 0
    }

    /// Takes its thread away. It goes back to the shared heap when no block is in use.
    pub(super) fn abandon(&self) {
        let (sweep, owner) = (self.does.sweep, self.owner);
        self.regions.orphans.fetch_add(1, SeqCst);
        self.is_orphan.swap(1, SeqCst); // From here on it may be gone.
        // SAFETY: both are those of the allocator that has made this.
        unsafe { sweep(owner) };
    }
}

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Takes `bytes` of the heap for the calling thread alone, once. From then on, whatever it allocates comes from there:
    /// in constant time, without a lock and without growth; null when that is used up. It goes back when the thread has
    /// said that it ends and the last block of it has been given back.
    ///
    /// False if there is no memory for it, if the thread has such a region, if there are 16 already, or if
    /// threads share this heap without caches: without the feature `threads`, with `metrics`, in a hardened heap.
    /// *Time:* waits for the lock, and the host's if the heap grows.
    #[must_use = "false says that the memory is not there"]
    pub fn reserve_for_thread(&'static self, bytes: usize) -> bool {
        if !Self::HAS_THREAD_HEAPS {
            return false;
        }
        let Some(thread) = self.mine().or_else(|| self.register()) else {
            return false;
        };
        if thread.region().is_some() {
            return false;
        }
        let region = self.new_region(bytes);
        thread.set_region(region);
        region.is_some()
    }

    /// A heap of `bytes` as a value, for one thread at a time: as
    /// [`reserve_for_thread`](Self::reserve_for_thread), but only what asks it gets its blocks. None where that is false.
    #[must_use]
    pub fn reserved_heap(&'static self, bytes: usize) -> Option<ReservedHeap> {
        if !Self::HAS_THREAD_HEAPS {
            return None;
        }
        let region = self.new_region(bytes)?;
        Some(ReservedHeap {
            region,
            not_sync: PhantomData,
        })
    }

    fn new_region(&'static self, bytes: usize) -> Option<&'static Region> {
        self.sweep();
        let granules = bytes.checked_add(GRANULE_BYTES - 1)? >> GRANULE_SHIFT;
        let table = FRONT_BYTES + (granules + 8) * BYTES_PER_GRANULE;
        let whole = size_of::<Region>() + bytes.checked_add(table + 2 * GRANULE_BYTES)?;
        let size = round_up(whole, GRANULE_BYTES);
        if size >> GRANULE_SHIFT >= 1 << START_SHIFT || size < bytes {
            return None;
        }
        let layout = Layout::from_size_align(size, GRANULE_BYTES).ok()?;
        let (address, _) = self.take_long_or_grow(None, layout);
        let block = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(address))?;
        let place = block.cast::<Region>();
        place.as_ptr().expose_provenance();
        // SAFETY: the block is that long.
        let rest = unsafe { block.add(size_of::<Region>()) }.cast::<MaybeUninit<u8>>();
        // SAFETY: the rest of the block is nobody else's, until the region is gone, and with it the heap over this.
        let memory =
            unsafe { slice::from_raw_parts_mut(rest.as_ptr(), size - size_of::<Region>()) };
        let new = Region {
            inbox: AtomicUsize::new(0),
            is_orphan: AtomicUsize::new(0),
            collected: Cell::new(0),
            live: Cell::new(0),
            owner: self.exposed(),
            layout,
            does: Does {
                allocate: Region::allocate,
                deallocate: Region::deallocate,
                reallocate: Region::reallocate,
                is_over: Region::is_over,
                sweep: Self::sweep_at,
            },
            regions: &self.threads.regions,
            heap: Heap::with_policy(Arena::new(memory)),
        };
        // SAFETY: the block has room for it, and nobody else knows it.
        unsafe { place.write(new) };
        // SAFETY: it has just been written, and is there until it is an orphan without blocks.
        let region = unsafe { place.as_ref() };
        let mut turns = 0;
        while self.threads.regions.is_changing.swap(true, SeqCst) && turns < TURNS_MAX {
            hint::spin_loop();
            turns += 1;
        }
        let is_added = self.threads.regions.add(region);
        self.threads.regions.is_changing.swap(false, SeqCst);
        if !is_added {
            self.give_long_home(place.addr(), layout, true);
        }
        is_added.then_some(region)
    }

    /// Gives the memory of those regions of the allocator at `owner` back that are over, if the lock can be had.
    ///
    /// # Safety
    ///
    /// There is one of this type, which is a static.
    unsafe fn sweep_at(owner: usize) {
        // SAFETY: the caller's duty.
        unsafe { &*ptr::with_exposed_provenance::<Self>(owner) }.sweep();
    }

    /// Gives the memory of those regions back that are over, if nobody else is at it.
    #[cold]
    #[inline(never)]
    pub(super) fn sweep(&self) {
        if self.threads.regions.is_changing.swap(true, SeqCst) {
            return;
        }
        self.threads.regions.end_those_over(|region| {
            self.give_long_home(NonNull::from(region).addr(), region.layout, false)
        });
        self.threads.regions.is_changing.swap(false, SeqCst);
    }
}

/// A heap of fixed size for one thread at a time, in a block of an [`AlligatorAlloc`]: it takes no lock, and never grows.
/// Whatever it gives may be given back by any thread, to it or by the program's global allocator.
///
/// When this is dropped, its memory goes back with the last block of it; or, if another thread has the lock or looks for
/// heaps that are over just then, when next such a block is given back, a heap is reserved or a thread ends.
pub struct ReservedHeap {
    region: &'static Region,
    /// It may go to another thread, but not be used by two.
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: what only the region's thread uses goes with this.
unsafe impl Send for ReservedHeap {}

impl fmt::Debug for ReservedHeap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReservedHeap")
            .finish_non_exhaustive()
    }
}

impl ReservedHeap {
    /// A block for `layout`, or none if there is no room. A size of zero gets the smallest slot. *Time:* constant.
    #[inline]
    #[must_use = "only this pointer can give the block back"]
    pub fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        NonNull::new(self.region.allocate(at_least_one_byte(layout)))
    }

    /// Gives a block back. *Time:* constant.
    ///
    /// # Safety
    ///
    /// A reserved heap gave `block` for `layout`, and it has not been given back since.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let layout = at_least_one_byte(layout);
        let own = self.region;
        match own.regions.of(block.addr()) {
            // If that was its last, and it has no thread any more, whoever next reserves or ends gives its memory back:
            // here, nothing may be reached that could wait.
            // SAFETY: the caller's duty.
            Some(other) if !other.is(own) => unsafe { other.post(block, layout) },
            // SAFETY: the caller's duty.
            _ => unsafe { own.deallocate(block, layout) },
        }
    }

    /// Makes a block hold `new_size` bytes at the same alignment, where it is or elsewhere; none if there is no room, and
    /// then it is as it was. *Time:* constant, the copy of a block that moves apart.
    ///
    /// # Safety
    ///
    /// This heap gave `block` for `layout`, and it has not been given back since; `new_size` rounded up to the alignment
    /// does not exceed `isize::MAX`.
    #[inline]
    #[must_use = "the block may have moved"]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let layout = at_least_one_byte(layout);
        // SAFETY: the caller's duty.
        NonNull::new(unsafe { self.region.reallocate(block, layout, new_size.max(1)) })
    }

    /// The bytes of a block that the next request is sure to get. *Time:* constant.
    #[must_use]
    pub fn largest_free(&self) -> usize {
        self.region.heap.bytes_of_largest_free()
    }
}

impl Drop for ReservedHeap {
    fn drop(&mut self) {
        self.region.abandon();
    }
}

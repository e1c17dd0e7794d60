//! A bump region: chunks of a heap, filled from their starts, and given back together.
//!
//! Each chunk is longer than all before it together, so that a region of any size has few: at most
//! [`CHUNKS_MAX`]. A block that finds no room opens a chunk. If what is left of that one afterwards is less than what is
//! left of the chunk before, the block keeps it for its own, and the chunk before is filled on.
//!
//! ```text
//!  chunks   [##########........]  [####################]  ...        count <= CHUNKS_MAX
//!            start     next    end  a block of its own
//! ```

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::NonNull;

/// What every chunk is aligned to. The starts and ends of chunks are multiples of it, so rounding an address up to a
/// smaller alignment never leaves the chunk.
const CHUNK_ALIGN: usize = 16;

/// Chunks are multiples of this many bytes: two of Alligator's granules.
const GRANULE_BYTES: usize = 2048;

/// The most chunks that a region has. One of 2 KiB, and each longer than all before, are half the address space after
/// `usize::BITS - 11`; the others are for when the heap has no such length any more, and gives only what is needed.
pub(crate) const CHUNKS_MAX: usize = usize::BITS as usize - 8;

/// One block of the heap.
#[derive(Clone, Copy)]
struct Chunk {
    start: NonNull<u8>,
    bytes: usize,
}

/// A place in a region to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Chunks at the time.
    count: usize,
    /// Which of them was being filled.
    current: usize,
    /// Bytes of it that were in use.
    used: usize,
}

impl Mark {
    /// The mark as numbers, for other languages.
    pub const fn to_parts(self) -> [usize; 3] {
        [self.count, self.current, self.used]
    }

    /// The mark of these numbers; any are safe, as an old mark is: see [`Scope::rewind`](crate::Scope::rewind).
    pub const fn from_parts(parts: [usize; 3]) -> Self {
        let [count, current, used] = parts;
        Self {
            count,
            current,
            used,
        }
    }
}

/// Chunks of a heap, which every method is told.
///
/// Invariants: `start <= next <= end` are of the chunk numbered `current`, or all of them are [`NOWHERE`] while there is
/// no chunk. `start` and `end` are multiples of [`CHUNK_ALIGN`]. The first `count` entries of `chunks` are blocks
/// of the heap, the others may have been; `held` is their length together, at most `limit`.
pub(crate) struct Region {
    next: Cell<NonNull<u8>>,
    end: Cell<NonNull<u8>>,
    start: Cell<NonNull<u8>>,
    current: Cell<usize>,
    count: Cell<usize>,
    held: Cell<usize>,
    limit: Cell<usize>,
    chunks: [Cell<Option<Chunk>>; CHUNKS_MAX],
}

/// An address at which there is nothing, a multiple of [`CHUNK_ALIGN`].
const NOWHERE: NonNull<u8> = {
    #[repr(align(16))]
    struct Aligned;
    NonNull::<Aligned>::dangling().cast()
};

impl Region {
    /// No chunk, and at most `limit` bytes of them ever.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            next: Cell::new(NOWHERE),
            end: Cell::new(NOWHERE),
            start: Cell::new(NOWHERE),
            current: Cell::new(0),
            count: Cell::new(0),
            held: Cell::new(0),
            limit: Cell::new(limit),
            chunks: [const { Cell::new(None) }; CHUNKS_MAX],
        }
    }

    /// Bytes of all chunks.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    /// Chunks.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// Sets the most bytes that chunks may have together. What is held stays.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
    }

    /// Bytes that are left in the chunk that is being filled.
    pub(crate) fn room(&self) -> usize {
        self.end.get().addr().get() - self.next.get().addr().get()
    }

    /// A new block, or `None` if the heap has no chunk for it, or the limit allows none. *Time:* constant, the heap's
    /// apart, which is asked twice at most.
    #[inline(always)]
    pub(crate) fn allocate<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let next = self.next.get();
        let mask = layout.align() - 1;
        if layout.align() <= CHUNK_ALIGN {
            // Not above the chunk's end, which is a multiple of the alignment, too. Where the compiler knows the layout,
            // this is shorter than what follows.
            let place = next.as_ptr().map_addr(|address| (address + mask) & !mask);
            // SAFETY: at or above `next`, which is not null.
            let place = unsafe { NonNull::new_unchecked(place) };
            if layout.size() <= self.end.get().addr().get() - place.addr().get() {
                // SAFETY: at most the chunk's end; without a chunk, the size is zero.
                self.next.set(unsafe { place.add(layout.size()) });
                return Some(place);
            }
        } else {
            let pad = next.addr().get().wrapping_neg() & mask;
            // No overflow: a size rounded up to its alignment is at most `isize::MAX`, and so is an alignment less one.
            let needed = pad + layout.size();
            if needed <= self.room() {
                // SAFETY: at most the chunk's end; without a chunk, both are zero.
                self.next.set(unsafe { next.add(needed) });
                // SAFETY: as above.
                return Some(unsafe { next.add(pad) });
            }
        }
        self.allocate_elsewhere(heap, layout)
    }

    /// [`allocate`](Self::allocate) where the chunk has no room.
    #[cold]
    #[inline(never)]
    fn allocate_elsewhere<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if layout.size() == 0 {
            // Nothing is at a block of nothing. An alignment is not zero, and a multiple of itself.
            return NonNull::new(core::ptr::without_provenance_mut(layout.align()));
        }
        let slack = layout.align().saturating_sub(CHUNK_ALIGN);
        // No overflow, as in `allocate`.
        let (index, Chunk { start, bytes }) = self.add(heap, slack + layout.size())?;
        let pad = start.addr().get().wrapping_neg() & (layout.align() - 1);
        let used = pad + layout.size();
        // SAFETY: the padding is at most the slack, since the chunk's start is aligned to the rest.
        let place = unsafe { start.add(pad) };
        // SAFETY: as above, so the chunk has so many bytes.
        let next = unsafe { start.add(used) };
        // SAFETY: the chunk has so many bytes.
        let end = unsafe { start.add(bytes) };
        if bytes - used >= self.room() {
            self.fill(index, next, end, start);
        }
        Some(place)
    }

    /// Makes sure that `bytes`, at an alignment of 16 at most, find room in the chunk that is being filled. *Time:*
    /// constant, the heap's apart.
    pub(crate) fn reserve<A: GlobalAlloc + ?Sized>(&self, heap: &A, bytes: usize) -> bool {
        if bytes <= self.room() {
            return true;
        }
        let Some((index, Chunk { start, bytes })) = self.add(heap, bytes) else {
            return false;
        };
        // SAFETY: the chunk has so many bytes.
        let end = unsafe { start.add(bytes) };
        self.fill(index, start, end, start);
        true
    }

    /// The block `old` with `size` bytes, where it stands if it is the last one and there is room; else a new one with
    /// its contents. `None` as for [`allocate`](Self::allocate); the block stays then. *Time:* constant, the heap's and
    /// the copy apart.
    ///
    /// # Safety
    ///
    /// `pointer` is a block of `old` from this region that is in use, and `new` has its alignment or another.
    pub(crate) unsafe fn resize<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        pointer: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let is_aligned = pointer.addr().get() & (new.align() - 1) == 0;
        if is_aligned && self.is_last(pointer, old.size()) {
            if new.size() <= self.end.get().addr().get() - pointer.addr().get() {
                // SAFETY: at most the chunk's end, as was just seen.
                self.next.set(unsafe { self.here(pointer).add(new.size()) });
                return Some(pointer);
            }
        } else if is_aligned && new.size() <= old.size() {
            return Some(pointer);
        }
        let block = self.allocate(heap, new)?;
        let bytes = old.size().min(new.size());
        // SAFETY: both have so many bytes, and are apart, since both are in use.
        unsafe { block.copy_from_nonoverlapping(pointer, bytes) };
        Some(block)
    }

    /// Gives a block back, if it is the last one; else it stays until all go. *Time:* constant.
    pub(crate) fn deallocate(&self, pointer: NonNull<u8>, bytes: usize) {
        if self.is_last(pointer, bytes) {
            self.next.set(self.here(pointer));
        }
    }

    /// Whether nothing follows the block of so many bytes in the chunk that is being filled.
    fn is_last(&self, pointer: NonNull<u8>, bytes: usize) -> bool {
        // A block of another chunk may end where this one begins.
        pointer >= self.start.get() && pointer.addr().get() + bytes == self.next.get().addr().get()
    }

    /// A place in the chunk that is being filled, as a pointer to that chunk.
    fn here(&self, pointer: NonNull<u8>) -> NonNull<u8> {
        self.start.get().with_addr(pointer.addr())
    }

    /// Whether `pointer` leads into one of the chunks. *Time:* constant.
    pub(crate) fn contains(&self, pointer: NonNull<u8>) -> bool {
        if pointer >= self.start.get() && pointer < self.end.get() {
            return true;
        }
        // At most CHUNKS_MAX turns.
        (0..CHUNKS_MAX)
            .map_while(|index| self.chunk(index))
            .any(|chunk| {
                let offset = pointer.addr().get().wrapping_sub(chunk.start.addr().get());
                offset < chunk.bytes
            })
    }

    /// Where the region is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            count: self.count.get(),
            current: self.current.get(),
            used: self.next.get().addr().get() - self.start.get().addr().get(),
        }
    }

    /// Gives back all chunks that have come since `mark`, and goes back to it. All chunks, if the region has been
    /// further back meanwhile, as far as that can be seen. *Time:* constant, that of [`CHUNKS_MAX`] blocks at most that
    /// the heap takes back.
    ///
    /// # Safety
    ///
    /// Nobody uses blocks that are newer than the mark. If the region has been further back since, or the mark is
    /// another region's, nobody uses any block.
    #[inline]
    pub(crate) unsafe fn rewind<A: GlobalAlloc + ?Sized>(&self, heap: &A, mark: Mark) {
        let start = self.start.get();
        let is_here = mark.count == self.count.get() && mark.current == self.current.get();
        if is_here && mark.used <= self.end.get().addr().get() - start.addr().get() {
            // SAFETY: at most the chunk's end, as was just seen.
            self.next.set(unsafe { start.add(mark.used) });
            return;
        }
        // SAFETY: the caller's duty.
        unsafe { self.rewind_chunks(heap, mark) };
    }

    /// [`rewind`](Self::rewind) where there are more chunks, or another one is being filled.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn rewind_chunks<A: GlobalAlloc + ?Sized>(&self, heap: &A, mark: Mark) {
        let chunk = self.chunk(mark.current);
        let known = chunk.filter(|chunk| {
            mark.current < mark.count && mark.count <= self.count.get() && mark.used <= chunk.bytes
        });
        let Some(Chunk { start, bytes }) = known else {
            // SAFETY: the caller's duty: nothing was in use at the mark, or nothing is now.
            return unsafe { self.reset(heap) };
        };
        // SAFETY: the caller's duty: these chunks are newer than the mark.
        unsafe { self.give_back(heap, mark.count) };
        // SAFETY: the chunk has so many bytes.
        let end = unsafe { start.add(bytes) };
        // SAFETY: at most as many.
        let next = unsafe { start.add(mark.used) };
        self.fill(mark.current, next, end, start);
    }

    /// Gives back all chunks. *Time:* constant, as [`rewind`](Self::rewind).
    ///
    /// # Safety
    ///
    /// Nobody uses the region's blocks any more.
    #[inline]
    pub(crate) unsafe fn reset<A: GlobalAlloc + ?Sized>(&self, heap: &A) {
        if self.count.get() == 0 {
            return;
        }
        // SAFETY: the caller's duty.
        unsafe { self.give_back(heap, 0) };
        self.fill(0, NOWHERE, NOWHERE, NOWHERE);
    }

    /// Gives back all chunks but the first, and fills that from its start. *Time:* constant, as
    /// [`rewind`](Self::rewind).
    ///
    /// # Safety
    ///
    /// Nobody uses the region's blocks any more.
    #[inline]
    pub(crate) unsafe fn restart<A: GlobalAlloc + ?Sized>(&self, heap: &A) {
        if self.count.get() > 1 {
            // SAFETY: the caller's duty.
            return unsafe { self.restart_first(heap) };
        }
        // The first chunk, or none, is being filled.
        self.next.set(self.start.get());
    }

    /// [`restart`](Self::restart) where there are chunks besides the first.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn restart_first<A: GlobalAlloc + ?Sized>(&self, heap: &A) {
        // SAFETY: the caller's duty.
        unsafe { self.give_back(heap, 1) };
        if let Some(Chunk { start, bytes }) = self.chunk(0) {
            // SAFETY: the chunk has so many bytes.
            let end = unsafe { start.add(bytes) };
            self.fill(0, start, end, start);
        }
    }

    /// Gives back the chunks from number `from` on.
    ///
    /// # Safety
    ///
    /// Nobody uses their blocks any more, and another chunk will be filled.
    #[inline(always)]
    unsafe fn give_back<A: GlobalAlloc + ?Sized>(&self, heap: &A, from: usize) {
        let count = self.count.get();
        if from < count {
            // SAFETY: the caller's duty, here and below.
            let are_more = unsafe { self.give_back_one(heap, from, count) };
            if are_more {
                // SAFETY: as above.
                unsafe { self.give_back_several(heap, from + 1, count) };
            }
        }
        self.count.set(from);
    }

    /// Gives back the chunks from number `from`, which is there, to `count`: without a loop, so that a prover of bounds
    /// needs nobody's word for its turns.
    ///
    /// # Safety
    ///
    /// As for [`give_back`](Self::give_back).
    #[inline(never)]
    unsafe fn give_back_several<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        from: usize,
        count: usize,
    ) {
        const { assert!(CHUNKS_MAX == 24 || CHUNKS_MAX == 56) };
        // SAFETY: the caller's duty.
        let eight = |from| unsafe { self.give_back_eight(heap, from, count) };
        let are_more = eight(from) && eight(from + 8) && eight(from + 16) && CHUNKS_MAX > 24;
        let _ = are_more
            && eight(from + 24)
            && eight(from + 32)
            && eight(from + 40)
            && eight(from + 48);
    }

    /// Gives back the chunks from number `from`, which is there, to `count`, eight at most. True if there are more.
    ///
    /// # Safety
    ///
    /// As for [`give_back`](Self::give_back).
    #[inline(never)]
    unsafe fn give_back_eight<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        from: usize,
        count: usize,
    ) -> bool {
        // SAFETY: the caller's duty.
        let one = |index| unsafe { self.give_back_next(heap, index, count) };
        one(from)
            && one(from + 1)
            && one(from + 2)
            && one(from + 3)
            && one(from + 4)
            && one(from + 5)
            && one(from + 6)
            && one(from + 7)
    }

    /// [`give_back_one`](Self::give_back_one), once for all places.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    unsafe fn give_back_next<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        index: usize,
        count: usize,
    ) -> bool {
        // SAFETY: the caller's duty.
        unsafe { self.give_back_one(heap, index, count) }
    }

    /// Gives back chunk number `index`, which is there. True if it is not the last of `count`.
    ///
    /// # Safety
    ///
    /// As for [`give_back`](Self::give_back).
    #[inline(always)]
    unsafe fn give_back_one<A: GlobalAlloc + ?Sized>(
        &self,
        heap: &A,
        index: usize,
        count: usize,
    ) -> bool {
        if let Some(chunk) = self.chunks.get(index).and_then(Cell::get) {
            self.held.set(self.held.get() - chunk.bytes);
            // SAFETY: the heap has given it for this layout, and from now on it is above the count.
            unsafe { heap.dealloc(chunk.start.as_ptr(), chunk_layout(chunk.bytes)) };
        }
        index + 1 < count
    }

    /// Fills chunk number `index` from `next` on.
    fn fill(&self, index: usize, next: NonNull<u8>, end: NonNull<u8>, start: NonNull<u8>) {
        self.current.set(index);
        self.next.set(next);
        self.end.set(end);
        self.start.set(start);
    }

    /// Chunk number `index`, if there is one.
    fn chunk(&self, index: usize) -> Option<Chunk> {
        if index >= self.count.get() {
            return None;
        }
        self.chunks.get(index)?.get()
    }

    /// A new chunk of at least `bytes`, not zero, and its number: as many bytes as all others have and the first one
    /// once more, or, if the heap or the limit has no such number, only what is needed.
    fn add<A: GlobalAlloc + ?Sized>(&self, heap: &A, bytes: usize) -> Option<(usize, Chunk)> {
        let held = self.held.get();
        let allowed = self.limit.get().saturating_sub(held) / CHUNK_ALIGN * CHUNK_ALIGN;
        let least = bytes.checked_next_multiple_of(GRANULE_BYTES)?.min(allowed);
        if least < bytes || self.count.get() == CHUNKS_MAX {
            return None;
        }
        let first = self.chunk(0).map_or(0, |chunk| chunk.bytes);
        let wanted = least.max(held.saturating_add(first)).min(allowed);
        let chunk = take(heap, wanted).or_else(|| {
            // A second request only if it is another one.
            (wanted > least).then(|| take(heap, least)).flatten()
        })?;
        // Only now: what a heap calls after a growth may have allocated from us.
        let index = self.count.get();
        let Some(entry) = self.chunks.get(index) else {
            // SAFETY: the heap has just given it for this layout.
            unsafe { heap.dealloc(chunk.start.as_ptr(), chunk_layout(chunk.bytes)) };
            return None;
        };
        entry.set(Some(chunk));
        self.count.set(index + 1);
        self.held.set(self.held.get() + chunk.bytes);
        Some((index, chunk))
    }
}

/// The layout of a chunk, a multiple of [`CHUNK_ALIGN`] not above `isize::MAX`, or the heap would not have given it.
fn chunk_layout(bytes: usize) -> Layout {
    // SAFETY: `take` has made such a layout.
    unsafe { Layout::from_size_align_unchecked(bytes, CHUNK_ALIGN) }
}

/// A block of the heap, of a multiple of [`CHUNK_ALIGN`] and not zero bytes.
fn take<A: GlobalAlloc + ?Sized>(heap: &A, bytes: usize) -> Option<Chunk> {
    let layout = Layout::from_size_align(bytes, CHUNK_ALIGN).ok()?;
    // SAFETY: not of zero bytes.
    let start = NonNull::new(unsafe { heap.alloc(layout) })?;
    Some(Chunk { start, bytes })
}

//! Records: what the heap knows of each granule, apart from the granules, in one table that moves as a whole.
//!
//! ```text
//! table    words     8 B a granule, the last granule's first: the free slots of the MiniPage that starts there
//!          front    64 records that stand for no granule: none, where each bin starts, and one for no bin
//!          records  16 B a granule: a MetaPage for each page
//! ```
//!
//! A record's [`Id`] is its distance from the front, and lengths are counted in the same unit: so `id + length` is what
//! lies above a run, and nothing in the table is an address. The table grows at both ends, so it moves by one copy, only
//! while the memory grows; nobody holds a reference into it across that.
//!
//! Invariant: the granule at the heap's end has a record, too; it stays "in use", as do those of granules that
//! somebody else owns.

#![expect(
    clippy::cast_possible_truncation,
    reason = "no table is longer than a record can say"
)]

use core::cell::{Cell, UnsafeCell};

use crate::source::Source;
use crate::units::{GRANULE_BYTES, GRANULE_SHIFT, PAGE_GRANULES};

/// A record's distance from the table's front, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct Id(u32);

/// A number of granules, in bytes of their records: 16 to a granule.
pub(crate) type Length = u32;

/// The bytes of a record: the length of one granule.
pub(crate) const GRANULE: Length = size_of::<Record>() as Length;
/// How far an address is shifted to give a distance in records.
const DISTANCE_SHIFT: u32 = GRANULE_SHIFT - GRANULE.ilog2();

/// Records that stand for no granule.
const FRONT_RECORDS: usize = 64;
/// The bytes of these.
pub(crate) const FRONT_BYTES: usize = FRONT_RECORDS * size_of::<Record>();
/// Bytes in a word of slots.
const WORD_BYTES: usize = size_of::<u64>();
/// Bytes of a table for each granule: a record and a word.
pub(crate) const BYTES_PER_GRANULE: usize = size_of::<Record>() + WORD_BYTES;

/// Granules that a table can have records of: their lengths stay below the marks of a record. All of the address
/// space on 32 bits, 64 GiB on 64.
pub(crate) const GRANULES_MAX: usize = (ALIGNED / GRANULE) as usize - 2 * FRONT_RECORDS;

/// In `length`: the granule is a MiniPage's. The distance to its first granule is in the low byte, the class above.
pub(crate) const MINI_PAGE: u32 = 1 << 31;
/// In `length`: a block with an alignment above a granule starts here, in the run that `next` names.
pub(crate) const ALIGNED: u32 = 1 << 30;
/// Where in `length` a MiniPage's class stands.
const CLASS_SHIFT: u32 = 8;

/// The last bin. Its runs are of any length from 40 MiB on.
pub(crate) const BIN_LAST: u32 = 62;
/// The bits of a `f32` below its exponent and the two digits after the point that tell four bins to a doubling.
const BIN_SHIFT: u32 = f32::MANTISSA_DIGITS - 1 - 2;
/// What makes a granule's bin 1.
#[expect(clippy::cast_precision_loss, reason = "a power of two")]
const BIN_BIAS: u32 = ((GRANULE as f32).to_bits() >> BIN_SHIFT) - 1;
/// The bin of a run: exact for the shortest, then four to a doubling. A `f32` rounds lengths of more than 16 GiB,
/// and keeps their order, so what is in a higher bin is longer.
#[inline(always)]
pub(crate) const fn bin_of(length: Length) -> u32 {
    #[expect(clippy::cast_precision_loss, reason = "it keeps the order")]
    let bin = ((length as f32).to_bits() >> BIN_SHIFT) - BIN_BIAS;
    if bin < BIN_LAST { bin } else { BIN_LAST }
}

impl Id {
    /// No record. The one that stands there is of no length, in no bin, and leads nowhere; whatever follows the last of a
    /// list notes there what is before it, and nobody reads that.
    pub(crate) const NONE: Self = Self(0);
    /// In `below`: this run itself is free. All ones.
    pub(crate) const FREE: Self = Self(!0);

    #[inline(always)]
    pub(crate) fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Whether this is the record of a granule.
    #[inline(always)]
    pub(crate) fn is_granule(self) -> bool {
        self.0 >= FRONT_BYTES as u32
    }

    /// All bits of both.
    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Where `bin` starts; for one more than there are bins a record that leads nowhere.
    #[inline(always)]
    pub(crate) fn start_of(bin: u32) -> Self {
        Self(bin * GRANULE)
    }

    /// The bin that starts here.
    #[inline(always)]
    pub(crate) fn bin(self) -> u32 {
        self.0 / GRANULE
    }

    /// The record `length` above.
    #[inline(always)]
    pub(crate) fn above(self, length: Length) -> Self {
        Self(self.0.wrapping_add(length))
    }

    /// The record `length` below.
    #[inline(always)]
    pub(crate) fn below(self, length: Length) -> Self {
        Self(self.0.wrapping_sub(length))
    }

    /// How far this is above `other`.
    #[inline(always)]
    pub(crate) fn distance_from(self, other: Self) -> Length {
        self.0.wrapping_sub(other.0)
    }
}

/// What is known of a granule. All zero: in use, nothing known.
///
/// - First of a free run: `length`, the links of its bin's list; `below` is [`Id::FREE`].
/// - First of a used run: `length`, `below`.
/// - Of a MiniPage: `length` says so; the first has `below`, the next one in its class's list in `next` and, unless it
///   is the list's first, the one before it in `previous`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) length: Cell<u32>,
    pub(crate) next: Cell<Id>,
    pub(crate) previous: Cell<Id>,
    /// The free run that ends where this granule starts, or none; [`Id::FREE`] if this is a free run's first.
    pub(crate) below: Cell<Id>,
}

impl Record {
    #[inline(always)]
    pub(crate) fn is_free(&self) -> bool {
        self.below.get() == Id::FREE
    }

    /// How far it is to the first granule of the MiniPage that this granule is in.
    #[inline(always)]
    pub(crate) fn back(&self) -> Length {
        self.length.get() & 0xFF
    }

    /// The number of the class of the MiniPage that this granule is in, if it is.
    #[inline(always)]
    pub(crate) fn class(&self) -> Option<usize> {
        let length = self.length.get();
        (length & MINI_PAGE != 0).then_some((length >> CLASS_SHIFT & 0xFF) as usize)
    }
}

/// How far the granule that `address` is in lies from address 0, in bytes of records.
#[inline(always)]
fn granule_at(address: usize) -> usize {
    address >> DISTANCE_SHIFT & !(GRANULE as usize - 1)
}

/// How far into its MiniPage `address` is, `back` bytes of records above the MiniPage's first granule.
#[inline(always)]
pub(crate) fn offset_in_mini_page(address: usize, back: Length) -> usize {
    (address & (GRANULE_BYTES - 1)) + ((back as usize) << DISTANCE_SHIFT)
}

/// The records of all granules, and the memory that both are in.
#[derive(Debug)]
pub(crate) struct Records<S> {
    /// The address of the table's front; zero before there is a table.
    front: Cell<usize>,
    /// Where the granule that record 0 would stand for lies, in bytes of records.
    zero: Cell<usize>,
    /// Granules that have records, from the heap's first on.
    covered: Cell<usize>,
    source: UnsafeCell<S>,
}

impl<S: Source> Records<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self {
            front: Cell::new(0),
            zero: Cell::new(0),
            covered: Cell::new(0),
            source: UnsafeCell::new(source),
        }
    }

    /// The source of the memory.
    #[inline(always)]
    pub(crate) fn source(&self) -> &S {
        // SAFETY: `with_source` is the only one that makes another reference, and it ends there.
        unsafe { &*self.source.get() }
    }

    /// Calls `ask` with the source, which does not know the heap.
    #[inline(always)]
    pub(crate) fn with_source<R>(&self, ask: impl FnOnce(&mut S) -> R) -> R {
        // SAFETY: no reference from `source` is held across a call: nobody in this crate stores one, and a source
        // cannot reach the heap that asks it: that is its contract.
        ask(unsafe { &mut *self.source.get() })
    }

    /// Whether there is a table.
    #[inline(always)]
    pub(crate) fn is_there(&self) -> bool {
        self.front.get() != 0
    }

    /// The table as it stands now: for operations that look at several records, and do not move it.
    #[inline(always)]
    pub(crate) fn view(&self) -> View<'_, S> {
        View {
            front: self.front.get(),
            records: self,
        }
    }

    /// The record `id`, which exists.
    #[inline(always)]
    pub(crate) fn record(&self, id: Id) -> &Record {
        self.view().record(id)
    }

    #[inline(always)]
    #[expect(clippy::cast_ptr_alignment, reason = "a table starts at a granule")]
    fn at(&self, address: usize) -> &Record {
        let place = self.source().pointer(address).cast::<Record>();
        // SAFETY: the table has a record there, which is only reached as one of cells, and lies in memory of the heap
        // that nobody else uses.
        unsafe { &*place }
    }

    #[inline(always)]
    #[expect(clippy::cast_ptr_alignment, reason = "a table starts at a granule")]
    fn word_at(&self, address: usize) -> &Cell<u64> {
        let place = self.source().pointer(address).cast::<Cell<u64>>();
        // SAFETY: as in `at`.
        unsafe { &*place }
    }

    /// The id of the granule that `address`, the heap's, is in.
    #[inline(always)]
    pub(crate) fn id_at(&self, address: usize) -> Id {
        Id(granule_at(address).wrapping_sub(self.zero.get()) as u32)
    }

    /// The address of the first byte of the granule whose record is `id`.
    #[inline(always)]
    pub(crate) fn place(&self, id: Id) -> usize {
        self.zero.get().wrapping_add(id.0 as usize) << DISTANCE_SHIFT
    }

    /// Whether the granule that `address` is in has a record, and so has the one after it. Any address will do.
    #[inline(always)]
    pub(crate) fn covers(&self, address: usize) -> bool {
        let from_first =
            granule_at(address).wrapping_sub(self.zero.get().wrapping_add(FRONT_BYTES));
        from_first / (GRANULE as usize) < self.covered.get().saturating_sub(1)
    }

    /// The record of the heap's first granule.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "without a heap there is none")]
    pub(crate) fn first(&self) -> Id {
        Id(FRONT_BYTES as u32)
    }

    /// Makes the granule at `address`, a multiple of one, the heap's first.
    pub(crate) fn set_first(&self, address: usize) {
        self.zero.set(granule_at(address).wrapping_sub(FRONT_BYTES));
    }

    /// The id of the granule that follows what ends at `address`; 0 is the end of the address space.
    #[inline(always)]
    pub(crate) fn end_id(&self, address: usize) -> Id {
        self.id_at(address.wrapping_sub(1)).above(GRANULE)
    }

    /// The address of the table's first byte.
    #[inline(always)]
    pub(crate) fn table(&self) -> usize {
        self.front.get() - self.covered.get() * WORD_BYTES
    }

    /// Makes a table for `covered` granules, no fewer than now, at `address`, where it has room, of what the old one says.
    /// It may overlap the old one. If the memory there is not `dirty`, it is zero. *Time:* linear in `covered`.
    #[cfg_attr(thread_caches, inline(always))]
    pub(crate) fn move_to(&self, address: usize, covered: usize, dirty: bool) {
        let (old, old_covered) = (self.front.get(), self.covered.get());
        let front = address + covered * WORD_BYTES;
        let (kept, mut kept_bytes) = (front - old_covered * WORD_BYTES, 0);
        if old != 0 {
            kept_bytes = FRONT_BYTES + old_covered * BYTES_PER_GRANULE;
            let from = self.source().pointer(old - old_covered * WORD_BYTES);
            // SAFETY: both are in memory of the heap that only tables use, and no record is borrowed.
            unsafe { self.source().pointer(kept).copy_from(from, kept_bytes) };
        }
        if dirty {
            self.clear(address, kept);
            self.clear(
                kept + kept_bytes,
                front + FRONT_BYTES + covered * size_of::<Record>(),
            );
        }
        self.front.set(front);
        self.covered.set(covered);
    }

    /// Makes what lies from one address to another zero.
    #[inline(always)]
    fn clear(&self, from: usize, to: usize) {
        // SAFETY: as in `move_to`.
        unsafe { self.source().pointer(from).write_bytes(0, to - from) };
    }
}

/// A table where it stands, which is read once.
#[derive(Debug)]
pub(crate) struct View<'a, S> {
    front: usize,
    records: &'a Records<S>,
}

impl<S> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for View<'_, S> {}

impl<'a, S: Source> View<'a, S> {
    /// The record `id`, which exists.
    #[inline(always)]
    pub(crate) fn record(self, id: Id) -> &'a Record {
        self.records.at(self.front.wrapping_add(id.0 as usize))
    }

    /// Notes that this is granule `number` of the MiniPage of `class` that starts with that of the record `id`.
    #[inline(always)]
    pub(crate) fn set_mini_page(self, id: Id, class: u16, number: u32) {
        let distance = number * GRANULE;
        let length = MINI_PAGE | u32::from(class) << CLASS_SHIFT | distance;
        self.record(id.above(distance)).length.set(length);
    }

    /// The free slots of the MiniPage whose first granule's record is `id`, one bit each.
    #[inline(always)]
    pub(crate) fn word(self, id: Id) -> &'a Cell<u64> {
        let of_first = self.front + (FRONT_BYTES / 2 - WORD_BYTES);
        self.records
            .word_at(of_first.wrapping_sub(id.0 as usize / 2))
    }
}

/// The granules of a table for `covered` granules.
pub(crate) const fn table_granules(covered: usize) -> usize {
    (FRONT_BYTES + covered * BYTES_PER_GRANULE).div_ceil(1 << GRANULE_SHIFT)
}

const _: () = assert!(PAGE_GRANULES == 64 && size_of::<Record>() == 16);

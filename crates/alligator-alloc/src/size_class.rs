//! Size classes: from a request in bytes to a class, and what each class needs to know.
//!
//! A class is a way to cut a MiniPage, of one, two or four granules, into equal slots, 64 of them at most, so that
//! one word has a bit for each and little is left over at the MiniPage's end. Slots start at multiples of their size, so a
//! slot whose size is a multiple of some power of two is aligned to it. Up to [`NATURAL_ALIGN`] that holds for whatever is a
//! multiple itself, and above for the powers of two. So an alignment needs no class of its own: see
//! [`aligned_bytes`].
//!
//! Pure arithmetic and constant tables, checked when the crate is compiled.

use crate::records::{GRANULE, Length, bin_of};
use crate::units::{GRANULE_BYTES, round_up};

/// Size classes.
pub(crate) const CLASS_COUNT: usize = 24;
/// The largest slot in bytes; larger requests are runs of granules.
pub(crate) const SLOT_BYTES_MAX: usize = SLOT_BYTES[CLASS_COUNT - 1] as usize;
/// Up to this alignment a multiple of it gets a slot that is a multiple of it: WebAssembly's widest value has it.
const NATURAL_ALIGN: usize = 16;
/// The alignment of every slot, whatever its size.
const SLOT_ALIGN: usize = 8;
/// Slots in a MiniPage, at most: a word has a bit for each.
const SLOTS_MAX: usize = u64::BITS as usize;
/// Binary logarithm of what a reciprocal is a part of.
const RECIPROCAL_SHIFT: u32 = 16;
/// Bytes in a slot, by class.
pub(crate) const SLOT_BYTES: [u16; CLASS_COUNT] = [
    16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 288, 336, 400,
    512, 672, 1024,
];

/// Granules in a MiniPage of slots of `slot_bytes`: few enough for one word of bits, and more for long slots, of which
/// one granule has too few to be worth its record.
pub(crate) const fn granules(slot_bytes: u16) -> u8 {
    match slot_bytes {
        0..32 => 1,
        32..320 => 2,
        _ => 4,
    }
}

/// A size class: an index below [`CLASS_COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u32);

/// What a class needs to know besides its state. Two loads or stores move all of it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct ClassInfo {
    /// All slots of a MiniPage, one bit each.
    pub(crate) all: u64,
    /// Bytes in a slot.
    pub(crate) slot_bytes: u16,
    /// Turns a byte offset in a MiniPage into a slot index: see [`slot_index`].
    pub(crate) reciprocal: u16,
    /// Granules in a MiniPage.
    pub(crate) granules: u8,
    /// The bin of runs that are as long as a MiniPage.
    pub(crate) bin: u8,
    /// The class itself.
    pub(crate) class: u16,
}

/// Binary logarithm of the bytes between sizes that [`CLASS`] has an entry for. One for each size takes 4 instructions
/// less in each operation than one for each multiple of eight, and 896 bytes more.
const STEP_SHIFT: u32 = if cfg!(built_for_size) {
    SLOT_ALIGN.ilog2()
} else {
    0
};
/// Entries of [`CLASS`].
const CLASS_STEPS: usize = (SLOT_BYTES_MAX >> STEP_SHIFT) + 1;

/// The class of each size, in steps of two to the power of [`STEP_SHIFT`], up to [`SLOT_BYTES_MAX`].
static CLASS: [u8; CLASS_STEPS] = class_table();
static INFO: [ClassInfo; CLASS_COUNT] = info_table();

impl Class {
    /// The class whose slots have at least `size` bytes and start at multiples of `align`, if any do. Time: constant.
    #[inline(always)]
    pub(crate) fn of(size: usize, align: usize) -> Option<Self> {
        let bytes = if size > SLOT_BYTES_MAX {
            return None;
        } else if align <= SLOT_ALIGN {
            size
        } else if align <= SLOT_BYTES_MAX {
            aligned_bytes(size, align)
        } else {
            return None;
        };
        let step = step_of(bytes);
        debug_assert!(step < CLASS_STEPS);
        // SAFETY: neither the size nor the alignment exceeds SLOT_BYTES_MAX, a power of two, so no power of two between
        // them and no multiple of one does.
        Some(Self(u32::from(*unsafe { CLASS.get_unchecked(step) })))
    }

    /// The class numbered `index`, as [`Class::index`] gave it.
    #[inline(always)]
    pub(crate) fn from_index(index: usize) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an index is below CLASS_COUNT"
        )]
        Self(index as u32)
    }

    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    #[inline(always)]
    pub(crate) fn info(self) -> &'static ClassInfo {
        debug_assert!(self.index() < CLASS_COUNT);
        // SAFETY: every class is made by the tables above, whose entries are below CLASS_COUNT, or by
        // `from_index` from such a class's index.
        unsafe { INFO.get_unchecked(self.index()) }
    }
}

impl ClassInfo {
    /// A class without slots.
    pub(crate) const ZERO: Self = Self {
        all: 0,
        slot_bytes: 0,
        reciprocal: 0,
        granules: 0,
        bin: 0,
        class: 0,
    };
}

/// Whether slots of the class numbered `class` are the shortest that hold `bytes`.
pub(crate) const fn is_of_class(class: usize, bytes: usize) -> bool {
    SLOT_BYTES[class] as usize >= bytes && (class == 0 || (SLOT_BYTES[class - 1] as usize) < bytes)
}

/// The entry of [`CLASS`] for blocks of `bytes`.
#[inline(always)]
const fn step_of(bytes: usize) -> usize {
    (bytes + ((1 << STEP_SHIFT) - 1)) >> STEP_SHIFT
}

/// The bytes to look a slot up by that has at least `size` of them, not zero, and starts at a multiple of `align`: the
/// next multiple of it, above [`NATURAL_ALIGN`] the next power of two. Time: constant.
#[cold]
#[inline(never)]
const fn aligned_bytes(size: usize, align: usize) -> usize {
    if align <= NATURAL_ALIGN {
        return round_up(size, align);
    }
    let below = (size - 1) | (align - 1); // Its bits are as many as those below the power of two.
    1_usize.rotate_right(below.leading_zeros())
}

/// The index of the slot that starts `offset` bytes into a MiniPage. Time: constant, no division.
///
/// Source: division by a constant through its rounded-up reciprocal (Granlund, Montgomery: Division by
/// Invariant Integers using Multiplication, PLDI 1994); exact for every slot start, checked below.
#[inline(always)]
pub(crate) const fn slot_index(offset: usize, reciprocal: u16) -> usize {
    (offset * reciprocal as usize) >> RECIPROCAL_SHIFT
}

/// What [`slot_index`] needs to know of slots of `slot_bytes`, at least two.
#[expect(clippy::cast_possible_truncation, reason = "half of 65536 at most")]
pub(crate) const fn reciprocal(slot_bytes: u16) -> u16 {
    (1_u32 << RECIPROCAL_SHIFT).div_ceil(slot_bytes as u32) as u16
}

/// Whether each of the first so many slots gets its own index from where it starts.
pub(crate) const fn is_exact(slot_bytes: u16, reciprocal: u16, slots: usize) -> bool {
    let mut slot = 0;
    while slot < slots {
        if slot_index(slot * slot_bytes as usize, reciprocal) != slot {
            return false;
        }
        slot += 1;
    }
    true
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a class is below CLASS_COUNT"
)]
const fn class_table() -> [u8; CLASS_STEPS] {
    let mut table = [0; CLASS_STEPS];
    let mut i = 0;
    let mut class = 0;
    while i < table.len() {
        while (SLOT_BYTES[class] as usize) < i << STEP_SHIFT {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a class is below CLASS_COUNT"
)]
const fn info_table() -> [ClassInfo; CLASS_COUNT] {
    let mut table = [ClassInfo::ZERO; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let bytes = SLOT_BYTES[class];
        let granules = granules(bytes);
        let slots = granules as usize * GRANULE_BYTES / bytes as usize;
        table[class] = ClassInfo {
            all: u64::MAX >> (SLOTS_MAX - slots),
            slot_bytes: bytes,
            reciprocal: reciprocal(bytes),
            granules,
            bin: bin_of(granules as Length * GRANULE) as u8,
            class: class as u16,
        };
        class += 1;
    }
    table
}

/// Every slot start gives its own index back, and there is a bit for each.
const _: () = {
    let table = info_table();
    let mut class = 0;
    while class < CLASS_COUNT {
        let info = table[class];
        let slots = info.all.count_ones() as usize;
        assert!(slots >= 2 && slots <= SLOTS_MAX);
        assert!(is_exact(info.slot_bytes, info.reciprocal, slots));
        class += 1;
    }
};

/// Every size gets the smallest slot that holds it. A multiple of an alignment gets a slot that is one, too: of any up
/// to the natural alignment, of the powers of two above. And all slots have the alignment of all.
const _: () = {
    assert!(SLOT_BYTES_MAX.is_power_of_two() && SLOT_BYTES_MAX >= NATURAL_ALIGN);
    let classes = class_table();
    let mut size = 1;
    while size <= SLOT_BYTES_MAX {
        let class = classes[step_of(size)] as usize;
        let slot_bytes = SLOT_BYTES[class] as usize;
        assert!(slot_bytes >= size && (class == 0 || (SLOT_BYTES[class - 1] as usize) < size));
        let multiple_of = 1 << size.trailing_zeros();
        let align = if size == multiple_of || multiple_of < NATURAL_ALIGN {
            multiple_of
        } else {
            NATURAL_ALIGN
        };
        assert!(slot_bytes % align == 0 && slot_bytes % SLOT_ALIGN == 0);
        size += 1;
    }
};

//! Size classes: from a request in bytes to a class, and what each class needs to know.
//!
//! A class is a way to cut one granule into equal slots, so its slots are about a granule divided by 1, 2, 3
//! and so on, and little is left over at the granule's end. Requests that need more than 8 bytes of alignment
//! are rounded up to a power of two, whose classes are naturally aligned.
//!
//! Pure arithmetic and constant tables, checked when the crate is compiled.

use crate::mini_page::{ENTRY_BYTES, MAGAZINE_MAX};
use crate::units::GRANULE_BYTES;

/// Size classes.
pub(crate) const CLASS_COUNT: usize = 19;
/// The largest slot in bytes; larger requests are runs of granules.
pub(crate) const SLOT_BYTES_MAX: usize = SLOT_BYTES[CLASS_COUNT - 1] as usize;
/// Slots in a MiniPage, at most: one bit each in a 64-bit word.
pub(crate) const SLOTS_MAX: usize = 64;

/// Bytes in a slot, by class.
pub(crate) const SLOT_BYTES: [u16; CLASS_COUNT] = [
    16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 144, 168, 200, 256, 336, 512, 1024,
];

/// A size class: an index below [`CLASS_COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u32);

/// What a class needs to know besides its state.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct ClassInfo {
    /// Bytes in a slot.
    pub(crate) slot_bytes: u16,
    /// Turns a byte offset in a MiniPage into a slot index: see [`slot_index`].
    pub(crate) reciprocal: u16,
    /// Slots in a MiniPage.
    slots: u8,
    /// Bytes of the class's magazine that may be in use.
    pub(crate) magazine_bytes_max: u8,
}

/// The class of each multiple of eight bytes up to [`SLOT_BYTES_MAX`].
static CLASS: [u8; SLOT_BYTES_MAX / 8 + 1] = class_table(8);
/// The class of each power of two up to [`SLOT_BYTES_MAX`], by its logarithm; those below the smallest class
/// get that.
static POWER_OF_TWO_CLASS: [u8; SLOT_BYTES_MAX.ilog2() as usize + 1] = {
    let classes: [u8; SLOT_BYTES_MAX / 8 + 1] = class_table(8);
    let mut table = [0; SLOT_BYTES_MAX.ilog2() as usize + 1];
    let mut bits = 3;
    while bits < table.len() {
        table[bits] = classes[(1 << bits) / 8];
        bits += 1;
    }
    table
};
static INFO: [ClassInfo; CLASS_COUNT] = info_table();

impl Class {
    /// The smallest class whose slots hold `bytes`, at most [`SLOT_BYTES_MAX`]. Time: constant, one load.
    #[inline(always)]
    pub(crate) fn of(bytes: usize) -> Self {
        Self(u32::from(CLASS[(bytes + 7) >> 3]))
    }

    /// The class whose slots are the smallest power of two that holds `bytes`, at least 2, if there is one.
    #[inline(always)]
    pub(crate) fn of_power_of_two(bytes: usize) -> Option<Self> {
        let bits = usize::BITS - (bytes - 1).leading_zeros();
        let class = POWER_OF_TWO_CLASS.get(bits as usize)?;
        Some(Self(u32::from(*class)))
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
    /// All slots of a MiniPage, one bit each.
    #[inline(always)]
    pub(crate) fn all_slots(self) -> u64 {
        u64::MAX >> (64 - u32::from(self.slots))
    }
}

/// The index of the slot that starts `offset` bytes into a MiniPage. Time: constant, no division.
///
/// Source: division by a constant through its rounded-up reciprocal (Granlund, Montgomery: Division by
/// Invariant Integers using Multiplication, PLDI 1994); exact for every slot start, checked below.
#[inline(always)]
pub(crate) const fn slot_index(offset: usize, reciprocal: u16) -> usize {
    (offset * reciprocal as usize) >> 16
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a class is below CLASS_COUNT"
)]
const fn class_table<const N: usize>(step: usize) -> [u8; N] {
    let mut table = [0; N];
    let mut i = 0;
    let mut class = 0;
    while i < N {
        while (SLOT_BYTES[class] as usize) < i * step {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
}

/// The slots of `slot_bytes` that a magazine may hold: 8 KiB of them at most.
const fn magazine_max(slot_bytes: u16) -> usize {
    let by_bytes = 8192 / slot_bytes as usize;
    if by_bytes > MAGAZINE_MAX {
        MAGAZINE_MAX
    } else {
        by_bytes
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked by the assertions that follow"
)]
const fn info_table() -> [ClassInfo; CLASS_COUNT] {
    let mut table = [ClassInfo {
        slot_bytes: 0,
        reciprocal: 0,
        slots: 0,
        magazine_bytes_max: 0,
    }; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let bytes = SLOT_BYTES[class];
        table[class] = ClassInfo {
            slot_bytes: bytes,
            reciprocal: 65536_u32.div_ceil(bytes as u32) as u16,
            slots: (GRANULE_BYTES / bytes as usize) as u8,
            magazine_bytes_max: (magazine_max(bytes) * ENTRY_BYTES) as u8,
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
        assert!(info.slots >= 1 && info.slots as usize <= SLOTS_MAX);
        let mut slot = 0;
        while slot < info.slots as usize {
            assert!(slot_index(slot * info.slot_bytes as usize, info.reciprocal) == slot);
            slot += 1;
        }
        class += 1;
    }
};

/// Every power of two up to a granule is a class.
const _: () = {
    let classes: [u8; SLOT_BYTES_MAX / 8 + 1] = class_table(8);
    let mut bytes = 16;
    while bytes <= SLOT_BYTES_MAX {
        assert!(SLOT_BYTES[classes[bytes / 8] as usize] as usize == bytes);
        bytes *= 2;
    }
};

//! Size classes: from a request in bytes to a class, and what each class needs to know.
//!
//! Eight-byte steps up to 64 B, then four classes per doubling up to [`SLOT_BYTES_MAX`]. A class is a
//! multiple of every alignment that a request rounded up to it can have (see `alignment_is_kept` below), so
//! a slot is naturally aligned and no slot needs padding of its own.
//!
//! Pure arithmetic and constant tables, checked when the crate is compiled.

use core::num::NonZeroU32;

use crate::runs::is_bin_start;
use crate::units::GRANULE_BYTES;

/// Size classes.
pub(crate) const CLASS_COUNT: usize = 27;
/// The largest slot in bytes; larger requests are runs of granules.
pub(crate) const SLOT_BYTES_MAX: usize = SLOT_BYTES[CLASS_COUNT - 1] as usize;
/// The largest request in bytes whose class the fast path looks up.
pub(crate) const FAST_BYTES_MAX: usize = 1024;
/// Slots in a MiniPage, at most: one bit each in a 64-bit word.
pub(crate) const SLOTS_MAX: usize = 64;

/// Bytes in a slot, by class.
pub(crate) const SLOT_BYTES: [u16; CLASS_COUNT] = [
    16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
    896, 1024, 1280, 1536, 1792, 2048,
];

/// A size class: an index below [`CLASS_COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

/// What a class needs to know besides its state.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct ClassInfo {
    /// Bytes in a slot.
    pub(crate) slot_bytes: u16,
    /// Turns a byte offset in a MiniPage into a slot index: `offset * reciprocal >> 16`.
    pub(crate) reciprocal: u16,
    /// Granules of the shortest MiniPage.
    pub(crate) granules_min: u8,
    /// Slots of the shortest MiniPage.
    pub(crate) slots_min: u8,
    /// Slots that start in the first granule of a MiniPage.
    pub(crate) slots_first: u8,
    /// How often a MiniPage's length may double.
    pub(crate) doublings_max: u8,
    /// Freed slots the class's magazine may hold.
    pub(crate) magazine_max: u8,
}

/// The class of each multiple of eight bytes up to [`FAST_BYTES_MAX`].
static FINE: [u8; FAST_BYTES_MAX / 8 + 1] = class_table(8);
/// The class of each multiple of 256 bytes up to [`SLOT_BYTES_MAX`].
static COARSE: [u8; SLOT_BYTES_MAX / 256 + 1] = class_table(256);
static INFO: [ClassInfo; CLASS_COUNT] = info_table();

impl Class {
    /// The smallest class whose slots hold `bytes`, at most [`FAST_BYTES_MAX`]. Time: constant, one load.
    #[inline(always)]
    pub(crate) fn of_fast(bytes: usize) -> Self {
        Self(FINE[(bytes + 7) >> 3])
    }

    /// The smallest class whose slots hold `bytes`, at most [`SLOT_BYTES_MAX`]. Time: constant, one load.
    #[inline(always)]
    pub(crate) fn of(bytes: usize) -> Self {
        if bytes <= FAST_BYTES_MAX {
            Self::of_fast(bytes)
        } else {
            Self(COARSE[(bytes + 255) >> 8])
        }
    }

    /// The class numbered `index`, as [`Class::index`] gave it.
    #[inline(always)]
    pub(crate) fn from_index(index: usize) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an index is below CLASS_COUNT"
        )]
        Self(index as u8)
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
    /// Bytes in a slot, as a divisor that cannot be zero.
    #[inline(always)]
    pub(crate) fn slot_bytes_divisor(&self) -> NonZeroU32 {
        // SAFETY: `info_table` takes it from SLOT_BYTES, which has no zero.
        unsafe { NonZeroU32::new_unchecked(u32::from(self.slot_bytes)) }
    }

    /// The index of the slot that starts `offset` bytes into a MiniPage. Time: constant, no division.
    ///
    /// Source: division by a constant through its rounded-up reciprocal (Granlund, Montgomery: Division by
    /// Invariant Integers using Multiplication, PLDI 1994); exact for every slot start, checked below.
    #[inline(always)]
    pub(crate) fn slot_index(&self, offset: usize) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a MiniPage is shorter than 2^16 bytes"
        )]
        let offset = offset as u32;
        offset.wrapping_mul(u32::from(self.reciprocal)) >> 16
    }
}

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

/// Granules of the shortest MiniPage: as few as waste little at their end.
const fn granules_min(slot_bytes: u16) -> usize {
    match slot_bytes {
        320 => 1,
        384 => 2,
        448 => 1,
        640 => 2,
        768 => 3,
        896 => 1,
        1280 => 5,
        1536 => 3,
        1792 => 2,
        2048 => 2,
        _ => 1,
    }
}

const fn magazine_max(slot_bytes: u16) -> u8 {
    let by_bytes = 4096 / slot_bytes as usize;
    (if by_bytes > 15 { 15 } else { by_bytes }) as u8
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked by the assertions that follow"
)]
const fn info_table() -> [ClassInfo; CLASS_COUNT] {
    let mut table = [ClassInfo {
        slot_bytes: 0,
        reciprocal: 0,
        granules_min: 0,
        slots_min: 0,
        slots_first: 0,
        doublings_max: 0,
        magazine_max: 0,
    }; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let bytes = SLOT_BYTES[class];
        let granules = granules_min(bytes);
        let slots = granules * GRANULE_BYTES / bytes as usize;
        let first = GRANULE_BYTES.div_ceil(bytes as usize);
        let mut doublings = 0;
        while slots << (doublings + 1) <= SLOTS_MAX && granules << (doublings + 1) <= 32 {
            doublings += 1;
        }
        table[class] = ClassInfo {
            slot_bytes: bytes,
            reciprocal: 65536_u32.div_ceil(bytes as u32) as u16,
            granules_min: granules as u8,
            slots_min: slots as u8,
            slots_first: if first < slots { first } else { slots } as u8,
            doublings_max: doublings as u8,
            magazine_max: magazine_max(bytes),
        };
        class += 1;
    }
    table
}

/// Every slot start of the longest MiniPage of every class gives its own index back, and a bin of free runs
/// begins at every MiniPage's length.
const _: () = {
    let table = info_table();
    let mut class = 0;
    while class < CLASS_COUNT {
        let info = table[class];
        let slots = (info.slots_min as usize) << info.doublings_max;
        assert!(slots >= 1 && slots <= SLOTS_MAX);
        assert!((info.granules_min as usize) << info.doublings_max <= 64);
        let mut doublings = 0;
        while doublings <= info.doublings_max {
            assert!(is_bin_start((info.granules_min as usize) << doublings));
            doublings += 1;
        }
        let mut slot = 0;
        while slot < slots {
            assert!((slot * info.slot_bytes as usize * info.reciprocal as usize) >> 16 == slot);
            slot += 1;
        }
        class += 1;
    }
};

/// A request rounded up to a multiple of `align` gets a class that is a multiple of `align`.
const _: () = {
    let mut align = 16;
    while align <= GRANULE_BYTES {
        let mut bytes = align;
        while bytes <= SLOT_BYTES_MAX {
            let mut class = 0;
            while (SLOT_BYTES[class] as usize) < bytes {
                class += 1;
            }
            assert!(SLOT_BYTES[class] as usize % align == 0);
            bytes += align;
        }
        align *= 2;
    }
};

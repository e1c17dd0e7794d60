//! Size classes: from a request in bytes to a class, and what each class needs to know.
//!
//! A class is a way to cut one granule into equal slots, so its slots are about a granule divided by 1, 2, 3
//! and so on, and little is left over at the granule's end. They are naturally aligned: a request for a
//! multiple of some power of two gets a slot whose size is one, too, and slots start at multiples of their
//! size. So a request's alignment needs no class of its own: its size is rounded up to it.
//!
//! Pure arithmetic and constant tables, checked when the crate is compiled.

use crate::units::{GRANULE_BYTES, GRANULE_SHIFT};

/// Size classes.
pub(crate) const CLASS_COUNT: usize = 22;
/// The largest slot in bytes; larger requests are runs of granules.
pub(crate) const SLOT_BYTES_MAX: usize = SLOT_BYTES[CLASS_COUNT - 1] as usize;
/// Words of a MiniPage's header with a bit for each of its slots.
pub(crate) const SLOT_WORDS: usize = 2;
/// Slots that one of these words has bits for.
pub(crate) const WORD_SLOTS: usize = u64::BITS as usize;
/// Binary logarithm of what a reciprocal is a part of.
const RECIPROCAL_SHIFT: u32 = 16;
/// Slots in a MiniPage, at most.
const SLOTS_MAX: usize = SLOT_WORDS * WORD_SLOTS;

/// Bytes in a slot, by class.
pub(crate) const SLOT_BYTES: [u16; CLASS_COUNT] = [
    16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320, 384, 512, 640,
    1024,
];

/// The first so many classes have more slots in a MiniPage than one word has bits.
const TWO_WORD_CLASSES: usize = two_word_classes();

/// A size class: an index below [`CLASS_COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u32);

/// What a class needs to know besides its state. One load or store moves all of it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub(crate) struct ClassInfo {
    /// Bytes in a slot.
    pub(crate) slot_bytes: u16,
    /// Turns a byte offset in a MiniPage into a slot index: see [`slot_index`].
    pub(crate) reciprocal: u16,
}

/// The class of each multiple of eight bytes up to [`SLOT_BYTES_MAX`].
static CLASS: [u8; SLOT_BYTES_MAX / 8 + 1] = class_table();
static INFO: [ClassInfo; CLASS_COUNT] = info_table();
/// Bits of the last word with any that are for no slot, by class.
static UNUSED: [u8; CLASS_COUNT] = unused_table();

impl Class {
    /// The smallest class whose slots hold `bytes`, at most [`SLOT_BYTES_MAX`]. Time: constant, one load.
    #[inline(always)]
    pub(crate) fn of(bytes: usize) -> Self {
        Self(u32::from(CLASS[(bytes + 7) >> 3]))
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

    /// Whether a MiniPage has more slots than one word has bits: the smallest classes.
    #[inline(always)]
    pub(crate) fn has_two_words(self) -> bool {
        self.index() < TWO_WORD_CLASSES
    }

    /// The slots of a MiniPage that the last word with any has bits for.
    #[inline(always)]
    pub(crate) fn last_slots(self) -> u64 {
        debug_assert!(self.index() < CLASS_COUNT);
        // SAFETY: as in `info`.
        let unused = unsafe { UNUSED.get_unchecked(self.index()) };
        u64::MAX >> unused
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
        slot_bytes: 0,
        reciprocal: 0,
    };

    /// Slots in a MiniPage: the reciprocal is that of a longer unit than the granule, by a power of two.
    #[inline(always)]
    pub(crate) const fn slots(self) -> usize {
        self.reciprocal as usize >> (RECIPROCAL_SHIFT - GRANULE_SHIFT)
    }

    /// [`Class::has_two_words`], where only this is known.
    #[inline(always)]
    pub(crate) fn has_two_words(self) -> bool {
        usize::from(self.slot_bytes) < GRANULE_BYTES / WORD_SLOTS
    }

    /// All slots of a MiniPage, one bit each.
    #[cfg(feature = "check")]
    pub(crate) fn all_slots(self) -> u128 {
        let last = u64::MAX >> (self.slots().wrapping_neg() % WORD_SLOTS);
        if self.has_two_words() {
            u128::from(last) << WORD_SLOTS | u128::from(u64::MAX)
        } else {
            u128::from(last)
        }
    }
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
const fn class_table() -> [u8; SLOT_BYTES_MAX / 8 + 1] {
    let mut table = [0; SLOT_BYTES_MAX / 8 + 1];
    let mut i = 0;
    let mut class = 0;
    while i < table.len() {
        while (SLOT_BYTES[class] as usize) < i * 8 {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
}

const fn info_table() -> [ClassInfo; CLASS_COUNT] {
    let mut table = [ClassInfo::ZERO; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let bytes = SLOT_BYTES[class];
        table[class] = ClassInfo {
            slot_bytes: bytes,
            reciprocal: reciprocal(bytes),
        };
        class += 1;
    }
    table
}

#[expect(clippy::cast_possible_truncation, reason = "a word's bits at most")]
const fn unused_table() -> [u8; CLASS_COUNT] {
    let mut table = [0; CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let slots = GRANULE_BYTES / SLOT_BYTES[class] as usize;
        table[class] = (slots.next_multiple_of(WORD_SLOTS) - slots) as u8;
        class += 1;
    }
    table
}

const fn two_word_classes() -> usize {
    let mut class = 0;
    while GRANULE_BYTES / SLOT_BYTES[class] as usize > WORD_SLOTS {
        class += 1;
    }
    class
}

/// Every slot start gives its own index back, and there is a bit for each.
const _: () = {
    let table = info_table();
    let mut class = 0;
    while class < CLASS_COUNT {
        let info = table[class];
        let slots = info.slots();
        assert!(slots == GRANULE_BYTES / info.slot_bytes as usize);
        assert!(slots >= 2 && slots <= SLOTS_MAX);
        assert!(is_exact(info.slot_bytes, info.reciprocal, slots));
        class += 1;
    }
};

/// Every size gets a slot that is aligned as the size is: natural alignment.
const _: () = {
    let classes = class_table();
    let mut eighths = 1;
    while eighths < classes.len() {
        let bytes = eighths * 8;
        let slot_bytes = SLOT_BYTES[classes[eighths] as usize] as usize;
        assert!(slot_bytes.trailing_zeros() >= bytes.trailing_zeros());
        eighths += 1;
    }
};

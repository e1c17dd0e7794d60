//! Medium blocks (feature `medium`): slots of 1,072 to 4,592 bytes in MiniPages of nine granules, for sizes that
//! would lose much as runs of whole granules: those a little above one, two or four KiB.
//!
//! Which slots are free is one bit each in the header of the MiniPage's first granule. Most slots start in another
//! granule; so the header of each granule in which a slot in use starts has a copy of the first one's `place`, which
//! says the class, and where the MiniPage is. It is written when the slot is taken.
//!
//! ```text
//! granule   0       1       2       3       4      ..
//! slots     |0    |1   :|2   :|3   :|4   :|   ..            of 1,648 bytes
//! place     P       P       P       P       P               P: the MiniPage's first byte, mark and class
//! ```
//!
//! There is no magazine. A small heap keeps to runs, and so does one in which nine granules cannot be had without
//! growth: what is in a header, not a block's layout, tells a slot from a run.
//!
//! *Source:* slabs (Bonwick: The Slab Allocator, USENIX 1994), with the bits apart from the slots.

#[cfg(feature = "check")]
pub(crate) mod check;

use core::alloc::Layout;

use super::list::List;
use crate::meta_page::{CLASS_MASK, HeaderId, MEDIUM_MINI_PAGE};
use crate::runs::Runs;
use crate::size_class::{SLOT_BYTES_MAX, is_exact, reciprocal, slot_index};
use crate::source::Source;
use crate::units::{MEDIUM, PAGE_BYTES, bytes_of, granule_floor, granules_for};

/// Granules in a MiniPage: 17 slots a little above 1 KiB, 8 above 2 KiB, 4 above 4 KiB.
const GRANULES: usize = 9;
/// Size classes.
const COUNT: usize = 9;
/// Bytes in a slot, by class.
const SLOT_BYTES: [u16; COUNT] = [1072, 1200, 1392, 1648, 2288, 2608, 3056, 3632, 4592];
/// What slots are aligned to.
const ALIGN: usize = 16;
/// From slot to slot there are multiples of so many bytes.
const STEP_BYTES: usize = 64;
/// A step before the smallest slot; not all of these bytes are a medium block's.
const BYTES_MIN: usize = SLOT_BYTES[0] as usize - STEP_BYTES;
/// The largest slot in bytes.
const BYTES_MAX: usize = SLOT_BYTES[COUNT - 1] as usize;
/// Length of [`CLASS`].
const STEPS: usize = (BYTES_MAX - BYTES_MIN) / STEP_BYTES;
/// No class in [`CLASS`]: whole granules are as good.
const NONE: u8 = u8::MAX;
/// A heap up to this length in bytes keeps to runs: a MiniPage for one block would be much of it.
pub(crate) const SMALL_HEAP_BYTES: usize = 8 * PAGE_BYTES;

/// The class of each step above [`BYTES_MIN`].
static CLASS: [u8; STEPS] = class_table();
static INFO: [Info; COUNT] = info_table();

/// What a class needs to know.
#[derive(Clone, Copy, Debug)]
struct Info {
    /// Bytes in a slot.
    slot_bytes: u16,
    /// Turns a byte offset in a MiniPage into a slot index: see [`slot_index`].
    reciprocal: u16,
    /// All slots of a MiniPage, one bit each.
    all: u32,
}

/// A size class of medium blocks: an index below [`COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediumClass(usize);

impl MediumClass {
    /// The class whose slots serve `layout`, which is no slot's of another class, if whole granules would be longer.
    /// *Time:* constant, one load.
    #[inline(always)]
    pub(crate) fn of(layout: Layout) -> Option<Self> {
        let index = layout.size().wrapping_sub(BYTES_MIN + 1) / STEP_BYTES; // Past the end for smaller sizes.
        match CLASS.get(index) {
            Some(&class) if MEDIUM && class != NONE && layout.align() <= ALIGN => {
                Some(Self(class.into()))
            }
            _ => None,
        }
    }

    /// The class in `place`, a header's, if that is a medium MiniPage's. *Time:* constant.
    #[inline(always)]
    pub(crate) fn in_place(place: usize) -> Option<Self> {
        let is_medium = MEDIUM && place & MEDIUM_MINI_PAGE != 0;
        is_medium.then_some(Self(place & CLASS_MASK))
    }

    /// Bytes in a slot.
    #[inline(always)]
    pub(crate) fn slot_bytes(self) -> usize {
        self.info().slot_bytes.into()
    }

    #[inline(always)]
    fn info(self) -> &'static Info {
        debug_assert!(self.0 < COUNT);
        // SAFETY: a class is an entry of CLASS that is not NONE, or such a class's number in a header.
        unsafe { INFO.get_unchecked(self.0) }
    }
}

/// What the GlobalMetaPage knows of medium blocks. All zero: nothing is there.
#[derive(Debug)]
pub(crate) struct Medium {
    /// By class, the MiniPages with free slots.
    partial: [List; if MEDIUM { COUNT } else { 0 }],
}

impl Medium {
    pub(crate) const NEW: Self = Self {
        partial: [List::EMPTY; if MEDIUM { COUNT } else { 0 }],
    };

    /// The MiniPages of `class` with free slots.
    #[inline(always)]
    fn list(&mut self, class: MediumClass) -> &mut List {
        debug_assert!(class.0 < self.partial.len());
        // SAFETY: there is no class without the feature, and with it every class is below COUNT.
        unsafe { self.partial.get_unchecked_mut(class.0) }
    }

    /// The address of a slot of `class`, or else of a run of `granules`, which is as long as such a block needs; or
    /// zero. *Time:* constant, growth apart: for a MiniPage alone the memory does not grow.
    #[inline(never)]
    pub(crate) fn allocate<S: Source>(
        &mut self,
        class: MediumClass,
        granules: usize,
        runs: &mut Runs<S>,
    ) -> usize {
        let first = self.list(class).first;
        if first.is_some() {
            return self.take_lowest(class, first, runs);
        }
        let run = runs.find(GRANULES);
        if run.is_some() {
            runs.split(run, GRANULES);
            return self.make(class, run, runs);
        }
        let run = runs.allocate(granules);
        runs.place_of(run)
    }

    /// The address of the lowest free slot of the MiniPage `id`, the first in the list of `class`.
    #[inline(always)]
    fn take_lowest<S: Source>(
        &mut self,
        class: MediumClass,
        id: HeaderId,
        runs: &Runs<S>,
    ) -> usize {
        let header = runs.meta.header(id);
        let [free, _] = &header.slots;
        let index = free.get().trailing_zeros() as usize;
        let rest = free.get() & (free.get() - 1);
        free.set(rest);
        if rest == 0 {
            self.list(class).remove_first(runs);
        }
        let place = header.place.get();
        let slot = granule_floor(place) + index * class.slot_bytes();
        let own = runs.meta.header(runs.meta.id_at(slot));
        own.place.set(place);
        slot
    }

    /// Makes the used run `id` of so many granules a MiniPage, the only one of `class` with free slots; the address of
    /// its first slot, which is taken.
    #[inline(always)]
    fn make<S: Source>(&mut self, class: MediumClass, id: HeaderId, runs: &Runs<S>) -> usize {
        self.list(class).set_only(id, runs);
        let header = runs.meta.header(id);
        let place = header.place.get();
        header.place.set(place | MEDIUM_MINI_PAGE | class.0);
        let [free, _] = &header.slots;
        free.set(u64::from(class.info().all) - 1);
        place
    }

    /// Gives the slot of `class` at `address` back to its MiniPage, and the MiniPage to the free runs if it was the
    /// last in use and the class has another with free slots: who makes and drops one block time and again shall not
    /// make a MiniPage each time. `place` is what the slot's header says. *Time:* constant.
    #[inline(never)]
    pub(crate) fn give_back<S: Source>(
        &mut self,
        address: usize,
        class: MediumClass,
        place: usize,
        runs: &mut Runs<S>,
    ) {
        let mini_page = granule_floor(place);
        let id = runs.meta.id_at(mini_page);
        let header = runs.meta.header(id);
        let [free, _] = &header.slots;
        let before = free.get();
        let after = before | 1 << slot_index(address - mini_page, class.info().reciprocal);
        if after == u64::from(class.info().all) && !self.list(class).has_only(id, runs) {
            self.list(class).remove(id, runs);
            header.place.set(mini_page);
            return runs.free_exactly(id, GRANULES);
        }
        free.set(after);
        if before == 0 {
            self.list(class).push(id, runs);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a class is below COUNT")]
const fn class_table() -> [u8; STEPS] {
    let mut table = [NONE; STEPS];
    let mut i = 0;
    let mut class = 0;
    while i < table.len() {
        let bytes = BYTES_MIN + (i + 1) * STEP_BYTES;
        while (SLOT_BYTES[class] as usize) < bytes {
            class += 1;
        }
        if (SLOT_BYTES[class] as usize) < bytes_of(granules_for(bytes)) {
            table[i] = class as u8;
        }
        i += 1;
    }
    table
}

const fn info_table() -> [Info; COUNT] {
    let mut table = [Info {
        slot_bytes: 0,
        reciprocal: 0,
        all: 0,
    }; COUNT];
    let mut class = 0;
    while class < COUNT {
        let bytes = SLOT_BYTES[class];
        table[class] = Info {
            slot_bytes: bytes,
            reciprocal: reciprocal(bytes),
            all: (1 << slots(class)) - 1,
        };
        class += 1;
    }
    table
}

/// Slots in a MiniPage of the class numbered `class`.
const fn slots(class: usize) -> usize {
    bytes_of(GRANULES) / SLOT_BYTES[class] as usize
}

/// A header has a number for every class, every slot start gives its own index back, and slots are aligned.
const _: () = {
    assert!(COUNT <= CLASS_MASK + 1 && BYTES_MIN <= SLOT_BYTES_MAX);
    let table = info_table();
    let mut class = 0;
    while class < COUNT {
        let Info {
            slot_bytes,
            reciprocal,
            ..
        } = table[class];
        let bytes = slot_bytes as usize;
        assert!(bytes % ALIGN == 0 && (bytes - BYTES_MIN) % STEP_BYTES == 0);
        assert!(slots(class) < u32::BITS as usize);
        assert!(is_exact(slot_bytes, reciprocal, slots(class)));
        class += 1;
    }
};

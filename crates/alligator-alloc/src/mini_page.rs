//! MiniPages: single granules cut into equal slots of one size class ("slabs"), and the state each class
//! keeps about its own in the GlobalMetaPage.
//!
//! Which slots are free is one bit each in the MiniPage's header; nothing is stored in or beside the slots.
//! A class works from one *current* MiniPage, whose free bits it takes out of the header a word at a time, so
//! one visit to a header serves up to 64 allocations. Freed slots go to the class's *magazine*, a short stack
//! of addresses, and when that is full, back to their MiniPage's header, the current one's too. A MiniPage with
//! bits in its header is in its class's list; when all bits are there it is a free run again.
//!
//! *Source:* slabs and magazines (Bonwick, Adams: Magazines and Vmem, USENIX 2001).

#[cfg(feature = "check")]
pub(crate) mod check;
mod hardened;
mod list;
mod magazine;
pub(crate) mod medium;

use core::cell::Cell;
use core::ptr;

use self::hardened::{require_own, require_poison};
use self::list::List;
use self::magazine::{MAGAZINE_MAX, Magazine, room_max};
use crate::meta_page::{HeaderId, MINI_PAGE};
use crate::runs::Runs;
use crate::size_class::{Class, ClassInfo, SLOT_WORDS, WORD_SLOTS, slot_index};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, HARDENED, granule_floor};

/// What the GlobalMetaPage knows of one size class. All zero: the class has nothing.
///
/// `info` is written each time the class makes a MiniPage, so that one address leads to all an operation
/// needs. The magazine is empty then, so that gives it its room, too.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ClassState {
    /// The free slots taken out of the current MiniPage's header, one bit each: a word of them.
    free: u64,
    /// The class's constants.
    info: ClassInfo,
    /// Bytes of the magazine that are free.
    room: usize,
    /// The address of the slot that the lowest bit of `free` is for. Without meaning when `free` is zero.
    current: usize,
    /// Which addresses are of the slots that the bits of `free` are for.
    window: hardened::Window,
    /// The MiniPages with slots given back, newest first.
    partial: List,
    /// The slots freed last: see [`magazine`].
    magazine: Magazine,
}

impl ClassState {
    pub(crate) const NEW: Self = Self {
        free: 0,
        info: ClassInfo::ZERO,
        room: 0,
        current: 0,
        window: hardened::Window::NONE,
        partial: List::EMPTY,
        magazine: [None; MAGAZINE_MAX + 1],
    };

    /// The address of a slot from the class's current MiniPage, another with free slots, or a new one; or zero.
    /// Only a new MiniPage must know its class: it is computed from `classes`, where the first class's state is, so
    /// that the many places that allocate need not pass it. *Time:* constant, growth apart.
    #[inline(never)]
    pub(crate) fn take<S: Source>(&mut self, classes: *mut Self, runs: &mut Runs<S>) -> usize {
        let mut free = self.free;
        if free == 0 {
            let id = self.partial.first;
            if id.is_some() {
                free = self.take_word(id, runs);
            } else {
                let Some(id) = runs.allocate_granule(|runs| self.flush_another(classes, runs))
                else {
                    return 0;
                };
                free = self.make(id, classes, runs);
                if !HARDENED {
                    self.free = free - 1; // The first slot's bit, the lowest, goes.
                    return self.current;
                }
            }
            if HARDENED {
                self.open_window();
            }
        }
        self.take_lowest(free, runs)
    }

    /// The address of the slot of the lowest bit of `free`, which is not zero; the others stay the class's.
    #[inline(always)]
    fn take_lowest<S: Source>(&mut self, free: u64, runs: &Runs<S>) -> usize {
        self.free = free & free.wrapping_sub(1);
        let index = free.trailing_zeros() as usize;
        let slot = self.current + index * usize::from(self.info.slot_bytes);
        if HARDENED {
            require_poison(slot, runs);
        }
        slot
    }

    /// Takes a word of free slots out of the header of the MiniPage `id`, the first in the class's list.
    #[inline(always)]
    fn take_word<S: Source>(&mut self, id: HeaderId, runs: &Runs<S>) -> u64 {
        if HARDENED {
            require_own(id, runs);
        }
        let header = runs.meta.header(id);
        let [first, second] = &header.slots;
        self.current = header.first_byte();
        let mut free = first.replace(0);
        if self.info.has_two_words() {
            if free == 0 {
                free = second.replace(0);
                self.current += WORD_SLOTS * usize::from(self.info.slot_bytes);
            } else if second.get() != 0 {
                return free;
            }
        }
        self.partial.remove_first(runs);
        free
    }

    /// Makes the used granule `id` the class's only MiniPage with free slots, and takes the first word of
    /// them out.
    #[inline(always)]
    fn make<S: Source>(&mut self, id: HeaderId, classes: *mut Self, runs: &Runs<S>) -> u64 {
        let index = (ptr::from_ref(self).addr() - classes.addr()) / size_of::<Self>();
        let class = Class::from_index(index);
        self.info = *class.info();
        self.room = room_max::<S>();
        let header = runs.meta.header(id);
        self.current = header.place.get();
        if HARDENED {
            runs.poison_granule(self.current);
        }
        header.place.set(self.current | MINI_PAGE | index);
        let [first, second] = &header.slots;
        first.set(0);
        let last = class.last_slots();
        if class.has_two_words() {
            second.set(last);
            self.partial.set_only(id, runs);
            return u64::MAX;
        }
        last
    }

    /// Gives the slot at `address` back to its MiniPage, and the MiniPage to the free runs if it was the
    /// last in use. *Time:* constant.
    #[inline(never)]
    pub(crate) fn give_back<S: Source>(&mut self, address: usize, runs: &mut Runs<S>) {
        let id = runs.meta.id_at(address);
        let index = slot_index(address % GRANULE_BYTES, self.info.reciprocal);
        self.mark_free(id, address, index, runs);
    }

    /// Marks slot `index` of the MiniPage `id`, which is at `address`, as free, and gives the MiniPage to the free
    /// runs if it was the last in use.
    #[inline(always)]
    fn mark_free<S: Source>(
        &mut self,
        id: HeaderId,
        address: usize,
        index: usize,
        runs: &mut Runs<S>,
    ) {
        let header = runs.meta.header(id);
        let count = if self.info.has_two_words() {
            add_to_two_words(&header.slots, index)
        } else {
            let [word, _] = &header.slots;
            let free = word.get() | 1 << index;
            word.set(free);
            free.count_ones()
        };
        if count as usize != self.info.slots() {
            if count == 1 {
                if HARDENED {
                    require_own(id, runs);
                }
                self.partial.push(id, runs);
            }
            return;
        }
        if HARDENED {
            require_own(id, runs);
        }
        // It is in the list, since it has two slots or more.
        self.partial.remove(id, runs);
        header.place.set(granule_floor(address));
        runs.free_mini_page(id);
    }
}

/// Adds the slot `index` to the free ones; how many there are now. *Time:* constant.
#[inline(never)]
fn add_to_two_words(words: &[Cell<u64>; SLOT_WORDS], index: usize) -> u32 {
    let word = &words[index / WORD_SLOTS % SLOT_WORDS];
    word.set(word.get() | 1 << (index % WORD_SLOTS));
    words[0].get().count_ones() + words[1].get().count_ones()
}

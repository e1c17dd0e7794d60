//! MiniPages: short runs of granules cut into equal slots of one size class ("slabs"), and the state each
//! class keeps about its own in the GlobalMetaPage.
//!
//! Which slots are free is one bit each in the MiniPage's header; nothing is stored in or beside the slots.
//! A class works from one *current* MiniPage, whose free bits it takes out of the header all at once, so one
//! visit to a header serves up to 64 allocations. Freed slots go to the class's *magazine*, a short stack
//! of addresses, and when that is full, back to their headers. A MiniPage with bits in its header is in its
//! class's list; when all its bits are back it is a free run again.
//!
//! *Source:* slabs and magazines (Bonwick, Adams: Magazines and Vmem, USENIX 2001).

#[cfg(feature = "check")]
pub(crate) mod check;

use core::num::NonZeroUsize;

use crate::meta_page::{DOUBLINGS_SHIFT, HeaderId, INTERIOR, MINI_PAGE};
use crate::runs::Runs;
use crate::size_class::{Class, ClassInfo};
use crate::source::Source;
use crate::units::{GRANULE_BYTES, bytes_of, granule_floor};

/// The most slots a magazine can hold.
const MAGAZINE_MAX: usize = 24;
/// How many MiniPages of one length a class has before it makes longer ones (a binary logarithm): a new one
/// is about that fraction of all.
const SHARE_SHIFT: u32 = 2;

/// What the GlobalMetaPage knows of one size class. All zero: the class has nothing.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ClassState {
    /// The free slots of the current MiniPage, one bit each. They are not in its header.
    free: u64,
    /// The address of the current MiniPage's first slot.
    current: usize,
    /// The MiniPages with slots given back, newest first.
    partial: HeaderId,
    /// The MiniPage whose last slots have never been handed out, or none.
    fresh: HeaderId,
    /// The address of its first slot that lies in a granule without a header yet.
    fresh_at: usize,
    /// MiniPages the class has.
    mini_pages: usize,
    /// Slots in the magazine.
    magazine_count: usize,
    /// The addresses of freed slots, latest last.
    magazine: [Option<NonZeroUsize>; MAGAZINE_MAX],
}

impl ClassState {
    pub(crate) const NEW: Self = Self {
        free: 0,
        current: 0,
        partial: HeaderId::NONE,
        fresh: HeaderId::NONE,
        fresh_at: 0,
        mini_pages: 0,
        magazine_count: 0,
        magazine: [None; MAGAZINE_MAX],
    };

    /// The slot freed last, if the magazine has one. *Time:* constant.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<NonZeroUsize> {
        let count = self.magazine_count.checked_sub(1)?;
        self.magazine_count = count;
        debug_assert!(count < MAGAZINE_MAX);
        // SAFETY: the count is only changed here and in `push`, which keeps it at most MAGAZINE_MAX.
        let slot = unsafe { *self.magazine.get_unchecked(count) };
        // SAFETY: the entries below the count have been written by `push`, which writes no zero.
        Some(unsafe { slot.unwrap_unchecked() })
    }

    /// Remembers a freed slot; false if the magazine is full. *Time:* constant.
    #[inline(always)]
    pub(crate) fn push(&mut self, slot: NonZeroUsize, info: &ClassInfo) -> bool {
        let count = self.magazine_count;
        if count >= info.magazine_max as usize {
            return false;
        }
        self.magazine_count = count + 1;
        // SAFETY: no class's `magazine_max` is above MAGAZINE_MAX.
        *unsafe { self.magazine.get_unchecked_mut(count) } = Some(slot);
        true
    }

    /// Takes a slot of `class` from its current MiniPage, another with free slots, or a new one. *Time:*
    /// constant, growth apart.
    #[inline(always)]
    pub(crate) fn take<S: Source>(
        &mut self,
        class: Class,
        runs: &mut Runs<S>,
    ) -> Option<NonZeroUsize> {
        let mut free = self.free;
        if free == 0 {
            let id = self.partial;
            if id.is_some() {
                let header = runs.meta.header(id);
                free = header.slots().free.replace(0);
                self.current = header.first_byte();
                self.partial = header.next.get();
                if self.partial.is_some() {
                    runs.meta.header(self.partial).previous.set(HeaderId::NONE);
                }
            } else if self.fresh.is_some() {
                free = self.extend_fresh(class.info(), runs);
            } else {
                return self.make(class, runs);
            }
        }
        self.free = free & free.wrapping_sub(1);
        let index = free.trailing_zeros() as usize;
        NonZeroUsize::new(self.current + index * class.info().slot_bytes as usize)
    }

    /// Makes the fresh MiniPage the current one and returns the slots that start in its next granule.
    #[inline(never)]
    fn extend_fresh<S: Source>(&mut self, info: &ClassInfo, runs: &Runs<S>) -> u64 {
        let id = self.fresh;
        let at = self.fresh_at;
        let first = runs.meta.header(id);
        let place = first.place.get();
        let interior = runs.meta.header(runs.meta.id_at(at));
        interior.place.set(place | INTERIOR);
        interior.next.set(id);
        let old = first.slots().all.get();
        let all = self.set_fresh(
            id,
            at,
            granule_floor(place),
            info,
            slots(info, place >> DOUBLINGS_SHIFT & 7),
        );
        first.slots().all.set(all);
        self.current = granule_floor(place);
        all & !old
    }

    /// Notes that the granule at `at` of the MiniPage `id` at `base` has a header, and where the next one
    /// without begins. Returns the slots that start before it.
    #[inline(always)]
    fn set_fresh(
        &mut self,
        id: HeaderId,
        at: usize,
        base: usize,
        info: &ClassInfo,
        slots: u32,
    ) -> u64 {
        let step = GRANULE_BYTES.max(info.slot_bytes as usize);
        let next = at + step;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a MiniPage is shorter than 2^16 bytes"
        )]
        let started =
            ((next - base) as u32 + u32::from(info.slot_bytes) - 1) / info.slot_bytes_divisor();
        self.fresh_at = next;
        if started < slots {
            self.fresh = id;
            lowest(started)
        } else {
            self.fresh = HeaderId::NONE;
            lowest(slots)
        }
    }

    /// Makes a MiniPage of `class`, about a quarter as long as all the class already has, and takes its
    /// first slot. *Time:* constant, growth apart.
    #[inline(always)]
    fn make<S: Source>(&mut self, class: Class, runs: &mut Runs<S>) -> Option<NonZeroUsize> {
        let info = class.info();
        let doublings = (self.mini_pages >> SHARE_SHIFT).min(usize::from(info.doublings_max));
        let id = runs.allocate_bin_start((info.granules_min as usize) << doublings);
        if !id.is_some() {
            return None;
        }
        self.mini_pages += 1;
        let header = runs.meta.header(id);
        let base = header.place.get();
        let all = lowest(u32::from(info.slots_first));
        header
            .place
            .set(base | MINI_PAGE | class.index() | doublings << DOUBLINGS_SHIFT);
        header.slots().free.set(0);
        header.slots().all.set(all);
        self.current = base;
        self.free = all & !1;
        if u32::from(info.slots_first) < slots(info, doublings) {
            self.fresh = id;
            self.fresh_at = base + GRANULE_BYTES.max(info.slot_bytes as usize);
        }
        NonZeroUsize::new(base)
    }
}

/// Slots of a MiniPage that was doubled `doublings` times.
#[inline(always)]
fn slots(info: &ClassInfo, doublings: usize) -> u32 {
    u32::from(info.slots_min) << doublings
}

/// The lowest `count` bits, 1 to 64.
#[inline(always)]
fn lowest(count: u32) -> u64 {
    u64::MAX >> (64 - count)
}

/// Gives the slot at `address` back to the header of its MiniPage, and the MiniPage to the free runs if it
/// was the last. *Time:* constant.
#[inline(always)]
pub(crate) fn give_back<S: Source>(
    address: usize,
    class: Class,
    state: &mut ClassState,
    runs: &mut Runs<S>,
) {
    let mut id = runs.meta.id_at(address);
    let place = runs.meta.header(id).place.get();
    if place & INTERIOR != 0 {
        id = runs.meta.header(id).next.get();
    }
    let base = granule_floor(place);
    let header = runs.meta.header(id);
    let old = header.slots().free.get();
    let free = old | 1 << class.info().slot_index(address - base);
    header.slots().free.set(free);
    if free == header.slots().all.get() {
        if old != 0 {
            unlink(id, state, runs);
        }
        if state.fresh == id {
            state.fresh = HeaderId::NONE;
        }
        state.mini_pages -= 1;
        let granules = (class.info().granules_min as usize) << (place >> DOUBLINGS_SHIFT & 7);
        header.place.set(base);
        runs.give_back(id, granules, runs.meta.id_at(base + bytes_of(granules)));
    } else if old == 0 {
        let next = state.partial;
        state.partial = id;
        header.next.set(next);
        header.previous.set(HeaderId::NONE);
        if next.is_some() {
            runs.meta.header(next).previous.set(id);
        }
    }
}

/// Takes the MiniPage `id` out of its class's list.
#[inline(always)]
fn unlink<S: Source>(id: HeaderId, state: &mut ClassState, runs: &Runs<S>) {
    let header = runs.meta.header(id);
    let (next, previous) = (header.next.get(), header.previous.get());
    if next.is_some() {
        runs.meta.header(next).previous.set(previous);
    }
    if previous.is_some() {
        runs.meta.header(previous).next.set(next);
    } else {
        state.partial = next;
    }
}

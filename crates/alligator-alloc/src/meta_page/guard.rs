//! Guards: how a hardened heap knows that the headers it reads are its own, and untouched.
//!
//! Before each table of MetaPages lies a granule that nobody uses, and at its end, right before the first
//! header, a word that nobody changes. Who writes past a block, however far, must write over that word before
//! it reaches a header, and it is looked at whenever a header is found by an address.
//!
//! In a hardened heap, all pages below `covered_pages` have headers, somebody else's as well, so any address can
//! be asked for. Where no run starts, `place` is zero or [`MERGED`](super::MERGED).
//!
//! *Source:* canaries (Cowan and others: `StackGuard`, USENIX Security 1998).

use super::{HeaderId, MetaPages, TABLE_COUNT};
use crate::source::Source;
use crate::units::{HARDENED, PAGE_SHIFT};

/// Granules before each table that are its guard's.
pub(super) const GUARD_GRANULES: usize = if HARDENED { 1 } else { 0 };

/// Stands before each table. It has the bytes at which copies of text and lines end, so such a copy cannot pass
/// it unnoticed.
const CANARY: u64 = 0x00FF_0A0D_A7F5_C39E;
/// Bytes in the canary.
const CANARY_BYTES: usize = size_of::<u64>();

/// Where the tables' canaries are, by the same index as `bias`.
#[derive(Debug)]
pub(super) struct Guards([usize; if HARDENED { 2 * TABLE_COUNT - 1 } else { 0 }]);

impl Guards {
    pub(super) const NEW: Self = Self([0; if HARDENED { 2 * TABLE_COUNT - 1 } else { 0 }]);
}

impl<S: Source> MetaPages<S> {
    /// Puts a canary before the headers at `place`, and notes it for the tables whose indices start at
    /// `widest`, as `cover` does with their bias.
    #[inline(always)]
    pub(super) fn guard(&mut self, place: usize, widest: usize) {
        if let Some(window) = self.guards.0.get_mut(widest..widest + TABLE_COUNT) {
            let canary = place - CANARY_BYTES;
            window.copy_from_slice(&[canary; TABLE_COUNT]);
            // SAFETY: `cover` owns a granule before `place`, which is aligned to one.
            unsafe { self.canary_at(canary).write(CANARY) };
        }
    }

    #[inline(always)]
    fn canary_at(&self, address: usize) -> *mut u64 {
        self.source.pointer(address).cast()
    }

    /// Whether the granule at `address` has a header. Any address will do. *Time:* constant.
    #[inline(always)]
    pub(crate) fn has_header(&self, address: usize) -> bool {
        address.wrapping_sub(self.origin) >> PAGE_SHIFT < self.covered_pages
    }

    /// The header of the granule at `address`, which may be any; none if there is none, or somebody has written
    /// over what stands before it. *Time:* constant.
    #[inline(never)]
    pub(crate) fn guarded_id_at(&self, address: usize) -> HeaderId {
        if !self.has_header(address) {
            return HeaderId::NONE;
        }
        let table = super::table_of(address.wrapping_sub(self.origin));
        let Some(&canary) = self.guards.0.get(table) else {
            return HeaderId::NONE;
        };
        // SAFETY: the table exists, so `guard` has written this word in memory that is the heap's.
        if unsafe { self.canary_at(canary).read() } == CANARY {
            self.id_at(address)
        } else {
            HeaderId::NONE
        }
    }

    /// Writes over all canaries, and over nothing else, for the tests.
    #[cfg(all(
        test,
        feature = "check",
        feature = "hardened",
        not(target_family = "wasm")
    ))]
    pub(crate) fn write_over_canaries(&self) {
        for &canary in self.guards.0.iter().filter(|&&canary| canary != 0) {
            // SAFETY: `guard` has written this word in memory that is the heap's.
            unsafe { self.canary_at(canary).write(!CANARY) };
        }
    }
}

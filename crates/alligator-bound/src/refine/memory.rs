//! What is known to lie in linear memory on one path.

use super::facts::{Contradiction, Facts};
use super::operators::Access;
use super::range::{self, Range, mask};
use super::term::{Binary, TermId, Terms};

/// Cells remembered at once; the oldest is forgotten first.
const CELLS_MAX: usize = 48;

/// A place in memory: a base, if any, and a constant, modulo the address width.
///
/// Two accesses to equal places touch the same bytes or trap: an effective address that does not
/// trap is below the modulus, so it equals its remainder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Memory index.
    pub memory: u32,
    /// Whether the memory is imported: two imported memories may be one.
    pub imported: bool,
    /// Variable part of the address.
    pub base: Option<TermId>,
    /// Constant part.
    pub offset: u64,
    /// Bytes from there.
    pub bytes: u32,
}

/// Known content of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    /// Where.
    pub place: Place,
    /// Its bytes as an unsigned integer, of 64 bits if there are 8 and else of 32.
    pub content: TermId,
}

/// Contents known, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Cells {
    /// The cells. All hold at once.
    pub cells: Vec<Cell>,
}

impl Place {
    /// Where an access at an address goes.
    pub(super) fn of(
        terms: &Terms,
        facts: &Facts,
        access: &Access,
        imported: bool,
        address: TermId,
    ) -> Self {
        let (base, constant) = match facts.range(terms, address).ok().and_then(Range::value) {
            Some(value) => (None, value),
            None => terms.split(address),
        };
        Self {
            memory: access.memory,
            imported,
            base,
            offset: constant.wrapping_add(access.offset) & mask(terms.bits(address)),
            bytes: access.bytes,
        }
    }

    /// Addresses of its first byte.
    fn range(&self, terms: &Terms, facts: &Facts, bits: u32) -> Result<Range, Contradiction> {
        let offset = Range::one(self.offset);
        match self.base {
            None => Ok(offset),
            Some(base) => {
                let base = facts.range(terms, base)?;
                Ok(range::binary(Binary::Add, bits, base, offset))
            }
        }
    }

    /// Whether two places can share no byte.
    fn is_apart(&self, other: &Self, terms: &Terms, facts: &Facts, bits: u32) -> bool {
        if self.memory != other.memory {
            return !(self.imported && other.imported);
        }
        if self.base == other.base {
            return apart_modulo(
                self.offset,
                self.bytes,
                other.offset,
                other.bytes,
                mask(bits),
            );
        }
        let (Ok(one), Ok(two)) = (
            self.range(terms, facts, bits),
            other.range(terms, facts, bits),
        ) else {
            // The path contradicts itself: anything holds on it.
            return true;
        };
        let ends_before = |first: Range, bytes: u32, second: Range| {
            first
                .hi
                .checked_add(bytes.into())
                .is_some_and(|end| end <= second.lo)
        };
        if ends_before(one, self.bytes, two) || ends_before(two, other.bytes, one) {
            return true;
        }
        let low = one.known_low_bits().min(two.known_low_bits()).min(bits);
        let modulus = mask(low);
        u64::from(self.bytes) + u64::from(other.bytes) <= modulus
            && apart_modulo(
                one.ones & modulus,
                self.bytes,
                two.ones & modulus,
                other.bytes,
                modulus,
            )
    }
}

/// Whether two runs of bytes are apart on a circle of `mask + 1` bytes.
fn apart_modulo(one: u64, one_bytes: u32, two: u64, two_bytes: u32, mask: u64) -> bool {
    let ahead = two.wrapping_sub(one) & mask;
    let behind = one.wrapping_sub(two) & mask;
    ahead >= u64::from(one_bytes) && behind >= u64::from(two_bytes)
}

impl Cells {
    /// Known content of exactly this place.
    pub(super) fn content(&self, place: &Place) -> Option<TermId> {
        let cell = self.cells.iter().rev().find(|cell| cell.place == *place)?;
        Some(cell.content)
    }

    /// Remembers content just read.
    pub(super) fn learn(&mut self, place: Place, content: TermId) {
        if self.cells.len() == CELLS_MAX {
            self.cells.remove(0);
        }
        self.cells.push(Cell { place, content });
    }

    /// Remembers content just written, and forgets all it may have overwritten.
    pub(super) fn write(
        &mut self,
        place: Place,
        content: TermId,
        terms: &Terms,
        facts: &Facts,
        bits: u32,
    ) {
        self.cells
            .retain(|cell| cell.place.is_apart(&place, terms, facts, bits));
        self.learn(place, content);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
    }
}

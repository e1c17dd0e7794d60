//! What the branches taken so far say about terms.
//!
//! A fact narrows a term's range on one path. Facts only ever come from conditions that must have
//! held for the path to be taken, so a path whose facts contradict cannot run.

use std::collections::{BTreeMap, BTreeSet};

use super::range::{self, Range, mask};
use super::term::{Binary, Term, TermId, Terms, Unary};

/// How deep a term is looked into when its range is computed.
const LOOK_DEPTH: u32 = 7;
/// How deep a new fact is carried into the parts of its term.
const CARRY_DEPTH: u32 = 12;
/// Rounds in which all facts are held against each other after a new one.
const ROUNDS: usize = 2;

/// The path contradicts itself: no execution takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contradiction;

/// Narrowed ranges by term.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    ranges: BTreeMap<TermId, Range>,
    /// Fingerprint of all unknowns that facts are about, or of more.
    about: u64,
    /// Unknowns that facts not yet settled are about.
    unsettled: BTreeSet<TermId>,
}

impl Facts {
    /// Number of facts.
    pub(super) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// Forgets facts about terms that are not wanted.
    pub(super) fn retain(&mut self, terms: &Terms, mut wanted: impl FnMut(TermId) -> bool) {
        self.ranges.retain(|id, _| wanted(*id));
        let fingerprints = self.ranges.keys().map(|id| terms.fingerprint(*id));
        self.about = fingerprints.fold(0, |all, one| all | one);
    }

    /// Whether everything that other facts say is said here, too.
    pub(super) fn imply(&self, weaker: &Self) -> bool {
        let mut mine = self.ranges.iter();
        weaker.ranges.iter().all(|(id, range)| {
            mine.by_ref()
                .find(|(found, _)| *found >= id)
                .is_some_and(|(found, known)| found == id && known.is_within(*range))
        })
    }

    fn note(&mut self, terms: &Terms, id: TermId, range: Range) {
        self.ranges.insert(id, range);
        self.about |= terms.fingerprint(id);
        self.unsettled.extend(terms.atoms(id));
    }

    /// The value that a fact about this very term leaves, if only one.
    pub(super) fn known_value(&self, id: TermId) -> Option<u64> {
        self.ranges.get(&id)?.value()
    }

    /// Range of a term on this path.
    pub(super) fn range(&self, terms: &Terms, id: TermId) -> Result<Range, Contradiction> {
        self.look(terms, id, LOOK_DEPTH)
    }

    fn look(&self, terms: &Terms, id: TermId, depth: u32) -> Result<Range, Contradiction> {
        let mut range = terms.range(id);
        // No fact is about anything that the term is made of.
        if self.about & terms.fingerprint(id) == 0 {
            return Ok(range);
        }
        terms.spend(1);
        if let Some(fact) = self.ranges.get(&id) {
            range = range.meet(*fact).ok_or(Contradiction)?;
        }
        if depth == 0 || range.value().is_some() || terms.is_spent() {
            return Ok(range);
        }
        let computed = match terms.term(id) {
            Term::Unary(operator, x) => {
                let operand = self.look(terms, x, depth - 1)?;
                range::unary(operator, terms.bits(x), operand)
            }
            Term::Binary(operator, x, y) => {
                let one = self.look(terms, x, depth - 1)?;
                let two = self.look(terms, y, depth - 1)?;
                range::binary(operator, terms.bits(x), one, two)
            }
            Term::Select(condition, x, y) => {
                match self.look(terms, condition, depth - 1)?.as_truth() {
                    Some(true) => self.look(terms, x, depth - 1)?,
                    Some(false) => self.look(terms, y, depth - 1)?,
                    None => {
                        let one = self.look(terms, x, depth - 1)?;
                        one.join(self.look(terms, y, depth - 1)?)
                    }
                }
            }
            _ => return Ok(range),
        };
        range.meet(computed).ok_or(Contradiction)
    }

    /// Takes a condition to be true or false.
    ///
    /// # Errors
    /// When that cannot be on this path.
    pub(super) fn assume(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        truth: bool,
    ) -> Result<(), Contradiction> {
        self.assume_truth(terms, id, truth, CARRY_DEPTH)?;
        self.settle(terms)
    }

    /// Takes a term to lie in a range.
    ///
    /// # Errors
    /// When that cannot be on this path.
    pub(super) fn assume_range(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        range: Range,
    ) -> Result<(), Contradiction> {
        self.narrow(terms, id, range, CARRY_DEPTH)?;
        self.settle(terms)
    }

    /// Holds new facts against all that share an unknown with them.
    fn settle(&mut self, terms: &mut Terms) -> Result<(), Contradiction> {
        for _ in 0..ROUNDS {
            let unsettled = core::mem::take(&mut self.unsettled);
            if unsettled.is_empty() {
                break;
            }
            if terms.is_spent() {
                break;
            }
            terms.spend(self.ranges.len() as u64);
            let shares = |id: &TermId| terms.atoms(*id).iter().any(|atom| unsettled.contains(atom));
            let ids: Vec<TermId> = self.ranges.keys().copied().filter(shares).collect();
            for id in ids {
                let now = self.range(terms, id)?;
                if self.ranges.get(&id) == Some(&now) {
                    self.carry(terms, id, now, CARRY_DEPTH)?;
                } else {
                    self.narrow(terms, id, now, CARRY_DEPTH)?;
                }
            }
        }
        self.unsettled.clear();
        Ok(())
    }

    fn assume_truth(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        truth: bool,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let range = if truth {
            Range::between(1, mask(terms.bits(id).max(1)))
        } else {
            Some(Range::one(0))
        };
        self.narrow(terms, id, range.ok_or(Contradiction)?, depth)
    }

    /// Narrows a term's range, and what follows for its parts.
    fn narrow(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        to: Range,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let now = self.range(terms, id)?;
        let new = now.meet(to).ok_or(Contradiction)?;
        if self.ranges.get(&id) == Some(&new) || new == terms.range(id) {
            return Ok(());
        }
        self.note(terms, id, new);
        self.carry(terms, id, new, depth)
    }

    /// Carries a fact into the parts of its term.
    fn carry(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        new: Range,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let Some(depth) = depth.checked_sub(1).filter(|_| !terms.is_spent()) else {
            return Ok(());
        };
        match terms.term(id) {
            Term::Unary(operator, x) => self.carry_unary(terms, operator, x, new, depth),
            Term::Binary(operator, x, y) if operator.compares() => match new.as_truth() {
                Some(truth) => self.carry_comparison(terms, operator, (x, y), truth, depth),
                None => Ok(()),
            },
            Term::Binary(operator, x, y) => self.carry_binary(terms, operator, (x, y), new, depth),
            Term::Select(condition, x, y) => {
                let one = self.range(terms, x)?.meet(new).is_some();
                let two = self.range(terms, y)?.meet(new).is_some();
                match (one, two) {
                    (false, false) => Err(Contradiction),
                    (true, true) => Ok(()),
                    (first, _) => {
                        self.assume_truth(terms, condition, first, depth)?;
                        self.narrow(terms, if first { x } else { y }, new, depth)
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn carry_unary(
        &mut self,
        terms: &mut Terms,
        operator: Unary,
        x: TermId,
        new: Range,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let bits = terms.bits(x);
        let narrowed = match operator {
            Unary::Eqz => {
                return match new.as_truth() {
                    Some(truth) => self.assume_truth(terms, x, !truth, depth),
                    None => Ok(()),
                };
            }
            Unary::Wrap => {
                let low = mask(bits / 2);
                let known = Range::with_bits(new.zeros & low, new.ones & low);
                let fits = self.range(terms, x)?.hi <= low;
                known.and_then(|known| if fits { known.meet(new) } else { Some(known) })
            }
            Unary::ExtendU => Some(new),
            Unary::ExtendS if new.hi <= mask(bits - 1) => Some(new),
            Unary::Clz => preimage_of_clz(bits, new),
            Unary::Ctz => {
                let zeros = u32::try_from(new.lo).unwrap_or(0);
                let least = u64::from(new.hi < u64::from(bits));
                let known = if zeros >= bits { u64::MAX } else { mask(zeros) };
                Range::with_bits(known, 0)
                    .and_then(|known| known.meet(Range::between(least, mask(bits))?))
            }
            Unary::Popcnt if new.hi == 0 => Some(Range::one(0)),
            Unary::Popcnt if new.lo > 0 => Range::between(1, mask(bits)),
            _ => return Ok(()),
        };
        self.narrow(terms, x, narrowed.ok_or(Contradiction)?, depth)
    }

    fn carry_comparison(
        &mut self,
        terms: &mut Terms,
        operator: Binary,
        (x, y): (TermId, TermId),
        truth: bool,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let (one, two) = (self.range(terms, x)?, self.range(terms, y)?);
        let bits = terms.bits(x);
        if bits == 0 {
            return Ok(());
        }
        self.note_order(terms, operator, (x, y), truth)?;
        match (operator, truth) {
            (Binary::Eq, true) => {
                self.narrow(terms, x, two, depth)?;
                self.narrow(terms, y, one, depth)
            }
            (Binary::Eq, false) => {
                self.carry_unequal(terms, x, two, depth)?;
                self.carry_unequal(terms, y, one, depth)
            }
            (Binary::LtU, true) => {
                self.narrow_below(terms, x, two.hi.checked_sub(1), depth)?;
                self.narrow_above(terms, y, one.lo.checked_add(1), bits, depth)
            }
            (Binary::LtU, false) => {
                self.narrow_above(terms, x, Some(two.lo), bits, depth)?;
                self.narrow_below(terms, y, Some(one.hi), depth)
            }
            (Binary::LtS, truth) => self.carry_signed(terms, (x, y), truth, depth),
            _ => Ok(()),
        }
    }

    /// Notes what an order of two terms says of the other comparisons of the same two.
    fn note_order(
        &mut self,
        terms: &mut Terms,
        operator: Binary,
        (x, y): (TermId, TermId),
        truth: bool,
    ) -> Result<(), Contradiction> {
        if !truth || terms.constant_value(x).is_some() || terms.constant_value(y).is_some() {
            return Ok(());
        }
        let excluded: &[(Binary, TermId, TermId)] = match operator {
            Binary::Eq => &[
                (Binary::LtU, x, y),
                (Binary::LtU, y, x),
                (Binary::LtS, x, y),
                (Binary::LtS, y, x),
            ],
            _ => &[(operator, y, x), (Binary::Eq, x, y)],
        };
        for (operator, x, y) in excluded {
            let id = terms.binary(*operator, *x, *y);
            match self.range(terms, id)?.as_truth() {
                Some(true) => return Err(Contradiction),
                Some(false) => {}
                None => {
                    self.note(terms, id, Range::one(0));
                }
            }
        }
        Ok(())
    }

    fn narrow_below(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        hi: Option<u64>,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let range = Range::between(0, hi.ok_or(Contradiction)?).ok_or(Contradiction)?;
        self.narrow(terms, id, range, depth)
    }

    fn narrow_above(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        lo: Option<u64>,
        bits: u32,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let range = Range::between(lo.ok_or(Contradiction)?, mask(bits)).ok_or(Contradiction)?;
        self.narrow(terms, id, range, depth)
    }

    /// A term is not the one value of a range: an end of its own range moves in.
    fn carry_unequal(
        &mut self,
        terms: &mut Terms,
        id: TermId,
        other: Range,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let Some(value) = other.value() else {
            return Ok(());
        };
        let now = self.range(terms, id)?;
        let narrowed = if now.value() == Some(value) {
            return Err(Contradiction);
        } else if now.lo == value {
            Range::between(value + 1, now.hi)
        } else if now.hi == value {
            Range::between(now.lo, value - 1)
        } else {
            return Ok(());
        };
        self.narrow(terms, id, narrowed.ok_or(Contradiction)?, depth)
    }

    /// Signed order says something of unsigned ranges where the signs are known or follow.
    fn carry_signed(
        &mut self,
        terms: &mut Terms,
        (x, y): (TermId, TermId),
        truth: bool,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let bits = terms.bits(x);
        let (one, two) = (self.range(terms, x)?, self.range(terms, y)?);
        let top = mask(bits - 1);
        match (one.sign(bits), two.sign(bits), truth) {
            (Some(a), Some(b), _) if a == b => {
                self.carry_comparison(terms, Binary::LtU, (x, y), truth, depth)
            }
            // x < y where y <= 0 and x is negative then; y's sign is known to be negative.
            (None, Some(true), true) => {
                let hi = two.hi.checked_sub(1).ok_or(Contradiction)?;
                self.narrow(
                    terms,
                    x,
                    Range::between(top + 1, hi).ok_or(Contradiction)?,
                    depth,
                )
            }
            (None, Some(false), true) if two.hi == 0 => self.narrow(
                terms,
                x,
                Range::between(top + 1, mask(bits)).ok_or(Contradiction)?,
                depth,
            ),
            // x < y where x >= 0: so is y.
            (Some(false), None, true) => {
                let lo = one.lo.checked_add(1).ok_or(Contradiction)?;
                self.narrow(
                    terms,
                    y,
                    Range::between(lo, top).ok_or(Contradiction)?,
                    depth,
                )
            }
            // x >= y where y >= 0: so is x.
            (None, Some(false), false) => self.narrow(
                terms,
                x,
                Range::between(two.lo, top).ok_or(Contradiction)?,
                depth,
            ),
            // x >= y where x is negative: so is y.
            (Some(true), None, false) => self.narrow(
                terms,
                y,
                Range::between(top + 1, one.hi).ok_or(Contradiction)?,
                depth,
            ),
            _ => Ok(()),
        }
    }

    fn carry_binary(
        &mut self,
        terms: &mut Terms,
        operator: Binary,
        (x, y): (TermId, TermId),
        new: Range,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let bits = terms.bits(x);
        let full = mask(bits);
        let (one, two) = (self.range(terms, x)?, self.range(terms, y)?);
        match operator {
            Binary::And => {
                // Where the other has a 1, the result is this one's bit.
                let part = |other: Range| {
                    Range::with_bits(new.zeros & other.ones & full, new.ones)
                        .and_then(|known| known.meet(Range::between(new.lo, full)?))
                };
                let mut first = part(two).ok_or(Contradiction)?;
                if new.lo > 0 && two.hi.is_power_of_two() && two.value().is_some() {
                    first = Range::with_bits(0, two.hi)
                        .and_then(|bit| bit.meet(first))
                        .ok_or(Contradiction)?;
                }
                self.narrow(terms, x, first, depth)?;
                self.narrow(terms, y, part(one).ok_or(Contradiction)?, depth)
            }
            Binary::Or => {
                let part = |other: Range| {
                    Range::with_bits(new.zeros, new.ones & other.zeros)
                        .and_then(|known| known.meet(Range::between(0, new.hi)?))
                };
                self.narrow(terms, x, part(two).ok_or(Contradiction)?, depth)?;
                self.narrow(terms, y, part(one).ok_or(Contradiction)?, depth)
            }
            Binary::Xor | Binary::Sub | Binary::Add => {
                // Each part is the other taken from the result.
                let undo = match operator {
                    Binary::Xor => Binary::Xor,
                    Binary::Add => Binary::Sub,
                    _ => Binary::Add,
                };
                self.narrow(terms, x, range::binary(undo, bits, new, two), depth)?;
                let second = match operator {
                    Binary::Sub => range::binary(Binary::Sub, bits, one, new),
                    _ => range::binary(undo, bits, new, one),
                };
                self.narrow(terms, y, second, depth)
            }
            _ => match two.value() {
                Some(constant) => self.carry_constant(terms, operator, x, constant, new, depth),
                None => Ok(()),
            },
        }
    }

    /// Operators whose second operand is known.
    fn carry_constant(
        &mut self,
        terms: &mut Terms,
        operator: Binary,
        x: TermId,
        constant: u64,
        new: Range,
        depth: u32,
    ) -> Result<(), Contradiction> {
        let bits = terms.bits(x);
        let full = mask(bits);
        let now = self.range(terms, x)?;
        let by = u32::try_from(constant % u64::from(bits)).unwrap_or(0);
        let narrowed = match operator {
            Binary::Shl => {
                let kept = full >> by;
                let known = Range::with_bits((new.zeros & full) >> by & kept, new.ones >> by);
                if now.hi <= kept {
                    let up = (new.lo.div_ceil(1 << by), new.hi >> by);
                    known.and_then(|known| known.meet(Range::between(up.0, up.1)?))
                } else {
                    known
                }
            }
            Binary::ShrS if now.sign(bits) != Some(false) => return Ok(()),
            Binary::ShrU | Binary::ShrS => {
                let lo = (new.lo << by) & full;
                let hi = ((new.hi << by) & full) | mask(by);
                let fits = new.hi <= full >> by;
                let known = Range::with_bits((new.zeros << by) & full, (new.ones << by) & full);
                if !fits {
                    return Ok(());
                }
                known.and_then(|known| known.meet(Range::between(lo, hi)?))
            }
            Binary::Mul if constant > 0 && now.hi <= full / constant => {
                Range::between(new.lo.div_ceil(constant), new.hi / constant)
            }
            Binary::DivU if constant > 0 => {
                let hi = (u128::from(new.hi) + 1) * u128::from(constant) - 1;
                let lo = u128::from(new.lo) * u128::from(constant);
                let capped =
                    |value: u128| u64::try_from(value.min(u128::from(full))).unwrap_or(full);
                Range::between(capped(lo), capped(hi))
            }
            _ => return Ok(()),
        };
        self.narrow(terms, x, narrowed.ok_or(Contradiction)?, depth)
    }
}

/// Integers whose count of leading zeros lies in a range.
fn preimage_of_clz(bits: u32, count: Range) -> Option<Range> {
    let least = u32::try_from(count.lo).ok()?.min(bits);
    let most = u32::try_from(count.hi).ok()?;
    let hi = mask(bits - least);
    let lo = if most >= bits {
        0
    } else {
        1 << (bits - 1 - most)
    };
    Range::between(lo, hi)
}

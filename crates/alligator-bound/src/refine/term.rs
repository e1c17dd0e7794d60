//! Values as terms over unknowns, each stored once, so that equal terms have equal numbers.
//!
//! Terms are path-independent: what a number means never changes. Only identities that hold for
//! all values are used to simplify.

use core::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::range::{self, Range, mask};

/// Number of a term.
pub(super) type TermId = u32;

/// Operators on one integer, named as in WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unary {
    Eqz,
    Clz,
    Ctz,
    Popcnt,
    Wrap,
    ExtendU,
    ExtendS,
    Extend8S,
    Extend16S,
    Extend32S,
}

/// Operators on two integers of the same width, named as in WebAssembly. Other comparisons are written with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    DivU,
    DivS,
    RemU,
    RemS,
    And,
    Or,
    Xor,
    Shl,
    ShrU,
    ShrS,
    Rotl,
    Rotr,
    Eq,
    LtU,
    LtS,
}

impl Binary {
    /// Whether the result is 0 or 1, of 32 bits.
    pub(super) fn compares(self) -> bool {
        matches!(self, Self::Eq | Self::LtU | Self::LtS)
    }

    fn commutes(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Mul | Self::And | Self::Or | Self::Xor | Self::Eq
        )
    }
}

/// Where an unknown comes from: the call's context, the instruction, and which of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Origin {
    /// Number of the chain of calls.
    pub context: u32,
    /// Instruction index in the function, or `u32::MAX` for its parameters.
    pub at: u32,
    /// Which value, when there are several.
    pub slot: u32,
}

/// How a term is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Term {
    /// A constant.
    Constant(u64),
    /// An integer of which only its least bits can be set.
    Unknown(Origin, u32),
    /// Something that is no integer, or not followed.
    Opaque(Origin),
    /// An opaque value read as an integer.
    Integer(TermId),
    /// An operator on one term.
    Unary(Unary, TermId),
    /// An operator on two terms.
    Binary(Binary, TermId, TermId),
    /// The second term if the first is not 0, else the third.
    Select(TermId, TermId, TermId),
}

/// Unknowns that one term is made of, at most. One of more counts as an unknown of its own, so that
/// work stays near linear: facts about its parts then say nothing of it.
const ATOMS_MAX: usize = 64;

/// All terms made so far, and the work that goes into them.
#[derive(Debug, Default)]
pub(super) struct Terms {
    made: Vec<(Term, u32)>,
    ranges: Vec<Range>,
    atoms: Vec<Rc<[TermId]>>,
    fingerprints: Vec<u64>,
    numbers: HashMap<(Term, u32), TermId>,
    effort: Cell<u64>,
    effort_max: u64,
}

impl Terms {
    /// No terms, and a limit of work.
    pub(super) fn new(effort_max: u64) -> Self {
        Self {
            effort_max,
            ..Self::default()
        }
    }

    /// Counts work: about one range or one word looked at per unit.
    pub(super) fn spend(&self, units: u64) {
        self.effort.set(self.effort.get().saturating_add(units));
    }

    /// Work counted.
    pub(super) fn effort(&self) -> u64 {
        self.effort.get()
    }

    /// Whether the work has reached its limit. What is asked of facts then is answered at once, and
    /// less sharply.
    pub(super) fn is_spent(&self) -> bool {
        self.effort.get() >= self.effort_max
    }

    /// A bit for each unknown that a term is made of, several to one bit.
    pub(super) fn fingerprint(&self, id: TermId) -> u64 {
        self.fingerprints[id as usize]
    }

    /// How a term is made.
    pub(super) fn term(&self, id: TermId) -> Term {
        self.made[id as usize].0
    }

    /// Width in bits; 0 for what is no integer.
    pub(super) fn bits(&self, id: TermId) -> u32 {
        self.made[id as usize].1
    }

    /// What holds of a term on every path.
    pub(super) fn range(&self, id: TermId) -> Range {
        self.ranges[id as usize]
    }

    /// The value of a constant term.
    pub(super) fn constant_value(&self, id: TermId) -> Option<u64> {
        match self.term(id) {
            Term::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn intern(&mut self, term: Term, bits: u32) -> TermId {
        if let Some(id) = self.numbers.get(&(term, bits)) {
            return *id;
        }
        let range = self.first_range(term, bits);
        // A term with but one value is that value.
        if let (Some(value), false) = (
            range.value(),
            bits == 0 || matches!(term, Term::Constant(_)),
        ) {
            let id = self.constant(value, bits);
            self.numbers.insert((term, bits), id);
            return id;
        }
        let id = TermId::try_from(self.made.len()).unwrap_or(TermId::MAX);
        self.made.push((term, bits));
        self.ranges.push(range);
        let atoms = self.atoms_of(id);
        self.spend(1 + atoms.len() as u64);
        let bits_of_atoms = atoms.iter().map(|atom| 1 << (atom % 64));
        self.fingerprints
            .push(bits_of_atoms.fold(0, |all: u64, one: u64| all | one));
        self.atoms.push(atoms);
        self.numbers.insert((term, bits), id);
        id
    }

    fn atoms_of(&self, id: TermId) -> Rc<[TermId]> {
        let parts: Vec<TermId> = self.parts(id).into_iter().flatten().collect();
        match parts.as_slice() {
            [] if self.constant_value(id).is_some() => Rc::default(),
            [] => Rc::new([id]),
            [only] => Rc::clone(&self.atoms[*only as usize]),
            _ => {
                let all = parts
                    .iter()
                    .flat_map(|part| self.atoms[*part as usize].iter().copied());
                let all: BTreeSet<TermId> = all.collect();
                if all.len() > ATOMS_MAX {
                    return Rc::new([id]);
                }
                all.into_iter().collect()
            }
        }
    }

    /// The unknowns a term is made of, in order.
    pub(super) fn atoms(&self, id: TermId) -> &[TermId] {
        &self.atoms[id as usize]
    }

    fn first_range(&self, term: Term, bits: u32) -> Range {
        let own = |id: TermId| self.range(id);
        match term {
            Term::Constant(value) => Range::one(value),
            Term::Unknown(_, possible) => Range::all(possible),
            _ if bits == 0 => Range::all(64),
            Term::Opaque(_) | Term::Integer(_) => Range::all(bits),
            Term::Unary(operator, x) => range::unary(operator, self.bits(x), own(x)),
            Term::Binary(operator, x, y) => range::binary(operator, self.bits(x), own(x), own(y)),
            Term::Select(_, x, y) => own(x).join(own(y)),
        }
    }

    /// A constant of a width.
    pub(super) fn constant(&mut self, value: u64, bits: u32) -> TermId {
        self.intern(Term::Constant(value & mask(bits)), bits)
    }

    /// An integer of which only the lowest `possible` bits can be set.
    pub(super) fn unknown(&mut self, origin: Origin, possible: u32, bits: u32) -> TermId {
        self.intern(Term::Unknown(origin, possible), bits)
    }

    /// A value that is no integer, or not followed.
    pub(super) fn opaque(&mut self, origin: Origin) -> TermId {
        self.intern(Term::Opaque(origin), 0)
    }

    /// A value as an integer of a width: itself, unless it is opaque.
    pub(super) fn integer(&mut self, id: TermId, bits: u32) -> TermId {
        if self.bits(id) == bits {
            id
        } else {
            self.intern(Term::Integer(id), bits)
        }
    }

    /// An operator on one term.
    pub(super) fn unary(&mut self, operator: Unary, x: TermId) -> TermId {
        let bits = match operator {
            Unary::Eqz => 32,
            Unary::Wrap => self.bits(x) / 2,
            Unary::ExtendU | Unary::ExtendS => self.bits(x) * 2,
            _ => self.bits(x),
        };
        match (operator, self.term(x)) {
            (Unary::Eqz, Term::Unary(Unary::Eqz, y)) => {
                if let Term::Unary(Unary::Eqz, _) = self.term(y) {
                    return y;
                }
                // Twice negated, a truth value is itself.
                if self.range(y).hi <= 1 && self.bits(y) == 32 {
                    return y;
                }
            }
            (Unary::Eqz, Term::Binary(Binary::Sub | Binary::Xor, y, z)) => {
                return self.binary(Binary::Eq, y, z);
            }
            (Unary::Eqz, Term::Binary(Binary::Add, y, z)) => {
                if let Some(value) = self.constant_value(z) {
                    let negative = self.constant(value.wrapping_neg(), self.bits(y));
                    return self.binary(Binary::Eq, y, negative);
                }
            }
            (Unary::Eqz, Term::Unary(Unary::ExtendU | Unary::ExtendS, y)) => {
                return self.unary(Unary::Eqz, y);
            }
            (Unary::Wrap, Term::Unary(Unary::ExtendU | Unary::ExtendS, y)) => return y,
            _ => {}
        }
        self.intern(Term::Unary(operator, x), bits)
    }

    /// An operator on two terms of the same width.
    pub(super) fn binary(&mut self, operator: Binary, x: TermId, y: TermId) -> TermId {
        let bits = self.bits(x);
        let (x, y) = if operator.commutes() && self.goes_second(x, y) {
            (y, x)
        } else {
            (x, y)
        };
        if let Some(id) = self.simplified(operator, bits, x, y) {
            return id;
        }
        let result_bits = if operator.compares() { 32 } else { bits };
        self.intern(Term::Binary(operator, x, y), result_bits)
    }

    /// Constants go second, then higher numbers.
    fn goes_second(&self, x: TermId, y: TermId) -> bool {
        match (self.constant_value(x), self.constant_value(y)) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => x > y,
        }
    }

    fn simplified(&mut self, operator: Binary, bits: u32, x: TermId, y: TermId) -> Option<TermId> {
        let full = mask(bits);
        let second = self.constant_value(y);
        match (operator, second) {
            (
                Binary::Add
                | Binary::Sub
                | Binary::Or
                | Binary::Xor
                | Binary::Shl
                | Binary::ShrU
                | Binary::ShrS,
                Some(0),
            )
            | (Binary::Mul | Binary::DivU, Some(1)) => Some(x),
            (Binary::And, Some(value)) if value == full => Some(x),
            (Binary::And | Binary::Mul, Some(0)) => Some(y),
            (Binary::Sub, Some(value)) => {
                let negative = self.constant(value.wrapping_neg() & full, bits);
                Some(self.binary(Binary::Add, x, negative))
            }
            (Binary::Eq, Some(0)) | (Binary::LtU, Some(1)) => Some(self.unary(Unary::Eqz, x)),
            (Binary::LtU, Some(0)) => Some(self.constant(0, 32)),
            (Binary::Eq, Some(value)) if self.split(x).1 != 0 => {
                let (base, added) = self.split(x);
                let wanted = self.constant(value.wrapping_sub(added), bits);
                Some(self.binary(Binary::Eq, base?, wanted))
            }
            // Disjoint bits add as they join.
            (Binary::Or, Some(value)) if self.range(x).zeros & value == value => {
                Some(self.binary(Binary::Add, x, y))
            }
            _ if x == y => self.simplified_same(operator, bits, x),
            (Binary::LtU, None) if self.constant_value(x) == Some(0) => {
                let zero = self.unary(Unary::Eqz, y);
                Some(self.unary(Unary::Eqz, zero))
            }
            (Binary::Add, _) => self.constants_outward(bits, x, y),
            _ => None,
        }
    }

    fn simplified_same(&mut self, operator: Binary, bits: u32, x: TermId) -> Option<TermId> {
        match operator {
            Binary::Sub | Binary::Xor => Some(self.constant(0, bits)),
            Binary::And | Binary::Or => Some(x),
            Binary::Eq => Some(self.constant(1, 32)),
            Binary::LtU | Binary::LtS => Some(self.constant(0, 32)),
            _ => None,
        }
    }

    /// `(a + c) + b` as `(a + b) + c`, so that addresses show their constant part.
    fn constants_outward(&mut self, bits: u32, x: TermId, y: TermId) -> Option<TermId> {
        for (sum, other) in [(x, y), (y, x)] {
            let (base, constant) = self.split(sum);
            let Some(base) = base.filter(|_| constant != 0) else {
                continue;
            };
            let (rest, more) = self.split(other);
            let total = self.constant(constant.wrapping_add(more), bits);
            let bases = match rest {
                Some(rest) => self.binary(Binary::Add, base, rest),
                None => base,
            };
            return Some(self.binary_interned_sum(bases, total));
        }
        None
    }

    fn binary_interned_sum(&mut self, base: TermId, constant: TermId) -> TermId {
        let bits = self.bits(base);
        match self.constant_value(constant) {
            Some(0) | None => base,
            Some(value) => {
                let (inner, more) = self.split(base);
                if let (Some(inner), true) = (inner, more != 0) {
                    let total = self.constant(value.wrapping_add(more), bits);
                    return self.binary_interned_sum(inner, total);
                }
                self.intern(Term::Binary(Binary::Add, base, constant), bits)
            }
        }
    }

    /// A term as a base and a constant added to it; no base for constants.
    pub(super) fn split(&self, id: TermId) -> (Option<TermId>, u64) {
        match self.term(id) {
            Term::Constant(value) => (None, value),
            Term::Binary(Binary::Add, base, constant) => match self.constant_value(constant) {
                Some(value) => (Some(base), value),
                None => (Some(id), 0),
            },
            _ => (Some(id), 0),
        }
    }

    /// One of two terms.
    pub(super) fn select(&mut self, condition: TermId, x: TermId, y: TermId) -> TermId {
        if x == y {
            return x;
        }
        match self.range(condition).as_truth() {
            Some(true) => return x,
            Some(false) => return y,
            None => {}
        }
        let bits = self.bits(x);
        match self.term(condition) {
            Term::Unary(Unary::Eqz, inner) => self.intern(Term::Select(inner, y, x), bits),
            _ => self.intern(Term::Select(condition, x, y), bits),
        }
    }

    /// Terms that a term is made of directly.
    pub(super) fn parts(&self, id: TermId) -> [Option<TermId>; 3] {
        match self.term(id) {
            Term::Constant(_) | Term::Unknown(..) | Term::Opaque(_) => [None; 3],
            Term::Integer(x) | Term::Unary(_, x) => [Some(x), None, None],
            Term::Binary(_, x, y) => [Some(x), Some(y), None],
            Term::Select(c, x, y) => [Some(c), Some(x), Some(y)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(terms: &mut Terms, slot: u32) -> TermId {
        let origin = Origin {
            context: 0,
            at: 0,
            slot,
        };
        terms.unknown(origin, 32, 32)
    }

    #[test]
    fn sums_are_equal_however_they_are_written() {
        let mut terms = Terms::default();
        let (x, y) = (unknown(&mut terms, 0), unknown(&mut terms, 1));
        let (four, eight) = (terms.constant(4, 32), terms.constant(8, 32));
        let one = terms.binary(Binary::Add, x, four);
        let one = terms.binary(Binary::Add, one, y);
        let one = terms.binary(Binary::Add, eight, one);
        let other = terms.binary(Binary::Add, y, x);
        let twelve = terms.constant(12, 32);
        let other = terms.binary(Binary::Add, other, twelve);
        assert_eq!(one, other);
        let minus = terms.binary(Binary::Sub, other, twelve);
        assert_eq!(terms.split(minus).1, 0);
    }

    #[test]
    fn negations_cancel_in_threes() {
        let mut terms = Terms::default();
        let x = unknown(&mut terms, 0);
        let once = terms.unary(Unary::Eqz, x);
        let twice = terms.unary(Unary::Eqz, once);
        let thrice = terms.unary(Unary::Eqz, twice);
        assert_eq!(once, thrice);
        assert_ne!(twice, x);
    }
}

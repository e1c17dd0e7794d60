//! What is known of one integer: an unsigned interval and known bits.
//!
//! A `Range` stands for the set of all values between `lo` and `hi` whose bits agree with `zeros`
//! and `ones`. Every operation returns a superset of the exact result set; the tests check that
//! exhaustively on 4-bit integers, for which all operations are written, too.

use super::term::{Binary, Unary};

/// All ones in the lowest `bits` bits.
pub(super) fn mask(bits: u32) -> u64 {
    if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    }
}

/// A set of integers of some width; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Range {
    /// Least value.
    pub lo: u64,
    /// Greatest value.
    pub hi: u64,
    /// Bits that are 0.
    pub zeros: u64,
    /// Bits that are 1.
    pub ones: u64,
}

impl Range {
    /// Every integer of this width.
    pub(super) fn all(bits: u32) -> Self {
        Self {
            lo: 0,
            hi: mask(bits),
            zeros: !mask(bits),
            ones: 0,
        }
    }

    /// Exactly one.
    pub(super) fn one(value: u64) -> Self {
        Self {
            lo: value,
            hi: value,
            zeros: !value,
            ones: value,
        }
    }

    /// Both ends and everything between; `None` when `lo > hi`.
    pub(super) fn between(lo: u64, hi: u64) -> Option<Self> {
        Self {
            lo,
            hi,
            zeros: 0,
            ones: 0,
        }
        .tight()
    }

    /// Values with these bits known; `None` when they contradict.
    pub(super) fn with_bits(zeros: u64, ones: u64) -> Option<Self> {
        Self {
            lo: 0,
            hi: u64::MAX,
            zeros,
            ones,
        }
        .tight()
    }

    /// 0 or 1.
    pub(super) fn truth() -> Self {
        Self::all(1)
    }

    /// The only value, if there is but one.
    pub(super) fn value(self) -> Option<u64> {
        (self.lo == self.hi).then_some(self.lo)
    }

    /// Whether the value, read as a condition, is known.
    pub(super) fn as_truth(self) -> Option<bool> {
        if self.hi == 0 {
            Some(false)
        } else if self.lo > 0 {
            Some(true)
        } else {
            None
        }
    }

    /// Whether a value may be in the set.
    #[cfg(test)]
    pub(super) fn contains(self, value: u64) -> bool {
        self.lo <= value && value <= self.hi && value & self.zeros == 0 && !value & self.ones == 0
    }

    /// Whether what is known of this set implies what is known of another.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.lo >= other.lo
            && self.hi <= other.hi
            && other.zeros & !self.zeros == 0
            && other.ones & !self.ones == 0
    }

    /// Values in both; `None` when there are none.
    pub(super) fn meet(self, other: Self) -> Option<Self> {
        Self {
            lo: self.lo.max(other.lo),
            hi: self.hi.min(other.hi),
            zeros: self.zeros | other.zeros,
            ones: self.ones | other.ones,
        }
        .tight()
    }

    /// A set that holds both.
    #[must_use]
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
            zeros: self.zeros & other.zeros,
            ones: self.ones & other.ones,
        }
    }

    /// The same set with each part sharpened by the other.
    fn tight(mut self) -> Option<Self> {
        for _ in 0..2 {
            self.lo = self.lo.max(self.ones);
            self.hi = self.hi.min(!self.zeros);
            let step = trailing_known_zeros(self.zeros);
            self.lo = round_up(self.lo, step)?;
            self.hi &= !step;
            if self.lo > self.hi {
                return None;
            }
            // Bits above the highest one in which the ends differ are shared by all between.
            let differing = self.lo ^ self.hi;
            let shared = match differing.leading_zeros() {
                64 => u64::MAX,
                same => !mask(64 - same),
            };
            self.ones |= self.lo & shared;
            self.zeros |= !self.lo & shared;
            if self.zeros & self.ones != 0 {
                return None;
            }
        }
        Some(self)
    }

    /// The top bit of an integer of this width, if known.
    pub(super) fn sign(self, bits: u32) -> Option<bool> {
        let top = 1 << (bits - 1);
        if self.ones & top != 0 {
            Some(true)
        } else if self.zeros & top != 0 {
            Some(false)
        } else {
            None
        }
    }

    /// Number of lowest bits that are all known.
    pub(super) fn known_low_bits(self) -> u32 {
        (self.zeros | self.ones).trailing_ones()
    }
}

fn trailing_known_zeros(zeros: u64) -> u64 {
    match zeros.trailing_ones() {
        64 => u64::MAX,
        count => mask(count),
    }
}

/// `value` up to a multiple of `step + 1`, a power of two.
fn round_up(value: u64, step: u64) -> Option<u64> {
    if value & step == 0 {
        return Some(value);
    }
    (value | step).checked_add(1)
}

/// Sign-extends an integer of `bits` bits to 64.
#[expect(
    clippy::cast_possible_wrap,
    reason = "reads the bits as a signed integer"
)]
pub(super) fn signed(value: u64, bits: u32) -> i64 {
    (value << (64 - bits)) as i64 >> (64 - bits)
}

/// The exact result on one value. `bits` is the operand's width.
#[expect(clippy::cast_sign_loss, reason = "bits are kept, signs are not")]
pub(super) fn apply_unary(operator: Unary, bits: u32, value: u64) -> u64 {
    let extended = |from: u32| signed(value & mask(from), from) as u64 & mask(bits);
    match operator {
        Unary::Eqz => u64::from(value == 0),
        Unary::Clz => u64::from(value.leading_zeros() - (64 - bits)),
        Unary::Ctz => u64::from(value.trailing_zeros().min(bits)),
        Unary::Popcnt => u64::from(value.count_ones()),
        Unary::Wrap => value & mask(bits / 2),
        Unary::ExtendU => value,
        Unary::ExtendS => signed(value, bits) as u64 & mask(bits * 2),
        Unary::Extend8S => extended(8.min(bits)),
        Unary::Extend16S => extended(16.min(bits)),
        Unary::Extend32S => extended(32.min(bits)),
    }
}

/// The exact result on two values, or `None` where the instruction traps.
#[expect(clippy::cast_sign_loss, reason = "bits are kept, signs are not")]
pub(super) fn apply_binary(operator: Binary, bits: u32, one: u64, two: u64) -> Option<u64> {
    let (signed_one, signed_two) = (signed(one, bits), signed(two, bits));
    let shift = u32::try_from(two % u64::from(bits)).unwrap_or(0);
    let rotated = |left: u32| match left % bits {
        0 => one,
        left => (one << left) | (one >> (bits - left)),
    };
    let result = match operator {
        Binary::Add => one.wrapping_add(two),
        Binary::Sub => one.wrapping_sub(two),
        Binary::Mul => one.wrapping_mul(two),
        Binary::DivU => one.checked_div(two)?,
        Binary::RemU => one.checked_rem(two)?,
        Binary::DivS => {
            let quotient = signed_one.checked_div(signed_two)?;
            if signed_two == -1 && one == 1 << (bits - 1) {
                return None;
            }
            quotient as u64
        }
        Binary::RemS if signed_two == -1 => 0,
        Binary::RemS => signed_one.checked_rem(signed_two)? as u64,
        Binary::And => one & two,
        Binary::Or => one | two,
        Binary::Xor => one ^ two,
        Binary::Shl => one << shift,
        Binary::ShrU => one >> shift,
        Binary::ShrS => (signed_one >> shift) as u64,
        Binary::Rotl => rotated(shift),
        Binary::Rotr => rotated(bits - shift),
        Binary::Eq => u64::from(one == two),
        Binary::LtU => u64::from(one < two),
        Binary::LtS => u64::from(signed_one < signed_two),
    };
    Some(result & mask(bits))
}

/// All results of an operator on members of a set.
pub(super) fn unary(operator: Unary, bits: u32, operand: Range) -> Range {
    if let Some(value) = operand.value() {
        return Range::one(apply_unary(operator, bits, value));
    }
    let result = match operator {
        Unary::Eqz => return negated(operand),
        Unary::Clz => {
            let count = |value: u64| u64::from(value.leading_zeros() - (64 - bits));
            Range::between(count(operand.hi), count(operand.lo))
        }
        Unary::Ctz => {
            let least = operand.zeros.trailing_ones().min(bits);
            let most =
                operand
                    .ones
                    .trailing_zeros()
                    .min(if operand.lo > 0 { bits - 1 } else { bits });
            Range::between(least.into(), most.into())
        }
        Unary::Popcnt => {
            let most = (!operand.zeros).count_ones();
            let least = operand.ones.count_ones().max(u32::from(operand.lo > 0));
            Range::between(least.into(), most.into())
        }
        Unary::Wrap => {
            let low = mask(bits / 2);
            Range::with_bits((operand.zeros & low) | !low, operand.ones & low).and_then(|known| {
                if operand.hi <= low {
                    known.meet(operand)
                } else {
                    Some(known)
                }
            })
        }
        Unary::ExtendU => Some(operand),
        Unary::ExtendS => extend_signed(operand, bits, bits * 2),
        Unary::Extend8S | Unary::Extend16S | Unary::Extend32S => {
            let from = match operator {
                Unary::Extend8S => 8,
                Unary::Extend16S => 16,
                _ => 32,
            }
            .min(bits);
            if operand.hi <= mask(from) {
                extend_signed(operand, from, bits)
            } else {
                None
            }
        }
    };
    let width = match operator {
        Unary::ExtendS | Unary::ExtendU => bits * 2,
        Unary::Wrap => bits / 2,
        _ => bits,
    };
    result.unwrap_or_else(|| Range::all(width))
}

fn extend_signed(operand: Range, from: u32, to: u32) -> Option<Range> {
    if operand.sign(from)? {
        let high = mask(to) & !mask(from);
        Range::between(operand.lo | high, operand.hi | high)
    } else {
        Some(operand)
    }
}

fn negated(operand: Range) -> Range {
    operand
        .as_truth()
        .map_or_else(Range::truth, |truth| Range::one(u64::from(!truth)))
}

/// All results of an operator on members of two sets.
pub(super) fn binary(operator: Binary, bits: u32, one: Range, two: Range) -> Range {
    if let (Some(a), Some(b)) = (one.value(), two.value()) {
        return match apply_binary(operator, bits, a, b) {
            Some(value) => Range::one(value),
            None => Range::all(bits),
        };
    }
    let result = match operator {
        Binary::Add => add(bits, one, two),
        Binary::Sub => sub(bits, one, two),
        Binary::Mul => mul(bits, one, two),
        Binary::And => Range::with_bits(one.zeros | two.zeros, one.ones & two.ones)
            .and_then(|known| known.meet(Range::between(0, one.hi.min(two.hi))?)),
        Binary::Or => Range::with_bits(one.zeros & two.zeros, one.ones | two.ones)
            .and_then(|known| known.meet(Range::between(one.lo.max(two.lo), u64::MAX)?)),
        Binary::Xor => Range::with_bits(
            (one.zeros & two.zeros) | (one.ones & two.ones),
            (one.zeros & two.ones) | (one.ones & two.zeros),
        ),
        Binary::Shl => two.value().and_then(|by| shl(bits, one, by)),
        Binary::ShrU => match two.value() {
            Some(by) => shr(bits, one, by),
            None => Range::between(0, one.hi),
        },
        Binary::ShrS if one.sign(bits) == Some(false) => {
            return binary(Binary::ShrU, bits, one, two);
        }
        Binary::DivU if two.lo > 0 => Range::between(one.lo / two.hi, one.hi / two.lo),
        Binary::RemU if two.lo > 0 => Range::between(0, one.hi.min(two.hi - 1)),
        Binary::Eq => Some(equal(one, two)),
        Binary::LtU => Some(below(one, two)),
        Binary::LtS => Some(below_signed(bits, one, two)),
        _ => None,
    };
    match operator {
        Binary::Eq | Binary::LtU | Binary::LtS => result.unwrap_or_else(Range::truth),
        _ => result.unwrap_or_else(|| Range::all(bits)),
    }
}

fn low_bits(bits: u32, value: u64, known: u32) -> Option<Range> {
    let low = mask(known) & mask(bits);
    Range::with_bits((!value & low) | !mask(bits), value & low)
}

fn add(bits: u32, one: Range, two: Range) -> Option<Range> {
    let known = one.known_low_bits().min(two.known_low_bits());
    let low = low_bits(bits, one.ones.wrapping_add(two.ones), known)?;
    let (least, most) = (
        u128::from(one.lo) + u128::from(two.lo),
        u128::from(one.hi) + u128::from(two.hi),
    );
    let turns = |sum: u128| sum >> bits;
    if turns(least) != turns(most) {
        return Some(low);
    }
    let wrapped = |sum: u128| u64::try_from(sum & u128::from(mask(bits))).unwrap_or(u64::MAX);
    low.meet(Range::between(wrapped(least), wrapped(most))?)
}

fn sub(bits: u32, one: Range, two: Range) -> Option<Range> {
    let known = one.known_low_bits().min(two.known_low_bits());
    let low = low_bits(bits, one.ones.wrapping_sub(two.ones), known)?;
    let never_borrows = one.lo >= two.hi;
    let always_borrows = one.hi < two.lo;
    if !never_borrows && !always_borrows {
        return Some(low);
    }
    let difference = |a: u64, b: u64| a.wrapping_sub(b) & mask(bits);
    low.meet(Range::between(
        difference(one.lo, two.hi),
        difference(one.hi, two.lo),
    )?)
}

fn mul(bits: u32, one: Range, two: Range) -> Option<Range> {
    let zeros = one.zeros.trailing_ones() + two.zeros.trailing_ones();
    let low = low_bits(bits, 0, zeros.min(bits))?;
    let most = u128::from(one.hi) * u128::from(two.hi);
    if most > u128::from(mask(bits)) {
        return Some(low);
    }
    low.meet(Range::between(one.lo * two.lo, one.hi * two.hi)?)
}

fn shl(bits: u32, one: Range, by: u64) -> Option<Range> {
    let by = u32::try_from(by % u64::from(bits)).ok()?;
    let kept = mask(bits);
    let known = Range::with_bits(
        ((one.zeros << by) | mask(by)) & kept | !kept,
        (one.ones << by) & kept,
    )?;
    if one.hi > kept >> by {
        return Some(known);
    }
    known.meet(Range::between(one.lo << by, one.hi << by)?)
}

fn shr(bits: u32, one: Range, by: u64) -> Option<Range> {
    let by = u32::try_from(by % u64::from(bits)).ok()?;
    let high = !(mask(bits) >> by);
    let known = Range::with_bits(((one.zeros & mask(bits)) >> by) | high, one.ones >> by)?;
    known.meet(Range::between(one.lo >> by, one.hi >> by)?)
}

fn equal(one: Range, two: Range) -> Range {
    match one.meet(two) {
        None => Range::one(0),
        Some(_) => Range::truth(),
    }
}

fn below(one: Range, two: Range) -> Range {
    if one.hi < two.lo {
        Range::one(1)
    } else if one.lo >= two.hi {
        Range::one(0)
    } else {
        Range::truth()
    }
}

fn below_signed(bits: u32, one: Range, two: Range) -> Range {
    match (one.sign(bits), two.sign(bits)) {
        (Some(true), Some(false)) => Range::one(1),
        (Some(false), Some(true)) => Range::one(0),
        (Some(_), Some(_)) => below(one, two),
        _ => Range::truth(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: u32 = 4;
    const UNARIES: [Unary; 7] = [
        Unary::Eqz,
        Unary::Clz,
        Unary::Ctz,
        Unary::Popcnt,
        Unary::Wrap,
        Unary::ExtendU,
        Unary::ExtendS,
    ];
    const BINARIES: [Binary; 18] = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::DivU,
        Binary::DivS,
        Binary::RemU,
        Binary::RemS,
        Binary::And,
        Binary::Or,
        Binary::Xor,
        Binary::Shl,
        Binary::ShrU,
        Binary::ShrS,
        Binary::Rotl,
        Binary::Rotr,
        Binary::Eq,
        Binary::LtU,
        Binary::LtS,
    ];

    /// Every set that an interval and some known bits make.
    fn sets() -> Vec<Range> {
        let mut sets = Vec::new();
        for lo in 0..16 {
            for hi in lo..16 {
                for known in [0, 1, 3, 4, 8, 9] {
                    let bits = Range::with_bits(!mask(BITS) | (known & !lo), known & lo);
                    let between = Range::between(lo, hi);
                    sets.extend(bits.and_then(|bits| bits.meet(between?)));
                }
            }
        }
        sets.sort();
        sets.dedup();
        sets
    }

    #[test]
    fn every_result_on_one_operand_is_in_the_result_set() {
        for set in sets() {
            for operator in UNARIES {
                let result = unary(operator, BITS, set);
                for value in (0..16).filter(|value| set.contains(*value)) {
                    let exact = apply_unary(operator, BITS, value);
                    assert!(
                        result.contains(exact),
                        "{operator:?} {set:?} {value}: {result:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_result_on_two_operands_is_in_the_result_set() {
        let sets = sets();
        for one in &sets {
            for two in sets.iter().step_by(3) {
                for operator in BINARIES {
                    let result = binary(operator, BITS, *one, *two);
                    for a in (0..16).filter(|value| one.contains(*value)) {
                        for b in (0..16).filter(|value| two.contains(*value)) {
                            let Some(exact) = apply_binary(operator, BITS, a, b) else {
                                continue;
                            };
                            assert!(
                                result.contains(exact),
                                "{operator:?} {one:?} {two:?} {a} {b}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_meet_holds_exactly_what_both_hold() {
        let sets = sets();
        for one in sets.iter().step_by(5) {
            for two in &sets {
                let meet = one.meet(*two);
                for value in 0..16 {
                    let both = one.contains(value) && two.contains(value);
                    assert!(!both || meet.is_some_and(|meet| meet.contains(value)));
                }
            }
        }
    }
}

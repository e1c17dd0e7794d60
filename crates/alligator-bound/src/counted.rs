//! Loops that count: how often a loop turns, where its code says so by itself.
//!
//! A compiler writes a loop over a constant number of things with a counter in a local, and keeps it a
//! loop where code is to be small:
//!
//! ```text
//! i32.const 24  local.set $i
//! loop  ..  local.get $i  i32.const -1  i32.add  local.tee $i  br_if 0  end
//! ```
//!
//! What is looked for: a local of 32 or 64 bits with a known value where the loop is entered; one *step* in the
//! loop, which adds a constant to it, and no other write; one *test*, which compares it with a constant and
//! leaves the loop one way or the other; and no way round the loop that misses either. Then turn after turn
//! is counted out. Anything else has no count, whatever it may do when it runs.

use wasmparser::Operator;

use crate::cfg::{Cfg, Target};
use crate::module::Code;

/// Turns that are counted out, at most.
const TURNS_MAX: u64 = 1 << 16;

/// Instructions looked at for all loops of a function, at most, per instruction of it. Loops beyond have no count.
const PASSES_MAX: usize = 200;

/// The same for short functions.
const EFFORT_MIN: usize = 1 << 20;

/// Instructions looked at to count one loop by one test: once for each question, and often to follow a local.
const PASSES_PER_TEST: usize = 8;

/// What is known of a local.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Nothing leads here yet.
    Unreached,
    /// This value, on every way here.
    Known(i64),
    /// Any value.
    Any,
}

impl Value {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unreached, value) | (value, Self::Unreached) => value,
            (one, two) if one == two => one,
            _ => Self::Any,
        }
    }
}

/// A comparison with a constant.
#[derive(Clone, Copy)]
enum Comparison {
    Ne,
    Eq,
    LtS,
    LtU,
    GtS,
    GtU,
    LeS,
    LeU,
    GeS,
    GeU,
}

impl Comparison {
    /// A comparison and the width of what it compares.
    fn of(operator: &Operator<'_>) -> Option<(Self, Width)> {
        Some(match operator {
            Operator::I32Ne => (Self::Ne, Width::Word),
            Operator::I32Eq => (Self::Eq, Width::Word),
            Operator::I32LtS => (Self::LtS, Width::Word),
            Operator::I32LtU => (Self::LtU, Width::Word),
            Operator::I32GtS => (Self::GtS, Width::Word),
            Operator::I32GtU => (Self::GtU, Width::Word),
            Operator::I32LeS => (Self::LeS, Width::Word),
            Operator::I32LeU => (Self::LeU, Width::Word),
            Operator::I32GeS => (Self::GeS, Width::Word),
            Operator::I32GeU => (Self::GeU, Width::Word),
            Operator::I64Ne => (Self::Ne, Width::Long),
            Operator::I64Eq => (Self::Eq, Width::Long),
            Operator::I64LtS => (Self::LtS, Width::Long),
            Operator::I64LtU => (Self::LtU, Width::Long),
            Operator::I64GtS => (Self::GtS, Width::Long),
            Operator::I64GtU => (Self::GtU, Width::Long),
            Operator::I64LeS => (Self::LeS, Width::Long),
            Operator::I64LeU => (Self::LeU, Width::Long),
            Operator::I64GeS => (Self::GeS, Width::Long),
            Operator::I64GeU => (Self::GeU, Width::Long),
            _ => return None,
        })
    }

    /// Whether it holds of two numbers of one width, each extended by its sign: that keeps both orders.
    fn holds(self, left: i64, right: i64) -> bool {
        let (left_bits, right_bits) = (left.cast_unsigned(), right.cast_unsigned());
        match self {
            Self::Ne => left != right,
            Self::Eq => left == right,
            Self::LtS => left < right,
            Self::LtU => left_bits < right_bits,
            Self::GtS => left > right,
            Self::GtU => left_bits > right_bits,
            Self::LeS => left <= right,
            Self::LeU => left_bits <= right_bits,
            Self::GeS => left >= right,
            Self::GeU => left_bits >= right_bits,
        }
    }
}

/// How many bits a counter has. Numbers of 32 bits are kept extended by their sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// 32.
    Word,
    /// 64.
    Long,
}

impl Width {
    /// The sum, in so many bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "modulo 2^32 is what is wanted"
    )]
    fn add(self, one: i64, other: i64) -> i64 {
        let sum = one.wrapping_add(other);
        match self {
            Self::Word => i64::from(sum as i32),
            Self::Long => sum,
        }
    }

    /// Whether an operator adds, or else subtracts, numbers of this width.
    fn adds(self, operator: &Operator<'_>) -> Option<bool> {
        match (self, operator) {
            (Self::Word, Operator::I32Add) | (Self::Long, Operator::I64Add) => Some(true),
            (Self::Word, Operator::I32Sub) | (Self::Long, Operator::I64Sub) => Some(false),
            _ => None,
        }
    }
}

/// A write that adds a constant to a local.
struct Step {
    /// The instruction that writes.
    at: usize,
    by: i64,
}

/// A branch on a local's comparison with a constant.
struct Test {
    /// The branch.
    at: usize,
    local: u32,
    width: Width,
    comparison: Comparison,
    with: i64,
    /// Whether what the branch looks at is true when the comparison holds.
    true_if: bool,
}

/// The loops of one function, to be counted.
pub(crate) struct Counter<'f, 'a> {
    code: &'f Code<'a>,
    cfg: &'f Cfg,
    /// Instructions that may still be looked at.
    effort: usize,
}

impl<'f, 'a> Counter<'f, 'a> {
    pub(crate) fn new(code: &'f Code<'a>, cfg: &'f Cfg) -> Self {
        Self {
            code,
            cfg,
            effort: (PASSES_MAX * code.operators.len()).max(EFFORT_MIN),
        }
    }

    /// How often the body of a loop starts, at most, each time the loop is entered; `None` if its code does not say.
    pub(crate) fn turns(&mut self, number: u32) -> Option<u64> {
        let body = self.body(number);
        body.clone().find_map(|at| {
            let test = self.test_at(at)?;
            self.turns_by(number, &test)
        })
    }

    /// The instructions of a loop, its `end` apart.
    fn body(&self, number: u32) -> core::ops::Range<usize> {
        let place = self.cfg.loops[number as usize];
        place.head as usize + 1..place.end as usize
    }

    /// The turns of a loop if this test ends it.
    fn turns_by(&mut self, number: u32, test: &Test) -> Option<u64> {
        self.effort = self.effort.checked_sub(self.body(number).len())?;
        let step = self.only_step(number, test.local, test.width)?;
        if !self.is_own(number, step.at) || !self.is_own(number, test.at) {
            return None;
        }
        let effort = PASSES_PER_TEST * self.code.operators.len();
        self.effort = self.effort.checked_sub(effort)?;
        let first = self.body(number).start;
        if self.comes_again(number, first, Some(step.at)) {
            return None; // There is a way round without the step ..
        }
        if self.comes_again(number, first, Some(test.at)) {
            return None; // .. or the test.
        }
        let sides = self.cfg.successors(test.at);
        let [goes_on, taken] = sides.as_slice() else {
            return None;
        };
        // An `if` goes on when its condition holds, a `br_if` when not.
        let is_if = matches!(self.code.operators[test.at], Operator::If { .. });
        let (if_so, if_not) = if is_if == test.true_if {
            (*goes_on, *taken)
        } else {
            (*taken, *goes_on)
        };
        let leaves_if = match [if_so, if_not].map(|side| self.leads_again(number, side)) {
            [false, true] => true,
            [true, false] => false,
            _ => return None,
        };
        let Value::Known(mut value) = self.value_before(number, test.local) else {
            return None;
        };
        for turn in 1..=TURNS_MAX {
            let stepped = test.width.add(value, step.by);
            let tested = if step.at < test.at { stepped } else { value };
            if test.comparison.holds(tested, test.with) == leaves_if {
                return Some(turn);
            }
            value = stepped;
        }
        None
    }

    /// The branch at an instruction, if it is on a comparison of a local with a constant.
    fn test_at(&self, at: usize) -> Option<Test> {
        let operators = &self.code.operators;
        if !matches!(operators[at], Operator::BrIf { .. } | Operator::If { .. }) {
            return None;
        }
        let mut before = at.checked_sub(1)?;
        let mut true_if = true;
        while matches!(operators[before], Operator::I32Eqz) {
            true_if = !true_if;
            before = before.checked_sub(1)?;
        }
        let (comparison, to, width) = match Comparison::of(&operators[before]) {
            Some((comparison, width)) => {
                before = before.checked_sub(2)?;
                (comparison, self.constant(before + 1)?, width)
            }
            None if matches!(operators[before], Operator::I64Eqz) => {
                before = before.checked_sub(1)?;
                (Comparison::Eq, 0, Width::Long)
            }
            None => (Comparison::Ne, 0, Width::Word),
        };
        let (Operator::LocalGet { local_index: local } | Operator::LocalTee { local_index: local }) =
            operators[before]
        else {
            return None;
        };
        Some(Test {
            at,
            local,
            width,
            comparison,
            with: to,
            true_if,
        })
    }

    /// The constant of an instruction. Validation makes its width that of what it meets.
    fn constant(&self, at: usize) -> Option<i64> {
        match self.code.operators[at] {
            Operator::I32Const { value } => Some(i64::from(value)),
            Operator::I64Const { value } => Some(value),
            _ => None,
        }
    }

    /// The only write to a local in a loop, if it adds a constant.
    fn only_step(&self, number: u32, local: u32, width: Width) -> Option<Step> {
        let mut writes = self.body(number).filter(|at| self.writes(*at, local));
        let at = writes.next()?;
        if writes.next().is_some() {
            return None;
        }
        let operators = &self.code.operators;
        let by = self.constant(at.checked_sub(2)?)?;
        let by = if width.adds(&operators[at - 1])? {
            by
        } else {
            by.wrapping_neg()
        };
        let read = operators.get(at.checked_sub(3)?)?;
        let is_own = matches!(read, Operator::LocalGet { local_index } if *local_index == local);
        is_own.then_some(Step { at, by })
    }

    fn writes(&self, at: usize, local: u32) -> bool {
        matches!(
            self.code.operators[at],
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index }
                if local_index == local
        )
    }

    /// Whether an instruction of a loop is in none of the loops in it.
    fn is_own(&self, number: u32, at: usize) -> bool {
        let inner = self.cfg.loops.iter().skip(number as usize + 1);
        !inner
            .take_while(|inner| (inner.head as usize) < at)
            .any(|inner| at < inner.end as usize)
    }

    /// Whether a side of a branch in a loop leads to its next turn.
    fn leads_again(&self, number: u32, side: Target) -> bool {
        match side {
            Target::Again(again) if again == number => true,
            _ => self
                .position(number, side)
                .is_some_and(|at| self.comes_again(number, at, None)),
        }
    }

    /// Where a target is in a loop, if it is in the loop and not the loop's next turn.
    fn position(&self, number: u32, target: Target) -> Option<usize> {
        let at = self.cfg.position(target)?;
        (self.body(number).contains(&at) && target != Target::Again(number)).then_some(at)
    }

    /// Whether a way from an instruction of a loop leads to its next turn, and not through `without`.
    fn comes_again(&self, number: u32, from: usize, without: Option<usize>) -> bool {
        let body = self.body(number);
        let mut seen = vec![false; body.len()];
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if Some(at) == without || core::mem::replace(&mut seen[at - body.start], true) {
                continue;
            }
            for target in self.targets(at) {
                if target == Target::Again(number) {
                    return true;
                }
                open.extend(self.position(number, target));
            }
        }
        false
    }

    /// Where control may go after an instruction, exceptions included.
    fn targets(&self, at: usize) -> impl Iterator<Item = Target> + '_ {
        let successors = self.cfg.successors(at).into_iter();
        successors.chain(self.cfg.handlers(at))
    }

    /// What a local holds each time a loop is entered: at the `loop` itself, to which no turn comes back.
    fn value_before(&self, number: u32, local: u32) -> Value {
        let head = self.cfg.loops[number as usize].head as usize;
        let mut values = vec![Value::Unreached; self.code.operators.len()];
        values[0] = if (local as usize) < self.code.params {
            Value::Any
        } else {
            Value::Known(0)
        };
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            let after = match self.code.operators[at] {
                Operator::LocalSet { .. } | Operator::LocalTee { .. } if self.writes(at, local) => {
                    let written = at.checked_sub(1).and_then(|before| self.constant(before));
                    written.map_or(Value::Any, Value::Known)
                }
                _ => values[at],
            };
            for target in self.targets(at) {
                let Some(next) = self.cfg.position(target) else {
                    continue;
                };
                let value = values[next].or(after);
                if value != values[next] {
                    values[next] = value;
                    open.push(next);
                }
            }
        }
        values[head]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::Module;

    /// The turns of the first loop of a function with a parameter `$p`, a local `$i`, and another, `$j`,
    /// and a local of 64 bits, `$l`.
    fn turns(body: &str) -> Option<u64> {
        let text = format!(
            "(module (memory 1) (tag $thrown) (func $callee)
               (func (param $p i32) (local $i i32) (local $j i32) (local $l i64) {body}))"
        );
        let bytes = wat::parse_str(text).expect("a module");
        let module = Module::parse(&bytes).expect("valid");
        let code = module.code(1).expect("readable").expect("not imported");
        let cfg = Cfg::build(&code).expect("within limits");
        Counter::new(&code, &cfg).turns(0)
    }

    /// A step of `$i` by `by`.
    fn step(by: i32) -> String {
        format!("(local.tee $i (i32.add (local.get $i) (i32.const {by})))")
    }

    #[test]
    fn a_compilers_loops_are_counted() {
        let down = step(-1);
        let entered = |body: &str| turns(&format!("(local.set $i (i32.const 24)) {body}"));
        assert_eq!(
            entered(&format!("(loop (call $callee) (br_if 0 {down}))")),
            Some(24)
        );
        // In fours, up to a length, from a local's zero.
        let (up, bytes) = (step(4), "(i32.const 68)");
        assert_eq!(
            turns(&format!("(loop (br_if 0 (i32.ne {up} {bytes})))")),
            Some(17)
        );
        // A test before the work, and the step last.
        assert_eq!(
            entered(
                "(block (loop
                   (br_if 1 (i32.eqz (local.get $i)))
                   (call $callee)
                   (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                   (br 0)))"
            ),
            Some(25)
        );
        // The same as an `if`, with another way out.
        assert_eq!(
            turns(&format!(
                "(block (loop
                   (if (i32.lt_u (local.get $i) (i32.const 5))
                     (then (br_if 2 (local.get $p)) (drop {}) (br 1)))))",
                step(1)
            )),
            Some(6)
        );
        // A step that passes the end by wrapping.
        assert_eq!(
            entered(&format!(
                "(loop (br_if 0 (i32.gt_s {} (i32.const 0))))",
                step(1 << 30)
            )),
            Some(2)
        );
    }

    #[test]
    fn counters_of_64_bits_are_counted() {
        let up = "(local.tee $l (i64.add (local.get $l) (i64.const 0x200000000)))";
        let end = "(i64.const 0x1800000000)";
        assert_eq!(
            turns(&format!("(loop (br_if 0 (i64.ne {up} {end})))")),
            Some(12)
        );
        assert_eq!(
            turns(&format!("(loop (br_if 0 (i64.lt_u {up} {end})))")),
            Some(12)
        );
        let down = "(local.tee $l (i64.sub (local.get $l) (i64.const 1)))";
        let from = |body: &str| turns(&format!("(local.set $l (i64.const 48)) {body}"));
        assert_eq!(
            from(&format!("(loop (br_if 0 (i32.eqz (i64.eqz {down}))))")),
            Some(48)
        );
        assert_eq!(
            from(&format!("(block (loop (br_if 1 (i64.eqz {down})) (br 0)))")),
            Some(48)
        );
        // What is zero in 32 bits is not in 64.
        assert_eq!(
            turns(&format!(
                "(local.set $l (i64.const 0xffffffff)) (loop (br_if 0 (i64.ge_s {down} (i64.const 0xfffffff0))))"
            )),
            Some(16)
        );
        assert_eq!(
            turns(
                "(loop (br_if 0 (i64.gt_s (local.tee $l (i64.add (local.get $l) (i64.const 0x7fffffff))) (i64.const 0))))"
            ),
            None
        );
        // Half of a counter is not the counter.
        assert_eq!(
            turns(&format!("(loop (br_if 0 (i32.wrap_i64 {up})))")),
            None
        );
    }

    #[test]
    fn each_comparison_ends_where_it_says() {
        let to_ten = |comparison: &str| {
            let up = step(1);
            turns(&format!(
                "(loop (br_if 0 ({comparison} {up} (i32.const 10))))"
            ))
        };
        assert_eq!(to_ten("i32.ne"), Some(10));
        assert_eq!(to_ten("i32.lt_u"), Some(10));
        assert_eq!(to_ten("i32.lt_s"), Some(10));
        assert_eq!(to_ten("i32.le_u"), Some(11));
        assert_eq!(to_ten("i32.le_s"), Some(11));
        assert_eq!(to_ten("i32.eq"), Some(1));
        assert_eq!(to_ten("i32.gt_u"), Some(1));
        assert_eq!(to_ten("i32.ge_s"), Some(1));
        let from_ten = |comparison: &str, to: i32| {
            let down = step(-1);
            turns(&format!(
                "(local.set $i (i32.const 10)) (loop (br_if 0 ({comparison} {down} (i32.const {to}))))"
            ))
        };
        assert_eq!(from_ten("i32.gt_u", 2), Some(8));
        assert_eq!(from_ten("i32.gt_s", -2), Some(12));
        assert_eq!(from_ten("i32.gt_u", -2), Some(1));
        assert_eq!(from_ten("i32.ge_u", 2), Some(9));
        assert_eq!(from_ten("i32.ge_s", -2), Some(13));
        // The other way round.
        let up = step(1);
        assert_eq!(
            turns(&format!(
                "(loop (br_if 0 (i32.eqz (i32.ge_u {up} (i32.const 10)))))"
            )),
            Some(10)
        );
    }

    #[test]
    fn what_does_not_count_has_no_count() {
        let none = |what: &str, body: &str| assert_eq!(turns(body), None, "{what}");
        let up = step(1);
        let test = format!("(br_if 0 (i32.ne {up} (i32.const 8)))");
        assert_eq!(turns(&format!("(loop {test})")), Some(8));

        none(
            "from a parameter",
            &format!("(local.set $i (local.get $p)) (loop {test})"),
        );
        none(
            "from one of two values",
            &format!("(if (local.get $p) (then (local.set $i (i32.const 1)))) (loop {test})"),
        );
        none(
            "past its end",
            &format!("(local.set $i (i32.const 9)) (loop {test})"),
        );
        none(
            "written elsewhere in the loop",
            &format!("(loop (if (local.get $p) (then (local.set $i (i32.const 0)))) {test})"),
        );
        none(
            "a way round the test",
            &format!("(loop (br_if 0 (local.get $p)) {test})"),
        );
        none(
            "a way round the step",
            &format!(
                "(loop (block (br_if 0 (local.get $p)) (drop {up}))
                   (br_if 0 (i32.ne (local.get $i) (i32.const 8))))"
            ),
        );
        none(
            "another way back",
            &format!("(loop {test} (br_if 0 (local.get $p)))"),
        );
        none(
            "a test that does not leave",
            &format!("(loop (block (br_if 0 (i32.eq {up} (i32.const 8)))) (br 0))"),
        );
        none(
            "a step in a loop within",
            &format!(
                "(loop (loop {up} (br_if 0 (local.get $p)) drop) (br_if 0 (i32.ne (local.get $i) (i32.const 8))))"
            ),
        );
        none(
            "not with a constant",
            &format!("(loop (br_if 0 (i32.ne {up} (local.get $p))))"),
        );
        none(
            "not by a constant",
            "(loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (local.get $p))) (i32.const 8))))",
        );
        none(
            "another local's step",
            "(loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $j) (i32.const 1))) (i32.const 8))))",
        );
        none(
            "no step",
            "(loop (br_if 0 (i32.ne (local.get $i) (i32.const 8))))",
        );
        none(
            "too far",
            &format!("(loop (br_if 0 (i32.ne {up} (i32.const 65537))))"),
        );
        none(
            "an exception that leads back",
            &format!("(loop (try_table (catch $thrown 0) (call $callee)) {test})"),
        );
    }

    #[test]
    fn a_loop_in_another_counts_from_where_it_is_entered() {
        let inner = format!("(loop (br_if 0 (i32.ne {} (i32.const 8))))", step(1));
        let around = |before: &str| {
            let text = format!("(loop (br_if 0 (local.get $p)) {before} {inner} (br 0))");
            let bytes = wat::parse_str(format!(
                "(module (func (param $p i32) (local $i i32) {text}))"
            ));
            let bytes = bytes.expect("a module");
            let module = Module::parse(&bytes).expect("valid");
            let code = module.code(0).expect("readable").expect("not imported");
            let cfg = Cfg::build(&code).expect("within limits");
            Counter::new(&code, &cfg).turns(1)
        };
        assert_eq!(around("(local.set $i (i32.const 0))"), Some(8));
        assert_eq!(around(""), None); // The second time it is eight already.
    }
}

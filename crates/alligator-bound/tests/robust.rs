//! Bytes that are no module, or an odd one: a refusal or a report, never a panic or a hang.

mod common;

use core::fmt::Write as _;

use alligator_bound::cfg::BLOCK_DEPTH_MAX;
use alligator_bound::cost::CostTable;
use alligator_bound::loops::Bounds;
use alligator_bound::{Options, analyze};
use common::{Random, random_module};

/// Mutations tried per module.
const MUTATIONS: u64 = 40;

/// The body that a fuzzer would call, too.
fn analyze_anything(bytes: &[u8]) -> bool {
    let options = Options {
        entries: vec!["f3".to_owned()],
        steps_max: 50,
        witness: true,
        ..Options::default()
    };
    match analyze(bytes, &options) {
        Ok(report) => !report.to_json().is_empty(),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
            false
        }
    }
}

#[test]
fn mutated_modules_are_refused_or_analysed() {
    let (mut analysed, mut refused) = (0, 0);
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let bytes = random_module(&mut random);
        for _ in 0..MUTATIONS {
            let mut bytes = bytes.clone();
            for _ in 0..=random.below(3) {
                let place = usize::try_from(random.below(bytes.len() as u64)).expect("small");
                bytes[place] = random.next().to_le_bytes()[0];
            }
            if random.one_in(4) {
                let length = usize::try_from(random.below(bytes.len() as u64)).expect("small");
                bytes.truncate(length);
            }
            if analyze_anything(&bytes) {
                analysed += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(analysed > 0 && refused > 0);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = random_module(&mut Random::new(7));
    for length in 0..bytes.len() {
        assert!(!analyze_anything(&bytes[..length]), "{length} bytes");
    }
}

#[test]
fn text_files_with_faults_are_refused_with_their_line() {
    let bounds =
        Bounds::from_toml("[[loop]]\nfunction = \"f\"\noffset = 1\nturns = 0\nbecause = \"x\"");
    assert!(bounds.expect_err("0 turns").reason.contains("turns = 0"));
    let silent =
        Bounds::from_toml("[[loop]]\nfunction = \"f\"\noffset = 1\nturns = 2\nbecause = \" \"");
    assert!(silent.expect_err("no argument").reason.contains("argument"));
    let costs = CostTable::from_toml("name = \"x\"\nbase = 3\n");
    assert!(costs.expect_err("no text").reason.starts_with("line 2"));
}

fn analyzed(
    wat: &str,
) -> Result<alligator_bound::report::Report, alligator_bound::module::InputError> {
    let bytes = wat::parse_str(wat).expect("well formed");
    analyze(
        &bytes,
        &Options {
            entries: vec!["f".to_owned()],
            steps_max: 200,
            ..Options::default()
        },
    )
}

#[test]
fn blocks_nested_too_deep_are_refused() {
    let nested = |depth: usize| {
        let (open, close) = ("(block ".repeat(depth), ")".repeat(depth));
        format!("(module (func (export \"f\") {open}{close}))")
    };
    assert!(analyzed(&nested(400)).is_ok());
    // Written as instructions: the text parser nests no parentheses then.
    let (open, close) = (
        "block ".repeat(BLOCK_DEPTH_MAX + 1),
        "end ".repeat(BLOCK_DEPTH_MAX + 1),
    );
    let error =
        analyzed(&format!("(module (func (export \"f\") {open}{close}))")).expect_err("too deep");
    assert!(error.reason.contains("deeper"), "{error}");
}

#[test]
fn a_br_table_with_many_targets_is_analysed() {
    let mut wat = String::from("(module (func (export \"f\") (param i32) (block (block (br_table ");
    for index in 0..20_000 {
        let _ = write!(wat, "{} ", index % 2);
    }
    wat.push_str("(local.get 0))) (drop (i32.const 1)))))");
    let report = analyzed(&wat).expect("analysed");
    // Entry, local.get, br_table, and i32.const on the longer way.
    assert_eq!(
        report.entries[0]
            .without_growth
            .as_ref()
            .and_then(|f| f.bound),
        Some(4)
    );
}

#[test]
fn a_search_that_is_stopped_gives_a_bound_between() {
    // Many independent branches, then one that can never be taken and costs much.
    let mut wat = String::from("(module (memory 1) (func (export \"f\") (param i32 i32) ");
    for bit in 0..20 {
        let _ = write!(
            wat,
            "(if (i32.and (local.get 0) (i32.const {})) (then (i32.store (i32.const {bit}) (i32.const {bit}))))",
            1_u32 << bit
        );
    }
    wat.push_str("(if (i32.gt_u (i32.and (local.get 1) (i32.const 1)) (i32.const 1)) (then (drop (i32.const 1)))))");
    wat.push(')');
    let report = analyzed(&wat).expect("analysed");
    let figure = report.entries[0].without_growth.as_ref().expect("a path");
    assert!(figure.bound <= figure.plain);
    assert!(figure.bound.is_some());
}

#[test]
fn calls_that_double_at_each_level_do_not_overflow() {
    let mut wat = String::from("(module (func $f0 (drop (i32.const 1)))");
    for level in 1..90 {
        let _ = write!(wat, "(func $f{level} (call $f{0}) (call $f{0}))", level - 1);
    }
    wat.push_str("(func (export \"f\") (call $f89)))");
    let report = analyzed(&wat).expect("analysed");
    let figure = report.entries[0].without_growth.as_ref().expect("a path");
    assert_eq!(figure.bound, None, "beyond 64 bits is no bound");
}

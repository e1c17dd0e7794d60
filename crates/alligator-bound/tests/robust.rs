//! Bytes that are no module, or an odd one: a refusal or a report, never a panic or a hang.

#[path = "common/anything.rs"]
mod anything;
mod common;

use core::fmt::Write as _;
use std::time::Instant;

use alligator_bound::cfg::BLOCK_DEPTH_MAX;
use alligator_bound::cost::CostTable;
use alligator_bound::loops::Bounds;
use alligator_bound::refine::STEPS_DEFAULT;
use alligator_bound::{Options, analyze};
use anything::{analyze_anything, read_any_text};
use common::{Random, random_module};

/// Mutations tried per module.
const MUTATIONS: u64 = 12;

/// Seconds in which the most hostile module is dealt with, without optimisation.
const SECONDS_MAX: u64 = 60;

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
fn mutated_cases_of_every_proposal_are_refused_or_analysed() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut random = Random::new(11);
    let mut analysed = 0;
    for case in std::fs::read_dir(directory).expect("the corpus is there") {
        let case = case.expect("readable").path();
        if case.extension().is_none_or(|extension| extension != "wat") {
            continue;
        }
        let bytes = wat::parse_file(&case).expect("well formed");
        for _ in 0..MUTATIONS {
            let mut bytes = bytes.clone();
            let place = usize::try_from(random.below(bytes.len() as u64)).expect("small");
            bytes[place] = random.next().to_le_bytes()[0];
            analysed += u64::from(analyze_anything(&bytes));
        }
    }
    assert!(analysed > 0);
}

#[test]
fn mutated_text_files_are_refused_or_read() {
    let text = "name = \"x\"\nbase = \"none\"\nsource = \"s\"\n[[row]]\noperators = [\"i32.add\"]\n\
                cost = 1\nper_unit = 2\nsource = \"s\"\n[[loop]]\nfunction = \"f\"\noffset = 1\n\
                turns = 2\nbecause = \"b\"\n";
    let mut random = Random::new(1);
    for _ in 0..2_000 {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let place = usize::try_from(random.below(bytes.len() as u64)).expect("small");
            bytes[place] = b" \n\"[]=#9-e'x"[usize::try_from(random.below(12)).expect("small")];
        }
        read_any_text(&String::from_utf8_lossy(&bytes));
    }
}

/// A module whose only function has a body of these instructions, analysed in time.
fn hostile(name: &str, locals: &str, body: &str) {
    let start = Instant::now();
    let wat = format!("(module (memory 1) (func (export \"f\") (param i32 i32) {locals} {body}))");
    let bytes = wat::parse_str(wat).expect("well formed");
    let options = Options {
        entries: vec!["f".to_owned()],
        // Time is in proportion: a tenth of the default.
        steps_max: STEPS_DEFAULT / 10,
        witness: true,
        ..Options::default()
    };
    let report = analyze(&bytes, &options);
    if let Ok(report) = &report {
        assert!(report.entries[0].without_growth.is_some(), "{name}");
    }
    let seconds = start.elapsed().as_secs();
    println!("{name}: {seconds} s");
    assert!(seconds < SECONDS_MAX, "{name}: {seconds} s");
}

#[test]
#[expect(clippy::format_collect, reason = "text is small, and this reads best")]
fn hostile_functions_take_bounded_time() {
    let branch = |bit: usize| {
        format!(
            "local.get 0 i32.const {} i32.and if local.get 1 i32.const {bit} i32.add local.set 1 end ",
            1_u32 << (bit % 32)
        )
    };
    let branches: String = (0..3_000).map(branch).collect();
    hostile("many branches", "", &branches);
    // A state takes as much memory as its locals.
    let many_locals = format!("(local {})", "i32 ".repeat(40_000));
    let touch: String = (0..500)
        .map(|index| format!("local.get {index} local.set {} ", index + 2))
        .collect();
    hostile("many locals", &many_locals, &format!("{touch}{branches}"));
    // A term of many unknowns, on which every branch depends.
    let loads: String = (0..4_000)
        .map(|index| {
            format!("local.get 1 i32.load offset={} local.get 0 i32.xor local.tee 0 i32.const {index} i32.lt_u if nop end ", index * 4)
        })
        .collect();
    hostile("a term of many unknowns", "", &loads);
    // Facts about one another.
    let facts: String = (0..2_000)
        .map(|index| {
            format!("local.get 0 i32.const {index} i32.add local.get 1 i32.const {index} i32.mul i32.lt_u if nop end ")
        })
        .collect();
    hostile("facts about one another", "", &facts);
    let (open, close) = ("loop ".repeat(180), "end ".repeat(180));
    let again: String = (0..180)
        .map(|depth| format!("local.get 0 br_if {depth} "))
        .collect();
    hostile(
        "loops in loops",
        "",
        &format!("{open}{}{close}", again.repeat(20)),
    );
    let (open, close) = ("block ".repeat(2_000), "end ".repeat(2_000));
    let table: String = (0..2_000).map(|depth| format!("{depth} ")).collect();
    let body = format!(
        "{open}{}{close}",
        format!("local.get 0 br_table {table} ").repeat(30)
    );
    hostile("tables of branches", "", &body);
}

#[test]
fn thousands_of_functions_take_bounded_time() {
    let start = Instant::now();
    let mut wat = String::from("(module (memory 1) ");
    for index in 0..3_000 {
        // Each is an entry by its name, and reaches all before it.
        let callee = match index {
            0 => String::new(),
            _ => format!(
                "(call $_ZN3f{:04}12__rust_alloc17h0123456789abcdefE)",
                index - 1
            ),
        };
        let _ = write!(
            wat,
            "(func $_ZN3f{index:04}12__rust_alloc17h0123456789abcdefE {callee} (loop $l (br_if $l (i32.load (i32.const 0)))))"
        );
    }
    wat.push(')');
    let bytes = wat::parse_str(wat).expect("well formed");
    let _ = analyze(&bytes, &Options::default());
    let seconds = start.elapsed().as_secs();
    assert!(seconds < SECONDS_MAX, "{seconds} s");
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

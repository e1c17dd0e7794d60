//! What a function cannot reach, on modules of a few lines.

use alligator_bound::forbid::{Answer, Demand, Forbidden, Report, forbid};
use alligator_bound::{Options, loops::Bounds};

const ALL: [Forbidden; 3] = [Forbidden::Grow, Forbidden::Wait, Forbidden::Loop];

fn report(text: &str, demand: &Demand, options: &Options) -> Report {
    let bytes = wat::parse_str(text).expect("well formed");
    forbid(&bytes, demand, options).expect("it can be read")
}

fn demand(from: &str) -> Demand {
    Demand {
        forbidden: ALL.to_vec(),
        from: vec![from.to_owned()],
        except: Vec::new(),
    }
}

/// What is known of growth, waiting and loops.
fn answers(text: &str, from: &str) -> [Answer; 3] {
    let report = report(text, &demand(from), &Options::default());
    let found: Vec<Answer> = report.from[0].findings.iter().map(|it| it.answer).collect();
    found.try_into().expect("three")
}

/// The events of the first chain to a thing.
fn chain(text: &str, from: &str, at: usize) -> Vec<String> {
    let report = report(text, &demand(from), &Options::default());
    let chain = &report.from[0].findings[at].reached[0];
    chain.iter().map(|stop| stop.event.clone()).collect()
}

use Answer::{Conditional, Never, Reached};

#[test]
fn growth_is_reached_through_calls_and_the_shortest_way_is_shown() {
    const MODULE: &str = r#"(module
        (memory 1)
        (func $deep (drop (memory.grow (i32.const 1))))
        (func $middle (call $deep))
        (func $long (call $middle))
        (func (export "process") (call $long) (call $middle))
        (func (export "quiet") (drop (memory.size))))"#;
    assert_eq!(answers(MODULE, "process"), [Reached, Never, Never]);
    assert_eq!(answers(MODULE, "quiet"), [Never; 3]);
    assert_eq!(
        chain(MODULE, "process", 0),
        ["calls middle", "calls deep", "memory.grow"]
    );
}

#[test]
fn what_control_flow_does_not_reach_is_not_reached() {
    const MODULE: &str = r#"(module
        (memory 1)
        (func $grow (drop (memory.grow (i32.const 1))))
        (func (export "process") (return) (call $grow) (loop (br 0))))"#;
    assert_eq!(answers(MODULE, "process"), [Never; 3]);
}

#[test]
fn a_loop_that_counts_is_none_and_one_that_does_not_is() {
    const MODULE: &str = r#"(module
        (func (export "counts") (local i32)
            (local.set 0 (i32.const 8))
            (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "turns") (param i32)
            (loop (br_if 0 (local.get 0))))
        (func $again (export "again") (param i32)
            (if (local.get 0) (then (call $again (i32.sub (local.get 0) (i32.const 1)))))))"#;
    assert_eq!(answers(MODULE, "counts"), [Never; 3]);
    assert_eq!(answers(MODULE, "turns"), [Never, Never, Reached]);
    assert_eq!(answers(MODULE, "again"), [Never, Never, Reached]);
}

#[test]
fn a_wait_or_a_loop_around_an_atomic_operation_is_waiting() {
    const MODULE: &str = r#"(module
        (memory 1 1 shared)
        (func (export "waits")
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
        (func (export "spins")
            (loop (br_if 0 (i32.atomic.rmw.xchg (i32.const 0) (i32.const 1)))))
        (func $try (result i32) (i32.atomic.rmw.xchg (i32.const 0) (i32.const 1)))
        (func (export "spins_by_calls") (loop (br_if 0 (call $try))))
        (func (export "once") (drop (call $try)))
        (func (export "beside") (param i32)
            (drop (call $try)) (loop (br_if 0 (local.get 0)))))"#;
    assert_eq!(answers(MODULE, "waits"), [Never, Reached, Never]);
    assert_eq!(answers(MODULE, "spins"), [Never, Reached, Reached]);
    assert_eq!(answers(MODULE, "spins_by_calls"), [Never, Reached, Reached]);
    assert_eq!(answers(MODULE, "once"), [Never; 3]);
    assert_eq!(answers(MODULE, "beside"), [Never, Never, Reached]);
}

#[test]
fn an_indirect_call_reaches_what_its_type_and_its_table_allow() {
    const MODULE: &str = r#"(module
        (memory 1)
        (type $wanted (func (param i32)))
        (table 4 funcref)
        (elem (i32.const 0) $fits $other_type)
        (func $fits (param i32))
        (func $other_type (drop (memory.grow (i32.const 1))))
        (func $not_in_the_table (param i32) (drop (memory.grow (i32.const 1))))
        (func (export "process") (call_indirect (type $wanted) (i32.const 7) (i32.const 0)))
        (func (export "other") (call_indirect (i32.const 0))))"#;
    assert_eq!(answers(MODULE, "process"), [Never; 3]);
    assert_eq!(answers(MODULE, "other"), [Reached, Never, Never]);
    assert_eq!(
        chain(MODULE, "other", 0),
        [
            "may call other_type, by its type and what the table has",
            "memory.grow"
        ]
    );
}

#[test]
fn a_table_that_somebody_may_write_is_not_known_and_what_it_has_is_followed() {
    const MODULE: &str = r#"(module
        (memory 1)
        (table (export "table") 4 funcref)
        (elem (i32.const 0) $grows $loops)
        (func $grows (drop (memory.grow (i32.const 1))))
        (func $loops (param i32) (call_indirect (i32.const 0)))
        (func (export "one") (call_indirect (param i64) (i64.const 1) (i32.const 0)))
        (func (export "two") (call_indirect (param i32) (i32.const 1) (i32.const 0))))"#;
    assert_eq!(answers(MODULE, "one"), [Conditional; 3]);
    // What it has leads to a second call of the kind, whose callees are looked at, too.
    assert_eq!(answers(MODULE, "two"), [Reached, Conditional, Conditional]);
}

#[test]
fn imports_are_conditions_unless_somebody_vouches_or_they_grow() {
    const MODULE: &str = r#"(module
        (import "env" "log" (func $log))
        (import "env" "emscripten_resize_heap" (func $resize (param i32) (result i32)))
        (func (export "logs") (call $log))
        (func (export "grows") (drop (call $resize (i32.const 1)))))"#;
    assert_eq!(answers(MODULE, "logs"), [Conditional; 3]);
    assert_eq!(answers(MODULE, "grows"), [Reached, Never, Never]);
    let bounds = Bounds::from_toml(
        "[[import]]\nmodule = \"env\"\nname = \"log\"\ncost = 3\nbecause = \"a register\"\n",
    );
    let options = Options {
        bounds: bounds.expect("a bounds file"),
        ..Options::default()
    };
    let report = report(MODULE, &demand("logs"), &options);
    assert_eq!(report.answer(), Never);
    assert_eq!(report.assumptions.len(), 1);
}

#[test]
fn an_excepted_function_is_not_followed_and_is_an_assumption() {
    const MODULE: &str = r#"(module
        (memory 1)
        (func $core_panicking_panic (drop (memory.grow (i32.const 1))))
        (func (export "process") (call $core_panicking_panic)))"#;
    let mut demand = demand("process");
    assert_eq!(
        report(MODULE, &demand, &Options::default()).answer(),
        Reached
    );
    demand.except = vec!["panicking".to_owned()];
    let report = report(MODULE, &demand, &Options::default());
    assert_eq!((report.answer(), report.assumptions.len()), (Never, 1));
    demand.except = vec!["nobody".to_owned()];
    let bytes = wat::parse_str(MODULE).expect("well formed");
    assert!(forbid(&bytes, &demand, &Options::default()).is_err());
}

#[test]
fn a_function_that_is_not_there_is_an_error() {
    let bytes = wat::parse_str("(module)").expect("well formed");
    let error = forbid(&bytes, &demand("process"), &Options::default());
    let error = error.expect_err("there is none").to_string();
    assert!(error.contains("process"), "{error}");
}

//! The tool as its users call it: output and exit status.

use std::path::PathBuf;
use std::process::{Command, Output};

const MODULE: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "op_alloc") (param i32 i32) (result i32)
        (if (i32.eqz (local.get 1)) (then (drop (memory.grow (i32.const 1)))))
        (i32.add (local.get 0) (i32.const 16)))
    (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
        (memory.copy (i32.const 0) (i32.const 64) (local.get 3))
        (local.get 0))
    (func (export "spin") (param i32)
        (loop (br_if 0 (local.get 0)))))"#;

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("writable");
    path
}

fn alligator(command: &str, module: &PathBuf, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_alligator"))
        .arg(command)
        .arg(module)
        .args(arguments)
        .output()
        .expect("the tool runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn module(name: &str) -> PathBuf {
    file(name, &wat::parse_str(MODULE).expect("well formed"))
}

#[test]
fn the_exit_status_tells_bounded_above_and_unbounded() {
    let module = module("status.wasm");
    let status = |arguments: &[&str]| alligator("bound", &module, arguments).0;
    assert_eq!(status(&[]), Some(0));
    // Entry, local.get, eqz, if, local.get, const, add.
    assert_eq!(status(&["--entry", "op_alloc", "--max", "7"]), Some(0));
    assert_eq!(status(&["--entry", "op_alloc", "--max", "6"]), Some(1));
    assert_eq!(status(&["--entry", "spin"]), Some(2));
    assert_eq!(status(&["--entry", "nobody"]), Some(3));
    assert_eq!(status(&["--no-such-flag"]), Some(3));
}

#[test]
fn bad_input_is_one_line_with_file_offset_and_reason() {
    let mut bytes = wat::parse_str(MODULE).expect("well formed");
    bytes.truncate(bytes.len() - 3);
    let cut = file("cut.wasm", &bytes);
    let (status, stdout, stderr) = alligator("bound", &cut, &[]);
    assert_eq!((status, stdout.as_str()), (Some(3), ""));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("cut.wasm") && stderr.contains("at offset 0x"),
        "{stderr}"
    );
}

#[test]
fn a_replay_holds_what_is_measured_against_what_is_proved() {
    let module = module("replay.wasm");
    let calls = ["op_alloc(24,8)", "op_alloc(24,0)", "op_realloc($0,1,8,300)"];
    let (status, stdout, stderr) = alligator("measure", &module, &calls);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    let columns = |call: &str| -> Vec<String> {
        let line = stdout
            .lines()
            .find(|line| line.contains(call))
            .expect("a row");
        line.split_whitespace().map(str::to_owned).collect()
    };
    let plain = columns("op_alloc(24,8)");
    assert!(
        plain.contains(&"7".to_owned()) && !stdout.contains("NO"),
        "{stdout}"
    );
    assert!(
        columns("op_alloc(24,0)").contains(&"grew".to_owned()),
        "{stdout}"
    );
    assert!(
        columns("op_realloc").contains(&"300".to_owned()),
        "{stdout}"
    );
}

#[test]
fn a_replay_says_when_nothing_unconditional_is_proved() {
    let unbounded = module("replay-unbounded.wasm");
    let (status, stdout, stderr) = alligator("measure", &unbounded, &["spin(0)"]);
    assert_eq!(status, Some(2), "{stdout}{stderr}");
    assert!(
        stdout.contains("unbounded") && !stdout.contains("yes"),
        "{stdout}"
    );
    let asks = r#"(module (import "env" "now" (func $now))
        (func (export "f") (param i32) (if (local.get 0) (then (call $now)))))"#;
    let asks = file(
        "replay-asks.wasm",
        &wat::parse_str(asks).expect("well formed"),
    );
    let (status, stdout, stderr) = alligator("measure", &asks, &["f(0)"]);
    assert_eq!(status, Some(2), "{stdout}{stderr}");
    assert!(stdout.contains("yes, on condition"), "{stdout}");
}

#[test]
fn json_and_witness_name_the_same_bound() {
    let module = module("json.wasm");
    let (_, json, _) = alligator("bound", &module, &["--json", "--entry", "op_alloc"]);
    assert!(
        json.contains("\"schema\": \"alligator-bound/1\"") && json.contains("\"bound\": 7"),
        "{json}"
    );
    let (_, text, _) = alligator("bound", &module, &["--witness", "--entry", "op_alloc"]);
    assert!(
        text.contains("longest path of op_alloc without growth"),
        "{text}"
    );
}

/// An operation whose beginning is inlined, by an allocator of an unknown crate.
const INLINED: &str = r#"(module
    (memory 1)
    (func $_ZN4mine4slow17h0123456789abcdefE (param i32) (result i32)
        (i32.load (local.get 0)))
    (func (export "main") (param i32) (result i32)
        (i32.add (call $_ZN4mine4slow17h0123456789abcdefE (i32.mul (local.get 0) (i32.const 8))) (i32.const 1))))"#;

#[test]
fn what_inlining_left_is_found_by_the_name_of_the_crate() {
    let module = file(
        "inlined.wasm",
        &wat::parse_str(INLINED).expect("well formed"),
    );
    let (status, _, stderr) = alligator("bound", &module, &[]);
    assert_eq!(status, Some(3));
    assert!(
        stderr.contains("out of line") && stderr.contains("no function grows"),
        "{stderr}"
    );
    let (status, stdout, _) = alligator("bound", &module, &["--allocator", "mine"]);
    assert_eq!(status, Some(0), "{stdout}");
    // Two operands, the product and the call; then a constant, the sum and nothing for the end.
    assert!(
        stdout.contains("mine::slow: 4 before") && stdout.contains("2 after; with its bound 9"),
        "{stdout}"
    );
    assert!(
        stdout.contains("no function by the name of alloc, dealloc"),
        "{stdout}"
    );
}

#[test]
fn a_trap_is_held_to_a_bound_of_its_own() {
    let module = module("trap.wasm");
    let (status, stdout, stderr) = alligator("measure", &module, &["op_realloc(0,1,8,-1)"]);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(
        stdout.contains("trap:") && stdout.contains("yes"),
        "{stdout}"
    );
}

#[test]
fn pages_of_another_size_are_said_and_run() {
    let text = r#"(module
        (memory 1 2 (pagesize 1))
        (func (export "alloc") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let module = file("pages.wasm", &wat::parse_str(text).expect("well formed"));
    let (status, stdout, _) = alligator("bound", &module, &[]);
    assert_eq!(status, Some(0), "{stdout}");
    assert!(stdout.contains("has pages of 1 bytes"), "{stdout}");
    let (status, stdout, stderr) = alligator("measure", &module, &["alloc(1)"]);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(
        stdout.contains("grew") && stdout.contains("has pages of 1 bytes"),
        "{stdout}"
    );
}

/// A growing function that may refuse, and a loop over bytes.
const REFUSES: &str = r#"(module
    (memory (export "memory") 1)
    (func $grow (param $pages i32) (result i32)
        (if (i32.eqz (local.get $pages)) (then (return (i32.const -1))))
        (memory.grow (local.get $pages)))
    (func (export "alloc") (param $size i32) (result i32)
        (if (i32.lt_u (local.get $size) (i32.const 64)) (then (return (i32.const 8))))
        (call $grow (i32.shr_u (local.get $size) (i32.const 16))))
    (func $memset (export "memset") (param i32 i32 i32) (result i32)
        (block (br_if 0 (i32.eqz (local.get 2)))
            (loop
                (i32.store8 (i32.add (local.get 0) (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))) (local.get 1))
                (br_if 0 (local.get 2))))
        (local.get 0)))"#;

#[test]
fn a_call_that_is_refused_growth_has_a_figure_of_its_own() {
    let module = file(
        "refuses.wasm",
        &wat::parse_str(REFUSES).expect("well formed"),
    );
    let (status, stdout, _) = alligator("bound", &module, &["--witness", "--entry", "alloc"]);
    assert_eq!(status, Some(0), "{stdout}");
    // Entry, comparison and `if`; the pages and the call; entry, `eqz`, `if` and the constant.
    assert!(
        stdout.contains("does not grow it costs at most 14 (plain 14, bytes none)")
            && stdout.contains("longest path of alloc where growth is refused"),
        "{stdout}"
    );
    let calls = ["alloc(8)", "alloc(64)", "alloc(65536)"];
    let (status, stdout, stderr) = alligator("measure", &module, &calls);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(!stdout.contains("NO"), "{stdout}");
}

#[test]
fn a_replay_does_not_take_bytes_of_a_loop_for_a_fault() {
    let module = file(
        "loops-over-bytes.wasm",
        &wat::parse_str(REFUSES).expect("well formed"),
    );
    let (status, stdout, stderr) = alligator("measure", &module, &["memset(8,0,1)"]);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    let (status, stdout, stderr) = alligator("measure", &module, &["memset(8,0,500)"]);
    assert_eq!(status, Some(2), "{stdout}{stderr}");
    assert!(stdout.contains("with its bytes"), "{stdout}");
}

#[test]
fn what_is_forbidden_is_out_of_reach_reached_or_not_known() {
    let bytes = wat::parse_str(
        r#"(module
        (import "env" "log" (func $log))
        (memory 1)
        (func $more (drop (memory.grow (i32.const 1))))
        (func (export "process") (param i32))
        (func (export "grows") (call $more))
        (func (export "logs") (call $log)))"#,
    );
    let module = file("forbid.wasm", &bytes.expect("well formed"));
    let run = |from: &str| {
        alligator(
            "bound",
            &module,
            &["--forbid", "grow,wait,loop", "--from", from],
        )
    };
    let (status, stdout, _) = run("process");
    assert_eq!(status, Some(0), "{stdout}");
    assert_eq!(
        stdout
            .lines()
            .filter(|line| line.contains("never reaches"))
            .count(),
        3
    );
    let (status, stdout, _) = run("grows");
    assert_eq!(status, Some(1));
    let way: Vec<&str> = stdout.lines().skip(2).take(2).collect();
    assert!(
        way[0].ends_with("in grows: calls more") && way[1].ends_with("in more: memory.grow"),
        "{stdout}"
    );
    let (status, stdout, _) = run("logs");
    assert_eq!(status, Some(2));
    assert!(stdout.contains("calls the import env.log"), "{stdout}");
    let (status, stdout, stderr) = run("nobody");
    assert_eq!(
        (status, stdout.as_str(), stderr.lines().count()),
        (Some(3), "", 1)
    );
    let (status, ..) = alligator("bound", &module, &["--forbid", "grow"]);
    assert_eq!(status, Some(3), "no --from");
    let json = ["--forbid", "grow", "--from", "grows", "--json"];
    let (_, stdout, _) = alligator("bound", &module, &json);
    assert!(stdout.contains(r#""answer": "reached""#), "{stdout}");
}

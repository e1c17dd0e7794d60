//! `alligator find`, and what the other subcommands make of it: output and exit status.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An allocator with one list of free blocks of one size, exported under short names.
const HEAP: &str = r#"(module
    (memory (export "memory") 8)
    (global $end (mut i32) (i32.const 4096))
    (func $give (export "a") (param i32) (result i32) (local $at i32)
        (local.set $at (i32.load (i32.const 2048)))
        (if (local.get $at)
            (then (i32.store (i32.const 2048) (i32.load (local.get $at))) (return (local.get $at))))
        (local.set $at (global.get $end))
        (global.set $end (i32.add (global.get $end) (i32.const 131072)))
        (if (i32.gt_u (global.get $end) (i32.shl (memory.size) (i32.const 16)))
            (then (if (i32.eq (memory.grow (i32.const 2)) (i32.const -1)) (then (return (i32.const 0))))))
        (local.get $at))
    (func $take (export "b") (param i32)
        (i32.store (local.get 0) (i32.load (i32.const 2048)))
        (i32.store (i32.const 2048) (local.get 0)))
    (func (export "c") (result i32) (call $take (call $give (i32.const 1))) (call $give (i32.const 2))))"#;

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("writable");
    folder
}

fn write(folder: &Path, name: &str, contents: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, contents).expect("writable");
    path
}

fn heap(folder: &Path) -> PathBuf {
    write(
        folder,
        "app.wasm",
        &wat::parse_str(HEAP).expect("well formed"),
    )
}

fn alligator(arguments: &[&str], module: &Path) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_alligator"))
        .arg(arguments[0])
        .arg(module)
        .args(&arguments[1..])
        .output()
        .expect("the tool runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn assert_row(stdout: &str, parts: &[&str]) {
    let has = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(stdout.lines().any(has), "no row of {parts:?}: {stdout}");
}

#[test]
fn a_heap_without_names_is_found_by_shape() {
    let module = heap(&folder("find-shape"));
    let (status, stdout, stderr) = alligator(&["find"], &module);
    assert_eq!(status, Some(0), "{stderr}");
    assert_row(&stdout, &["alloc", "a", "size", "shape", "confirmed by"]);
    assert_row(
        &stdout,
        &["dealloc", "b", "pointer", "shape", "confirmed by"],
    );
    let (status, stdout, _) = alligator(&["find", "--no-run"], &module);
    assert_eq!(status, Some(2));
    assert!(stdout.contains("memory grows in"), "{stdout}");
}

#[test]
fn javascript_beside_the_module_is_read() {
    let folder = folder("find-glue");
    let module = heap(&folder);
    write(&folder, "app.js", b"k._malloc=c.a;k._free=c.b;");
    write(&folder, "other.js", b"k._malloc=c.b;k._free=c.a;");
    let (_, stdout, _) = alligator(&["find"], &module);
    assert_row(&stdout, &["alloc", "a", "glue", "confirmed by"]);
    assert_row(&stdout, &["dealloc", "b", "glue", "confirmed by"]);
}

#[test]
fn javascript_that_says_the_modules_name_is_read() {
    let folder = folder("find-named");
    let module = heap(&folder);
    write(
        &folder,
        "main.mjs",
        b"load('app.wasm');k._malloc=c.a;k._free=c.b;",
    );
    let (_, stdout, _) = alligator(&["find", "--no-run"], &module);
    assert_row(&stdout, &["alloc", "a", "glue", "not tried"]);
    let glue = write(&folder, "main.txt", b"k._malloc=c.a;");
    let glue = glue.to_str().expect("UTF-8");
    let (_, stdout, _) = alligator(&["find", "--no-run", "--glue", glue], &module);
    assert_row(&stdout, &["alloc", "a", "glue"]);
    assert!(!stdout.contains("dealloc"), "{stdout}");
}

#[test]
fn what_the_user_says_is_taken() {
    let module = heap(&folder("find-given"));
    let (status, stdout, _) = alligator(
        &["find", "--alloc", "a=alloc", "--alloc", "1=dealloc"],
        &module,
    );
    assert_eq!(status, Some(0));
    assert_row(&stdout, &["dealloc", "b", "given", "confirmed by"]);
    for wrong in ["a", "a=malloc", "nobody=alloc", "c=alloc"] {
        let (status, stdout, stderr) = alligator(&["find", "--alloc", wrong], &module);
        assert_eq!(
            (status, stdout.as_str()),
            (Some(3), ""),
            "{wrong}: {stderr}"
        );
    }
}

#[test]
fn json_says_the_same() {
    let module = heap(&folder("find-json"));
    let (_, json, _) = alligator(&["find", "--json"], &module);
    for part in [
        r#""schema": "alligator-find/1""#,
        r#""outcome": "found""#,
        r#""name": "unknown""#,
        r#""found": "shape""#,
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn no_heap_and_no_module_are_told_apart() {
    let folder = folder("find-none");
    let none = write(
        &folder,
        "none.wasm",
        &wat::parse_str("(module (memory 1))").expect("well formed"),
    );
    let (status, stdout, _) = alligator(&["find"], &none);
    assert_eq!(status, Some(0));
    assert!(stdout.starts_with("no heap"), "{stdout}");
    let cut = write(
        &folder,
        "cut.wasm",
        &wat::parse_str(HEAP).expect("well formed")[..40],
    );
    for bad in [
        cut,
        write(&folder, "text.wasm", b"text"),
        folder.join("absent.wasm"),
    ] {
        let (status, stdout, stderr) = alligator(&["find"], &bad);
        assert_eq!((status, stdout.as_str()), (Some(3), ""));
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let file = bad.file_name().expect("it has a name").to_string_lossy();
        assert!(stderr.contains(file.as_ref()), "{stderr}");
    }
}

#[test]
fn bounds_are_proved_of_what_is_found() {
    let module = heap(&folder("find-bound"));
    let (status, stdout, stderr) = alligator(&["bound"], &module);
    assert_eq!(status, Some(0), "{stderr}");
    assert_row(&stdout, &["a", "bounded"]);
    assert_row(&stdout, &["b", "never", "bounded"]);
    let (status, _, stderr) = alligator(&["bound", "--no-run"], &module);
    assert_eq!(status, Some(3), "{stderr}");
}

#[test]
fn what_is_found_is_replayed_by_what_it_does() {
    let module = heap(&folder("find-replay"));
    let calls = ["measure", "alloc(24)", "dealloc($0)", "alloc(8)", "1(4096)"];
    let (status, stdout, stderr) = alligator(&calls, &module);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert_row(&stdout, &["alloc(24)", "4096", "yes"]);
    assert_row(&stdout, &["alloc(8)", "4096", "yes"]);
    let (status, _, _) = alligator(&["measure", "realloc(1,2)"], &module);
    assert_eq!(status, Some(3));
}

#[test]
fn the_core_module_of_a_component_is_worked_on() {
    let core = HEAP
        .replacen("(module", "(core module", 1)
        .replace("\"a\"", "\"malloc\"");
    let component = wat::parse_str(format!("(component {core})")).expect("well formed");
    let module = write(&folder("find-component"), "app.wasm", &component);
    let (status, stdout, _) = alligator(&["find"], &module);
    assert_eq!(status, Some(0));
    assert!(stdout.starts_with("core module 0 of 1"), "{stdout}");
    let (status, stdout, stderr) = alligator(&["bound"], &module);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("note: core module 0 of 1"), "{stdout}");
    let (status, _, stderr) = alligator(&["measure", "malloc(8)"], &module);
    assert_eq!(status, Some(0), "{stderr}");
}

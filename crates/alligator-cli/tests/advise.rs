//! `alligator replay` and `alligator advise`: from a program to advice, and what is refused.

mod common;

use std::path::Path;

use alligator_trace::{Header, Kind, Reader, StackId, Writer};
use common::{Host, assert_refused, record, run, scratch};
use wasmtime::Val;

/// A program with an allocator that only goes forward. `fill(blocks)` takes blocks, one resized twice in each turn.
const PROGRAM: &str = r#"(module
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func $malloc (export "malloc") (param $size i32) (result i32)
        (local $start i32)
        (local.set $start (global.get $next))
        (global.set $next (i32.add (local.get $start)
            (i32.and (i32.add (local.get $size) (i32.const 23)) (i32.const -16))))
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
            (then (drop (memory.grow (i32.const 1)))))
        (local.get $start))
    (func $free (export "free") (param i32))
    (func $realloc (export "realloc") (param $old i32) (param $size i32) (result i32)
        (call $malloc (local.get $size)))
    (func (export "fill") (param $turns i32)
        (local $block i32)
        (loop $next
            (local.set $block (call $malloc (i32.const 100)))
            (local.set $block (call $realloc (local.get $block) (i32.const 200)))
            (local.set $block (call $realloc (local.get $block) (i32.const 400)))
            (call $free (local.get $block))
            (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
            (br_if $next (local.get $turns)))))"#;

/// Records the program and writes its trace into the folder.
fn recorded(folder: &Path) {
    let bytes = record(folder, "app.wasm", PROGRAM, &["--stacks"]);
    let mut host = Host::start(&bytes);
    host.call("fill", &[Val::I32(200)]);
    std::fs::write(folder.join("app.trace"), host.trace()).expect("can be written");
}

#[test]
fn a_program_gets_advice_in_two_steps() {
    let folder = scratch("advice_in_two_steps");
    recorded(&folder);
    let (status, stdout, stderr) = run(&folder, &["advise", "app.trace", "--replay"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    let words = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "grows 200 blocks by half or more, 400 times in all",
        "most often from 100 to 400 (100.0 %)",
        "> malloc(400)",
        "reserved at the start none does (replayed)",
        "alligator_reserve(",
        "dlmalloc 0.2.14 would take",
        "a build that stops at misuse of the heap takes",
    ] {
        assert!(words.contains(text), "{text:?} is not in {stdout}");
    }
    let (status, stdout, _) = run(&folder, &["advise", "app.trace", "--json"]);
    assert_eq!(status, Some(0));
    assert!(stdout.contains("\"topic\": \"capacity\""), "{stdout}");
    assert!(!stdout.contains("\"topic\": \"others\""), "{stdout}");
}

#[test]
fn a_replay_shows_each_allocator_and_writes_traces() {
    let folder = scratch("replay_shows_each");
    recorded(&folder);
    let (status, stdout, stderr) = run(&folder, &["replay", "app.trace"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    for name in [
        "alligator 0.1.0",
        "alligator-hardened",
        "talc",
        "dlmalloc",
        "lol_alloc",
    ] {
        assert!(stdout.contains(name), "{name} is not in {stdout}");
    }
    assert!(!stdout.contains("floor"), "{stdout}");
    assert!(
        stdout.contains("600 blocks taken, 600 given back, 400 of these resized"),
        "{stdout}"
    );

    let write = [
        "replay",
        "app.trace",
        "--allocator",
        "talc",
        "--write",
        "talc.trace",
    ];
    assert_eq!(run(&folder, &write).0, Some(0));
    let (_, stdout, _) = run(&folder, &["report", "talc.trace"]);
    assert!(stdout.contains("allocator talc 5.1.1"), "{stdout}");
    assert!(stdout.contains("600 blocks"), "{stdout}");

    let (status, stdout, _) = run(&folder, &["replay", "app.trace", "--write-lab", "app.lab"]);
    assert_eq!(status, Some(0));
    assert!(stdout.contains("800 operations on 1 blocks"), "{stdout}");
    let bytes = std::fs::read(folder.join("app.lab")).expect("was written");
    assert_eq!(bytes.len(), 800 * 12);

    let reserve = [
        "replay",
        "app.trace",
        "--allocator",
        "alligator",
        "--reserve",
        "1MiB",
    ];
    let (_, stdout, _) = run(&folder, &reserve);
    assert!(
        stdout.contains("1.00 MiB brought in before the first call"),
        "{stdout}"
    );
}

#[test]
fn a_module_of_the_users_is_an_allocator() {
    let folder = scratch("module_of_the_users");
    recorded(&folder);
    let bump = r#"(module (memory (export "memory") 20)
        (global $next (mut i32) (i32.const 1024))
        (func $alloc (export "op_alloc") (param i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 0)) (i32.const 15)) (i32.const -16))))
        (func (export "op_alloc_zeroed") (param i32 i32) (result i32) (call $alloc (local.get 0) (local.get 1)))
        (func (export "op_dealloc") (param i32 i32 i32))
        (func (export "op_realloc") (param i32 i32 i32 i32) (result i32) (local.get 0)))"#;
    let bytes = wat::parse_str(bump).expect("is a module");
    std::fs::write(folder.join("bump.wasm"), bytes).expect("can be written");
    // It resizes in place, over what comes after: that is noticed where blocks meet, and not in this program.
    let with = [
        "replay",
        "app.trace",
        "--module",
        "bump=bump.wasm",
        "--allocator",
        "bump,floor",
    ];
    let (status, stdout, stderr) = run(&folder, &with);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.contains("bump") && stdout.contains("floor"),
        "{stdout}"
    );
}

#[test]
fn in_v8_each_allocator_has_a_time() {
    let folder = scratch("in_v8");
    recorded(&folder);
    let with = [
        "replay",
        "app.trace",
        "--allocator",
        "alligator,dlmalloc",
        "--v8=3",
    ];
    let (status, stdout, stderr) = run(&folder, &with);
    let has_node = std::process::Command::new("node")
        .arg("--version")
        .output()
        .is_ok();
    if !has_node {
        assert_eq!((status, stdout.as_str()), (Some(3), ""));
        assert_eq!(stderr, "alligator: Node.js does not start (node)\n");
        return;
    }
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.contains("V8 ns/call") && stdout.contains("node "),
        "{stdout}"
    );
    let rows = stdout
        .lines()
        .filter(|line| line.contains(" to ") && line.contains('('));
    assert_eq!(rows.count(), 2, "{stdout}");
}

#[test]
fn what_cannot_be_replayed_is_refused_in_one_line() {
    let folder = scratch("cannot_be_replayed");
    recorded(&folder);
    let trace = |name: &str, header: &Header, size: u64| {
        let mut writer = Writer::new(Vec::new(), header).expect("is written");
        let kind = Kind::Alloc {
            address: 1 << 20,
            size,
            align: 8,
            zeroed: false,
        };
        writer
            .event(0, 0, StackId::NONE, kind)
            .expect("is an event");
        let bytes = writer.finish(None).expect("is written");
        std::fs::write(folder.join(name), bytes).expect("can be written");
    };
    let sampled = Header {
        sample_bytes: 512,
        ..Header::default()
    };
    trace("sampled.trace", &sampled, 8);
    trace("large.trace", &Header::default(), 1 << 32);
    let whole = std::fs::read(folder.join("app.trace")).expect("was written");
    let mut damaged = whole.clone();
    let last = damaged.len() - 40;
    damaged[last] ^= 0xff;
    std::fs::write(folder.join("damaged.trace"), damaged).expect("can be written");
    std::fs::write(folder.join("text"), "no trace").expect("can be written");
    let cases: [(&[&str], &str); 9] = [
        (
            &["replay", "sampled.trace"],
            "sampled.trace: on alligator: a sampled trace cannot be replayed",
        ),
        (
            &["advise", "sampled.trace"],
            "sampled.trace: a sampled trace: advice needs every block",
        ),
        (
            &["replay", "large.trace"],
            "large.trace: on alligator: event 0: a block of 4294967296 bytes, too large",
        ),
        (&["replay", "damaged.trace"], "damaged.trace: "),
        (&["advise", "damaged.trace", "--replay"], "damaged.trace: "),
        (&["replay", "text"], "text: no trace"),
        (&["advise", "app.wasm"], "app.wasm: a module, not a trace"),
        (&["replay", "none.trace"], "none.trace: No such file"),
        (&["replay", "app.trace", "--module", "mine=text"], "text: "),
    ];
    assert_refused(&folder, &cases);
    let (status, _, stderr) = run(&folder, &["replay", "app.trace", "--allocator", "none"]);
    assert_eq!(status, Some(3));
    assert!(
        stderr.contains("no allocator is called \"none\""),
        "{stderr}"
    );
}

#[test]
fn a_trace_that_breaks_off_is_replayed_as_far_as_it_goes() {
    let folder = scratch("breaks_off");
    recorded(&folder);
    let whole = std::fs::read(folder.join("app.trace")).expect("was written");
    std::fs::write(folder.join("cut.trace"), &whole[..whole.len() - 3]).expect("can be written");
    let (status, stdout, _) = run(
        &folder,
        &["replay", "cut.trace", "--allocator", "alligator"],
    );
    assert_eq!(status, Some(0));
    assert!(
        stdout.contains("note: the trace breaks off at byte"),
        "{stdout}"
    );
    let mut reader = Reader::new(&whole[..]).expect("a header");
    let mut events = 0;
    while reader.next_event().expect("is whole").is_some() {
        events += 1;
    }
    assert!(stdout.contains(&format!(" of {events}\n")), "{stdout}");
}

//! Programs, recorded and not: the same output, and a history that a heap can have. Run by Node.js and, with the feature
//! `run`, by the command itself. What has no compiler here is left out, with a line.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alligator_trace::{Kind, Reader};
use common::{Told, alligator, scratch, told};

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a program can be started; if not, a line says so.
fn is_there(program: &str, test: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        println!("left out: {test}: no {program}");
    }
    is_there
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
    output
}

/// Builds a Rust program; the path of the module.
fn rust(folder: &Path, source: &str, target: &str, options: &[&str]) -> PathBuf {
    let module = folder.join("program.wasm");
    run(Command::new("rustc")
        .args(["--edition=2024", "-Copt-level=2", "--target", target])
        .args(options)
        .arg("-o")
        .arg(&module)
        .arg(programs().join(source)));
    module
}

fn node(script: &str, arguments: &[&Path], more: &[&str]) -> Output {
    let mut node = Command::new("node");
    node.arg("--no-warnings")
        .arg(programs().join(script))
        .args(arguments)
        .args(more);
    run(&mut node)
}

/// What a trace tells of a heap that works: every block that is given back or resized is there, and no two overlap. The
/// events of each kind, by size.
fn history(trace: &Path) -> Vec<Told> {
    let told = told(&std::fs::read(trace).expect("was written"));
    let mut live: BTreeMap<u64, u64> = BTreeMap::new();
    for event in &told {
        let Told::Kind(kind) = event else { continue };
        let (gone, come) = match *kind {
            Kind::Alloc { address, size, .. } => (None, Some((address, size))),
            Kind::Free { address } => (Some(address), None),
            Kind::Realloc {
                old, address, size, ..
            } => (Some(old), Some((address, size))),
            _ => continue,
        };
        if let Some(gone) = gone {
            assert!(
                live.remove(&gone).is_some(),
                "no block at {gone:#x}: {kind:?}"
            );
        }
        let Some((address, size)) = come.filter(|(address, _)| *address != 0) else {
            continue;
        };
        let before = live.range(..address + size.max(1)).next_back();
        let is_apart =
            before.is_none_or(|(other, length)| other + length <= address && *other != address);
        assert!(is_apart, "{kind:?} overlaps {before:x?}");
        live.insert(address, size);
    }
    told
}

/// A module, recorded by the command for engines without multi-memory.
fn recorded(module: &Path, options: &[&str]) -> PathBuf {
    let folder = module.parent().expect("is in a folder");
    let name = module.to_str().expect("is UTF-8");
    let output = alligator(&[&["record", name, "--import"], options].concat(), folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    module.with_extension("recorded.wasm")
}

#[test]
fn a_rust_program_does_the_same() {
    if !is_there("node", "a Rust program") {
        return;
    }
    let folder = scratch("rust-program");
    let mut histories = Vec::new();
    for options in [&["-g"][..], &["-Cstrip=symbols"]] {
        let module = rust(&folder, "program.rs", "wasm32-wasip1", options);
        let plain = node("wasi.mjs", &[&module, Path::new("-")], &["500"]);
        let trace = folder.join("program.trace");
        let with = node("wasi.mjs", &[&recorded(&module, &[]), &trace], &["500"]);
        assert_eq!(text(&with.stdout), text(&plain.stdout));
        histories.push(history(&trace));
    }
    assert!(histories[0].len() > 2_000, "{} events", histories[0].len());
    let count = |told: &[Told]| {
        told.iter()
            .filter(|it| matches!(it, Told::Kind(Kind::Alloc { .. })))
            .count()
    };
    assert_eq!(
        count(&histories[0]),
        count(&histories[1]),
        "a stripped module is recorded as well"
    );
}

#[test]
fn the_lines_of_call_sites_are_those_of_the_source() {
    if !is_there("node", "lines of call sites") {
        return;
    }
    let folder = scratch("rust-lines");
    let module = rust(&folder, "program.rs", "wasm32-wasip1", &["-g"]);
    let plain = node("wasi.mjs", &[&module, Path::new("-")], &["500"]);
    let trace = folder.join("program.trace");
    let with = node(
        "wasi.mjs",
        &[&recorded(&module, &["--stacks"]), &trace],
        &["500"],
    );
    assert_eq!(text(&with.stdout), text(&plain.stdout));
    history(&trace);
    let bytes = std::fs::read(&trace).expect("was written");
    let mut reader = Reader::new(&bytes[..]).expect("a header");
    let source = std::fs::read_to_string(programs().join("program.rs")).expect("is there");
    let line_of = |text: &str| {
        let line = source
            .lines()
            .position(|it| it.contains(text))
            .expect("is in the source");
        u32::try_from(line + 1).expect("is a short program")
    };
    let (boxed, vector) = (line_of("Box::new([round; 9])"), line_of("vec![0_u8;"));
    let (mut of_boxes, mut of_vectors) = (0, 0);
    while let Some(event) = reader.next_event().expect("whole") {
        let mut frames = reader.sites().frames(event.site);
        let is_at = |line| {
            move |it: alligator_trace::Frame<'_>| {
                it.line == line && it.file.is_some_and(|it| it.ends_with("program.rs"))
            }
        };
        match event.kind {
            Kind::Alloc { size: 36, .. } if frames.clone().any(is_at(boxed)) => of_boxes += 1,
            Kind::Alloc { zeroed: true, .. } if frames.any(is_at(vector)) => of_vectors += 1,
            _ => {}
        }
    }
    assert_eq!(of_boxes, 500, "each round makes a box");
    assert!(
        of_vectors > 450,
        "{of_vectors} of 500 rounds make a slice that is not empty"
    );
}

#[test]
fn a_c_program_does_the_same() {
    let has_libc = Path::new("/usr/lib/wasm32-wasi/libc.a").exists()
        || Path::new("/usr/share/wasi-sysroot").exists();
    if !is_there("node", "a C program") || !is_there("clang", "a C program") {
        return;
    }
    if !has_libc {
        println!("left out: a C program: no wasi-libc");
        return;
    }
    let folder = scratch("c-program");
    let module = folder.join("program.wasm");
    let object = folder.join("program.o");
    // Linked by itself: told to optimise, clang runs Binaryen over the module, which inlines what is called once.
    run(Command::new("clang")
        .args(["--target=wasm32-wasi", "-O2", "-g", "-c", "-o"])
        .args([&object, &programs().join("program.c")]));
    run(Command::new("clang")
        .args(["--target=wasm32-wasi", "-o"])
        .args([&module, &object]));
    let plain = node("wasi.mjs", &[&module, Path::new("-")], &[]);
    let trace = folder.join("program.trace");
    for options in [&[][..], &["--stacks"]] {
        let with = node("wasi.mjs", &[&recorded(&module, options), &trace], &[]);
        assert_eq!(text(&with.stdout), text(&plain.stdout));
        let told = history(&trace);
        let count = |is: fn(&Kind) -> bool| {
            told.iter()
                .filter(|it| matches!(it, Told::Kind(kind) if is(kind)))
                .count()
        };
        assert!(count(|it| matches!(it, Kind::Realloc { .. })) > 500);
        assert!(count(|it| matches!(it, Kind::Alloc { align: 64, .. })) > 200);
        assert!(count(|it| matches!(it, Kind::Alloc { zeroed: true, .. })) > 200);
    }
}

#[test]
fn a_library_for_javascript_is_recorded_from_inside_as_well() {
    if !is_there("node", "a library for JavaScript") {
        return;
    }
    let folder = scratch("bindgen");
    let mut counts = Vec::new();
    for options in [
        &["--crate-type=cdylib"][..],
        &["--crate-type=cdylib", "-Cstrip=symbols"],
    ] {
        let module = rust(&folder, "bindgen.rs", "wasm32-unknown-unknown", options);
        let plain = node("bindgen.mjs", &[&module, Path::new("-")], &[]);
        let trace = folder.join("bindgen.trace");
        let with = node("bindgen.mjs", &[&recorded(&module, &[]), &trace], &[]);
        assert_eq!(text(&with.stdout), text(&plain.stdout));
        let told = history(&trace);
        assert!(told.contains(&Told::Mark("work".to_owned())));
        counts.push(told.len());
    }
    assert!(counts[0] > 5_000, "{counts:?}");
    assert_eq!(counts[0], counts[1], "without names, the same is recorded");
}

#[cfg(feature = "run")]
#[test]
fn the_command_runs_and_records_as_node_does() {
    let folder = scratch("run");
    let module = rust(&folder, "program.rs", "wasm32-wasip1", &["-g"]);
    let name = module.to_str().expect("is UTF-8");
    for options in [&[][..], &["--stacks"]] {
        let output = alligator(
            &[&["run", name, "500", "-o", "one.trace"], options].concat(),
            &folder,
        );
        assert!(output.status.success(), "{}", text(&output.stderr));
        let one = history(&folder.join("one.trace"));
        assert!(one.len() > 2_000);
        if is_there("node", "a comparison with Node.js") {
            let trace = folder.join("other.trace");
            let other = node("wasi.mjs", &[&recorded(&module, options), &trace], &["500"]);
            assert_eq!(text(&other.stdout), text(&output.stdout));
            assert!(one == history(&trace), "other events than under Node.js");
        }
    }
    // A program's status is the command's, and the trace has it.
    let output = alligator(&["run", name, "13", "-o", "exit.trace"], &folder);
    assert_eq!(output.status.code(), Some(13));
    let ending = |trace: &str| {
        let bytes = std::fs::read(folder.join(trace)).expect("was written");
        let mut reader = Reader::new(&bytes[..]).expect("a header");
        while reader.next_event().expect("whole").is_some() {}
        reader.totals().expect("is whole").ending.clone()
    };
    assert_eq!(ending("exit.trace").as_deref(), Some("exit status 13"));
    let output = alligator(&["run", name, "14", "-o", "trap.trace"], &folder);
    assert_eq!(output.status.code(), Some(134));
    assert_eq!(
        ending("trap.trace").as_deref(),
        Some("wasm trap: wasm `unreachable` instruction executed")
    );
}

#[test]
fn threads_have_one_history() {
    if !is_there("node", "threads") {
        return;
    }
    let folder = scratch("threads");
    let module = rust(&folder, "threads.rs", "wasm32-wasip1-threads", &["-g"]);
    let plain = node("threads.mjs", &[&module, Path::new("-")], &[]);
    let trace = folder.join("threads.trace");
    let with = node(
        "threads.mjs",
        &[&recorded(&module, &["--stacks"]), &trace],
        &[],
    );
    assert_eq!(text(&with.stdout), text(&plain.stdout));
    // A block that one thread has freed may be another's at once: only the right order is a history.
    assert!(history(&trace).len() > 10_000);
    let bytes = std::fs::read(&trace).expect("was written");
    let reader = Reader::new(&bytes[..]).expect("a header");
    let threads: std::collections::BTreeSet<u32> =
        reader.map(|it| it.expect("whole").thread).collect();
    assert_eq!(threads.len(), 4, "{threads:?}");
}

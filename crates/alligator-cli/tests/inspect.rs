//! `alligator inspect`: the memory of a program that has trapped, whole and damaged.

mod common;

use std::path::{Path, PathBuf};

use alligator_report::{PieceKind, Snapshot};
use alligator_tools::guest::{self, Guest};
use common::{assert_refused, run, scratch};
use wasmtime::{Engine, Instance, Module, Store};

/// Blocks of 24 bytes, and of 5,000, that the program has when it traps.
const SMALL: u32 = 1000;
const LONG: u32 = 30;

/// Builds the program that takes snapshots of its heap.
fn built(feature: &'static str) -> PathBuf {
    let features: &[&str] = if feature.is_empty() { &[] } else { &[feature] };
    guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("snapshot"),
        library: "guest_snapshot",
        features,
        output: &format!("snapshot-{feature}"),
        profile: None,
        overrides: Vec::new(),
    })
    .expect("builds")
}

/// The memory of the program once it has trapped.
fn trapped(module: &Path, small: u32, long: u32) -> Vec<u8> {
    let engine = Engine::default();
    let module = Module::from_file(&engine, module).expect("is valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("starts");
    let fill = instance
        .get_typed_func::<(u32, u32), ()>(&mut store, "fill_and_trap")
        .expect("is exported");
    fill.call(&mut store, (small, long)).expect_err("traps");
    let memory = instance
        .get_memory(&mut store, "memory")
        .expect("is exported");
    memory.data(&store).to_vec()
}

/// Blocks in slots of so many bytes, and runs in use.
fn live(snapshot: &Snapshot, size: u64) -> (u64, u64) {
    let (mut slots_live, mut runs) = (0, 0);
    for piece in &snapshot.pieces {
        match piece.kind {
            PieceKind::MiniPage {
                slot_bytes,
                slots,
                free,
            } if slot_bytes == size => slots_live += slots - free,
            PieceKind::Run => runs += 1,
            _ => {}
        }
    }
    (slots_live, runs)
}

#[test]
fn the_heap_of_a_trapped_program_is_told_and_damage_is_named() {
    for feature in ["", "small", "hardened"] {
        let folder = scratch(&format!("trapped_{feature}"));
        let module = built(feature);
        let module = module.to_str().expect("UTF-8");
        let memory = trapped(Path::new(module), SMALL, LONG);
        std::fs::write(folder.join("memory.bin"), &memory).expect("can be written");

        let with = ["inspect", "memory.bin", module, "-o", "heap.snapshot"];
        let (status, stdout, stderr) = run(&folder, &with);
        assert_eq!(
            (status, stderr.as_str()),
            (Some(0), ""),
            "{feature}: {stdout}"
        );
        assert!(stdout.contains("all invariants hold"), "{stdout}");
        let bytes = std::fs::read(folder.join("heap.snapshot")).expect("was written");
        let snapshot = Snapshot::read(&bytes).expect("is a snapshot");
        let (small, runs) = live(&snapshot, 24);
        // Besides the long blocks, the list of the small ones is a run; that of the long ones is none.
        assert_eq!(
            (small, runs),
            (SMALL.into(), u64::from(LONG) + 1),
            "{feature}"
        );
        let (status, again, _) = run(&folder, &["inspect", "heap.snapshot"]);
        assert_eq!(status, Some(0));
        let (_, reported, _) = run(&folder, &["report", "heap.snapshot"]);
        assert_eq!(
            (again.lines().skip(1)).collect::<Vec<_>>(),
            stdout.lines().skip(1).collect::<Vec<_>>()
        );
        assert_eq!(reported, again);

        // The heap's own records, written over.
        let mut damaged = memory.clone();
        let pieces = snapshot.pieces.iter();
        let records: Vec<_> = pieces.filter(|it| it.kind == PieceKind::Records).collect();
        assert!(!records.is_empty(), "{feature}");
        for piece in records {
            let place = |address: u64| usize::try_from(address).expect("is small");
            for byte in &mut damaged[place(piece.address)..place(piece.address + piece.bytes)] {
                *byte ^= 0x5a;
            }
        }
        std::fs::write(folder.join("damaged.bin"), damaged).expect("can be written");
        let (status, stdout, stderr) = run(&folder, &["inspect", "damaged.bin", module]);
        match status {
            Some(1) => {
                assert!(stdout.contains("BROKEN: the invariant ") && stdout.contains(" at 0x"));
            }
            Some(3) => assert!(stderr.contains("the heap cannot be read, its state is broken")),
            _ => panic!("{feature}: {status:?} {stdout} {stderr}"),
        }
    }
}

#[test]
fn a_heap_of_many_pieces_comes_in_chunks() {
    let folder = scratch("many_pieces");
    let module = built("");
    let memory = trapped(&module, 200_000, 300);
    std::fs::write(folder.join("memory.bin"), memory).expect("can be written");
    let module = module.to_str().expect("UTF-8");
    let with = ["inspect", "memory.bin", module, "-o", "heap.snapshot"];
    let (status, stdout, _) = run(&folder, &with);
    assert_eq!(status, Some(0), "{stdout}");
    let bytes = std::fs::read(folder.join("heap.snapshot")).expect("was written");
    let snapshot = Snapshot::read(&bytes).expect("is a snapshot");
    assert!(snapshot.pieces.len() > 3 * 128, "{}", snapshot.pieces.len());
    assert_eq!(live(&snapshot, 24).0, 200_000);

    // Cut short anywhere, or with any word changed, it is refused in a line or read.
    let mut refused = 0;
    for at in (0..bytes.len().min(9000)).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 0xff;
        for damaged in [&bytes[..at], &changed] {
            if let Err(error) = Snapshot::read(damaged) {
                assert_eq!(error.to_string().lines().count(), 1);
                refused += 1;
            }
        }
    }
    assert!(refused > 1300, "{refused}");
}

#[test]
fn what_cannot_be_inspected_is_refused_in_one_line() {
    let folder = scratch("cannot_be_inspected");
    let module = built("");
    let module = module.to_str().expect("UTF-8");
    let plain = wat::parse_str("(module (memory 1))").expect("is a module");
    std::fs::write(folder.join("plain.wasm"), plain).expect("can be written");
    let memory = trapped(Path::new(module), SMALL, LONG);
    std::fs::write(folder.join("memory.bin"), &memory).expect("can be written");
    std::fs::write(folder.join("empty.bin"), []).expect("can be written");
    std::fs::write(folder.join("bad.snapshot"), b"ALGSNAP\x01rest").expect("can be written");
    let cases: [(&[&str], &str); 6] = [
        (
            &["inspect", "memory.bin"],
            "memory.bin: no snapshot; give the module",
        ),
        (
            &["inspect", "memory.bin", "plain.wasm"],
            "plain.wasm: no alligator_snapshot in it",
        ),
        (&["inspect", "memory.bin", "memory.bin"], "memory.bin: "),
        (
            &["inspect", "empty.bin", module],
            "empty.bin: no copy of a memory",
        ),
        (
            &["inspect", "bad.snapshot"],
            "bad.snapshot: a snapshot that is cut off",
        ),
        (
            &["inspect", "bad.snapshot", module],
            "bad.snapshot: a snapshot, not the copy",
        ),
    ];
    assert_refused(&folder, &cases);
}

//! What is proved of the functions of C: the longest path of each in the compiled module.

use core::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use alligator_bound::report::{EntryReport, Figure};
use alligator_bound::{Options as BoundOptions, analyze};
use anyhow::{Context, Result, anyhow, ensure};

use crate::conformance::build_dir;
use crate::library::{BARE, Flavour};
use crate::package::Package;
use crate::tools;
use alligator_tools::guest;

/// The functions whose bounds are promised.
const FUNCTIONS: [&str; 17] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "aligned_alloc",
    "malloc_usable_size",
    "alligator_allocate",
    "alligator_deallocate",
    "alligator_trim",
    "alligator_heap_bytes",
    "alligator_largest_free",
    "alligator_scope_new",
    "alligator_scope_alloc",
    "alligator_scope_mark",
    "alligator_scope_rewind",
    "alligator_scope_reset",
    "alligator_scope_free",
];

/// Those of the library with guards.
const GUARDED: [&str; 8] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "alligator_guard",
    "alligator_unguard",
    "alligator_guard_count",
    "alligator_guard_last",
];

const HEAD: &str = "# Longest path of one C function, in Wasm instructions (wasmtime's fuel), proved on \
    liballigator.a linked\n# alone for wasm32-unknown-unknown, by `cargo xtask clib --bounds`. refused: calls that \
    come to where the\n# memory grows and do not grow it: the first, which takes the initial memory in, and those \
    that the\n# host or a limit refuses. gathering: calls that give back all that the heap keeps for later \
    requests, before\n# NULL or for much memory. bytes: bulk operations on the path, each a byte of copy or fill per \
    unit more.\n";

const GUARDED_HEAD: &str =
    "# On liballigator-guards.a, in a program without a function that is told of events:\n";

/// Proves, and writes `crates/alligator-c/bounds.txt` or, if `check`, compares with it.
pub(crate) fn run(package: &Package, check: bool) -> Result<()> {
    let mut text = HEAD.to_owned();
    let _ = writeln!(
        text,
        "{:<22} {:>9} {:>9} {:>12} {:>9} {:>10} {:>6}",
        "# function", "bound", "plain", "with growth", "refused", "gathering", "bytes"
    );
    prove(package, Flavour::Plain, &FUNCTIONS, &mut text)?;
    text += GUARDED_HEAD;
    prove(package, Flavour::Guards, &GUARDED, &mut text)?;
    print!("{text}");
    let path = guest::root()
        .join("crates")
        .join("alligator-c")
        .join("bounds.txt");
    if check && !guest::bounds_are_comparable()? {
        ensure!(!text.contains("unbounded"), "a function has no bound");
        println!(
            "Not compared: the bounds were recorded with another compiler, which gives other code."
        );
        return Ok(());
    }
    if check {
        let committed = fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            committed == text,
            "bounds.txt is not what the library gives now; `cargo xtask clib --bounds` rewrites it"
        );
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A row for each of `functions`.
fn prove(package: &Package, flavour: Flavour, functions: &[&str], text: &mut String) -> Result<()> {
    let module = fs::read(link(package, flavour, functions)?)?;
    let options = BoundOptions {
        entries: functions.iter().copied().map(str::to_owned).collect(),
        ..BoundOptions::default()
    };
    let report = analyze(&module, &options).map_err(|error| anyhow!("{error}"))?;
    for entry in &report.entries {
        let main = entry.without_growth.as_ref();
        ensure!(
            main.is_some_and(|figure| figure.bound.is_some()),
            "{} has no bound: {}",
            entry.name,
            obstacle(entry)
        );
        let bulk = main.and_then(|figure| figure.bulk_operations);
        let plain = main.and_then(|figure| figure.plain);
        let _ = writeln!(
            text,
            "{:<22} {:>9} {:>9} {:>12} {:>9} {:>10} {:>6}",
            entry.name,
            bound(main),
            plain.map_or_else(|| "-".to_owned(), |plain| plain.to_string()),
            bound(entry.with_growth.as_ref()),
            bound(entry.refused.as_ref()),
            bound(entry.gathering.as_ref()),
            bulk.map_or_else(|| "any".to_owned(), |bulk| bulk.to_string()),
        );
    }
    Ok(())
}

fn bound(figure: Option<&Figure>) -> String {
    match figure.map(|figure| figure.bound) {
        None => "-".to_owned(),
        Some(None) => "unbounded".to_owned(),
        Some(Some(bound)) => bound.to_string(),
    }
}

fn obstacle(entry: &EntryReport) -> String {
    let first = entry.obstacles.first();
    first.map_or_else(String::new, |it| {
        format!("{} in {}", it.reason, it.function)
    })
}

/// The library as a module of its own, by the linker of the Rust toolchain.
fn link(package: &Package, flavour: Flavour, functions: &[&str]) -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8(version.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let linker = sysroot
        .join("lib")
        .join("rustlib")
        .join(host.context("rustc has no host")?)
        .join("bin")
        .join("rust-lld");
    let module = build_dir()?.join(format!("bounds-{}.wasm", flavour.library()));
    let mut command = Command::new(linker);
    command.args(["-flavor", "wasm", "--no-entry"]);
    for function in functions {
        command.arg(format!("--export={function}"));
    }
    command
        .arg(
            package
                .lib(&BARE)
                .join(format!("lib{}.a", flavour.library())),
        )
        .arg("-o")
        .arg(&module);
    tools::run(&mut command)?;
    Ok(module)
}

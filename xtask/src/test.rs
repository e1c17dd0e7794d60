//! `cargo xtask test`: everything that must hold, step by step.
//!
//! A step that this machine has no tool for is left out, and says so. The last line counts the steps.

mod faults;
pub(crate) mod guests;
mod lean;
mod package;
pub(crate) mod steps;
mod targets;
pub(crate) mod wasi;

use anyhow::Result;

use crate::lab::engines::ENGINES;
use crate::{alloctests, clib, contract, guest, model, mutants, same};
use steps::{Steps, cargo, nightly_has, rustup_nightly};

/// Targets that the steps build for.
const WASM: &str = guest::TARGET;
pub(crate) const WASI: &str = "wasm32-wasip1";
const WASI_THREADS: &str = "wasm32-wasip1-threads";
const HOST_32: &str = "i686-unknown-linux-gnu";
const HOST_64: &str = "x86_64-unknown-linux-gnu";

/// `rust-version` of the workspace.
const OLDEST_RUST: &str = "1.85";

/// What to leave out.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only the steps whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::new(options.only.clone());
    for target in [WASM, WASI, WASI_THREADS] {
        guest::ensure_target(target)?;
    }
    check_source(&mut steps);
    test_on_hosts(&mut steps)?;
    test_on_wasm(&mut steps);
    test_on_random_programs(&mut steps);
    targets::test(&mut steps);
    test_the_tests(&mut steps);
    clib::test_from_nothing(&mut steps);
    check_docs_and_package(&mut steps);
    check_on_nightly(&mut steps);
    steps.finish();
    Ok(())
}

/// Format and lints, for the host and for Wasm.
fn check_source(steps: &mut Steps) {
    steps.run("format", || cargo(&["fmt", "--all", "--check"]).run());
    steps.run("lints, host", || {
        cargo(&["clippy", "--workspace", "--all-targets"])
            .args(&[
                "--features",
                "alligator-alloc/check,alligator-alloc/metrics",
                "--",
                "-D",
                "warnings",
            ])
            .run()
    });
    for selection in ["", "small", "small,check,metrics", "check,hardened,metrics"] {
        steps.run(
            &format!("lints, host, features: {}", named(selection)),
            || {
                cargo(&["clippy", "-p", "alligator-alloc", "--all-targets"])
                    .args(&["--features", selection, "--", "-D", "warnings"])
                    .run()
            },
        );
    }
    for target in [WASM, WASI, WASI_THREADS] {
        steps.run(&format!("lints, the C library, {target}"), || {
            [
                "malloc",
                "library,heap-end",
                "library,metrics,check,hardened",
            ]
            .iter()
            .try_for_each(|selection| {
                cargo(&["clippy", "--quiet", "-p", "alligator-c", "--target", target])
                    .args(&["--features", selection, "--", "-D", "warnings"])
                    .run()
            })
        });
    }
}

/// What a selection of features is called.
fn named(selection: &str) -> &str {
    if selection.is_empty() {
        "none"
    } else {
        selection
    }
}

/// The allocator's tests with each feature, on 64 and on 32 bits, and the tools' tests, these by the profile that the
/// tools have, whose dependencies are there already.
fn test_on_hosts(steps: &mut Steps) -> Result<()> {
    let features = steps::features_of("alligator-alloc")?;
    let mut selections = vec![String::new()];
    selections.extend(features.iter().cloned());
    selections.push(features.join(","));
    for selection in &selections {
        steps.run(
            &format!("tests, host, features: {}", named(selection)),
            || suite().args(&["--features", selection]).run(),
        );
    }
    let selections = steps::combinations(&features);
    steps.run(
        &format!("lints, every selection of features, {WASM}"),
        || {
            selections.iter().try_for_each(|selection| {
                cargo(&["clippy", "--quiet", "-p", "alligator-alloc"])
                    .args(&["--target", WASM, "--features", selection])
                    .args(&["--", "-D", "warnings"])
                    .run()
            })
        },
    );
    let name = format!("the oldest Rust, {OLDEST_RUST}, every selection of features, {WASM}");
    match steps::toolchain_has(OLDEST_RUST, WASM) {
        Ok(()) => steps.run(&name, || {
            selections.iter().try_for_each(|selection| {
                steps::rustup(OLDEST_RUST, &["check", "--quiet", "-p", "alligator-alloc"])
                    .args(&["--target", WASM, "--features", selection])
                    .run()
            })
        }),
        Err(reason) => steps.skip(&name, &reason.to_string()),
    }
    steps.run("tests, contract kit", || {
        cargo(&["test", "-p", "alligator-contract"])
            .env("CARGO_PROFILE_TEST_OPT_LEVEL", "1")
            .run()
    });
    match steps::links_for(HOST_32) {
        Ok(()) => steps.run("tests, 32-bit host", || {
            suite()
                .args(&["--features", "check", "--target", HOST_32])
                .run()
        }),
        Err(reason) => steps.skip("tests, 32-bit host", &reason.to_string()),
    }
    steps.run("tests, tools", || {
        cargo(&[
            "test",
            "--profile",
            "tools",
            "-p",
            "alligator-bound",
            "-p",
            "alligator-cli",
            "-p",
            "alligator-meter",
            "-p",
            "alligator-model",
            "-p",
            "xtask",
        ])
        .run()
    });
    Ok(())
}

/// The allocator's tests on wasm32, on the allocator itself.
fn test_on_wasm(steps: &mut Steps) {
    for selection in ["", "check", "small", "check,medium", "check,hardened"] {
        steps.run(
            &format!("tests, {WASI}, features: {}", named(selection)),
            || {
                suite()
                    .args(&["--features", selection, "--target", WASI])
                    .run()
            },
        );
    }
    // Built for size, the classes have a table of their own.
    steps.run(
        &format!("tests, {WASI}, built for size, features: check"),
        || {
            suite()
                .args(&["--features", "check", "--target", WASI])
                .env("CARGO_PROFILE_TEST_OPT_LEVEL", "s")
                .run()
        },
    );
    steps.run(&format!("tests, {WASM}"), guests::run);
    steps.run(&format!("every fault, named, {WASM}"), faults::run);
    steps.run("the contract, on wasm32, ours and peers", || {
        contract::run_all(true)
    });
}

/// Short portions of what has long commands: random programs against a model, and engines that must agree.
fn test_on_random_programs(steps: &mut Steps) {
    steps.run("the model finds a planted fault", model::run_canary);
    steps.run("the model, the heap checked after each step", || {
        model::run_short(1)
    });
    steps.run("the model, long programs", || model::run_short(20_000));
    for engine in ENGINES {
        let name = format!("the same addresses and contents: {}", engine.name());
        match engine.find() {
            Ok(_) => steps.run(&name, || same::run_one(engine)),
            Err(error) => steps.skip(&name, &format!("{error:#}")),
        }
    }
}

/// Evidence about the tests and about the compiled module.
fn test_the_tests(steps: &mut Steps) {
    steps.run("planted faults are noticed (a few)", || {
        mutants::run(&mutants::Options::short())
    });
    steps.run("nothing hidden in the release module", lean::run);
    let name = format!("Rust's own tests of alloc, {WASI}");
    match alloctests::is_possible() {
        Ok(()) => steps.run(&name, alloctests::run_on_wasm),
        Err(reason) => steps.skip(&name, &reason.to_string()),
    }
}

fn check_docs_and_package(steps: &mut Steps) {
    steps.run("documentation", || {
        cargo(&[
            "doc",
            "--workspace",
            "--no-deps",
            "--features",
            "alligator-alloc/check",
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
    });
    steps.run("documentation's examples", || {
        cargo(&["test", "--doc", "-p", "alligator-alloc"]).run()
    });
    steps.run("package, unpacked, built and run", package::run);
    steps.run("the lab: contracts, and figures against the record", || {
        cargo(&["xtask", "bench", "--check"]).run()
    });
    steps.run("the lab: a short run and its report", || {
        cargo(&["xtask", "bench", "--quick", "--only", "small"])
            .args(&["--allocator", "alligator,dlmalloc,floor"])
            .args(&["--measure", "counts,time", "--output", "target/lab-test"])
            .run()
    });
    steps.run("attacks: a short search, and the known ones", || {
        cargo(&["xtask", "attacks", "--check", "--trials", "2000"]).run()
    });
    steps.run("the demo: the same output, and ahead of std's heap", || {
        cargo(&["xtask", "demo", "--check"]).run()
    });
    steps.run("bounds are as recorded", || {
        cargo(&["xtask", "bounds", "--check"]).run()
    });
}

/// What needs a nightly toolchain: shared memory, and Miri.
fn check_on_nightly(steps: &mut Steps) {
    let name = "module with shared memory (nightly)";
    match nightly_has("rust-src") {
        Ok(()) => steps.run(name, || {
            rustup_nightly(&["build", "-p", "alligator-alloc", "--target", WASM])
                .args(&["-Z", "build-std=core"])
                .env(
                    "RUSTFLAGS",
                    "-C target-feature=+atomics,+bulk-memory,+mutable-globals",
                )
                .run()
        }),
        Err(reason) => steps.skip(name, &reason.to_string()),
    }
    let name = "every way through the heap under Miri, 64 and 32 bits (nightly)";
    let runs = [
        (HOST_64, "", STACKED_BORROWS),
        (HOST_32, "", STACKED_BORROWS),
        (HOST_64, "", TREE_BORROWS),
        (HOST_64, "small", TREE_BORROWS),
        (HOST_64, "hardened", TREE_BORROWS),
    ];
    match nightly_has("miri").and_then(|()| nightly_has("rust-src")) {
        Ok(()) => steps.run(name, || {
            runs.iter()
                .try_for_each(|(target, features, model)| miri(target, features, model))
        }),
        Err(reason) => steps.skip(name, &reason.to_string()),
    }
}

/// Miri's two models of what a reference may do: the older one, and its successor.
const STACKED_BORROWS: &str = "-Zmiri-strict-provenance";
const TREE_BORROWS: &str = "-Zmiri-strict-provenance -Zmiri-tree-borrows";

/// The tests that are short enough for an interpreter, which sees every misuse of a pointer. The two that fill whole
/// magazines take it minutes, and are the same for both widths: only one has them.
fn miri(target: &str, features: &str, model: &str) -> Result<()> {
    let longest = ["--skip", "short_magazines", "--skip", "short_more_slots"];
    rustup_nightly(&["miri", "test", "-p", "alligator-alloc", "--test", "suite"])
        .args(&["--target", target, "--features", features])
        .args(&["--", "short_", "without_any_memory", "nothing_is_asked"])
        .args(if target == HOST_64 { &longest } else { &[] })
        .env(
            "MIRIFLAGS",
            &format!("{model} -Zmiri-disable-isolation -Zmiri-ignore-leaks"),
        )
        .run()
}

/// `cargo test` of the allocator, optimised a little: the tests look at every byte.
fn suite() -> steps::Tool {
    let runner = std::env::current_exe().unwrap_or_default();
    cargo(&["test", "-p", "alligator-alloc", "--lib", "--tests"])
        .env("CARGO_PROFILE_TEST_OPT_LEVEL", "1")
        .env(
            "CARGO_TARGET_WASM32_WASIP1_RUNNER",
            &format!("{} wasi-run", runner.display()),
        )
}

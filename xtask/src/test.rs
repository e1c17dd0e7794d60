//! `cargo xtask test`: everything that must hold, step by step.
//!
//! A step that this machine has no tool for is left out, and says so. The last line counts the steps.

use std::process::ExitCode;

use alligator_tools::command::{
    Tool, cargo, combinations, features_of, links_for, nightly_has, node_version, rustup,
    rustup_nightly, toolchain_has,
};
use alligator_tools::guest::{self, WASI, WASI_THREADS};
use anyhow::Result;

use crate::steps::{self, Options, Step};
use crate::{book, clib, examples, mutants, release, tidy};
use alligator_tools::programs::{self, BOUNDS, LAB, WASM_TESTS};

/// Targets that the steps build for.
const WASM: &str = guest::TARGET;
const HOST_32: &str = "i686-unknown-linux-gnu";
const HOST_64: &str = "x86_64-unknown-linux-gnu";

/// `rust-version` of the workspace.
const OLDEST_RUST: &str = "1.85";

/// A folder of their own for lints that need next to nothing built: in the common one they wait for other steps, and
/// others for them.
const LINTS_APART: [&str; 2] = ["--target-dir", "target/lints"];

/// The parts of the whole, each with what needs the same things to be installed: CI runs them side by side.
const PARTS: [&str; 8] = [
    "source",
    "allocator",
    "tools",
    "targets",
    "c",
    "engines",
    "lab",
    "nightly",
];

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    for target in [WASM, WASI, WASI_THREADS] {
        guest::ensure_target(target)?;
    }
    programs::build_all()?;
    let features = features_of("alligator-alloc")?;
    let steps = [
        source(&features),
        allocator(&features),
        of_tools(),
        on_targets()?,
        c_library_and_release()?,
        on_engines(),
        lab(),
        on_nightly(),
    ];
    let named = PARTS.into_iter().zip(steps);
    let all: Vec<Step> = named
        .flat_map(|(part, steps)| steps.into_iter().map(move |step| step.part(part)))
        .collect();
    steps::run(&all, options, &["test"])
}

/// A step that one of our programs does, called with these words.
fn program(name: impl Into<String>, package: &'static str, words: &'static str) -> Step {
    let args: Vec<&str> = words.split(' ').collect();
    Step::new(name, move || programs::run(package, &args))
}

/// Lints the allocator with each selection of features that leaves other code in it.
fn lint_selections() -> Result<()> {
    let selections = [
        "",
        "small",
        "small,check,metrics",
        "check,hardened,metrics",
        "check,threads",
    ];
    selections.iter().try_for_each(|selection| {
        cargo(&["clippy", "-p", "alligator-alloc", "--all-targets"])
            .args(&["--features", selection, "--", "-D", "warnings"])
            .run()
    })?;
    cargo(&["clippy", "-p", "alligator-alloc", "--features", "threads"])
        .args(&["--target", WASI_THREADS, "--", "-D", "warnings"])
        .run()
}

/// What is read and compiled, not run: style, lints, documentation, and what is proved of the compiled modules.
fn source(features: &[String]) -> Vec<Step> {
    let mut steps = vec![
        Step::new("tidy", tidy::step).quick(),
        Step::new("format", || cargo(&["fmt", "--all", "--check"]).run()).quick(),
        Step::new("lints, host", || {
            // By the profile of the tools: what the engine's build scripts need is there already.
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--profile",
                "tools",
            ])
            .args(&[
                "--features",
                "alligator-alloc/check,alligator-alloc/metrics",
                "--",
                "-D",
                "warnings",
            ])
            .run()
        })
        .quick(),
        Step::new("lints, host, other features", lint_selections).quick(),
        Step::new("lints, the C library, Wasm", || {
            let selections = [
                "malloc",
                "library,heap-end",
                "library,scopes,guards",
                "library,guards,metrics,check,hardened",
                "panic-handler,scopes",
            ];
            [WASM, WASI, WASI_THREADS].iter().try_for_each(|target| {
                selections.iter().try_for_each(|selection| {
                    cargo(&["clippy", "--quiet", "-p", "alligator-c", "--target", target])
                        .args(&LINTS_APART)
                        .args(&["--features", selection, "--", "-D", "warnings"])
                        .run()
                })
            })
        })
        .quick(),
    ];
    steps.push(guards_and_limits());
    let selections = combinations(features);
    steps.push(Step::new(
        format!("lints, every selection of features, {WASM}"),
        move || {
            selections.iter().try_for_each(|selection| {
                cargo(&["clippy", "--quiet", "-p", "alligator-alloc"])
                    .args(&["--target", WASM, "--features", selection])
                    .args(&LINTS_APART)
                    .args(&["--", "-D", "warnings"])
                    .run()
            })
        },
    ));
    let selections = combinations(features);
    steps.push(
        Step::new(
            format!("the oldest Rust, {OLDEST_RUST}, every selection of features, {WASM}"),
            move || {
                selections.iter().try_for_each(|selection| {
                    rustup(OLDEST_RUST, &["check", "--quiet", "-p", "alligator-alloc"])
                        .args(&["--target", WASM, "--features", selection])
                        .run()
                })?;
                rustup(OLDEST_RUST, &["check", "--quiet", "-p", "alligator-rt"])
                    .args(&["--target", WASM, "--features", "alligator-alloc,exports"])
                    .run()
            },
        )
        .needs(|| toolchain_has(OLDEST_RUST, WASM)),
    );
    steps.extend([
        Step::new("documentation", || {
            cargo(&["doc", "--workspace", "--no-deps", "--profile", "tools"])
                .args(&[
                    "--features",
                    "alligator-alloc/check,alligator-rt/alligator-alloc",
                ])
                .env("RUSTDOCFLAGS", "-D warnings")
                .run()
        }),
        Step::new("documentation's examples", || {
            cargo(&["test", "--doc", "-p", "alligator-alloc"]).run()?;
            cargo(&["test", "--doc", "-p", "alligator-rt", "--all-features"]).run()
        }),
        program("nothing hidden in the release module", BOUNDS, "lean").quick(),
        program("bounds are as recorded", BOUNDS, "bounds --check").quick(),
    ]);
    steps.extend(book::steps());
    steps
}

/// Lints of `alligator-rt`, by features, where it is tested and where it is used.
fn guards_and_limits() -> Step {
    Step::new("lints, guards and limits, host and Wasm", || {
        let selections = ["", "std", "alligator-alloc", "alligator-alloc,exports"];
        selections.iter().try_for_each(|selection| {
            cargo(&["clippy", "--quiet", "-p", "alligator-rt", "--all-targets"])
                .args(&["--features", selection, "--", "-D", "warnings"])
                .run()?;
            cargo(&["clippy", "--quiet", "-p", "alligator-rt"])
                .args(&["--target", WASM, "--features", selection])
                .args(&LINTS_APART)
                .args(&["--", "-D", "warnings"])
                .run()
        })
    })
}

/// What a selection of features is called.
fn named(selection: &str) -> &str {
    if selection.is_empty() {
        "none"
    } else {
        selection
    }
}

/// The allocator's tests: with each feature on the host, on 32 bits, and on wasm32, the contract among them.
fn allocator(features: &[String]) -> Vec<Step> {
    let mut selections = vec![String::new()];
    selections.extend(features.iter().cloned());
    selections.push(features.join(","));
    selections.push("check,threads".to_owned()); // Not with all: counting takes the lock for each operation.
    let on_host = selections.into_iter().map(|selection| {
        let name = format!("tests, host, features: {}", named(&selection));
        let is_quick =
            ["", "check", "small", "hardened", "check,threads"].contains(&selection.as_str());
        let step = Step::new(name, move || {
            suite()?.args(&["--features", &selection]).run()
        });
        if is_quick { step.quick() } else { step }
    });
    let selections = ["", "check", "small", "check,hardened"];
    let on_wasi = selections.into_iter().map(|selection| {
        let name = format!("tests, {WASI}, features: {}", named(selection));
        let is_quick = ["check", "small"].contains(&selection);
        let step = Step::new(name, move || {
            suite()?
                .args(&["--features", selection, "--target", WASI])
                .run()
        });
        if is_quick { step.quick() } else { step }
    });
    let others = [
        // Built for size, the classes have a table of their own.
        Step::new(
            format!("tests, {WASI}, built for size, features: check"),
            || {
                suite()?
                    .args(&["--features", "check", "--target", WASI])
                    .env("CARGO_PROFILE_TEST_OPT_LEVEL", "s")
                    .run()
            },
        ),
        Step::new("tests, 32-bit host", || {
            ["check", "check,threads"].iter().try_for_each(|selection| {
                suite()?
                    .args(&["--features", selection, "--target", HOST_32])
                    .run()
            })
        })
        .needs(|| links_for(HOST_32)),
        Step::new("models of threads (loom)", || {
            cargo(&["test", "--manifest-path", "tests/threads-models/Cargo.toml"]).run()
        }),
        Step::new("tests, contract kit", || {
            cargo(&["test", "-p", "alligator-contract"]).run()
        }),
        Step::new("tests, guards and limits", || {
            cargo(&["test", "-p", "alligator-rt", "--all-features", "--tests"]).run()
        })
        .quick(),
        Step::new("tests, guards and limits, 32-bit host", || {
            cargo(&["test", "-p", "alligator-rt", "--all-features", "--tests"])
                .args(&["--target", HOST_32])
                .run()
        })
        .needs(|| links_for(HOST_32)),
        program(
            format!("guards and limits, {WASM}, ours and peers"),
            WASM_TESTS,
            "guards",
        ),
        program(format!("tests, {WASM}"), WASM_TESTS, "suite").quick(),
        program(format!("every fault, named, {WASM}"), WASM_TESTS, "faults").quick(),
        program(
            "the contract, on wasm32, ours and peers",
            WASM_TESTS,
            "contract --quick",
        ),
    ];
    on_host.chain(on_wasi).chain(others).collect()
}

/// The tools' tests, by the profile that the tools have, whose dependencies are there already; and tests of the tests.
fn of_tools() -> Vec<Step> {
    vec![
        Step::new("tests, xtask", || cargo(&["test", "-p", "xtask"]).run()).quick(),
        Step::new("tests, tools", || {
            cargo(&["test", "--workspace", "--profile", "tools"])
                .args(&["--exclude", "alligator-alloc", "--exclude", "alligator-c"])
                .args(&[
                    "--exclude",
                    "alligator-contract",
                    "--exclude",
                    "alligator-rt",
                ])
                .args(&["--exclude", "xtask"])
                .run()
        }),
        Step::new("planted faults are noticed (a few)", || {
            mutants::run(&mutants::Options::short())
        }),
        program(
            format!("Rust's own tests of alloc, {WASI}"),
            WASM_TESTS,
            "alloctests --target wasm",
        ),
        program(
            "the page of a report, in browsers",
            "report-runner",
            "browsers --events 200000",
        ),
        program(
            "the page that takes a module, in browsers",
            "report-runner",
            "try",
        ),
        program(
            "exported files, in the tools for them",
            "report-runner",
            "consumers",
        ),
        program(
            "a long trace takes no more memory",
            "report-runner",
            "memory --events 2000000",
        ),
        program(
            "attacks: a short search, and the known ones",
            "attacks",
            "--check --trials 500",
        ),
    ]
}

/// Each target, with the toolchain that its users have.
fn on_targets() -> Result<Vec<Step>> {
    let names = programs::output(WASM_TESTS, &["targets", "--list"])?;
    let step = |name: &str| {
        let copy = name.to_owned();
        Step::new(name, move || programs::run(WASM_TESTS, &["targets", &copy]))
    };
    Ok(names.lines().map(step).collect())
}

/// The C library, and the dry run of a release, which builds it anew.
fn c_library_and_release() -> Result<Vec<Step>> {
    let mut steps = clib::steps()?;
    steps.push(Step::new("release, dry run", release::step).group(clib::GROUP));
    Ok(steps)
}

/// Random programs against a model, and engines that must agree: short portions of what has long commands.
fn on_engines() -> Vec<Step> {
    const MODEL: &str = "model-runner";
    const CHECKED: &str = "--operations 600000 --seed 1000000 --length 400 --check-every 1";
    const LONG: &str = "--operations 60000000 --seed 1000000 --length 300000";
    let mut steps = vec![
        program("the model finds a planted fault", MODEL, "--canary").group(MODEL),
        program(
            "the model, the heap checked after each step",
            MODEL,
            CHECKED,
        )
        .group(MODEL),
        program("the model, long programs", MODEL, LONG).group(MODEL),
        program("the same addresses and contents", LAB, "same"),
    ];
    steps.extend(examples::steps());
    steps
}

/// Short portions of the lab, and the demo.
fn lab() -> Vec<Step> {
    const SHORT: &str = "bench --quick --only small --allocator alligator,dlmalloc,floor \
        --measure counts,time --output target/lab-test";
    vec![
        program(
            "the lab: contracts, and figures against the record",
            LAB,
            "bench --check",
        ),
        program("the lab: a short run and its report", LAB, SHORT),
        program(
            "the allocators that ship with the command are the lab's",
            LAB,
            "guests --check",
        ),
        program(
            "the demo: the same output, and ahead of std's heap",
            LAB,
            "demo --check",
        ),
        program(
            "threads: nothing is damaged, few visits to the lock, no more pages than may be",
            LAB,
            "threads --quick",
        )
        .needs(|| node_version().map(drop)),
    ]
}

/// What needs a nightly toolchain: shared memory, and Miri.
fn on_nightly() -> Vec<Step> {
    let mut steps = vec![
        Step::new("module with shared memory (nightly)", || {
            ["", "threads"].iter().try_for_each(|selection| {
                rustup_nightly(&["build", "-p", "alligator-alloc", "--target", WASM])
                    .args(&["-Z", "build-std=core", "--features", selection])
                    .env(
                        "RUSTFLAGS",
                        "-C target-feature=+atomics,+bulk-memory,+mutable-globals",
                    )
                    .run()
            })
        })
        .needs(|| nightly_has("rust-src")),
    ];
    let runs = [
        (HOST_32, "", STACKED_BORROWS),
        (HOST_64, "", TREE_BORROWS),
        (HOST_64, "small", TREE_BORROWS),
        (HOST_64, "hardened", TREE_BORROWS),
    ];
    for (target, features, model) in runs {
        let name = format!(
            "every way through the heap under Miri (nightly): {target}, {}, {}",
            named(features),
            model.name
        );
        let step = Step::new(name, move || miri(target, features, model));
        steps.push(step.needs(|| nightly_has("miri").and_then(|()| nightly_has("rust-src"))));
    }
    steps.push(
        Step::new("guards and limits under Miri (nightly)", || {
            rustup_nightly(&["miri", "test", "-p", "alligator-rt", "--all-features"])
                .args(&["--test", "guards", "--test", "limits"])
                .env(
                    "MIRIFLAGS",
                    &format!("{} -Zmiri-ignore-leaks", TREE_BORROWS.flags),
                )
                .run()
        })
        .needs(|| nightly_has("miri").and_then(|()| nightly_has("rust-src"))),
    );
    // Some 170 s. With Tree Borrows it does not end in 15 minutes.
    steps.push(
        Step::new("threads under Miri (nightly): Stacked Borrows", || {
            rustup_nightly(&["miri", "test", "-p", "alligator-alloc", "--test", "threads"])
                .args(&["--features", "threads,check"])
                .env(
                    "MIRIFLAGS",
                    "-Zmiri-permissive-provenance -Zmiri-disable-isolation -Zmiri-ignore-leaks",
                )
                .run()
        })
        .needs(|| nightly_has("miri").and_then(|()| nightly_has("rust-src"))),
    );
    steps.push(Step::new("std's hook for no memory (nightly)", || {
        rustup_nightly(&["test", "-p", "alligator-rt", "--all-features"])
            .args(&["--test", "alloc_error_hook", "--target-dir", "target/hook"])
            .env("RUSTFLAGS", "--cfg has_alloc_error_hook")
            .run()
    }));
    steps.push(
        Step::new("std's collections in scopes (nightly)", || {
            rustup_nightly(&["test", "-p", "alligator-rt", "--test", "scope_collections"])
                .args(&["--features", "allocator-api2,allocator-api2/nightly"])
                .run()
        })
        .needs(|| nightly_has("rustc")),
    );
    for model in [STACKED_BORROWS, TREE_BORROWS] {
        let name = format!("scopes under Miri (nightly): {}", model.name);
        let step = Step::new(name, move || {
            rustup_nightly(&["miri", "test", "-p", "alligator-rt"])
                .args(&["--features", "allocator-api2"])
                .args(&["--test", "scope", "--test", "scope_model"])
                .args(&["--test", "scope_collections"])
                .env("MIRIFLAGS", model.flags)
                .run()
        });
        steps.push(step.needs(|| nightly_has("miri").and_then(|()| nightly_has("rust-src"))));
    }
    steps
}

/// What a reference may do, as Miri sees it.
#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    flags: &'static str,
}

/// Miri's two models: the older one, and its successor.
const STACKED_BORROWS: Model = Model {
    name: "Stacked Borrows",
    flags: "-Zmiri-strict-provenance",
};
const TREE_BORROWS: Model = Model {
    name: "Tree Borrows",
    // More often than by default it forgets what no reference can use: a third faster here.
    flags: "-Zmiri-strict-provenance -Zmiri-tree-borrows -Zmiri-provenance-gc=1000",
};

/// The tests that are short enough for an interpreter, which sees every misuse of a pointer. The two that fill whole
/// magazines take it minutes, and are the same for both widths: only one has them.
fn miri(target: &str, features: &str, model: Model) -> Result<()> {
    let longest = ["--skip", "short_magazines", "--skip", "short_more_slots"];
    rustup_nightly(&["miri", "test", "-p", "alligator-alloc", "--test", "suite"])
        .args(&["--target", target, "--features", features])
        .args(&["--", "short_", "without_any_memory", "nothing_is_asked"])
        .args(if target == HOST_64 { &longest } else { &[] })
        .env(
            "MIRIFLAGS",
            &format!(
                "{} -Zmiri-disable-isolation -Zmiri-ignore-leaks",
                model.flags
            ),
        )
        .run()
}

/// `cargo test` of the allocator.
fn suite() -> Result<Tool> {
    let runner = programs::wasi_runner()?;
    let program = runner.get_program().display();
    Ok(
        cargo(&["test", "-p", "alligator-alloc", "--lib", "--tests"]).env(
            "CARGO_TARGET_WASM32_WASIP1_RUNNER",
            &format!("{program} wasi"),
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_part_has_a_job() -> Result<()> {
        let file = guest::root().join(".github/workflows/ci.yml");
        let text = std::fs::read_to_string(file)?;
        let jobs = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- part: "));
        assert_eq!(jobs.collect::<BTreeSet<_>>(), PARTS.into_iter().collect());
        Ok(())
    }
}

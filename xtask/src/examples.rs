//! The examples that are about time and about threads: each keeps what its README says.

use std::process::{Command, Stdio};

use alligator_tools::command::{cargo_path, nightly_has};
use alligator_tools::guest;
use alligator_tools::programs::{self, LEFT_OUT, Missing, WASM_TESTS};
use anyhow::{Context, Result, ensure};

use crate::steps::Step;

/// What the pages of an example are run in.
const BROWSERS: [&str; 2] = ["chromium", "firefox"];

/// All steps, and what scopes cost.
pub(crate) fn steps() -> Vec<Step> {
    let under_wasmtime = ["audio-worklet", "contract", "edge", "game-loop"].map(|name| {
        Step::new(format!("example {name}"), move || {
            programs::run(WASM_TESTS, &["examples", name])
        })
    });
    let mut steps = Vec::from(under_wasmtime);
    steps.extend(BROWSERS.map(|browser| page("audio-worklet", browser, || Ok(()))));
    for example in ["threads-rayon", "audio-threads"] {
        let hosts = ["node"].into_iter().chain(BROWSERS);
        steps.extend(hosts.map(|host| page(example, host, built_std)));
    }
    steps.extend([
        Step::new("example audio-threads, proved", || {
            node("audio-threads", &["build.mjs"])?;
            programs::run(WASM_TESTS, &["examples", "audio-threads"])
        })
        .needs(|| has("node").and_then(|()| built_std()))
        .group("audio-threads"),
        Step::new("scopes cost no more than bumpalo", || {
            programs::run(WASM_TESTS, &["scopes"])
        }),
    ]);
    steps
}

/// An example in a browser or in Node.js, by its own test.
fn page(example: &'static str, host: &'static str, needs: fn() -> Result<()>) -> Step {
    Step::new(format!("example {example}, {host}"), move || {
        node(example, &["build.mjs"])?;
        // The first compiler of version 20 loses what rayon's threads return.
        let flags: &[&str] = if example == "threads-rayon" {
            &["--no-liftoff"]
        } else {
            &[]
        };
        node(example, &[flags, &["test.mjs", host]].concat())
    })
    .needs(move || has("node").and_then(|()| has(host)).and_then(|()| needs()))
    .group(example)
}

/// Nothing if std can be built with threads.
fn built_std() -> Result<()> {
    nightly_has("rust-src")
}

/// Nothing if there is a program of this name.
fn has(name: &str) -> Result<()> {
    let mut command = Command::new(name);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status();
    ensure!(
        status.is_ok_and(|status| status.success()),
        "{name} is not installed"
    );
    Ok(())
}

/// Runs Node.js in an example's folder.
fn node(example: &str, args: &[&str]) -> Result<()> {
    let status = Command::new("node")
        .args(args)
        .env("CARGO", cargo_path())
        .current_dir(guest::root().join("examples").join(example))
        .stdin(Stdio::null())
        .status()
        .context("node does not start")?;
    if status.code() == Some(LEFT_OUT.into()) {
        return Err(Missing(format!("{}: left out", args.join(" "))).into());
    }
    ensure!(status.success(), "{example}: {}: {status}", args.join(" "));
    Ok(())
}

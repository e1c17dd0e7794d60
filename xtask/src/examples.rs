//! The examples that are about time: each keeps what its README says.

use std::process::{Command, Stdio};

use alligator_tools::command::cargo_path;
use alligator_tools::guest;
use alligator_tools::programs::{self, LEFT_OUT, Missing, WASM_TESTS};
use anyhow::{Context, Result, ensure};

use crate::steps::Step;

/// The folder of the synthesizer.
const AUDIO: &str = "examples/audio-worklet";

/// All steps, and what scopes cost.
pub(crate) fn steps() -> Vec<Step> {
    let under_wasmtime = ["audio-worklet", "contract", "edge", "game-loop"].map(|name| {
        Step::new(format!("example {name}"), move || {
            programs::run(WASM_TESTS, &["examples", name])
        })
    });
    let in_browsers = ["chromium", "firefox"].map(|browser| {
        Step::new(format!("example audio-worklet, {browser}"), move || {
            node(&["build.mjs"])?;
            node(&["test.mjs", browser])
        })
        .needs(move || has("node").and_then(|()| has(browser)))
        .group(AUDIO)
    });
    let beside_bumpalo = Step::new("scopes cost no more than bumpalo", || {
        programs::run(WASM_TESTS, &["scopes"])
    });
    let all = under_wasmtime.into_iter().chain(in_browsers);
    all.chain([beside_bumpalo]).collect()
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

/// Runs a program of the synthesizer's folder under Node.js.
fn node(args: &[&str]) -> Result<()> {
    let status = Command::new("node")
        .args(args)
        .env("CARGO", cargo_path())
        .current_dir(guest::root().join(AUDIO))
        .stdin(Stdio::null())
        .status()
        .context("node does not start")?;
    if status.code() == Some(LEFT_OUT.into()) {
        return Err(Missing(format!("{}: left out", args.join(" "))).into());
    }
    ensure!(status.success(), "{AUDIO}/{}: {status}", args.join(" "));
    Ok(())
}

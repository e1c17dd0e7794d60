//! Engines with a command: V8 in node, `WebKit`'s in its shell.

use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};

use super::{Found, Job, Outcome, Tier, mortal, unique};
use alligator_tools::guest::guests_dir;

/// What all JavaScript hosts run.
pub(super) const CORE: &str = include_str!("../../hosts/core.js");

/// A shell and how it is called.
#[derive(Debug)]
pub(super) struct Shell {
    command: &'static str,
    /// Where to get it.
    package: &'static str,
    /// Arguments that print the version.
    version: &'static [&'static str],
    /// Arguments with which the optimising compiler compiles everything.
    optimising: &'static [&'static str],
    /// Arguments with which the baseline compiler does.
    baseline: &'static [&'static str],
    /// Arguments in any case.
    always: &'static [&'static str],
    /// Between the script and its argument.
    separator: &'static [&'static str],
    file: &'static str,
    host: &'static str,
}

pub(super) const NODE: Shell = Shell {
    command: "node",
    package: "nodejs",
    version: &[
        "-p",
        "`V8 ${process.versions.v8} (node ${process.versions.node})`",
    ],
    // Functions are compiled when they are first called, which is before anything is measured: of
    // the programs' quarter of a million lines, most are never called.
    optimising: &["--no-liftoff", "--wasm-lazy-compilation"],
    baseline: &["--liftoff-only", "--no-wasm-lazy-compilation"],
    always: &["--expose-gc"],
    separator: &[],
    file: "node.js",
    host: include_str!("../../hosts/node.js"),
};

pub(super) const JSC: Shell = Shell {
    command: "jsc",
    package: "libjavascriptcoregtk-4.0-bin",
    version: &[],
    // There is no switch for it: the thresholds are as low as they go, and the lab warms up.
    optimising: &[
        "--thresholdForBBQOptimizeAfterWarmUp=1",
        "--thresholdForOMGOptimizeAfterWarmUp=1",
    ],
    baseline: &[
        "--useOMGJIT=false",
        "--thresholdForBBQOptimizeAfterWarmUp=1",
    ],
    // Every instance is to have the same kind of memory.
    always: &["--maxNumWasmFastMemories=100"],
    separator: &["--"],
    file: "jsc.js",
    host: include_str!("../../hosts/jsc.js"),
};

impl Shell {
    /// Arguments with which this compiler compiles everything.
    fn arguments(&self, tier: Tier) -> &'static [&'static str] {
        match tier {
            Tier::Own => &[],
            Tier::Baseline => self.baseline,
            Tier::Optimising => self.optimising,
        }
    }

    pub(super) fn flags(&self, tier: Tier) -> String {
        self.arguments(tier).join(" ")
    }
}

/// Looks for a shell.
pub(super) fn find(shell: &Shell) -> Result<Found> {
    let version = if shell.version.is_empty() {
        Command::new(shell.command)
            .args(["-e", "quit()"])
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|_| debian_version(shell.package))
    } else {
        Command::new(shell.command)
            .args(shell.version)
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(version) = version else {
        bail!(
            "`{}` is not installed (Debian package {})",
            shell.command,
            shell.package
        );
    };
    Ok(Found {
        version,
        tiers: shell.flags(Tier::Optimising),
    })
}

/// The version that the package manager knows, for tools that do not tell theirs.
pub(super) fn debian_version(package: &str) -> String {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .stderr(Stdio::null())
        .output();
    output
        .ok()
        .filter(|output| output.status.success())
        .map_or_else(
            || "of unknown version".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
}

/// Runs a job in one process.
pub(super) fn run(shell: &Shell, job: &Job, on_outcome: &mut dyn FnMut(Outcome)) -> Result<()> {
    let (dir, number) = (guests_dir(), unique());
    let script = dir.join(format!("{number}-{}", shell.file));
    let job_file = dir.join(format!("{number}-{}-job.json", shell.command));
    std::fs::write(&script, format!("{CORE}\n{}", shell.host))?;
    std::fs::write(&job_file, serde_json::to_vec(job)?)?;
    let outcome = run_files(shell, [&script, &job_file], job, on_outcome);
    // What stays behind after a failure to remove it is written over by the next run.
    let _ = std::fs::remove_file(&script);
    let _ = std::fs::remove_file(&job_file);
    outcome
}

fn run_files(
    shell: &Shell,
    [script, job_file]: [&Path; 2],
    job: &Job,
    on_outcome: &mut dyn FnMut(Outcome),
) -> Result<()> {
    let mut child = mortal(shell.command)
        .args(shell.arguments(job.tier))
        .args(shell.always)
        .arg(script)
        .args(shell.separator)
        .arg(job_file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", shell.command))?;
    let outcome = follow(&mut child, job.tasks.len(), job.patience, on_outcome);
    if outcome.is_err() {
        // It may hang, or have ended: either way we are done with it.
        let _ = child.kill();
    }
    let output = child.wait_with_output()?;
    outcome.with_context(|| {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rfind(|line| !line.is_empty());
        let last = last.map_or_else(|| output.status.to_string(), str::to_owned);
        format!("{}: {last}", shell.command)
    })
}

/// Reads outcomes until all tasks have one.
fn follow(
    child: &mut Child,
    count: usize,
    patience: Duration,
    on_outcome: &mut dyn FnMut(Outcome),
) -> Result<()> {
    let stdout = child.stdout.take().context("no output")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    for number in 0..count {
        let line = match lines.recv_timeout(patience) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                bail!("it ended after {number} of {count} tasks")
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("no result for {} s", patience.as_secs())
            }
        };
        let outcome = serde_json::from_str(&line).with_context(|| line.clone())?;
        on_outcome(outcome);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a shell that runs `script` in the engine's place, and how many outcomes it had.
    fn followed(script: &str, count: usize) -> Result<(Result<()>, usize)> {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut outcomes = 0;
        let patience = Duration::from_millis(300);
        let result = follow(&mut child, count, patience, &mut |_| outcomes += 1);
        let _ = child.kill();
        child.wait()?;
        Ok((result, outcomes))
    }

    fn message(result: Result<()>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "passed".to_owned())
    }

    #[test]
    fn an_engine_that_ends_early_or_hangs_keeps_what_it_found_out() -> Result<()> {
        for (then, why) in [
            ("exit", "it ended after 1 of 2 tasks"),
            ("exec sleep 60", "no result for 0 s"),
        ] {
            let (result, outcomes) = followed(&format!("echo '{{\"task\":0}}'; {then}"), 2)?;
            assert_eq!((outcomes, message(result).as_str()), (1, why));
        }
        Ok(())
    }

    #[test]
    fn a_result_cut_short_is_a_failure() -> Result<()> {
        let (result, outcomes) = followed(r#"echo '{"task":0'"#, 1)?;
        assert_eq!(outcomes, 0);
        assert!(result.is_err());
        Ok(())
    }
}

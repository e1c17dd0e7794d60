//! One run of tests in the copy, ended by the first failure.

use core::fmt;
use core::time::Duration;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Suite;
use super::copy::Copy;
use crate::programs;
use alligator_tools::guest::WASI;

/// What became of the tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The compiler or an assertion in a constant refused the sources.
    Refused,
    /// A test failed, or the program ended otherwise.
    Caught(String),
    /// The tests did not end in time.
    Endless,
    /// Nobody has noticed anything.
    Passed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => write!(formatter, "caught when it is compiled"),
            Self::Caught(by) => write!(formatter, "caught by {by}"),
            Self::Endless => write!(formatter, "caught: the tests do not end"),
            Self::Passed => write!(formatter, "not noticed"),
        }
    }
}

/// Builds and runs the tests of `suite`.
pub(super) fn run(copy: &Copy, suite: Suite, seconds: u64) -> Result<Outcome> {
    if suite == Suite::Guests {
        let tests = copy.root().join("guests/tests");
        let args = ["suite", &tests.to_string_lossy()];
        return Ok(match programs::output(programs::WASM_TESTS, &args) {
            Ok(_) => Outcome::Passed,
            Err(error) => Outcome::Caught(first_line(&error.to_string())),
        });
    }
    let Some(program) = build(copy, suite)? else {
        return Ok(Outcome::Refused);
    };
    let mut command = if suite == Suite::Wasi {
        let mut runner = programs::wasi_runner()?;
        runner.arg(&program);
        runner
    } else {
        Command::new(&program)
    };
    command.args(["--test-threads", "2"]).stdin(Stdio::null());
    let failed = if suite.panics_when_passed() {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        failed_test
    } else {
        command.arg("--nocapture");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        panicked_test
    };
    let mut child = command.spawn().context("the tests do not start")?;
    let outcome = watch(&mut child, failed, Duration::from_secs(seconds));
    // It may have ended by itself.
    let _ = child.kill();
    let status = child.wait()?;
    Ok(match outcome? {
        Outcome::Passed if !status.success() => Outcome::Caught(status.to_string()),
        outcome => outcome,
    })
}

/// The test program, or none if it cannot be built.
fn build(copy: &Copy, suite: Suite) -> Result<Option<PathBuf>> {
    let test: &[&str] = match suite {
        Suite::Host | Suite::Wasi | Suite::Guests | Suite::Small | Suite::HardenedHost => {
            &["--test", "suite"]
        }
        Suite::ByAddress | Suite::SmallByAddress => &["--test", "by_address"],
        Suite::AllocatorApi => &["--test", "allocator_api"],
        Suite::Metrics => &["--test", "metrics"],
        Suite::BuildScript => &["--test", "build_script"],
        Suite::Threads => &["--test", "threads"],
        Suite::Units | Suite::SmallUnits | Suite::HardenedUnits => &["--lib"],
        Suite::Hardened => &["--test", "hardened"],
    };
    let features = match suite {
        Suite::Small | Suite::SmallUnits | Suite::SmallByAddress => {
            "small,check,metrics,allocator-api2"
        }
        Suite::Hardened | Suite::HardenedUnits | Suite::HardenedHost => {
            "hardened,check,metrics,allocator-api2"
        }
        Suite::Threads => "threads,check", // Counting takes the lock for each operation.
        _ => "check,metrics,allocator-api2",
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--no-run", "--quiet", "--message-format", "json"])
        .args(["-p", "alligator-alloc"])
        .args(test)
        .args(["--features", features])
        .current_dir(copy.root())
        .env("CARGO_PROFILE_TEST_DEBUG", "false")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    if suite == Suite::Wasi {
        command.args(["--target", WASI]);
    }
    let output = command.output().context("cargo does not start")?;
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    Ok(executable.filter(|path| output.status.success() && Path::exists(path)))
}

/// Waits for the first test that has `failed`, the program's end, or the end of its time.
fn watch(
    child: &mut Child,
    failed: fn(&str) -> Option<String>,
    limit: Duration,
) -> Result<Outcome> {
    let output = lines(child)?;
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match output.recv_timeout(left) {
            Ok(line) => {
                if let Some(test) = failed(&line) {
                    return Ok(Outcome::Caught(test));
                }
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Outcome::Endless),
            Err(RecvTimeoutError::Disconnected) => return Ok(Outcome::Passed),
        }
    }
}

/// What the program writes, line by line.
fn lines(child: &mut Child) -> Result<Receiver<String>> {
    let output: Box<dyn Read + Send> = match (child.stdout.take(), child.stderr.take()) {
        (Some(output), _) => Box::new(output),
        (None, Some(errors)) => Box::new(errors),
        (None, None) => bail!("the tests have no output"),
    };
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The test's name in `thread 'name' panicked at`.
fn panicked_test(line: &str) -> Option<String> {
    if !line.contains("panicked at") {
        return None;
    }
    let name = line.split('\'').nth(1).unwrap_or(line);
    Some(first_line(if name == "main" { "the suite" } else { name }))
}

/// The test's name in `test name ... FAILED`.
fn failed_test(line: &str) -> Option<String> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(name.to_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_test_is_read_from_its_panic() {
        let line = "thread 'growth::a_limit' (71) panicked at x.rs:1:2:";
        assert_eq!(panicked_test(line).as_deref(), Some("growth::a_limit"));
        assert_eq!(panicked_test("test growth::a_limit ... FAILED"), None);
    }

    #[test]
    fn the_failed_test_is_read_from_its_result() {
        let failed = failed_test("test growth::a_limit ... FAILED");
        assert_eq!(failed.as_deref(), Some("growth::a_limit"));
        assert_eq!(failed_test("test growth::a_limit ... ok"), None);
        assert_eq!(failed_test("test result: FAILED. 3 passed"), None);
    }
}

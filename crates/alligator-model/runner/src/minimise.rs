//! Makes a program that fails short. *Source:* Zeller, Hildebrandt, *Simplifying and Isolating Failure-Inducing
//! Input*, IEEE Transactions on Software Engineering 2002, without the complements' second pass.

use core::time::Duration;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::worker::Failure;
use super::{Options, guest};

/// Programs tried at most.
const TRIALS_MAX: usize = 4_000;

/// A program that takes longer is taken to hang, which is a failure as well.
const PATIENCE: Duration = Duration::from_mins(1);

/// Programs up to this length have the heap checked after each step.
const CHECKED_STEPS: usize = 500;

/// The failure, its seed, and the shortest program found that fails, which stays in a file, too.
pub(super) fn report(
    name: &str,
    runner: &Path,
    failure: &Failure,
    options: &Options,
) -> Result<String> {
    let Failure { seed, text } = failure;
    let steps = steps_of(runner, *seed, options)?;
    let file = guest::root()
        .join("target")
        .join("model")
        .join(format!("failure-{name}-{seed}.txt"));
    let mut last = text.clone();
    let mut fails = |steps: &[&str]| {
        let found = replay(runner, *seed, steps, &file, options).unwrap_or_default();
        if let Some(text) = &found {
            last.clone_from(text);
        }
        found.is_some()
    };
    let all: Vec<_> = steps.lines().collect();
    let head = format!("features: {name}, seed {seed}: {text}");
    if !fails(&all) {
        return Ok(format!("{head}\nThe program alone does not fail again."));
    }
    let few = minimised(all, TRIALS_MAX, fails);
    write(&file, &few)?;
    let program = few.join("\n    ");
    Ok(format!(
        "{head}\n{} steps that fail: {last}\n    {program}",
        few.len()
    ))
}

/// The program's steps, one on each line.
fn steps_of(runner: &Path, seed: u64, options: &Options) -> Result<String> {
    let output = Command::new(runner)
        .args(["steps", &seed.to_string(), &options.length.to_string()])
        .output()
        .context("the runner does not start")?;
    ensure!(output.status.success(), "the runner prints no steps");
    Ok(String::from_utf8(output.stdout)?)
}

fn write(file: &Path, steps: &[&str]) -> Result<()> {
    Ok(std::fs::write(file, steps.join("\n") + "\n")?)
}

/// How the program fails, if it does.
fn replay(
    runner: &Path,
    seed: u64,
    steps: &[&str],
    file: &Path,
    options: &Options,
) -> Result<Option<String>> {
    write(file, steps)?;
    let check_every = if steps.len() <= CHECKED_STEPS {
        1
    } else {
        options.check_every
    };
    let mut command = Command::new(runner);
    if options.canary {
        command.arg("--canary");
    }
    let mut process = command
        .args(["replay", &seed.to_string(), &check_every.to_string()])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let started = Instant::now();
    while process.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            process.kill()?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = process.wait_with_output()?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Some(if text.is_empty() {
        format!("the process ended: {}", output.status)
    } else {
        text
    }))
}

/// A part of `items` for which `fails` is still true, as it is of all of them: no item of it can be left out,
/// unless `trials` were used up before that was known.
fn minimised<T: Clone>(
    mut items: Vec<T>,
    mut trials: usize,
    mut fails: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut length = items.len().div_ceil(2);
    while length > 0 {
        let mut start = 0;
        let mut is_shorter = false;
        while start < items.len() && trials > 0 {
            let end = items.len().min(start + length);
            let rest = [&items[..start], &items[end..]].concat();
            trials -= 1;
            if fails(&rest) {
                items = rest;
                is_shorter = true;
            } else {
                start = end;
            }
        }
        // Without one item another may be needless.
        if length > 1 || !is_shorter || trials == 0 {
            length /= 2;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_program_fail_is_all_that_is_left() {
        let items: Vec<u32> = (0..1000).collect();
        let mut trials = 0;
        let few = minimised(items, 4_000, |items| {
            trials += 1;
            [17, 400, 401, 999].iter().all(|item| items.contains(item))
        });
        assert_eq!(few, [17, 400, 401, 999]);
        assert!(trials < 200, "{trials} trials");
    }

    #[test]
    fn what_needs_no_item_gets_none() {
        assert_eq!(minimised(vec![1, 2, 3], 100, |_| true), Vec::<i32>::new());
    }

    #[test]
    fn without_trials_all_stays() {
        assert_eq!(minimised(vec![1, 2, 3], 0, |_| true), [1, 2, 3]);
    }
}

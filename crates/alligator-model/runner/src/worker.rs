//! One process that runs programs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use super::{Options, Outcome};

/// What programs have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) operations: u64,
    /// Requests that got null.
    pub(super) refused: u64,
    /// Looks at the whole heap.
    pub(super) checks: u64,
    /// Of all addresses and contents; the order of the programs does not matter.
    pub(super) hash: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.refused += other.refused;
        self.checks += other.checks;
        self.hash = self.hash.wrapping_add(other.hash);
    }

    /// As a runner prints it.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("ok ")?.split_whitespace();
        Some(Self {
            operations: words.next()?.parse().ok()?,
            refused: words.next()?.parse().ok()?,
            checks: words.next()?.parse().ok()?,
            hash: u64::from_str_radix(words.next()?, 16).ok()?,
        })
    }
}

/// A program that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) seed: u64,
    pub(super) text: String,
}

/// A process, and the pipes to it.
pub(super) struct Worker {
    process: Child,
    seeds: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    pub(super) fn start(runner: &Path, options: &Options) -> Result<Self> {
        let mut command = Command::new(runner);
        if options.canary {
            command.arg("--canary");
        }
        let mut process = command
            .arg("run")
            .arg(options.length.to_string())
            .arg(options.check_every.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the runner does not start")?;
        let answers = process.stdout.take().context("no output")?;
        Ok(Self {
            seeds: process.stdin.take(),
            answers: BufReader::new(answers),
            process,
        })
    }

    /// Runs one program.
    pub(super) fn run(&mut self, seed: u64) -> Result<Tally, Outcome> {
        if let Some(seeds) = &mut self.seeds {
            // If the process has ended, its answer says so.
            let _ = writeln!(seeds, "{seed}");
        }
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        if let (Ok(_), Some(tally)) = (read, Tally::parse(&line)) {
            return Ok(tally);
        }
        let text = match self.process.wait() {
            Ok(status) if line.is_empty() => format!("the process ended: {status}"),
            _ => line.trim().to_owned(),
        };
        Err(Outcome::Failed(Failure { seed, text }))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends when there are no seeds any more.
        self.seeds = None;
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let expected = Tally {
            operations: 12,
            refused: 3,
            checks: 4,
            hash: 255,
        };
        assert_eq!(Tally::parse("ok 12 3 4 00ff\n"), Some(expected));
        assert_eq!(Tally::parse("failed: step 3"), None);
        assert_eq!(Tally::parse("ok 12 3 4"), None);
    }
}

//! The record of a long run: `docs/model.md`.

use core::fmt;
use core::time::Duration;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use indicatif::{HumanCount, HumanDuration};

use super::Options;
use super::worker::Tally;
use alligator_tools::guest;

/// What was done on the heap with one feature.
pub(super) struct Line {
    /// The feature, or `none`.
    pub(super) name: String,
    pub(super) programs: u64,
    pub(super) tally: Tally,
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            operations,
            refused,
            checks,
            hash,
        } = self.tally;
        write!(
            formatter,
            "| {} | {} | {} | {} | {} | {hash:016x} |",
            self.name,
            HumanCount(self.programs),
            HumanCount(operations),
            HumanCount(refused),
            HumanCount(checks),
        )
    }
}

/// Writes the record.
pub(super) fn write(
    options: &Options,
    commit: &str,
    lines: &[Line],
    elapsed: Duration,
) -> Result<()> {
    let total: u64 = lines.iter().map(|line| line.tally.operations).sum();
    let table: Vec<_> = lines.iter().map(ToString::to_string).collect();
    let table = table.join("\n") + "\n";
    let text = format!(
        "# Random programs against a model

The last long run of `cargo xtask model`, which wrote this page. A program allocates, gives back and resizes blocks at random, in one of eight mixes of sizes and alignments, on a heap that grows by 1 page or by 16, starts in a spare tail, or was reserved and never grows; somebody else grows the memory too, and its limit changes. After every answer the model knows that the block is aligned, inside the memory and over no other one, and that contents are kept: of blocks up to 256 bytes all, of longer ones the first and the last 64 bytes. Zeroed blocks are read all through. The whole heap is checked after every {check_every} steps, and after the last one nothing may be in use.

{operations} operations without a failure, in {time}: seed {seed}, {length} steps a program, the heap as of commit `{commit}`.

| feature | programs | operations | of these refused | checks of the whole heap | hash of addresses and contents |
| --- | --: | --: | --: | --: | --- |
{table}
The hash is the same wherever words have 64 bits. What this does not show: anything about 32 bits, about threads, or about misuse; the middle of long blocks is known to be in no other block, but not read.
",
        check_every = HumanCount(options.check_every),
        operations = HumanCount(total),
        time = HumanDuration(elapsed),
        seed = options.seed,
        length = HumanCount(options.length),
    );
    let path = guest::root().join("docs").join("model.md");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The last commit that changed the heap, and whether its sources differ from it now.
pub(super) fn commit() -> Result<String> {
    let heap = ["--", "crates/alligator-alloc/src"];
    let last = git(&["log", "-1", "--format=%h"], &heap)?;
    let changes = git(&["status", "--porcelain"], &heap)?;
    Ok(if changes.is_empty() {
        last
    } else {
        format!("{last}, changed")
    })
}

fn git(arguments: &[&str], paths: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .args(paths)
        .current_dir(guest::root())
        .output()
        .context("git does not start")?;
    ensure!(output.status.success(), "this is no git repository");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

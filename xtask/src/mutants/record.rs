//! `docs/mutants.md`: what became of each fault.

use core::fmt::Write;

use anyhow::Result;

use super::Fault;
use super::trial::Outcome;
use alligator_tools::guest;

const HEAD: &str = "# Seeded faults\n\n\
    Each line is a fault that `cargo xtask mutants` planted in a copy of `crates/alligator-alloc/src`, and the \
    first of the allocator's tests that noticed. Written by `cargo xtask mutants --record` from \
    `xtask/mutants.toml`.\n\n\
    | file | fault | what it breaks | noticed by |\n| --- | --- | --- | --- |\n";

/// Writes the record.
pub(super) fn write(results: &[(&Fault, Outcome)]) -> Result<()> {
    let mut text = HEAD.to_owned();
    for (fault, outcome) in results {
        let noticed = match (outcome, &fault.equivalent) {
            (Outcome::Passed, Some(reason)) => format!("nobody can: {reason}"),
            (Outcome::Passed, None) => "**nobody**".to_owned(),
            (Outcome::Refused, _) => "the compiler".to_owned(),
            (Outcome::Endless, _) => "the tests do not end".to_owned(),
            (Outcome::Caught(by), _) => format!("`{by}`"),
        };
        writeln!(
            text,
            "| `{}` | {} | {} | {noticed} |",
            fault.file, fault.name, fault.breaks
        )?;
    }
    Ok(std::fs::write(guest::root().join("docs/mutants.md"), text)?)
}

//! What is proved of scopes: `guests/scopes`, without the peer that it can have beside them.

use core::fmt::Write as _;

use alligator_bound::{Options as BoundOptions, analyze};
use alligator_tools::guest::{self, Guest};
use anyhow::{Result, anyhow, ensure};

use crate::bounds::add_row;

/// Operations of a scope, by export of `guests/scopes`, and what they are called in the reports.
const OPERATIONS: [(&str, &str); 4] = [
    ("scope_layout", "allocate"),
    ("scope_reset", "reset"),
    ("scope_restart", "restart"),
    ("scope_rewind", "rewind"),
];

/// Bounds what a scope of the heap does, with as many chunks as a scope can have.
pub(crate) fn add(text: &mut String) -> Result<()> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("scopes"),
        library: "guest_scopes",
        features: &[],
        output: "guest-scopes",
        profile: None,
        overrides: Vec::new(),
    })?;
    let options = BoundOptions {
        entries: OPERATIONS.map(|(export, _)| export.to_owned()).to_vec(),
        ..BoundOptions::default()
    };
    let report = analyze(&std::fs::read(&path)?, &options)
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let _ = writeln!(
        text,
        "# A scope of alligator-rt (guests/scopes), with as many chunks as it can have:"
    );
    for (entry, (_, operation)) in report.entries.iter().zip(OPERATIONS) {
        let bound = entry
            .without_growth
            .as_ref()
            .and_then(|figure| figure.bound);
        ensure!(bound.is_some(), "{} of a scope has no bound", entry.name);
        add_row(text, "scope", operation, entry);
    }
    Ok(())
}

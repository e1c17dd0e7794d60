//! No Rust file is longer than the limit of `xtask/lengths.toml`, but those that were: they only get shorter.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::{Tree, line_at};

const TABLE: &str = "xtask/lengths.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lengths {
    limit: usize,
    /// Longer files, and how long each may be.
    longer: BTreeMap<String, usize>,
}

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let table = tree.text(TABLE)?;
    let Lengths { limit, longer } = toml::from_str(table)?;
    let mut found = Vec::new();
    for (path, text) in tree.files("", ".rs") {
        let lines = text.lines().count();
        let most = longer.get(path).copied().unwrap_or(limit);
        if lines > most {
            let at = most + 1;
            found.push(format!("{path}:{at}: {lines} lines, {most} are allowed: split the file by what its parts know"));
        }
    }
    for (path, most) in &longer {
        let at = line_at(table, table.find(path).unwrap_or(0));
        let lines = tree.0.get(path).map_or(0, |text| text.lines().count());
        if lines <= limit {
            found.push(format!(
                "{TABLE}:{at}: {path} has {lines} lines now: take it out of the list"
            ));
        } else if lines < *most {
            found.push(format!(
                "{TABLE}:{at}: {path} has {lines} lines now: write that, not {most}"
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn a_line_too_many_and_an_allowance_too_large_are_found() -> Result<()> {
        let on = |text, longer| found(check, &[(TABLE, longer), ("a.rs", text)]);
        let [none, three, four] =
            ["", "\"a.rs\" = 3", "\"a.rs\" = 4"].map(|it| format!("limit = 2\n[longer]\n{it}"));
        assert_eq!(on("1\n2\n", &none)?, "");
        assert_eq!(on("1\n2\n3\n", &three)?, "");
        assert!(on("1\n2\n3\n", &none)?.starts_with("a.rs:3: 3 lines, 2 are allowed"));
        assert!(on("1\n2\n3\n4\n", &three)?.starts_with("a.rs:4: 4 lines"));
        assert!(on("1\n2\n3\n", &four)?.contains("toml:3: a.rs has 3 lines now: write that"));
        assert!(on("1\n", &four)?.contains("take it out"));
        Ok(())
    }
}

//! A bound that changes is said in the changelog.

use anyhow::Result;

use super::{Tree, git};
use crate::programs::Missing;

const CHANGELOG: &str = "CHANGELOG.md";
const BOUNDS: [&str; 2] = ["bounds.txt", "crates/alligator-c/bounds.txt"];

/// Where this branch may have come from, in the order in which they are asked.
const ORIGINS: [&str; 3] = ["@{upstream}", "origin/main", "main"];

pub(super) fn check(_: &Tree) -> Result<Vec<String>> {
    let Some(base) = base() else {
        let reason =
            "no earlier commit is here to compare with (a shallow clone?): git fetch --deepen 100";
        return Err(Missing(reason.to_owned()).into());
    };
    let changed = git(&["diff", "--name-only", &base])?;
    Ok(missing(&changed.lines().collect::<Vec<_>>(), &base))
}

/// The commit where this branch left its origin; on the origin itself the previous one.
fn base() -> Option<String> {
    let head = git(&["rev-parse", "HEAD"]).ok()?;
    let forks = ORIGINS
        .iter()
        .filter_map(|origin| git(&["merge-base", "HEAD", origin]).ok());
    let fork = forks.into_iter().find(|fork| *fork != head);
    let base = fork.or_else(|| git(&["rev-parse", "HEAD~1"]).ok())?;
    Some(base.trim().to_owned())
}

fn missing(changed: &[&str], base: &str) -> Vec<String> {
    if changed.contains(&CHANGELOG) {
        return Vec::new();
    }
    let bounds = changed.iter().filter(|path| BOUNDS.contains(path));
    let say = |path| {
        format!(
            "{path}:1: differs from commit {base:.9}, {CHANGELOG} does not: say in its \"Bounds\" which bounds moved"
        )
    };
    bounds.map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_change_without_the_changelog_are_found() {
        assert!(missing(&["README.md"], "").is_empty());
        assert!(missing(&["bounds.txt", CHANGELOG], "").is_empty());
        let found = missing(
            &["bounds.txt", "crates/alligator-c/bounds.txt"],
            "0123456789",
        );
        assert!(found[0].starts_with("bounds.txt:1: differs from commit 012345678,"));
        assert_eq!(found.len(), 2);
    }
}

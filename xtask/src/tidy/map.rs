//! The code map of ARCHITECTURE.md names every folder with sources at the repository's top two levels, and nothing else.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Tree, codes, line_at, rows};

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Code map";

/// Files that have no place of their own in the map.
const NO_SOURCES: [&str; 4] = [".md", ".lock", ".toml", ".yml"];

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let page = tree.text(PAGE)?;
    let mut named = BTreeSet::new();
    let mut found = Vec::new();
    for (line, cells) in rows(page, HEADING) {
        for folder in codes(cells[0]) {
            named.insert(folder);
            if !tree.has(folder.trim_end_matches("/*")) {
                found.push(format!(
                    "{PAGE}:{line}: there is no folder `{folder}`: take it out of the map"
                ));
            }
        }
    }
    let is_source = |path: &&String| !NO_SOURCES.iter().any(|ending| path.ends_with(ending));
    let sources = tree.0.keys().filter(is_source);
    let folders: BTreeSet<String> = sources.filter_map(|path| folder(path)).collect();
    let is_named = |folder: &str| {
        let all = folder
            .rsplit_once('/')
            .map(|(parent, _)| format!("{parent}/*"));
        named.contains(folder) || all.is_some_and(|all| named.contains(all.as_str()))
    };
    let at = line_at(page, page.find(HEADING).unwrap_or(0));
    for folder in folders.iter().filter(|folder| !is_named(folder)) {
        found.push(format!(
            "{PAGE}:{at}: the map has no line for the folder `{folder}`: say there what it is"
        ));
    }
    Ok(found)
}

/// The folder of a file, at the second level at most. `src` belongs to the folder that it is in.
fn folder(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    parts.truncate(2);
    parts.retain(|part| *part != "src");
    let is_hidden = parts.first().is_none_or(|first| first.starts_with('.'));
    (!is_hidden).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn a_folder_without_a_line_and_a_line_atout_a_folder_are_found() -> Result<()> {
        let on = |map: &str| {
            let page = format!("{HEADING}\n\n| path | |\n| - | - |\n{map}");
            let sources = [
                ("a/src/x.rs", ""),
                ("b/c/d/y.js", ""),
                ("b/README.md", ""),
                ("z.rs", ""),
            ];
            found(check, &[&sources[..], &[(PAGE, &page)]].concat())
        };
        assert_eq!(on("| `a` | |\n| `b/c` | |\n")?, "");
        assert_eq!(on("| `a`, `b/*` | |\n")?, "");
        assert!(
            on("| `b/*` | |\n")?
                .starts_with("ARCHITECTURE.md:1: the map has no line for the folder `a`")
        );
        assert!(on("| `a` | |\n| `b/c` | |\n| `e` | |\n")?.contains(":7: there is no folder `e`"));
        Ok(())
    }
}

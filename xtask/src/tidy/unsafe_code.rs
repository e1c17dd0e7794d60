//! `unsafe` stands only where ARCHITECTURE.md lists it, and every package of the workspace without any forbids it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use toml::Table;

use super::{Tree, codes, section, tokens};

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Where `unsafe` may be";
const FORBIDS: &str = "#![forbid(unsafe_code)]";

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut listed = Vec::new();
    for (line, text) in section(tree.text(PAGE)?, HEADING, "- ") {
        let paths = text.split(": ").next().unwrap_or(text);
        listed.extend(codes(paths).map(|path| (line, full(path))));
    }
    let covers =
        |entry: &str, path: &str| path == entry || entry.ends_with('/') && path.starts_with(entry);
    let mut found = Vec::new();
    let mut with_unsafe = BTreeSet::new();
    for (path, text) in tree.files("", ".rs") {
        let Some(line) = tokens::line_of("unsafe", &tokens::read(path, text)?) else {
            continue;
        };
        with_unsafe.insert(path);
        if !listed.iter().any(|(_, entry)| covers(entry, path)) {
            found.push(format!(
                "{path}:{line}: `unsafe` outside the list of {PAGE}, \"{HEADING}\": do without, or say there why not"
            ));
        }
    }
    for (line, entry) in &listed {
        if !with_unsafe.iter().any(|path| covers(entry, path)) {
            found.push(format!(
                "{PAGE}:{line}: no `unsafe` is in `{entry}` any more: take it out of the list"
            ));
        }
    }
    for root in roots(tree)? {
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_without = !with_unsafe.iter().any(|path| path.starts_with(folder));
        if is_without && !tree.text(&root)?.contains(FORBIDS) {
            found.push(format!(
                "{root}:1: the crate has no `unsafe`: write `{FORBIDS}` at its top"
            ));
        }
    }
    Ok(found)
}

/// The allocator's files are listed by what follows its folder.
fn full(entry: &str) -> String {
    match entry.strip_prefix("src/") {
        Some(_) => format!("crates/alligator-alloc/{entry}"),
        None => entry.to_owned(),
    }
}

/// The files at which the crates of the workspace's packages start. Folders that the workspace excludes have their own.
fn roots(tree: &Tree) -> Result<Vec<String>> {
    let workspace: Table = tree.text("Cargo.toml")?.parse()?;
    let exclude = workspace.get("workspace").and_then(|it| it.get("exclude"));
    let exclude = exclude.and_then(|it| it.as_array()).into_iter().flatten();
    let excluded: Vec<&str> = exclude.filter_map(|it| it.as_str()).collect();
    let mut roots = Vec::new();
    for (path, text) in tree.files("", "/Cargo.toml") {
        let folder = path.trim_end_matches("Cargo.toml");
        let is_in = |other: &&str| folder.starts_with(&format!("{other}/"));
        if excluded.iter().any(is_in) {
            continue;
        }
        let manifest: Table = text.parse().with_context(|| path.to_owned())?;
        let named = manifest.get("lib").and_then(|lib| lib.get("path"));
        let library = named.and_then(|it| it.as_str()).unwrap_or("src/lib.rs");
        let files = [library, "src/main.rs"].map(|file| format!("{folder}{file}"));
        roots.extend(files.into_iter().filter(|file| tree.has(file)));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    fn on(list: &str, text: &str) -> Result<String> {
        let page = format!("{HEADING}\n\n{list}\n\n## Next\n");
        let other = [
            ("Cargo.toml", "[workspace]\nexclude = [\"b\"]"),
            ("b/Cargo.toml", ""),
            ("b/src/lib.rs", ""),
        ];
        let own = [
            (PAGE, page.as_str()),
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", text),
        ];
        found(check, &[other, own].concat())
    }

    #[test]
    fn unsafe_is_right_where_it_is_listed_and_in_comments_and_strings() -> Result<()> {
        assert_eq!(
            on("- `a/src/lib.rs`: raw memory.", "fn f() { unsafe { g() } }")?,
            ""
        );
        assert_eq!(on("- `a/`: raw memory.", "unsafe fn f() {}")?, "");
        assert_eq!(
            on(
                "",
                "#![forbid(unsafe_code)]\n// unsafe\nconst A: &str = \"unsafe\";"
            )?,
            ""
        );
        Ok(())
    }

    #[test]
    fn unsafe_elsewhere_idle_lines_and_crates_that_do_not_forbid_it_are_found() -> Result<()> {
        assert!(
            on("", "\nfn f() { m!(unsafe { g() }) }")?
                .starts_with("a/src/lib.rs:2: `unsafe` outside")
        );
        assert!(
            on("- `a/`: see `b`.", FORBIDS)?
                .starts_with("ARCHITECTURE.md:3: no `unsafe` is in `a/`")
        );
        assert!(on("", "fn f() {}")?.starts_with("a/src/lib.rs:1: the crate has no `unsafe`"));
        Ok(())
    }
}

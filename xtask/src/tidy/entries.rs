//! Each safe function and trait of the allocator that a program can reach has its row in docs/trust.md, which says why it
//! cannot break a heap; and each row is of something that is there.

use std::collections::BTreeSet;

use anyhow::Result;
use proc_macro2::TokenTree;

use super::{Tree, codes, rows, tokens};

const PAGE: &str = "docs/trust.md";
const HEADING: &str = "## Safe code cannot break a heap";
const CRATE: &str = "crates/alligator-alloc/src/";
/// Sources whose items a row may name.
const SOURCES: [&str; 2] = [CRATE, "crates/alligator-c/src/"];

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut items = Vec::new();
    for source in SOURCES {
        for (path, text) in tree.files(source, ".rs") {
            let mut here = Vec::new();
            tokens::items(&tokens::read(path, text)?, "", &mut here);
            items.extend(here.into_iter().map(|item| (path, item)));
        }
    }
    let root = format!("{CRATE}lib.rs");
    let public = exported(&tokens::read(&root, tree.text(&root)?)?);
    let rows = rows(tree.text(PAGE)?, HEADING);
    let cells = rows
        .iter()
        .filter_map(|(line, cells)| Some((line, cells.first()?)));
    let listed: Vec<_> = cells
        .flat_map(|(line, cell)| codes(cell).map(move |name| (*line, name)))
        .collect();
    let is_listed = |item: &tokens::Item| {
        let name = item.full_name();
        listed
            .iter()
            .any(|&(_, it)| it == name || it == item.name && it != "new")
    };
    let mut found = Vec::new();
    for (path, item) in &items {
        let reached = if item.owner.is_empty() {
            &item.name
        } else {
            &item.owner
        };
        let is_entry =
            item.is_public && (item.kind == "trait" || item.kind == "fn" && !item.is_unsafe);
        if is_entry && path.starts_with(CRATE) && public.contains(reached) && !is_listed(item) {
            let (line, name) = (item.line, item.full_name());
            found.push(format!(
                "{path}:{line}: safe code reaches `{name}`: say in {PAGE}, \"{HEADING}\", why it cannot break a heap"
            ));
        }
    }
    let names: BTreeSet<&str> = items.iter().map(|(_, item)| item.name.as_str()).collect();
    for (line, name) in &listed {
        let last = name.rsplit("::").next().unwrap_or(name);
        if !names.contains(last.trim_start_matches('&')) {
            found.push(format!("{PAGE}:{line}: there is no `{name}`"));
        }
    }
    found.sort();
    found.dedup(); // Two heaps have the same functions.
    Ok(found)
}

/// What a crate's root exports, by `pub use`.
fn exported(mut tokens: &[TokenTree]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    while let [first, rest @ ..] = tokens {
        tokens = rest;
        let is_use = matches!(rest.first(), Some(TokenTree::Ident(word)) if word == "use");
        if first.to_string() == "pub" && is_use {
            let path = rest.iter().take_while(|tree| tree.to_string() != ";");
            names.extend(path.flat_map(tokens::words));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    fn on(table: &str, heap: &str) -> Result<String> {
        let page = format!("{HEADING}\n\n| entry | why |\n| --- | --- |\n{table}\n");
        let root = "mod heap;\npub use heap::{Heap, claim, Source};";
        found(
            check,
            &[
                (PAGE, &page),
                ("crates/alligator-alloc/src/lib.rs", root),
                ("crates/alligator-alloc/src/heap.rs", heap),
            ],
        )
    }

    #[test]
    fn what_safe_code_reaches_needs_a_row() -> Result<()> {
        for (entry, name) in [
            (
                "impl<S: Fn() -> u8> Heap<S> { pub const fn new() {} }",
                "Heap::new",
            ),
            (
                "impl Heap { #[inline] pub extern \"C\" fn trim(&self) {} }",
                "Heap::trim",
            ),
            ("mod inner { pub fn claim() {} }", "claim"),
            ("pub unsafe trait Source {}", "Source"),
        ] {
            let said = on("", entry)?;
            assert!(
                said.contains(&format!("safe code reaches `{name}`")),
                "{said}"
            );
            assert_eq!(on(&format!("| `{name}` | |"), entry)?, "");
        }
        let said = on("| `new` | |", "impl Heap { pub fn new() {} }")?;
        assert!(said.contains("`Heap::new`"), "of which type? {said}");
        Ok(())
    }

    #[test]
    fn what_it_does_not_reach_needs_none() -> Result<()> {
        for entry in [
            "impl Heap { pub unsafe fn free(&self) {} }",
            "impl Heap { pub(crate) fn grow(&self) {} fn find(&self) {} }",
            "impl Other { pub fn new() {} }",
            "impl Drop for Heap { fn drop(&mut self) {} }",
            "#[cfg(test)] mod tests { impl Heap { pub fn planted(&self) {} } }",
            "pub fn other() { pub fn claim2() {} }",
        ] {
            assert_eq!(on("", entry)?, "", "{entry}");
        }
        Ok(())
    }

    #[test]
    fn a_row_of_nothing_is_found() -> Result<()> {
        assert_eq!(
            on("| `Heap::gone` | |", "")?,
            format!("{PAGE}:5: there is no `Heap::gone`")
        );
        assert_eq!(
            on(
                "| `LIMIT`, `Lock` | |",
                "const LIMIT: u8 = 1; trait Lock {}"
            )?,
            ""
        );
        Ok(())
    }
}

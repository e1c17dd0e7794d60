//! No dead link in the documents: files, headings, and the paths that ARCHITECTURE.md and CONTRIBUTING.md name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Tree, line_at};

/// Documents in which a path between backticks is a promise, too.
const WITH_PATHS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// What such a path may be relative to.
const BASES: [&str; 3] = ["", "crates/alligator-alloc/", "crates/alligator-alloc/src/"];

/// How the names of files end that are meant by a name without a folder.
const ENDINGS: [&str; 5] = [".rs", ".md", ".toml", ".txt", ".json"];

/// How pictures are named where a document has HTML.
const ATTRIBUTES: [&str; 2] = [" src=\"", " srcset=\""];

/// What a document refers to, with the line, and the anchors of its headings.
#[derive(Default)]
struct Document {
    links: Vec<(usize, String)>,
    codes: Vec<(usize, String)>,
    anchors: BTreeSet<String>,
}

#[allow(clippy::unnecessary_wraps, reason = "checks are of one type")]
pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let documents = tree.files("", ".md").map(|(path, text)| (path, read(text)));
    let documents: BTreeMap<&str, Document> = documents.collect();
    let mut found = Vec::new();
    for (path, document) in &documents {
        for (line, link) in &document.links {
            if let Some(reason) = why_dead(tree, &documents, path, link) {
                found.push(format!(
                    "{path}:{line}: the link {link} leads nowhere: {reason}"
                ));
            }
        }
        let is_gone = |code: &str| is_path(code) && !is_there(tree, code);
        for (line, code) in document.codes.iter().filter(|(_, code)| is_gone(code)) {
            if WITH_PATHS.contains(path) {
                found.push(format!(
                    "{path}:{line}: there is no `{code}`: write the path as it is now"
                ));
            }
        }
    }
    Ok(found)
}

fn read(text: &str) -> Document {
    let mut document = Document::default();
    let mut heading = String::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let line = line_at(text, range.start);
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push((line, dest_url.into_string()));
            }
            Event::Start(Tag::Heading { .. }) => heading.clear(),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading);
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let mut names = core::iter::once(anchor.clone()).chain(numbered);
                let new = names.find(|name| !document.anchors.contains(name));
                document.anchors.extend(new);
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let links = ATTRIBUTES.iter().flat_map(|name| html.split(name).skip(1));
                let links = links.filter_map(|rest| rest.split('"').next());
                document
                    .links
                    .extend(links.map(|link| (line, link.to_owned())));
            }
            Event::Text(text) => heading.push_str(&text),
            Event::Code(code) => {
                heading.push_str(&code);
                document.codes.push((line, code.into_string()));
            }
            _ => {}
        }
    }
    document
}

/// A heading's anchor, by GitHub's rule.
fn anchor(heading: &str) -> String {
    let is_kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
    let text: String = heading.to_lowercase().chars().filter(is_kept).collect();
    text.replace(' ', "-")
}

/// Why a link leads nowhere, if it does. Where links to other sites lead is not asked.
fn why_dead(
    tree: &Tree,
    documents: &BTreeMap<&str, Document>,
    from: &str,
    link: &str,
) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        Some(from.to_owned())
    } else {
        join(from, file)
    };
    let Some(target) = target.filter(|it| it.is_empty() || tree.has(it)) else {
        return Some(format!("there is no {file} from here"));
    };
    let document = documents.get(target.as_str())?;
    let is_dead = !anchor.is_empty() && !document.anchors.contains(anchor);
    is_dead.then(|| format!("{target} has no such heading"))
}

/// A path relative to a file's folder, from the repository's root on; none if it leads out of it.
pub(crate) fn join(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn is_path(code: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-*".contains(letter);
    let names_one = code.contains('/') || ENDINGS.iter().any(|ending| code.ends_with(ending));
    names_one && code.chars().all(is_plain) && !code.starts_with("target/")
}

/// Whether there is such a path, or a module of that name. A `*` in it is any name.
fn is_there(tree: &Tree, code: &str) -> bool {
    BASES
        .iter()
        .any(|base| match format!("{base}{code}").split_once('*') {
            Some((start, end)) => tree.files(start, end).next().is_some(),
            None => ["", ".rs"]
                .iter()
                .any(|ending| tree.has(&format!("{base}{code}{ending}"))),
        })
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    fn on(text: &str) -> Result<String> {
        let other = "# What `a` is, and why: 2nd\n## Twice\n## Twice\n";
        found(
            check,
            &[
                ("docs/x.md", text),
                ("docs/y.md", other),
                ("ARCHITECTURE.md", ""),
            ],
        )
    }

    #[test]
    fn links_to_what_is_there_are_right() -> Result<()> {
        let text =
            "[a](https://x.org/none) [b](#own) [c](../docs/y.md) [d](./y.md#what-a-is-and-why-2nd)";
        assert_eq!(
            on(&format!(
                "{text} [e](y.md#twice-1) [f](..) [g](../docs/)\n# Own\n"
            ))?,
            ""
        );
        Ok(())
    }

    #[test]
    fn dead_links_and_anchors_are_found() -> Result<()> {
        let text = "docs/x.md:2: the link z.md leads nowhere: there is no z.md from here";
        assert_eq!(on("\n[a](z.md)")?, text);
        assert!(on("[a](y.md#thrice)")?.ends_with("docs/y.md has no such heading"));
        assert!(on("[a]: ../z.md\n\n[a]")?.starts_with("docs/x.md:3: the link ../z.md"));
        Ok(())
    }

    #[test]
    fn pictures_in_html_are_followed() -> Result<()> {
        let text =
            |name| format!("<picture>\n<source media=\"x\" srcset=\"{name}\">\n</picture>\n");
        assert_eq!(on(&text("y.md"))?, "");
        assert!(on(&text("z.svg"))?.starts_with("docs/x.md:2: the link z.svg"));
        assert!(on("a <img src=\"z.svg\">")?.contains("z.svg"));
        Ok(())
    }

    #[test]
    fn paths_between_backticks_are_followed_in_the_map() -> Result<()> {
        let on = |text| found(check, &[("ARCHITECTURE.md", text), ("src/a/b.rs", "")]);
        assert_eq!(
            on("`src/a/b.rs` `src/*/b.rs` `and/or else` `Vec::new` `target/x.rs`")?,
            ""
        );
        assert!(on("`src/a/c.rs`")?.starts_with("ARCHITECTURE.md:1: there is no `src/a/c.rs`"));
        assert!(on("`gone.toml` `src/*/c.rs`")?.contains("`src/*/c.rs`"));
        Ok(())
    }
}

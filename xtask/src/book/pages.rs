//! The book's sources: which documents are chapters, where they stand in the book, and where their links lead there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::tidy::{Tree, join};

const SUMMARY: &str = "docs/SUMMARY.md";

/// The page that takes a module: a page of its own, beside the chapters.
const TRY: &str = "docs/try/";

/// Where copies of files are that are no chapters.
const FILES: &str = "files";

/// The book, ready for mdbook.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Texts by their place in the book; the table of contents among them.
    pub(super) texts: BTreeMap<String, String>,
    /// Files of the repository, by their place in the book.
    pub(super) copies: BTreeMap<String, String>,
}

/// Puts the book together. An error if a document of `docs` is no chapter, or a link leads nowhere.
pub(super) fn book(tree: &Tree) -> Result<Book> {
    let chapters = chapters(tree)?;
    let places = Places(&chapters);
    let mut book = Book::default();
    for source in &chapters {
        let text = places.mend(tree, source, &mut book.copies)?;
        book.texts.insert(place(source), text);
    }
    let summary = tree.text(SUMMARY)?.replace("](../", "](");
    book.texts.insert("SUMMARY.md".to_owned(), summary);
    for (path, _) in tree.files(TRY, "") {
        book.copies.insert(place(path), path.to_owned());
    }
    for name in ["record.js", "trace.js"] {
        book.copies
            .insert(place(&format!("{TRY}{name}")), format!("npm/{name}"));
    }
    for (path, _) in tree.files("docs/", "") {
        let is_picture = [".svg", ".png"].iter().any(|end| path.ends_with(end));
        if is_picture {
            book.copies.insert(place(path), path.to_owned());
        }
    }
    Ok(book)
}

/// The documents that the table of contents names.
fn chapters(tree: &Tree) -> Result<BTreeSet<String>> {
    let mut chapters = BTreeSet::new();
    for (link, _) in links(tree.text(SUMMARY)?) {
        let path = join(SUMMARY, &link).with_context(|| format!("{SUMMARY}: {link}"))?;
        ensure!(tree.has(&path), "{SUMMARY}: there is no {path}");
        ensure!(chapters.insert(path), "{SUMMARY}: {link} is there twice");
    }
    let documents = tree.files("docs/", ".md").map(|(path, _)| path);
    for path in documents.filter(|path| *path != SUMMARY) {
        ensure!(chapters.contains(path), "{path} is not in {SUMMARY}");
    }
    Ok(chapters)
}

/// Where a document stands in the book.
fn place(source: &str) -> String {
    source.strip_prefix("docs/").unwrap_or(source).to_owned()
}

/// The links of a text, pictures among them, and where they stand in it.
fn links(text: &str) -> Vec<(String, core::ops::Range<usize>)> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    let links = events.filter_map(|(event, range)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some((dest_url.into_string(), range))
        }
        _ => None,
    });
    links.collect()
}

/// The documents that are chapters.
struct Places<'a>(&'a BTreeSet<String>);

impl Places<'_> {
    /// The text of `source` with every link as it must be in the book.
    fn mend(
        &self,
        tree: &Tree,
        source: &str,
        copies: &mut BTreeMap<String, String>,
    ) -> Result<String> {
        let mut text = tree.text(source)?.to_owned();
        // From the end on, so that the places of those before stay what they are.
        for (link, range) in links(&text).into_iter().rev() {
            let is_local = !link.contains("://") && !link.starts_with(['#', '?']);
            if !is_local || link.starts_with("mailto:") {
                continue;
            }
            let written = format!("]({link}");
            let at = text.get(range.clone()).and_then(|it| it.rfind(&written));
            let Some(at) = at else {
                bail!("{source}: write the link {link} as [text](link)");
            };
            let start = range.start + at;
            if let Some(new) = self.target(tree, source, &link, copies)? {
                text.replace_range(start + 2..start + written.len(), &new);
            } else {
                // The text alone: brackets and target go.
                text.replace_range(start..range.end, "");
                text.replace_range(range.start..=range.start, "");
            }
        }
        Ok(text)
    }

    /// Where a link of `source` leads in the book; none for a folder that says nothing of itself.
    fn target(
        &self,
        tree: &Tree,
        source: &str,
        link: &str,
        copies: &mut BTreeMap<String, String>,
    ) -> Result<Option<String>> {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let anchor = if anchor.is_empty() {
            String::new()
        } else {
            format!("#{anchor}")
        };
        let path = join(source, file).with_context(|| format!("{source}: {link} leads out"))?;
        let readme = format!("{path}/README.md");
        let place = if ["", "README.md", SUMMARY].contains(&path.as_str()) {
            // The repository's front page, and the table of contents: the book has its own.
            "README.md".to_owned()
        } else if self.0.contains(&path) {
            place(&path)
        } else if self.0.contains(&readme) {
            place(&readme)
        } else if tree.text(&path).is_ok() {
            copy(&path, copies)
        } else if tree.text(&readme).is_ok() {
            copy(&readme, copies)
        } else {
            ensure!(tree.has(&path), "{source}: {link} leads nowhere");
            return Ok(None);
        };
        // mdbook makes an index of each README, and does not say so to the links.
        let place = match place.strip_suffix("README.md") {
            Some(folder) => format!("{folder}index.md"),
            None => place,
        };
        Ok(Some(relative(&self::place(source), &place) + &anchor))
    }
}

/// Has a file copied into the book, as a text where a browser would not show it otherwise. Returns its place.
fn copy(path: &str, copies: &mut BTreeMap<String, String>) -> String {
    let is_shown = [".txt", ".png", ".svg", ".json", ".html"]
        .iter()
        .any(|end| path.ends_with(end));
    let place = match path.strip_prefix("docs/") {
        Some(inner) => inner.to_owned(),
        None if is_shown => format!("{FILES}/{path}"),
        // No `.md` in it, which mdbook would take for a chapter.
        None => format!("{FILES}/{}.txt", path.trim_end_matches(".md")),
    };
    copies.insert(place.clone(), path.to_owned());
    place
}

/// The way from one place to another.
fn relative(from: &str, to: &str) -> String {
    let up = from.matches('/').count();
    format!("{}{to}", "../".repeat(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(chapter: &str) -> Result<Book> {
        let files = [
            (SUMMARY, "- [A](a.md)\n- [B](../x/README.md)\n"),
            ("docs/a.md", chapter),
            ("x/README.md", "[a](../docs/a.md#c) [b](..)"),
            ("x/y.rs", ""),
            ("z/w.rs", ""),
        ];
        book(&Tree::of(&files))
    }

    #[test]
    fn links_lead_to_chapters_and_to_copies() -> Result<()> {
        let book = made("[a](../x) [b](../x/README.md#d) [`c`](../x/y.rs) [d](../z) [e](#f)")?;
        assert_eq!(
            book.texts["a.md"],
            "[a](x/index.md) [b](x/index.md#d) [`c`](files/x/y.rs.txt) d [e](#f)"
        );
        assert_eq!(book.copies["files/x/y.rs.txt"], "x/y.rs");
        assert_eq!(book.texts["x/README.md"], "[a](../a.md#c) [b](../index.md)");
        assert_eq!(
            book.texts["SUMMARY.md"],
            "- [A](a.md)\n- [B](x/README.md)\n"
        );
        Ok(())
    }

    #[test]
    fn what_leads_nowhere_or_is_no_chapter_is_an_error() {
        assert!(made("[a](../none.md)").is_err());
        assert!(made("[a](../../x)").is_err());
        let files = [
            (SUMMARY, "- [A](a.md)\n"),
            ("docs/a.md", ""),
            ("docs/b.md", ""),
        ];
        let error = book(&Tree::of(&files)).expect_err("b.md is no chapter");
        assert_eq!(error.to_string(), "docs/b.md is not in docs/SUMMARY.md");
    }
}

//! The made book, as a browser without a network would find it: every link leads to a page, and to a place on it; nothing
//! is loaded from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::tidy::join;

/// A page that a server shows in place of others, whose links are its own affair.
const NOT_FOUND: &str = "404.html";

/// What a page refers to, and what others may refer to.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    loaded: Vec<String>,
    anchors: BTreeSet<String>,
}

/// Looks at all pages below `made`. Returns how many links there are.
pub(super) fn check(made: &Path) -> Result<usize> {
    let mut files = BTreeMap::new();
    read(made, "", &mut files)?;
    let found = dead(&files);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(files.values().map(|page| page.links.len()).sum())
}

/// Reads what is below a folder: each file by its path, empty if it is no page.
fn read(dir: &Path, prefix: &str, files: &mut BTreeMap<String, Page>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{prefix}{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else if Path::new(&path).extension().is_some_and(|it| it == "html") && path != NOT_FOUND {
            files.insert(path, parse(&fs::read_to_string(entry.path())?));
        } else {
            files.insert(path, Page::default());
        }
    }
    Ok(())
}

/// The tags of a page that mdbook has made: in its HTML, attributes stand between double quotes.
fn parse(html: &str) -> Page {
    let mut page = Page::default();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = tag.split_whitespace().next().unwrap_or_default();
        if name.starts_with(['/', '!']) {
            continue;
        }
        page.anchors.extend(attribute(tag, "id"));
        match (name, attribute(tag, "href")) {
            ("a", Some(link)) => page.links.push(link),
            (_, Some(link)) => page.loaded.push(link),
            (_, None) => {}
        }
        page.loaded.extend(attribute(tag, "src"));
        page.loaded.extend(attribute(tag, "srcset"));
    }
    page
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag[start..].split('"').next()?;
    Some(value.replace("&amp;", "&"))
}

/// What leads nowhere, or to another site where it must not.
fn dead(files: &BTreeMap<String, Page>) -> Vec<String> {
    let mut found = Vec::new();
    for (path, page) in files {
        for link in &page.loaded {
            if link.contains("://") || link.starts_with("//") {
                found.push(format!("{path}: {link} is loaded from elsewhere"));
            } else if !leads(files, path, link) {
                found.push(format!("{path}: {link} is not there"));
            }
        }
        let elsewhere = |link: &&String| !link.contains("://") && !link.starts_with("mailto:");
        for link in page.links.iter().filter(elsewhere) {
            if !leads(files, path, link) {
                found.push(format!("{path}: the link {link} leads nowhere"));
            }
        }
    }
    found
}

fn leads(files: &BTreeMap<String, Page>, from: &str, link: &str) -> bool {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        Some(from.to_owned())
    } else {
        join(from, file)
    };
    let page = target.and_then(|target| files.get(&target));
    page.is_some_and(|page| {
        anchor.is_empty() || page.anchors.is_empty() || page.anchors.contains(anchor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> String {
        let pages = [
            ("a.html", parse(html)),
            ("b/c.html", parse("<h1 id=\"d\">")),
            ("e.txt", Page::default()),
        ];
        let pages = pages
            .into_iter()
            .map(|(path, page)| (path.to_owned(), page));
        dead(&pages.collect()).join("\n")
    }

    #[test]
    fn what_is_there_is_right() {
        let html =
            "<a href=\"b/c.html#d\"><a class=\"x\" href=\"https://a.org\"></a><img src=\"e.txt\">";
        assert_eq!(found(html), "");
    }

    #[test]
    fn what_is_not_there_or_elsewhere_is_found() {
        assert!(found("<a href=\"b/c.html#f\">").ends_with("leads nowhere"));
        assert!(found("<a href=\"g.html\">").ends_with("leads nowhere"));
        assert!(found("<script src=\"https://a.org/x.js\">").ends_with("from elsewhere"));
        assert!(found("<link rel=\"x\" href=\"x.css\">").ends_with("is not there"));
    }
}

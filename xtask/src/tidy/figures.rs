//! No figure in README.md and in the book's pages for users without the command that prints it, or the page that has the
//! command.
//!
//! A figure is a number before one of [`UNITS`]; KiB and MiB are units of the design's constants, and none. A command
//! (`cargo xtask ..`, `alligator ..`) or a link to a page of the book, to a section or to `bounds.txt` stands in the same
//! paragraph, item of a list, table or block; of tables and blocks it may stand in the paragraph before them.

use anyhow::Result;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{Tree, line_at, links::join};

/// The pages that are looked at.
const PAGES: [&str; 9] = [
    "README.md",
    "docs/README.md",
    "docs/figures.md",
    "docs/growth.md",
    "docs/memory.md",
    "docs/moving.md",
    "docs/start.md",
    "docs/threads.md",
    "docs/tiers.md",
];

const UNITS: [&str; 9] = [
    "%",
    "instructions",
    "bytes",
    "kB",
    "pages",
    "times",
    "ns",
    "µs",
    "ms",
];

/// A paragraph, an item, a table or a block of code.
struct Part {
    line: usize,
    is_paragraph: bool,
    /// A block of which every number is a figure: a command's output.
    is_output: bool,
    text: String,
    has_source: bool,
}

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for page in PAGES {
        found.extend(without_source(page, tree.text(page)?));
    }
    Ok(found)
}

/// What is wrong with a page.
fn without_source(page: &str, text: &str) -> Vec<String> {
    let parts = parts(page, text);
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &parts[before]);
        let is_said_before = before.is_some_and(|it| it.is_paragraph && it.has_source);
        if let Some(figure) = figure(part)
            && !part.has_source
            && (part.is_paragraph || !is_said_before)
        {
            let line = part.line;
            found.push(format!(
                "{page}:{line}: the figure \"{figure}\" has no source: name the command that prints it beside it \
                 (`cargo xtask ..`), or link the page that has it"
            ));
        }
    }
    found
}

/// Whether a link of `page` leads to where figures say what they are from.
fn is_source(page: &str, link: &str) -> bool {
    let file = link.split('#').next().unwrap_or_default();
    let target = join(page, file).unwrap_or_default();
    file.is_empty() || target.starts_with("docs/") || target.ends_with("bounds.txt")
}

/// The page in parts. A heading is one: it parts a table from the paragraph before.
fn parts(page: &str, text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open: Option<(TagEnd, Part)> = None;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let Some((end, part)) = &mut open else {
            if let Event::Start(tag) = event
                && !matches!(tag, Tag::List(_) | Tag::HtmlBlock)
            {
                let part = Part {
                    line: line_at(text, range.start),
                    is_paragraph: matches!(tag, Tag::Paragraph | Tag::Item),
                    is_output: tag == Tag::CodeBlock(CodeBlockKind::Fenced("text".into())),
                    text: String::new(),
                    has_source: false,
                };
                open = Some((tag.to_end(), part));
            }
            continue;
        };
        match event {
            Event::Code(code) => {
                part.has_source |= ["cargo xtask ", "alligator "]
                    .iter()
                    .any(|it| code.starts_with(it));
                part.text.push('`');
            }
            Event::Text(text) => part.text.push_str(&text),
            Event::SoftBreak | Event::End(TagEnd::TableCell) => part.text.push(' '),
            Event::Start(Tag::Link { dest_url, .. }) => {
                part.has_source |= is_source(page, &dest_url);
            }
            Event::End(tag) if tag == *end => parts.extend(open.take().map(|(_, part)| part)),
            _ => {}
        }
    }
    parts
}

/// The first figure.
fn figure(part: &Part) -> Option<String> {
    let words: Vec<&str> = part.text.split_whitespace().collect();
    let is_number = |word: &str| word.contains(|letter: char| letter.is_ascii_digit());
    if part.is_output {
        return words
            .into_iter()
            .find(|word| is_number(word))
            .map(str::to_owned);
    }
    words.windows(2).find_map(|pair| {
        let unit = pair[1].trim_end_matches([',', '.', ';', ':', ')']);
        let is_figure = is_number(pair[0]) && UNITS.contains(&unit);
        is_figure.then(|| format!("{} {unit}", pair[0]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "README.md";

    #[test]
    fn figures_with_a_command_or_a_page_are_right() {
        let pages = [
            "It costs 5 % (`cargo xtask hardened`).",
            "- costs 5 %: [more](docs/hardened.md)",
            "`cargo xtask measure` prints:\n\n```text\na 5\n```\n",
            "`alligator bound` says:\n\n| a |\n| - |\n| 5 kB |\n",
            "A granule has 2 KiB, 5 of them; `5 %` is a name.",
        ];
        for page in pages {
            assert!(without_source(PAGE, page).is_empty(), "{page}");
        }
    }

    #[test]
    fn figures_without_are_found() {
        let pages = [
            "Fine.\n\nIt costs 5 %, or [so](src/x.rs).",
            "`cargo xtask test`\n\nIt has 5 kB.",
            "Text.\n\n- less than 5 times\n",
            "`cargo xtask test`\n## A\n```text\na 5\n```\n",
            "Text.\n\n| a |\n| - |\n| 5 kB |\n\nSee [x](docs/x.md).",
        ];
        for page in pages {
            let found = without_source(PAGE, page).join("\n");
            assert!(
                found.starts_with("README.md:3: the figure \""),
                "{page}: {found}"
            );
        }
    }

    #[test]
    fn a_page_of_the_book_links_pages_beside_it() {
        let on = |text| without_source("docs/x.md", text).len();
        assert_eq!(on("It costs 5 %: [y](y.md), [z](../bounds.txt)."), 0);
        assert_eq!(on("It costs 5 %: [y](../lab/y.md)."), 1);
    }
}

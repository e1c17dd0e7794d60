//! No figure in README.md without the command that prints it, or the page that has the command.
//!
//! A figure is a number before one of [`UNITS`]; KiB and MiB are units of the design's constants, and none. A command
//! (`cargo xtask ..`, `alligator ..`) or a link to one of [`PAGES`] stands in the same paragraph, item of a list, table
//! or block; of tables and blocks it may stand in the paragraph before them.

use anyhow::Result;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{Tree, line_at};

const PAGE: &str = "README.md";

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

/// How links start to pages that say where their figures are from.
const PAGES: [&str; 3] = ["docs/", "#", "bounds.txt"];

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
    let parts = parts(tree.text(PAGE)?);
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
                "{PAGE}:{line}: the figure \"{figure}\" has no source: name the command that prints it beside it \
                 (`cargo xtask ..`), or link the page that has it"
            ));
        }
    }
    Ok(found)
}

/// The page in parts. A heading is one: it parts a table from the paragraph before.
fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open: Option<(TagEnd, Part)> = None;
    for (event, range) in Parser::new_ext(page, Options::ENABLE_TABLES).into_offset_iter() {
        let Some((end, part)) = &mut open else {
            if let Event::Start(tag) = event
                && !matches!(tag, Tag::List(_) | Tag::HtmlBlock)
            {
                let part = Part {
                    line: line_at(page, range.start),
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
                part.has_source |= PAGES.iter().any(|start| dest_url.starts_with(start));
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
    use super::super::tests::found;
    use super::*;

    #[test]
    fn figures_with_a_command_or_a_page_are_right() -> Result<()> {
        let pages = [
            "It costs 5 % (`cargo xtask hardened`).",
            "- costs 5 %: [more](docs/hardened.md)",
            "`cargo xtask measure` prints:\n\n```text\na 5\n```\n",
            "`alligator bound` says:\n\n| a |\n| - |\n| 5 kB |\n",
            "A granule has 2 KiB, 5 of them; `5 %` is a name.",
        ];
        for page in pages {
            assert_eq!(found(check, &[(PAGE, page)])?, "", "{page}");
        }
        Ok(())
    }

    #[test]
    fn figures_without_are_found() -> Result<()> {
        let pages = [
            "Fine.\n\nIt costs 5 %, or [so](src/x.rs).",
            "`cargo xtask test`\n\nIt has 5 kB.",
            "Text.\n\n- less than 5 times\n",
            "`cargo xtask test`\n## A\n```text\na 5\n```\n",
            "Text.\n\n| a |\n| - |\n| 5 kB |\n\nSee [x](docs/x.md).",
        ];
        for page in pages {
            let text = found(check, &[(PAGE, page)])?;
            assert!(
                text.starts_with("README.md:3: the figure \""),
                "{page}: {text}"
            );
        }
        Ok(())
    }
}

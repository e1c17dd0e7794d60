//! Blocks of code in the documents, so that tests can compile and run them.

use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::command::root;

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The document, as a path from the repository's root.
    pub page: String,
    /// The number of the block's first line in it.
    pub line: usize,
    /// The words after the fence, which commas part: the language first.
    pub words: Vec<String>,
    /// The comment before the block, which readers do not see: what its test needs.
    pub note: String,
    /// The code.
    pub text: String,
}

impl Block {
    /// Whether the block is of this language.
    pub fn is(&self, language: &str) -> bool {
        self.words.first().is_some_and(|word| word == language)
    }

    /// What the note says after `key`, up to the next comma.
    pub fn noted(&self, key: &str) -> Option<&str> {
        let mut parts = self.note.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(key)?.strip_prefix(' '))
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// The blocks of `page`, a path from the repository's root.
pub fn of(page: &str) -> Result<Vec<Block>> {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(parse(page, &text))
}

/// The documents of the folder `docs`, in the order of their names.
pub fn pages() -> Result<Vec<String>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(root().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_page = Path::new(&name).extension().is_some_and(|it| it == "md");
        if is_page {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    Ok(pages)
}

fn parse(page: &str, text: &str) -> Vec<Block> {
    let (mut blocks, mut open, mut note) = (Vec::new(), None, String::new());
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let words = info.split(',').map(|word| word.trim().to_owned());
                open = Some(Block {
                    page: page.to_owned(),
                    line: text[..range.start].matches('\n').count() + 2,
                    words: words.collect(),
                    note: core::mem::take(&mut note),
                    text: String::new(),
                });
            }
            Event::Text(code) => {
                note.clear();
                if let Some(block) = &mut open {
                    block.text.push_str(&code);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            Event::Html(html) => {
                let inner = html.trim().strip_prefix("<!--");
                let inner = inner.and_then(|it| it.strip_suffix("-->"));
                inner.unwrap_or_default().trim().clone_into(&mut note);
            }
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_words_its_note_and_its_line() {
        let text = "Text.\n\n<!-- makes a.wasm, features b c -->\n```rust,ignore\nlet a;\n```\n\n- item\n\n  ```js\n  b\n  ```\n";
        let blocks = parse("x.md", text);
        assert_eq!(blocks.len(), 2);
        let first = &blocks[0];
        assert!(first.is("rust") && !first.is("js"));
        assert_eq!(first.words, ["rust", "ignore"]);
        assert_eq!(first.noted("makes"), Some("a.wasm"));
        assert_eq!(first.noted("features"), Some("b c"));
        assert_eq!(first.noted("with"), None);
        assert_eq!(
            (first.text.as_str(), first.place()),
            ("let a;\n", "x.md:5".to_owned())
        );
        assert_eq!((blocks[1].text.as_str(), blocks[1].line), ("b\n", 11));
    }

    #[test]
    fn a_note_is_of_the_block_that_follows_at_once() {
        let blocks = parse("x.md", "<!-- with a -->\n\nText.\n\n```js\nb\n```\n");
        assert_eq!(blocks[0].note, "");
    }
}

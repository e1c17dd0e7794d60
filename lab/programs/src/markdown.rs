//! Markdown documents, written, parsed and rendered.

use pulldown_cmark::{Options, Parser, html};

use crate::corpus::Dice;

pub(crate) fn run() -> String {
    let mut dice = Dice::new(3);
    let mut output = String::new();
    for _ in 0..8 {
        let document = document(&mut dice);
        let mut page = String::new();
        html::push_html(&mut page, Parser::new_ext(&document, Options::all()));
        output.push_str(&page);
    }
    output
}

fn document(dice: &mut Dice) -> String {
    let mut blocks = vec![format!("# {}", dice.words(4))];
    for _ in 0..150 {
        blocks.push(block(dice));
    }
    blocks.push("[note]: https://example.org/note \"A note\"".to_owned());
    blocks.join("\n\n")
}

fn block(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => format!("## {}", dice.words(3)),
        1 => (0..4).map(|_| format!("- {}\n", dice.sentence())).collect(),
        2 => (1..4)
            .map(|n| format!("{n}. **{}** {}\n", dice.word(), dice.words(5)))
            .collect(),
        3 => format!("```rust\nfn {}() {{}}\n```", dice.word()),
        4 => format!("> {}\n> {}", dice.sentence(), dice.sentence()),
        5 => format!(
            "| {} | {} |\n|---|--:|\n| {} | 1 |",
            dice.word(),
            dice.word(),
            dice.word()
        ),
        _ => paragraph(dice),
    }
}

fn paragraph(dice: &mut Dice) -> String {
    let sentences: Vec<String> = (0..4).map(|_| dice.sentence()).collect();
    let link = format!(
        "[{}](https://example.org/{}) and [note]",
        dice.word(),
        dice.word()
    );
    format!(
        "{} *{}* {link} `{}`",
        sentences.join(" "),
        dice.words(2),
        dice.word()
    )
}

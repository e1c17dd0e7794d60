//! XML documents, written, parsed as trees and queried.

use core::fmt::Write as _;

use roxmltree::{Document, Node};

use crate::corpus::Dice;

pub(crate) fn run() -> String {
    let mut dice = Dice::new(7);
    let mut output = String::new();
    for _ in 0..5 {
        let text = catalogue(&mut dice);
        let document = Document::parse(&text).expect("we wrote it");
        let books = document
            .descendants()
            .filter(|node| node.has_tag_name("book"));
        let mut lines: Vec<String> = books.map(line).collect();
        lines.sort();
        output += &lines.join("\n");
    }
    output
}

fn catalogue(dice: &mut Dice) -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<catalogue xmlns:x=\"urn:x\">\n");
    for id in 0..150 {
        let (title, year) = (dice.words(4), 1900 + dice.below(120));
        writeln!(
            text,
            "<book id=\"b{id}\" x:year=\"{year}\"><title>{title}</title>"
        )
        .expect("a String takes all");
        for _ in 0..=dice.below(3) {
            writeln!(text, "<author name=\"{}\"/>", dice.words(2)).expect("a String takes all");
        }
        writeln!(
            text,
            "<about>{} &amp; {}</about></book>",
            dice.sentence(),
            dice.sentence()
        )
        .expect("a String takes all");
    }
    text + "</catalogue>"
}

fn line(book: Node<'_, '_>) -> String {
    let child = |name: &str| book.children().find(|node| node.has_tag_name(name));
    let text = |name: &str| child(name).and_then(|node| node.text()).unwrap_or_default();
    let authors: Vec<&str> = book
        .children()
        .filter(|node| node.has_tag_name("author"))
        .filter_map(|node| node.attribute("name"))
        .collect();
    let year = book.attribute(("urn:x", "year")).unwrap_or_default();
    format!(
        "{year} {} ({}): {}",
        text("title"),
        authors.join(", "),
        text("about")
    )
}

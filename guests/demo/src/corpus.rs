//! A corpus of articles made from a fixed seed: the input nobody has to download.

use serde::{Deserialize, Serialize};

/// One article, as it is stored in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Article {
    pub title: String,
    pub author: String,
    pub year: i64,
    pub tags: Vec<String>,
    pub sections: Vec<Section>,
}

/// A part of an article: text, and a table of figures that may be empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    pub heading: String,
    pub paragraphs: Vec<String>,
    pub figures: Vec<Figure>,
}

/// A row of a section's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
}

/// The corpus, one article after another.
pub struct Corpus {
    random: Random,
    made_count: usize,
}

impl Corpus {
    pub fn new() -> Self {
        Self {
            random: Random(0x9e37_79b9_7f4a_7c15),
            made_count: 0,
        }
    }

    /// The next article; no two are equal.
    pub fn article(&mut self) -> Article {
        self.made_count += 1;
        let random = &mut self.random;
        let tag_count = random.below(6);
        let section_count = 1 + random.below(5);
        Article {
            title: format!("{} {}", title_case(&random.words(4)), self.made_count),
            author: title_case(&random.words(2)),
            year: 1950 + random.below(76) as i64,
            tags: (0..tag_count).map(|_| random.word().to_owned()).collect(),
            sections: (0..section_count).map(|_| random.section()).collect(),
        }
    }
}

/// The xorshift64* generator (Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators").
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| self.word()).collect();
        words.join(" ")
    }

    fn section(&mut self) -> Section {
        let paragraph_count = 1 + self.below(4);
        // Half of the sections have no table.
        let figure_count = self.below(8).saturating_sub(3);
        let heading_words = 2 + self.below(3);
        Section {
            heading: title_case(&self.words(heading_words)),
            paragraphs: (0..paragraph_count).map(|_| self.paragraph()).collect(),
            figures: (0..figure_count).map(|_| self.figure()).collect(),
        }
    }

    fn figure(&mut self) -> Figure {
        Figure {
            name: self.words(2),
            value: self.below(100_000) as f64 / 16.0,
        }
    }

    /// Sentences with the markup that a Markdown parser has to work for.
    fn paragraph(&mut self) -> String {
        let sentence_count = 2 + self.below(5);
        let sentences: Vec<String> = (0..sentence_count).map(|_| self.sentence()).collect();
        sentences.join(" ")
    }

    fn sentence(&mut self) -> String {
        let word_count = 4 + self.below(14);
        let marked = self.below(word_count);
        let words: Vec<String> = (0..word_count)
            .map(|index| {
                let word = self.word();
                if index == marked {
                    self.markup(word)
                } else {
                    word.to_owned()
                }
            })
            .collect();
        format!("{}.", title_case(&words.join(" ")))
    }

    fn markup(&mut self, word: &str) -> String {
        match self.below(6) {
            0 => format!("*{word}*"),
            1 => format!("**{word}**"),
            2 => format!("`{word}`"),
            3 => format!("[{word}](https://example.org/{word}?a=1&b=2)"),
            4 => format!("<{word}@example.org>"),
            _ => format!("~~{word}~~ & \"{word}\""),
        }
    }
}

/// The text with its first letter, if ASCII, in upper case.
fn title_case(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

const WORDS: [&str; 96] = [
    "water",
    "river",
    "stone",
    "bank",
    "reed",
    "heron",
    "mud",
    "sun",
    "scale",
    "tail",
    "swamp",
    "delta",
    "current",
    "flood",
    "season",
    "island",
    "shore",
    "depth",
    "shadow",
    "nest",
    "egg",
    "hunter",
    "prey",
    "patience",
    "jaw",
    "tooth",
    "memory",
    "page",
    "heap",
    "block",
    "slot",
    "bound",
    "proof",
    "table",
    "index",
    "measure",
    "engine",
    "module",
    "linear",
    "constant",
    "time",
    "growth",
    "merge",
    "split",
    "release",
    "a",
    "the",
    "of",
    "in",
    "under",
    "over",
    "between",
    "and",
    "or",
    "never",
    "always",
    "slowly",
    "quickly",
    "often",
    "rarely",
    "is",
    "was",
    "has",
    "waits",
    "sleeps",
    "floats",
    "turns",
    "opens",
    "closes",
    "holds",
    "gives",
    "takes",
    "counts",
    "reads",
    "writes",
    "young",
    "old",
    "large",
    "small",
    "quiet",
    "green",
    "brown",
    "cold",
    "warm",
    "steady",
    "sudden",
    "hidden",
    "naïve",
    "façade",
    "Übermut",
    "λόγος",
    "река",
    "水",
    "known",
    "unknown",
    "whole",
];

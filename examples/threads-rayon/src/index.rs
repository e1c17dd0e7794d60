//! Where each word of a text stands: a string and a list for each word, so many small blocks.

use std::collections::HashMap;
use std::fmt::Write as _;

use rayon::prelude::*;

/// The lines in which a word stands, once for each time.
pub type Index = HashMap<String, Vec<u32>>;

/// Lines of a piece that one thread takes at a time.
const PIECE: usize = 1000;

/// Words of the report.
const SHOWN: usize = 12;

type Line<'a> = (u32, &'a str);

/// Adds these lines, which come after all that are in it. Each word is a string of its own, freed if it is known.
fn with_lines(mut index: Index, lines: &[Line<'_>]) -> Index {
    for (number, line) in lines {
        for word in line.split_ascii_whitespace() {
            let places = index.entry(word.to_ascii_lowercase()).or_default();
            places.push(*number);
        }
    }
    index
}

/// Adds the later lines' index. Its blocks were most likely allocated by another thread, and are freed by this one.
fn merged(mut earlier: Index, later: Index) -> Index {
    for (word, places) in later {
        earlier.entry(word).or_default().extend(places);
    }
    earlier
}

fn numbered(text: &str) -> Vec<Line<'_>> {
    (0..).zip(text.lines()).collect()
}

/// By one thread.
pub fn sequential(text: &str) -> Index {
    with_lines(Index::new(), &numbered(text))
}

/// By the threads of rayon's pool in which this is called.
pub fn parallel(text: &str) -> Index {
    let pieces = numbered(text);
    let pieces = pieces.par_chunks(PIECE);
    pieces
        .fold(Index::new, with_lines)
        .reduce(Index::new, merged)
}

/// The most frequent words, then how many words there are, and a number that stands for all their places.
pub fn report(index: &Index) -> String {
    let mut words: Vec<(&String, &Vec<u32>)> = index.iter().collect();
    words.sort_unstable_by(|(word, places), (other, of_other)| {
        of_other.len().cmp(&places.len()).then(word.cmp(other))
    });
    let mut text = String::new();
    for (word, places) in words.iter().take(SHOWN) {
        let _ = writeln!(text, "{word} {}", places.len());
    }
    let mut hash = 0x811C_9DC5_u32;
    for (_, places) in &words {
        for place in *places {
            hash = (hash ^ place).wrapping_mul(0x0100_0193);
        }
    }
    let _ = write!(text, "{} words, {hash:08x}", words.len());
    text
}

//! An index of a growing text in the standard library's maps, with entries that leave again.

use core::fmt::Write as _;
use core::hash::BuildHasherDefault;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::DefaultHasher;

use crate::corpus::Dice;

/// Sentences that are in the index at one time.
const WINDOW: usize = 500;

/// Std's own takes its seed from where the module's data lies, which differs from guest to guest.
type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

#[derive(Default)]
struct Index {
    /// How often each word occurs.
    counts: HashMap<String, u32>,
    /// The sentences in which a word occurs.
    places: BTreeMap<String, BTreeSet<u32>>,
    /// Words that followed a word.
    followers: HashMap<String, Vec<String>>,
    sentences: VecDeque<(u32, String)>,
}

pub(crate) fn run() -> String {
    let mut dice = Dice::new(2);
    let mut index = Index::default();
    for number in 0..750 {
        index.add(number, dice.sentence());
        if index.sentences.len() > WINDOW {
            index.remove_oldest();
        }
    }
    index.report()
}

impl Index {
    fn add(&mut self, number: u32, sentence: String) {
        let words: Vec<&str> = sentence.trim_end_matches('.').split(' ').collect();
        for pair in words.windows(2) {
            let followers = self.followers.entry(pair[0].to_lowercase()).or_default();
            if followers.len() < 20 {
                followers.push(pair[1].to_owned());
            }
        }
        for word in words {
            let word = word.to_lowercase();
            *self.counts.entry(word.clone()).or_default() += 1;
            self.places.entry(word).or_default().insert(number);
        }
        self.sentences.push_back((number, sentence));
    }

    fn remove_oldest(&mut self) {
        let Some((number, sentence)) = self.sentences.pop_front() else {
            return;
        };
        for word in sentence.trim_end_matches('.').split(' ') {
            let word = word.to_lowercase();
            let Some(places) = self.places.get_mut(&word) else {
                continue;
            };
            places.remove(&number);
            if places.is_empty() {
                self.places.remove(&word);
                self.counts.remove(&word);
                self.followers.remove(&word);
            }
        }
    }

    fn report(&self) -> String {
        let mut text = String::new();
        for (word, places) in &self.places {
            let count = self.counts.get(word).copied().unwrap_or_default();
            writeln!(text, "{word} {count} {}", places.len()).expect("a String takes all");
        }
        text
    }
}

//! The document pipeline: JSON to articles, articles to Markdown by a script, Markdown to HTML, HTML to a word index.

use crate::corpus::{Article, Corpus};
use crate::scripts::Template;
use pulldown_cmark::{Options, Parser, html};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

const ARTICLE_COUNT: usize = 120;
const EDITION_COUNT: usize = 6;
/// An edition withdraws every so many-th page, and then new pages take their places.
const WITHDRAWN_EVERY: usize = 3;

/// A published article and what is kept of its making.
struct Page {
    article: Article,
    json: serde_json::Value,
    html: String,
}

/// The site while it is edited.
pub struct Site {
    pages: Vec<Option<Page>>,
    /// The pages in which a word occurs, by word.
    index: HashMap<String, Vec<u32>>,
}

impl Site {
    /// Makes every page, edits the site for some editions, and indexes what there is then.
    pub fn build() -> Self {
        let mut corpus = Corpus::new();
        let mut template = Template::new();
        let mut site = Self {
            pages: Vec::new(),
            index: HashMap::new(),
        };
        for _ in 0..ARTICLE_COUNT {
            let page = Page::make(&corpus.article(), &mut template);
            site.pages.push(Some(page));
        }
        for edition in 0..EDITION_COUNT {
            site.edit(edition, &mut corpus, &mut template);
        }
        site.index_words();
        site
    }

    /// Withdraws pages and makes others in their places, so that the heap is not in the order of birth.
    fn edit(&mut self, edition: usize, corpus: &mut Corpus, template: &mut Template) {
        let first = edition % WITHDRAWN_EVERY;
        for page in self.pages.iter_mut().skip(first).step_by(WITHDRAWN_EVERY) {
            *page = None;
        }
        for page in self.pages.iter_mut().skip(first).step_by(WITHDRAWN_EVERY) {
            *page = Some(Page::make(&corpus.article(), template));
        }
    }

    fn index_words(&mut self) {
        for (number, page) in self.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            for word in words(&page.html) {
                let places = self.index.entry(word.to_lowercase()).or_default();
                if places.last() != Some(&(number as u32)) {
                    places.push(number as u32);
                }
            }
        }
    }

    /// Writes what the site is to `output`, and takes it down.
    pub fn publish(self, output: &mut String) {
        let mut checksum = Checksum::new();
        let mut json_bytes = 0;
        let mut html_bytes = 0;
        let mut page_count = 0;
        for page in self.pages.into_iter().flatten() {
            let json = serde_json::to_string_pretty(&page.json).unwrap_or_default();
            json_bytes += json.len();
            html_bytes += page.html.len();
            page_count += 1;
            checksum.add(&json);
            checksum.add(&page.html);
            checksum.add(&page.article.title);
        }
        let _ = writeln!(
            output,
            "site      {page_count} pages, {json_bytes} bytes of JSON, {html_bytes} bytes of HTML, checksum {:016x}",
            checksum.0
        );
        let _ = writeln!(output, "index     {}", index_summary(self.index));
    }
}

impl Page {
    /// Takes the article through the whole pipeline; the JSON is written and read back twice on the way.
    fn make(article: &Article, template: &mut Template) -> Self {
        let text = serde_json::to_string(article).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let article: Article =
            serde_json::from_value(json.clone()).expect("an article survives JSON");
        let markdown = template.markdown(&article);
        Self {
            html: html_of(&markdown),
            article,
            json,
        }
    }
}

fn html_of(markdown: &str) -> String {
    let mut html = String::new();
    html::push_html(
        &mut html,
        Parser::new_ext(
            markdown,
            Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH,
        ),
    );
    html
}

/// The words of a page, three letters and longer, as its reader sees them: outside the tags.
fn words(html: &str) -> impl Iterator<Item = &str> {
    html.split('<')
        .filter_map(|piece| piece.split_once('>'))
        .flat_map(|(_tag, text)| text.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|word| word.chars().count() > 2)
}

/// The most frequent words and a checksum of all, in an order that does not depend on hashes.
fn index_summary(index: HashMap<String, Vec<u32>>) -> String {
    let sorted: BTreeMap<String, Vec<u32>> = index.into_iter().collect();
    let mut checksum = Checksum::new();
    for (word, places) in &sorted {
        checksum.add(word);
        for place in places {
            checksum.add(&place.to_string());
        }
    }
    let mut by_count: Vec<(&String, usize)> = sorted
        .iter()
        .map(|(word, places)| (word, places.len()))
        .collect();
    by_count.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
    let top: Vec<String> = by_count
        .iter()
        .take(6)
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    format!(
        "{} words ({}), checksum {:016x}",
        sorted.len(),
        top.join(", "),
        checksum.0
    )
}

/// FNV-1a, 64 bits.
struct Checksum(u64);

impl Checksum {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

//! A program on the published allocator: it counts words with a map, and returns how often one occurs.

use std::collections::BTreeMap;

#[global_allocator]
static ALLOC: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

/// How often the word that occurs most often does so.
#[unsafe(no_mangle)]
extern "C" fn count() -> usize {
    let text = "the alligator ate the heap and the heap ate nothing ".repeat(100);
    let mut words = BTreeMap::<String, usize>::new();
    for word in text.split_whitespace() {
        *words.entry(word.to_owned()).or_default() += 1;
    }
    words.values().copied().max().unwrap_or(0)
}

//! An index of a text's words, made in WebAssembly and asked from JavaScript.

use std::collections::BTreeMap;

use alligator_alloc::AlligatorAlloc;
use wasm_bindgen::prelude::*;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

/// Makes sure that `bytes` can be allocated without growing the memory: call it before time matters. False
/// if the host gives too little.
#[cfg(target_family = "wasm")]
#[wasm_bindgen]
pub fn reserve(bytes: usize) -> bool {
    ALLOCATOR.reserve(bytes)
}

/// Where each word of a text stands.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WordIndex {
    places: BTreeMap<String, Vec<u32>>,
}

#[wasm_bindgen]
impl WordIndex {
    /// The index of `text`.
    #[wasm_bindgen(constructor)]
    pub fn new(text: &str) -> Self {
        let mut places: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (number, word) in (0..).zip(text.split_whitespace()) {
            places.entry(word.to_lowercase()).or_default().push(number);
        }
        Self { places }
    }

    /// The numbers of the words that are `word`, counted from zero.
    pub fn places(&self, word: &str) -> Vec<u32> {
        self.places
            .get(&word.to_lowercase())
            .cloned()
            .unwrap_or_default()
    }

    /// The words that begin with `start`, in order.
    pub fn starting_with(&self, start: &str) -> Vec<String> {
        let from = self.places.range(start.to_lowercase()..);
        from.map(|(word, _)| word.clone())
            .take_while(|word| word.starts_with(&start.to_lowercase()))
            .collect()
    }
}

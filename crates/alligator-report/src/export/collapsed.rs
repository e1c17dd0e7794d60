//! Collapsed stacks: `outer;inner 24`, a line for each.

use std::collections::BTreeMap;

use super::{Value, tree};
use crate::report::Report;
use crate::sites::sum;

pub(super) fn write(report: &Report, value: Value) -> Vec<u8> {
    let mut lines = BTreeMap::<String, u64>::new();
    for row in &report.sites {
        let number = value.of(row);
        if number > 0 {
            let frames = tree::stack(report, row.site);
            let names: Vec<String> = frames.iter().map(|frame| plain(frame.name)).collect();
            let line = lines.entry(names.join(";")).or_default();
            *line = sum([*line, number]);
        }
    }
    let lines = lines
        .into_iter()
        .map(|(stack, number)| format!("{stack} {number}\n"));
    lines.collect::<String>().into_bytes()
}

/// A name without what separates: semicolons and line ends.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| match character {
            ';' => ':',
            character if character.is_control() => ' ',
            character => character,
        })
        .collect();
    if plain.is_empty() {
        "?".to_owned()
    } else {
        plain
    }
}

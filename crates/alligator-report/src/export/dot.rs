//! Calls between functions as a graph, for Graphviz.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use super::{Value, tree};
use crate::format::{bytes, count, percent};
use crate::report::Report;
use crate::sites::sum;

/// Functions that are drawn, at most: those with the largest totals.
const NODES_MAX: usize = 100;

#[derive(Default)]
struct Sums {
    own: u64,
    total: u64,
}

pub(super) fn write(report: &Report, value: Value) -> Vec<u8> {
    let mut functions = BTreeMap::<&str, Sums>::new();
    let mut calls = BTreeMap::<(&str, &str), u64>::new();
    let mut all = 0_u64;
    for row in &report.sites {
        let number = value.of(row);
        if number == 0 {
            continue;
        }
        all = sum([all, number]);
        let frames = tree::stack(report, row.site);
        let names: Vec<&str> = frames.iter().map(|frame| frame.name).collect();
        // A function that calls itself counts once.
        for name in names.iter().collect::<BTreeSet<_>>() {
            let total = &mut functions.entry(name).or_default().total;
            *total = sum([*total, number]);
        }
        if let Some(name) = names.last() {
            let own = &mut functions.entry(name).or_default().own;
            *own = sum([*own, number]);
        }
        let pairs: BTreeSet<(&str, &str)> =
            names.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for pair in pairs {
            let call = calls.entry(pair).or_default();
            *call = sum([*call, number]);
        }
    }
    draw(report, value, &functions, &calls, all).into_bytes()
}

fn draw(
    report: &Report,
    value: Value,
    functions: &BTreeMap<&str, Sums>,
    calls: &BTreeMap<(&str, &str), u64>,
    all: u64,
) -> String {
    let form = if value == Value::Blocks { count } else { bytes };
    let mut largest: Vec<(&&str, &Sums)> = functions.iter().collect();
    largest.sort_by_key(|(_, sums)| core::cmp::Reverse(sums.total));
    let left_out = largest.len().saturating_sub(NODES_MAX);
    largest.truncate(NODES_MAX);
    let drawn: BTreeMap<&str, usize> = largest
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (**name, index))
        .collect();
    let mut label = format!("{}: {}, {} in all", report.name, value.name(), form(all));
    if left_out > 0 {
        let _ = write!(label, "; {left_out} smaller functions are not drawn");
    }
    let mut text = format!(
        "digraph heap {{\n  label=\"{}\"; labelloc=t; node [shape=box, style=filled, fontname=\"sans-serif\"];\n",
        escape(&label)
    );
    for (index, (name, sums)) in largest.iter().enumerate() {
        let lightness = 100 - u128::from(sums.own) * 50 / u128::from(all.max(1));
        let _ = writeln!(
            text,
            "  f{index} [label=\"{}\\n{} of itself\\n{} in all ({})\", fillcolor=\"0.08 0.{:02} 1.0\"];",
            escape(name),
            form(sums.own),
            form(sums.total),
            percent(sums.total, all),
            100 - lightness,
        );
    }
    for ((caller, callee), number) in calls {
        if let (Some(caller), Some(callee)) = (drawn.get(caller), drawn.get(callee)) {
            let width = 1 + u128::from(*number) * 7 / u128::from(all.max(1));
            let _ = writeln!(
                text,
                "  f{caller} -> f{callee} [label=\" {}\", penwidth={width}];",
                form(*number)
            );
        }
    }
    text.push_str("}\n");
    text
}

/// A text between quotes.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character {
            '"' | '\\' => vec!['\\', character],
            character if character.is_control() => vec![' '],
            character => vec![character],
        })
        .collect()
}

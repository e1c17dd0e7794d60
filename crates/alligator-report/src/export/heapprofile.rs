//! V8's sampling heap profile: `HeapProfiler.SamplingHeapProfile` of Chrome's `DevTools` protocol.

use serde::Serialize;

use super::tree::Tree;
use super::{Value, json};
use crate::Error;
use crate::report::Report;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallFrame {
    function_name: String,
    script_id: &'static str,
    url: String,
    line_number: i64,
    column_number: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    call_frame: CallFrame,
    self_size: u64,
    id: usize,
    children: Vec<Node>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    size: u64,
    node_id: usize,
    ordinal: usize,
}

#[derive(Serialize)]
struct Profile {
    head: Node,
    samples: Vec<Sample>,
}

pub(super) fn write(report: &Report, value: Value) -> Result<Vec<u8>, Error> {
    let tree = Tree::of(report);
    let (own, _) = tree.sums(|site| value.of(&report.sites[site]));
    let samples = own.iter().enumerate().filter(|(_, size)| **size > 0);
    let samples = samples
        .enumerate()
        .map(|(ordinal, (index, size))| Sample {
            size: *size,
            node_id: index + 1,
            ordinal: ordinal + 1,
        })
        .collect();
    json(&Profile {
        head: node(&tree, &own, 0),
        samples,
    })
}

/// A node and all below it. A tree is at most some hundred levels deep.
fn node(tree: &Tree, own: &[u64], index: usize) -> Node {
    let node = &tree.nodes[index];
    Node {
        call_frame: CallFrame {
            function_name: if index == 0 {
                "(root)".to_owned()
            } else {
                node.name.clone()
            },
            script_id: "0",
            url: node.file.clone().unwrap_or_default(),
            // From 0 there.
            line_number: i64::from(node.line) - 1,
            column_number: -1,
        },
        self_size: own[index],
        id: index + 1,
        children: node
            .children
            .iter()
            .map(|child| self::node(tree, own, *child))
            .collect(),
    }
}

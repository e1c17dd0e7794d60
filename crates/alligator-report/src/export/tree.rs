//! Call stacks as a tree, the outermost at the root.

use crate::heap::FxHashMap;
use alligator_trace::{Frame, StackId};

use crate::report::Report;
use crate::sites::sum;

/// Frames of a stack that are kept, at most: the innermost ones.
const DEPTH_MAX: usize = 400;

/// Where a deeper stack is cut.
const CUT: &str = "(deeper calls)";

/// Where no call stack is known.
const NONE: &str = "(no call stack)";

/// A line of a function, as it was reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) file: Option<String>,
    pub(crate) line: u32,
    pub(crate) parent: usize,
    pub(crate) children: Vec<usize>,
    /// Index in the report's sites of each stack that ends here.
    pub(crate) sites: Vec<usize>,
}

/// All call stacks of a report. Node 0 is the root; a node comes after its parent.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

impl Tree {
    pub(crate) fn of(report: &Report) -> Self {
        let mut nodes = vec![Node::default()];
        let mut known = FxHashMap::<(usize, &str, u32), usize>::default();
        for (index, row) in report.sites.iter().enumerate() {
            let mut at = 0;
            for frame in stack(report, row.site) {
                let key = (at, frame.name, frame.line);
                let next = nodes.len();
                let node = *known.entry(key).or_insert(next);
                if node == next {
                    nodes.push(Node {
                        name: frame.name.to_owned(),
                        file: frame.file.map(ToOwned::to_owned),
                        line: frame.line,
                        parent: at,
                        ..Node::default()
                    });
                    nodes[at].children.push(node);
                }
                at = node;
            }
            nodes[at].sites.push(index);
        }
        Self { nodes }
    }

    /// For each node the sum of `value` over its own sites, and over those of all nodes below it, too.
    pub(crate) fn sums(&self, value: impl Fn(usize) -> u64) -> (Vec<u64>, Vec<u64>) {
        let own: Vec<u64> = self
            .nodes
            .iter()
            .map(|node| sum(node.sites.iter().map(|site| value(*site))))
            .collect();
        let mut total = own.clone();
        for (index, node) in self.nodes.iter().enumerate().skip(1).rev() {
            total[node.parent] = total[node.parent].saturating_add(total[index]);
        }
        (own, total)
    }
}

/// The frames of a stack, the outermost first, at least one.
pub(crate) fn stack(report: &Report, site: u32) -> Vec<Frame<'_>> {
    let named = |name| Frame {
        name,
        ..Frame::default()
    };
    let mut frames: Vec<Frame<'_>> = report
        .stacks
        .frames(StackId(site))
        .take(DEPTH_MAX + 1)
        .collect();
    match frames.len() {
        0 => frames.push(named(NONE)),
        length if length > DEPTH_MAX => frames[DEPTH_MAX] = named(CUT),
        _ => {}
    }
    frames.reverse();
    frames
}

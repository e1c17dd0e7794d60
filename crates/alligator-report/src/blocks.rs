//! The blocks that the page's map shows: all of them, or those that live longest.

use crate::heap::Block;
use crate::survey::Choice;

/// A block and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) site: u32,
    /// First moment at which it is live.
    pub(crate) born: u64,
    /// First moment at which it is not; none if it stays.
    pub(crate) died: Option<u64>,
}

/// Blocks by the moment they came.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) choice: Choice,
    pub(crate) shown: Vec<Shown>,
    /// Blocks that are not shown.
    pub(crate) left_out: u64,
}

impl Blocks {
    pub(crate) fn new(choice: Choice) -> Self {
        Self {
            choice,
            shown: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn add(&mut self, block: &Block, died: Option<u64>) {
        let lives_long = died.is_none_or(|died| died - block.born >= self.choice.lifetime_min);
        if !lives_long || block.born % self.choice.one_in != 0 {
            self.left_out += 1;
            return;
        }
        self.shown.push(Shown {
            address: block.address,
            size: block.size,
            site: block.site,
            born: block.born,
            died,
        });
    }

    /// Sorts them by the moment they came, which is another for each.
    pub(crate) fn finish(mut self) -> Self {
        self.shown.sort_unstable_by_key(|block| block.born);
        self
    }
}

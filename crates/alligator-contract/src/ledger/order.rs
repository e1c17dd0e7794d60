//! Blocks in the order of their addresses, in storage that the caller gives: a treap whose links are indices
//! and whose priorities follow from the addresses, so that it is the same in every run.
//!
//! *Source:* Seidel, Aragon, *Randomized Search Trees*, Algorithmica 1996.

use super::Block;

/// Where blocks are kept.
pub trait Storage {
    /// All the places there are now.
    fn places(&self) -> &[Block];

    /// The same, to be written.
    fn places_mut(&mut self) -> &mut [Block];

    /// Adds places; false if there can be no more.
    fn extend(&mut self) -> bool {
        false
    }
}

impl Storage for &mut [Block] {
    fn places(&self) -> &[Block] {
        self
    }

    fn places_mut(&mut self) -> &mut [Block] {
        self
    }
}

/// One more than the index of a place; 0 for none.
pub(super) type Link = u32;

/// The blocks, by address. *Time:* logarithmic on average, for all operations.
pub(super) struct Order<S> {
    storage: S,
    root: Link,
    /// The first of the places that had a block and have none, linked by `lower`.
    unused: Link,
    /// How many places ever had a block.
    touched: u32,
}

impl<S: Storage> Order<S> {
    pub(super) fn new(storage: S) -> Self {
        Self {
            storage,
            root: 0,
            unused: 0,
            touched: 0,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count_below(self.root) as usize
    }

    /// Adds a block, whose address no other has; false if there is no place for it.
    pub(super) fn insert(&mut self, mut block: Block) -> bool {
        let Some(link) = self.unused_place() else {
            return false;
        };
        (block.lower, block.higher, block.count) = (0, 0, 1);
        *self.at_mut(link) = block;
        self.root = self.inserted(self.root, link);
        true
    }

    /// Takes out the block at `address`, if there is one.
    pub(super) fn remove(&mut self, address: usize) -> Option<Block> {
        let link = self.find(address)?;
        let block = *self.at(link);
        self.root = self.removed(self.root, address);
        self.at_mut(link).lower = self.unused;
        self.unused = link;
        Some(block)
    }

    /// The block that is number `index`, counted from the lowest address.
    pub(super) fn nth(&self, mut index: usize) -> Option<&Block> {
        let mut link = self.root;
        while link != 0 {
            let block = self.at(link);
            let lower = self.count_below(block.lower) as usize;
            if index == lower {
                return Some(block);
            }
            if index < lower {
                link = block.lower;
            } else {
                index -= lower + 1;
                link = block.higher;
            }
        }
        None
    }

    /// The highest block at `address` or below, and the lowest above it.
    pub(super) fn around(&self, address: usize) -> (Option<&Block>, Option<&Block>) {
        let (mut below, mut above, mut link) = (None, None, self.root);
        while link != 0 {
            let block = self.at(link);
            if block.address() <= address {
                (below, link) = (Some(block), block.higher);
            } else {
                (above, link) = (Some(block), block.lower);
            }
        }
        (below, above)
    }

    fn find(&self, address: usize) -> Option<Link> {
        let mut link = self.root;
        while link != 0 && self.at(link).address() != address {
            let block = self.at(link);
            link = if address < block.address() {
                block.lower
            } else {
                block.higher
            };
        }
        (link != 0).then_some(link)
    }

    fn unused_place(&mut self) -> Option<Link> {
        if self.unused != 0 {
            let link = self.unused;
            self.unused = self.at(link).lower;
            return Some(link);
        }
        if self.touched as usize == self.storage.places().len() && !self.storage.extend() {
            return None;
        }
        self.touched += 1;
        Some(self.touched)
    }

    /// The tree `root` with the block `new` in it.
    fn inserted(&mut self, root: Link, new: Link) -> Link {
        if root == 0 {
            return new;
        }
        let address = self.at(new).address();
        if priority(address) > priority(self.at(root).address()) {
            let (lower, higher) = self.split(root, address);
            (self.at_mut(new).lower, self.at_mut(new).higher) = (lower, higher);
            return self.counted(new);
        }
        if address < self.at(root).address() {
            self.at_mut(root).lower = self.inserted(self.at(root).lower, new);
        } else {
            self.at_mut(root).higher = self.inserted(self.at(root).higher, new);
        }
        self.counted(root)
    }

    /// The tree `root` without the block at `address`, which is in it.
    fn removed(&mut self, root: Link, address: usize) -> Link {
        let block = *self.at(root);
        if address == block.address() {
            return self.merged(block.lower, block.higher);
        }
        if address < block.address() {
            self.at_mut(root).lower = self.removed(block.lower, address);
        } else {
            self.at_mut(root).higher = self.removed(block.higher, address);
        }
        self.counted(root)
    }

    /// The blocks of the tree `root` below `address`, and the others.
    fn split(&mut self, root: Link, address: usize) -> (Link, Link) {
        if root == 0 {
            return (0, 0);
        }
        if self.at(root).address() < address {
            let (lower, higher) = self.split(self.at(root).higher, address);
            self.at_mut(root).higher = lower;
            (self.counted(root), higher)
        } else {
            let (lower, higher) = self.split(self.at(root).lower, address);
            self.at_mut(root).lower = higher;
            (lower, self.counted(root))
        }
    }

    /// One tree of two, all of whose addresses are lower in the first.
    fn merged(&mut self, lower: Link, higher: Link) -> Link {
        if lower == 0 || higher == 0 {
            return lower.max(higher);
        }
        if priority(self.at(lower).address()) > priority(self.at(higher).address()) {
            self.at_mut(lower).higher = self.merged(self.at(lower).higher, higher);
            self.counted(lower)
        } else {
            self.at_mut(higher).lower = self.merged(lower, self.at(higher).lower);
            self.counted(higher)
        }
    }

    /// `root`, with the count of its blocks made right.
    fn counted(&mut self, root: Link) -> Link {
        let block = *self.at(root);
        self.at_mut(root).count =
            1 + self.count_below(block.lower) + self.count_below(block.higher);
        root
    }

    fn count_below(&self, root: Link) -> u32 {
        if root == 0 { 0 } else { self.at(root).count }
    }

    fn at(&self, link: Link) -> &Block {
        &self.storage.places()[link as usize - 1]
    }

    fn at_mut(&mut self, link: Link) -> &mut Block {
        &mut self.storage.places_mut()[link as usize - 1]
    }
}

/// The higher one is nearer to the root. All bits of the address count: blocks are often equally far apart.
fn priority(address: usize) -> u64 {
    (address as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(32)
        .wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;

    use super::*;

    fn block(address: usize) -> Block {
        Block {
            pointer: core::ptr::without_provenance_mut(address),
            layout: Layout::new::<u64>(),
            ..Block::NONE
        }
    }

    #[test]
    fn blocks_are_found_in_the_order_of_their_addresses() {
        let mut places = [Block::NONE; 200];
        let mut order = Order::new(&mut places[..]);
        for index in 0..200 {
            assert!(order.insert(block(8 * (index * 79 % 200) + 8)));
        }
        for index in 0..200 {
            assert_eq!(order.nth(index).map(Block::address), Some(8 * index + 8));
        }
        assert!(order.nth(200).is_none());
        assert!(!order.insert(block(9)), "there is no place left");
    }

    #[test]
    fn neighbours_are_those_that_were_not_removed() {
        let mut places = [Block::NONE; 100];
        let mut order = Order::new(&mut places[..]);
        for index in 1..=100 {
            order.insert(block(100 * index));
        }
        for index in (1..=100).filter(|index| index % 3 != 0) {
            assert!(order.remove(100 * index).is_some());
            assert!(order.remove(100 * index).is_none());
        }
        assert_eq!(order.count(), 33);
        let (below, above) = order.around(450);
        assert_eq!(below.map(Block::address), Some(300));
        assert_eq!(above.map(Block::address), Some(600));
        let (below, above) = order.around(200);
        assert!(below.is_none() && above.is_some());
        assert!(order.insert(block(200)), "places are used again");
        assert_eq!(order.around(200).0.map(Block::address), Some(200));
    }
}

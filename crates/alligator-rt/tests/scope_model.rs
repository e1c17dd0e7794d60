//! Random programs on a scope, against a list of the blocks that are in use.

use core::alloc::{GlobalAlloc, Layout};
use std::alloc::System;

use alligator_rt::{Mark, Scope};
use proptest::collection::vec;
use proptest::prelude::*;

/// One step. Indices are taken modulo the number of what is there.
#[derive(Clone, Debug)]
enum Step {
    Allocate { bytes: usize, shift: u32 },
    Resize { block: usize, bytes: usize },
    GiveBack { block: usize },
    Mark,
    Rewind { mark: usize },
    Reserve { bytes: usize },
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let longest = if cfg!(miri) { 3000 } else { 60_000_usize };
    let bytes = move || prop_oneof![6 => 0..200_usize, 2 => 0..2500_usize, 1 => 0..longest];
    let step = prop_oneof![
        30 => (bytes(), 0..8_u32).prop_map(|(bytes, shift)| Step::Allocate { bytes, shift }),
        10 => (any::<usize>(), bytes()).prop_map(|(block, bytes)| Step::Resize { block, bytes }),
        8 => any::<usize>().prop_map(|block| Step::GiveBack { block }),
        3 => Just(Step::Mark),
        3 => any::<usize>().prop_map(|mark| Step::Rewind { mark }),
        1 => bytes().prop_map(|bytes| Step::Reserve { bytes }),
        1 => Just(Step::Reset),
    ];
    vec(step, 0..if cfg!(miri) { 25 } else { 200 })
}

/// A block in use, every byte of which is `mark`.
#[derive(Clone, Debug)]
struct Block {
    at: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn fill(&self) {
        // SAFETY: a block has so many bytes.
        unsafe { self.at.write_bytes(self.mark, self.layout.size()) };
    }

    fn is_whole(&self, bytes: usize) -> bool {
        // SAFETY: a block has so many bytes, and they are written.
        let bytes = unsafe { core::slice::from_raw_parts(self.at, bytes) };
        // Miri takes long for each, and sees wrong accesses by itself.
        let step = if cfg!(miri) { 97 } else { 1 };
        bytes.iter().step_by(step).all(|&byte| byte == self.mark)
    }
}

/// What is known of a scope.
struct Model<'h> {
    scope: Scope<'h, System>,
    blocks: Vec<Block>,
    /// Marks, and how many blocks there were: those after that go with a rewind.
    marks: Vec<(Mark, Vec<Block>)>,
    limit: usize,
    next_mark: u8,
}

impl Model<'_> {
    fn add(&mut self, at: *mut u8, layout: Layout) {
        self.next_mark = self.next_mark.wrapping_add(1);
        let block = Block {
            at,
            layout,
            mark: self.next_mark,
        };
        assert_eq!(at.addr() % layout.align(), 0);
        block.fill();
        self.blocks.push(block);
    }

    fn allocate(&mut self, bytes: usize, shift: u32) {
        let layout = Layout::from_size_align(bytes, 1 << shift).expect("a layout");
        match self.scope.alloc_layout(layout) {
            Some(block) => self.add(block.as_ptr(), layout),
            None => assert!(self.scope.held_bytes() + bytes + layout.align() > self.limit - 4096),
        }
    }

    fn resize(&mut self, index: usize, bytes: usize) {
        let Some(index) = index.checked_rem(self.blocks.len()) else {
            return;
        };
        let old = self.blocks[index].clone();
        let bytes = bytes.max(1);
        // A block of no bytes cannot be resized by this interface.
        if old.layout.size() == 0 {
            return;
        }
        // SAFETY: the block is in use and of this layout.
        let at = unsafe { self.scope.realloc(old.at, old.layout, bytes) };
        if at.is_null() {
            return;
        }
        self.blocks.remove(index);
        let kept = Block { at, ..old.clone() };
        assert!(
            kept.is_whole(bytes.min(old.layout.size())),
            "contents are gone"
        );
        let layout = Layout::from_size_align(bytes, old.layout.align()).expect("a layout");
        self.add(at, layout);
    }

    fn give_back(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.blocks.len()) else {
            return;
        };
        let block = self.blocks.remove(index);
        // SAFETY: the block is in use and of this layout.
        unsafe { self.scope.dealloc(block.at, block.layout) };
    }

    /// Goes back. Blocks that the mark knows and that are still as they were then stay in use: the memory before a mark
    /// is not given out again unless the scope was further back meanwhile, which makes the mark stale.
    fn rewind(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.marks.len()) else {
            return;
        };
        self.marks.truncate(index + 1);
        let (mark, known) = self.marks[index].clone();
        self.scope.rewind(mark);
        let is_known = |block: &Block| {
            known
                .iter()
                .any(|it| it.at == block.at && it.mark == block.mark)
        };
        self.blocks.retain(is_known);
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Allocate { bytes, shift } => self.allocate(bytes, shift),
            Step::Resize { block, bytes } => self.resize(block, bytes),
            // A block before a mark that is given back lets the scope go further back than the mark.
            Step::GiveBack { block } => {
                self.give_back(block);
                self.marks.clear();
            }
            Step::Mark => self.marks.push((self.scope.mark(), self.blocks.clone())),
            Step::Rewind { mark } => self.rewind(mark),
            Step::Reserve { bytes } => {
                let is_there = self.scope.reserve(bytes);
                assert!(is_there || self.scope.held_bytes() + bytes > self.limit - 4096);
            }
            Step::Reset => {
                self.scope.reset();
                self.blocks.clear();
                self.marks.clear();
                assert_eq!(self.scope.held_bytes(), 0);
            }
        }
        let used: usize = self.blocks.iter().map(|block| block.layout.size()).sum();
        assert!(used <= self.scope.held_bytes() && self.scope.held_bytes() <= self.limit);
        assert!(self.scope.chunk_count() <= Scope::<System>::CHUNKS_MAX);
        for block in &self.blocks {
            assert!(
                block.is_whole(block.layout.size()),
                "{step:?} wrote to {block:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 400 },
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(24),
        ..ProptestConfig::default()
    })]

    #[test]
    fn blocks_in_use_are_left_alone(steps in steps(), limit in 60_000..4_000_000_usize) {
        let mut model = Model {
            scope: Scope::with_limit(&System, limit),
            blocks: Vec::new(),
            marks: Vec::new(),
            limit,
            next_mark: 0,
        };
        for step in &steps {
            model.take(step);
        }
    }
}

/// A mark of a `Resize` in place moves `next` back only as far as the block's start: see `Step::GiveBack`.
#[test]
fn a_block_from_before_a_mark_may_be_given_back_and_the_mark_be_used() {
    let mut scope = Scope::new(&System);
    let layout = Layout::new::<[u8; 100]>();
    let block = scope.alloc_layout(layout).expect("memory").as_ptr();
    let mark = scope.mark();
    // SAFETY: the block is in use and of this layout.
    unsafe { scope.dealloc(block, layout) };
    scope.alloc([0_u8; 9000]).expect("memory");
    scope.rewind(mark);
    assert_eq!(scope.chunk_count(), 1);
    assert!(scope.alloc([1_u8; 100]).is_some());
}

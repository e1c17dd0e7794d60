//! A heap with no block in use is one piece again, whatever it held and in whichever order that was given back.

use std::alloc::Layout;
use std::ptr::NonNull;

use alligator_alloc::{Arena, Hardened, Heap, PAGE_BYTES, Policy, Source, Standard};

use crate::memory::Memory;

const IS_SMALL: bool = cfg!(all(feature = "small", not(feature = "hardened")));

/// What is served of an emptied heap, in percent. A small heap's headers are addresses: on 64 bits, 3.9 % of the memory.
const SHARE: usize = if IS_SMALL && cfg!(target_pointer_width = "64") {
    95
} else {
    97
};

/// Orders in which blocks are given back.
const ORDERS: usize = 5;

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).expect("a layout")
}

/// The bytes of the block `index` of a heap that is filled in the way of `mix`.
fn bytes_of(mix: usize, index: usize) -> usize {
    let random = (index + 1).wrapping_mul(0x9E37_79B9) >> 7;
    match mix {
        0 => PAGE_BYTES,
        1 => 16 << (random % 7),
        2 => 1 + random % 3_000,
        3 => [40, 1_024, 100_000, 17, 5_000][random % 5],
        _ => 1_025 + random % 200_000,
    }
}

/// Fills the heap until it says no, or `most` bytes are in use, and gives all back in `order`.
fn fill_and_empty<S: Source, P: Policy>(
    heap: &mut Heap<S, P>,
    (mix, order): (usize, usize),
    most: usize,
) {
    let mut blocks = Vec::new();
    let mut left = most;
    while let Some(rest) = left.checked_sub(bytes_of(mix, blocks.len())) {
        let Some(block) = heap.allocate(layout(bytes_of(mix, blocks.len()))) else {
            break;
        };
        left = rest;
        blocks.push(block);
    }
    let count = blocks.len();
    // A step that has no divisor in common with the count visits each.
    let mut step = [1, 1, 7, count / 2 + 1, 617][order];
    while count != 0 && greatest_divisor(step, count) > 1 {
        step += 1;
    }
    let mut at = 0;
    for turn in 0..count {
        at = (at + step) % count;
        let index = if order == 0 { turn } else { count - 1 - at };
        // SAFETY: the heap gave it for this layout, and each index comes once.
        unsafe { heap.deallocate(blocks[index], layout(bytes_of(mix, index))) };
    }
}

fn greatest_divisor(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// One block of `bytes` is served, and given back.
fn assert_serves<S: Source, P: Policy>(heap: &mut Heap<S, P>, bytes: usize, what: &str) {
    let block = heap.allocate(layout(bytes));
    #[cfg(feature = "check")]
    assert_eq!(heap.check(), Ok(()), "{what}");
    let block: NonNull<u8> = block.unwrap_or_else(|| panic!("{what}: none of {bytes}"));
    // SAFETY: the heap gave it for this layout.
    unsafe { heap.deallocate(block, layout(bytes)) };
}

/// After whatever has been in it, a memory of `pages` serves [`SHARE`] of itself, and does not grow.
fn assert_one_piece<P: Policy, const ON_DEMAND: bool>(pages: usize, mixes: &[usize]) {
    for &mix in mixes {
        let memory = Memory::empty(pages);
        let mut heap = Heap::<_, P>::with_policy(memory.source::<1, ON_DEMAND>());
        assert!(ON_DEMAND || heap.reserve(pages * PAGE_BYTES / 100 * SHARE));
        for order in 0..ORDERS {
            fill_and_empty(&mut heap, (mix, order), usize::MAX);
            let what = format!("{pages} pages, mix {mix}, order {order}");
            assert_serves(&mut heap, pages * PAGE_BYTES / 100 * SHARE, &what);
        }
        // Three quarters are more than half, so that what is kept is gathered before the memory grows.
        let memory = Memory::empty(4 * pages);
        let mut heap = Heap::<_, P>::with_policy(memory.source::<1, true>());
        fill_and_empty(&mut heap, (mix, 2), pages * PAGE_BYTES / 2);
        let taken = memory.pages();
        let what = format!("{taken} pages that may be more, mix {mix}");
        assert_serves(&mut heap, taken * PAGE_BYTES / 100 * (SHARE - 1), &what);
        assert_eq!(memory.pages(), taken, "{what}");
    }
}

#[test]
fn an_emptied_heap_of_a_mebibyte_serves_nearly_all_of_itself() {
    let mixes = if cfg!(miri) {
        &[3][..]
    } else {
        &[0, 1, 2, 3, 4]
    };
    assert_one_piece::<Standard, true>(16, mixes);
    assert_one_piece::<Standard, false>(16, mixes);
    assert_one_piece::<Hardened, true>(16, mixes);
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn an_emptied_heap_of_16_mebibytes_serves_nearly_all_of_itself() {
    assert_one_piece::<Standard, true>(256, &[0, 2, 3, 4]);
    assert_one_piece::<Standard, false>(256, &[1]);
    assert_one_piece::<Hardened, false>(256, &[0, 3]);
}

#[cfg(not(target_family = "wasm"))]
#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn an_emptied_heap_of_256_mebibytes_serves_nearly_all_of_itself() {
    assert_one_piece::<Standard, true>(4_096, &[0, 4]);
    assert_one_piece::<Hardened, true>(4_096, &[4]);
}

/// Memory for one arena after the other.
struct Place(Vec<u8>);

impl Place {
    fn new(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// A new heap; the one before is gone.
    fn heap(&mut self) -> Heap<Arena<'_>, Standard> {
        Heap::with_policy(Arena::new(self.0.spare_capacity_mut()))
    }

    /// The longest block that a new heap serves.
    fn longest(&mut self) -> usize {
        let (mut least, mut most) = (0, self.0.capacity() + 1);
        let mut serves = |size: usize| size == 0 || self.heap().allocate(layout(size)).is_some();
        while most - least > 1 {
            let middle = least.midpoint(most);
            if serves(middle) {
                least = middle;
            } else {
                most = middle;
            }
        }
        least
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many blocks")]
fn an_arena_with_nothing_in_use_serves_its_longest_block() {
    let kibibytes = if cfg!(target_family = "wasm") {
        &[4, 5, 7, 16, 100][..]
    } else {
        &[4, 5, 6, 7, 8, 9, 16, 31, 64, 100, 1_024, 5_000, 65_536]
    };
    for &kibibytes in kibibytes {
        let bytes = kibibytes * 1_024;
        let mut place = Place::new(bytes);
        let longest = place.longest();
        let table = bytes / if SHARE == 97 { 32 } else { 24 };
        assert!(longest + table + 4_096 > bytes, "{longest} of {bytes}");
        let mut heap = place.heap();
        // Of millions of short blocks, one order is enough.
        let orders = if kibibytes > 1_024 { 3..4 } else { 0..ORDERS };
        for mix in 1..5 {
            for order in orders.clone() {
                fill_and_empty(&mut heap, (mix, order), usize::MAX);
                if longest != 0 {
                    let what = format!("{kibibytes} KiB, mix {mix}, order {order}");
                    assert_serves(&mut heap, longest, &what);
                }
            }
        }
    }
}

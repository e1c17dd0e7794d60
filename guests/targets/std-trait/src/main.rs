//! Std's collections in a heap of ours.
#![feature(allocator_api, btreemap_alloc)]

use std::collections::{BTreeMap, VecDeque};
use std::mem::MaybeUninit;

use alligator_alloc::{AlligatorAlloc, Arena};

fn main() {
    let memory = vec![MaybeUninit::uninit(); 1 << 20].leak();
    let heap = AlligatorAlloc::<Arena>::with_source(Arena::new(memory));
    let mut numbers: Vec<u32, &AlligatorAlloc<Arena>> = Vec::new_in(&heap);
    numbers.extend(0..1000);
    assert_eq!(numbers.iter().sum::<u32>(), 499_500);
    let boxed: Box<[u8; 5000], &AlligatorAlloc<Arena>> = Box::new_in([7; 5000], &heap);
    let mut queue: VecDeque<u64, &AlligatorAlloc<Arena>> = VecDeque::new_in(&heap);
    queue.extend(0..100);
    let mut map = BTreeMap::new_in(&heap);
    map.extend((0..100).map(|n| (n, n * n)));
    numbers.shrink_to_fit();
    queue.pop_front();
    assert_eq!(map[&9], 81);
    assert!(boxed.iter().all(|&byte| byte == 7));
    // A memory of this length has no more: an error, no abort.
    assert!(numbers.try_reserve(1 << 20).is_err());
    println!("{} numbers", numbers.len() + queue.len() + map.len());
}

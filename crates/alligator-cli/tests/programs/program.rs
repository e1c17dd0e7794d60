//! A program that uses its heap in many ways, and prints where its blocks are: recorded or not, it prints the same.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};

/// A table whose order does not change from run to run.
type Table = HashMap<String, Vec<u32>, BuildHasherDefault<DefaultHasher>>;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(200_u32);
    let mut sum = 0_u64;
    let mut table = Table::default();
    let mut tree = BTreeMap::new();
    for round in 0..rounds {
        let list = table.entry(format!("key {}", round % 17)).or_default();
        list.extend((0..round % 40).map(|it| it * round));
        if round % 5 == 0 {
            list.shrink_to_fit();
        }
        tree.insert(round.wrapping_mul(2_654_435_761), vec![0_u8; (round as usize * 37) % 5000].into_boxed_slice());
        if round % 3 == 0 {
            tree.pop_first();
        }
        let boxed = Box::new([round; 9]);
        sum = sum.wrapping_mul(31).wrapping_add(std::ptr::from_ref(&*boxed) as u64 + u64::from(boxed[3]));
    }
    let total: usize = table.values().map(Vec::len).sum::<usize>() + tree.values().map(|it| it.len()).sum::<usize>();
    println!("{sum:x} {total}");
    if rounds == 13 {
        std::process::exit(13);
    }
    assert!(rounds != 14, "as asked");
}

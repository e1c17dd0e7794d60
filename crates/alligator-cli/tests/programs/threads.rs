//! Threads that give each other blocks, and take back what others gave.

use std::sync::Mutex;
use std::thread;

const THREADS: usize = 3;
const BLOCKS: usize = 2_000;
/// Blocks that nobody has taken yet, at most.
const SHARED: usize = 50;

static BLOCKS_OF_ALL: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

fn give_and_take(number: usize) -> usize {
    let mut sum = 0;
    for block in 0..BLOCKS {
        let bytes = vec![number as u8; 1 + block * 7 % 900].into_boxed_slice();
        sum += bytes.len();
        let mut all = BLOCKS_OF_ALL.lock().expect("no thread has failed");
        all.push(bytes);
        let taken = if all.len() == SHARED { Some(all.swap_remove(block % SHARED)) } else { None };
        drop(all);
        drop(taken);
    }
    sum
}

fn main() {
    // A thread of Node.js 20 does not always see pages that another one has added: the memory is there before. And no
    // block is resized while threads run.
    drop(std::hint::black_box(vec![1_u8; 16 << 20]));
    BLOCKS_OF_ALL.lock().expect("is new").reserve(SHARED);
    let threads: Vec<_> = (0..THREADS).map(|number| thread::spawn(move || give_and_take(number))).collect();
    let sum: usize = threads.into_iter().map(|thread| thread.join().expect("ends")).sum();
    println!("{sum}");
}

//! Threads that start and end, whose blocks other threads resize and give back. The exit status is 0 if all contents
//! are right.

use std::cell::RefCell;
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

const THREADS: usize = 4;
const BLOCKS: usize = 150;

thread_local! {
    /// Given back when its thread ends.
    static OWN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A block that knows what its bytes are.
struct Marked {
    mark: u8,
    bytes: Vec<u8>,
}

impl Marked {
    fn new(number: usize, size: usize) -> Self {
        let mark = number as u8;
        Self {
            mark,
            bytes: vec![mark; size],
        }
    }

    fn is_right(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == self.mark)
    }

    fn extended(mut self) -> Self {
        let size = self.bytes.len() * 3 / 2 + 10;
        self.bytes.resize(size, self.mark);
        self
    }
}

/// What each thread makes for itself; how many entries it finds again.
fn own_work(id: usize) -> usize {
    OWN.with_borrow_mut(|own| own.extend((0..50).map(|n| format!("{id} has {n}"))));
    let map: HashMap<usize, String> = (0..500).map(|n| (n, n.to_string())).collect();
    map.iter()
        .filter(|(n, text)| n.to_string() == **text)
        .count()
}

/// Threads that send what they make to the first, which gives it back when some of them have ended.
fn sent_to_the_first() -> usize {
    let (sender, receiver) = mpsc::channel::<Marked>();
    let spawn = |id: usize| {
        let sender = sender.clone();
        thread::spawn(move || {
            for n in 0..BLOCKS {
                let marked = Marked::new(id * 50 + n, 1 + (n * 7919 + id) % 9000);
                sender.send(marked).expect("the first thread is there");
            }
            own_work(id)
        })
    };
    let threads: Vec<_> = (0..THREADS).map(spawn).collect();
    drop(sender);
    let wrong = receiver.iter().filter(|marked| !marked.is_right()).count();
    let found = threads
        .into_iter()
        .map(|thread| thread.join().expect("it ends"));
    wrong + (THREADS * 500 - found.sum::<usize>())
}

/// Threads in a row: each extends what it gets, and passes it on.
fn passed_on() -> usize {
    let (first, mut last) = mpsc::channel::<Marked>();
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let (sender, receiver) = mpsc::channel();
        let from = std::mem::replace(&mut last, receiver);
        threads.push(thread::spawn(move || {
            let mut wrong = 0;
            for marked in from {
                wrong += usize::from(!marked.is_right());
                sender.send(marked.extended()).expect("somebody takes it");
            }
            wrong
        }));
    }
    for n in 0..BLOCKS {
        first
            .send(Marked::new(n, 1 + n * 31 % 700))
            .expect("it is taken");
    }
    drop(first);
    let wrong = last.iter().filter(|marked| !marked.is_right()).count();
    wrong
        + threads
            .into_iter()
            .map(|thread| thread.join().expect("it ends"))
            .sum::<usize>()
}

/// Threads that put into and take out of one list, and leave the rest to others when they end.
fn one_list() -> usize {
    let list = Arc::new(Mutex::new(Vec::new()));
    let spawn = |id: usize| {
        let list = Arc::clone(&list);
        move || {
            let mut wrong = 0;
            for n in 0..BLOCKS {
                let marked = Marked::new(id + n, 1 + n * 613 % 3000);
                let other = {
                    let mut list = list.lock().expect("no thread has panicked");
                    list.push(marked);
                    let index = (n * 17 + id) % list.len();
                    (n % 3 != 0).then(|| list.swap_remove(index))
                };
                wrong += usize::from(other.is_some_and(|other| !other.is_right()));
            }
            wrong
        }
    };
    let threads: Vec<_> = (0..THREADS).map(|id| thread::spawn(spawn(id))).collect();
    let wrong: usize = threads
        .into_iter()
        .map(|thread| thread.join().expect("it ends"))
        .sum();
    let list = list.lock().expect("no thread has panicked");
    wrong + list.iter().filter(|marked| !marked.is_right()).count()
}

fn main() -> ExitCode {
    // With an argument, no thread has to grow the memory.
    if std::env::args().any(|arg| arg == "reserved") && !ALLOCATOR.reserve(32 << 20) {
        return ExitCode::from(2);
    }
    let wrong = sent_to_the_first() + passed_on() + one_list();
    if wrong == 0 {
        println!("all contents are right");
        return ExitCode::SUCCESS;
    }
    println!("{wrong} are wrong");
    ExitCode::FAILURE
}

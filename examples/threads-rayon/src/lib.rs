//! An index of a text's words, made by rayon's threads. Each thread is a worker of the page's (`workers.js`): rayon asks
//! for threads, and a worker that is told so becomes one.
//!
//! Exports are plain functions and numbers. A page's own thread may call those of `heap` and what says so; the others wait
//! for one another, which it must not.

mod heap;
mod index;

use std::hint;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

static POOL: Mutex<Option<ThreadPool>> = Mutex::new(None);

/// Threads that the pool has asked for, and that no worker is yet.
static WANTED: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());

/// What `busy` has done.
static TURNS: AtomicU32 = AtomicU32::new(0);

/// Makes a pool. As many workers must call `pool_thread`. False if it cannot be.
#[unsafe(no_mangle)]
pub extern "C" fn pool_new(threads: usize) -> bool {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(|thread| {
            let mut wanted = WANTED.lock().map_err(|_| std::io::ErrorKind::Other)?;
            wanted.push(thread);
            Ok(())
        })
        .build();
    let Ok(mut place) = POOL.lock() else {
        return false;
    };
    *place = pool.ok();
    place.is_some()
}

/// Makes the calling worker a thread of the pool, and returns when the pool has ended.
#[unsafe(no_mangle)]
pub extern "C" fn pool_thread() -> bool {
    let thread = WANTED.lock().ok().and_then(|mut wanted| wanted.pop());
    thread.map(ThreadBuilder::run).is_some()
}

/// Ends the pool: its threads return from `pool_thread`.
#[unsafe(no_mangle)]
pub extern "C" fn pool_end() {
    let pool = POOL.lock().ok().and_then(|mut pool| pool.take());
    drop(pool);
}

/// Does something with the pool, if there is one.
fn with_pool<R>(action: impl FnOnce(&ThreadPool) -> R) -> Option<R> {
    let pool = POOL.lock().ok()?;
    pool.as_ref().map(action)
}

/// Has each thread of the pool make a text, and gives all back here. Returns how many were right.
#[unsafe(no_mangle)]
pub extern "C" fn greet() -> usize {
    let texts =
        with_pool(|pool| pool.broadcast(|thread| format!("this is thread {}", thread.index())));
    let texts = texts.unwrap_or_default();
    let all = texts.iter().enumerate();
    all.filter(|(number, text)| **text == format!("this is thread {number}"))
        .count()
}

/// Where the last report is, and its bytes.
static REPORT: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static REPORT_LENGTH: AtomicU32 = AtomicU32::new(0);

/// Makes a block of a report, for JavaScript to read and to free.
fn deliver(report: &str) {
    let block = heap::new_block(report.len());
    if !block.is_null() {
        // SAFETY: the block is that long.
        unsafe { block.copy_from_nonoverlapping(report.as_ptr(), report.len()) };
    }
    REPORT_LENGTH.store(report.len() as u32, Relaxed);
    REPORT.store(block, Relaxed);
}

/// Makes the index of a text of ASCII, and a report of it: by the pool, or by the caller alone. Returns where the report
/// is, null if there is none; its length is at `report_length`.
///
/// # Safety
///
/// There are as many bytes at `text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn index_text(text: *const u8, length: usize, by_pool: u32) -> *mut u8 {
    REPORT.store(ptr::null_mut(), Relaxed);
    // SAFETY: the caller's duty.
    let bytes = unsafe { std::slice::from_raw_parts(text, length) };
    if let Ok(text) = std::str::from_utf8(bytes) {
        if by_pool == 0 {
            deliver(&index::report(&index::sequential(text)));
        } else {
            with_pool(|pool| pool.install(|| deliver(&index::report(&index::parallel(text)))));
        }
    }
    REPORT.load(Relaxed)
}

/// Bytes of the last report. For any thread.
#[unsafe(no_mangle)]
pub extern "C" fn report_length() -> u32 {
    REPORT_LENGTH.load(Relaxed)
}

/// Allocates and frees texts without rest: so many rounds, or for ever.
#[unsafe(no_mangle)]
pub extern "C" fn busy(rounds: u32) {
    let mut texts: Vec<String> = vec![String::new(); 200];
    let mut round = 0_u32;
    while rounds == 0 || round < rounds {
        for (number, text) in texts.iter_mut().enumerate() {
            *text = "a".repeat(1 + (round as usize * 31 + number * 7) % 700);
        }
        hint::black_box(&texts);
        TURNS.fetch_add(1, Relaxed);
        round = round.wrapping_add(1);
    }
}

/// How often `busy` has gone round, in all threads. For any thread.
#[unsafe(no_mangle)]
pub extern "C" fn busy_turns() -> u32 {
    TURNS.load(Relaxed)
}

//! The tools as a module: the page gives a file, asks, and reads an answer. `docs/try/worker.js` is the other side.
//!
//! Files come in by [`input`] and answers go out by [`output_start`] and [`output_length`]. An answer of `look` is JSON; a
//! question that cannot be answered has one line that says why.

mod imports;
mod page;
mod questions;

use std::sync::Mutex;

use alligator_alloc::AlligatorAlloc;

use questions::Files;

#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

/// What the page has given.
static FILES: Mutex<Files> = Mutex::new(Files::new());

/// The last answer.
static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What a file is: the numbers are the page's, too.
const NAME: u32 = 0;
const MODULE: u32 = 1;
const SCRIPT: u32 = 2;
const TRACE: u32 = 3;

/// Room for a file of so many bytes; where it begins. It is to be filled before the next call.
#[unsafe(no_mangle)]
pub extern "C" fn input(kind: u32, length: usize) -> *mut u8 {
    page::tell_panics();
    let mut files = FILES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let file = vec![0; length];
    let place = match kind {
        NAME => &mut files.name,
        MODULE => &mut files.module,
        SCRIPT => {
            files.scripts.push(Vec::new());
            let last = files.scripts.len() - 1;
            &mut files.scripts[last]
        }
        TRACE => &mut files.trace,
        _ => return core::ptr::null_mut(),
    };
    *place = file;
    place.as_mut_ptr()
}

/// Keeps the answer; 1 if it is one, 0 if it says why there is none.
fn answer(given: Result<Vec<u8>, String>) -> u32 {
    let is_one = given.is_ok();
    let bytes = given.unwrap_or_else(String::into_bytes);
    *OUTPUT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = bytes;
    u32::from(is_one)
}

fn ask(question: fn(&mut Files) -> Result<Vec<u8>, String>) -> u32 {
    let mut files = FILES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    answer(question(&mut files))
}

/// Where the answer begins.
#[unsafe(no_mangle)]
pub extern "C" fn output_start() -> *const u8 {
    OUTPUT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .as_ptr()
}

/// How many bytes it has.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    OUTPUT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .len()
}

/// Which allocator the module carries. With `runs`, what is found is tried out in the browser.
#[unsafe(no_mangle)]
pub extern "C" fn look(runs: u32) -> u32 {
    ask(if runs == 0 {
        questions::look_only
    } else {
        questions::look_and_run
    })
}

/// What is proved of the allocator that was found.
#[unsafe(no_mangle)]
pub extern "C" fn prove() -> u32 {
    ask(questions::prove)
}

/// The module, made to record its heap.
#[unsafe(no_mangle)]
pub extern "C" fn record(runs: u32) -> u32 {
    ask(if runs == 0 {
        questions::record_only
    } else {
        questions::record_all
    })
}

/// What the module imports and exports, as JSON, so that the page can run it.
#[unsafe(no_mangle)]
pub extern "C" fn interface() -> u32 {
    ask(questions::interface)
}

/// The page of a trace.
#[unsafe(no_mangle)]
pub extern "C" fn report() -> u32 {
    ask(questions::report)
}

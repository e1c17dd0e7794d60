//! A real program on the allocator under test: scripts run by Rhai, and a document pipeline (JSON, Markdown, HTML)
//! over a corpus it makes for itself.
//!
//! The host calls [`begin`], may look at the busy heap, calls [`finish`], and reads the output, which is the same
//! text for every correct allocator.

mod corpus;
mod heap;
mod scripts;
mod site;

use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "picture")]
alligator_snapshot::export!(*heap::allocator());

/// What lives between [`begin`] and [`finish`], and the output in the end.
struct State {
    site: Option<site::Site>,
    output: String,
}

static STATE: Mutex<State> = Mutex::new(State {
    site: None,
    output: String::new(),
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds the site and leaves it alive: the heap is busy when this returns.
#[unsafe(no_mangle)]
pub extern "C" fn begin() {
    state().site = Some(site::Site::build());
}

/// Publishes and drops the site, runs the scripts, and completes the output.
#[unsafe(no_mangle)]
pub extern "C" fn finish() {
    let mut state = state();
    let mut output = String::new();
    if let Some(site) = state.site.take() {
        site.publish(&mut output);
    }
    scripts::run_all(&mut output);
    state.output = output;
}

/// The address of the output, UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn output_address() -> *const u8 {
    state().output.as_ptr()
}

/// The bytes of the output.
#[unsafe(no_mangle)]
pub extern "C" fn output_bytes() -> usize {
    state().output.len()
}

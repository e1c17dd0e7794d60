//! A thread that makes and drops twenty blocks again and again, while all others use the heap without rest: how long does
//! it take at the worst?

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::{Block, Count, Random, Work, busy};

/// Bursts of one run, at most.
const BURSTS_MAX: usize = 1 << 16;

/// Times, in thousandths of a microsecond.
pub(crate) static TIMES: [AtomicU32; BURSTS_MAX] = [const { AtomicU32::new(0) }; BURSTS_MAX];

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Milliseconds since some time.
    safe fn now() -> f64;
    /// Whether a thread has called `end` since the run began: not zero.
    safe fn is_over() -> u32;
    safe fn end();
}

/// The first thread makes the bursts, the others are busy meanwhile.
pub(crate) fn run(work: Work) -> Count {
    if work.thread != 0 {
        return busy(work, || is_over() != 0);
    }
    let mut random = Random::new(work);
    let mut blocks = [Block(ptr::null_mut()); 20];
    let bursts = work.steps.min(BURSTS_MAX);
    for time in TIMES.iter().take(bursts) {
        let begin = now();
        while now() < begin + 0.05 {} // As a callback that comes every 50 microseconds.
        let begin = now();
        for block in &mut blocks {
            *block = Block::new(random.size())?;
        }
        for block in blocks {
            block.free()?;
        }
        time.swap(((now() - begin) * 1e6) as u32, SeqCst);
    }
    end();
    Some(40 * bursts as u64)
}

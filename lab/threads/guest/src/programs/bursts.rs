//! A thread that makes and drops twenty blocks again and again, while all others use the heap without rest: how long does
//! it take at the worst?

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use super::{Block, Count, Random, Work, busy};

/// Bursts of one run, at most.
const BURSTS_MAX: usize = 1 << 16;

/// Times, in thousandths of a microsecond.
pub(crate) static TIMES: [AtomicU32; BURSTS_MAX] = [const { AtomicU32::new(0) }; BURSTS_MAX];

static IS_OVER: AtomicBool = AtomicBool::new(false);

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Milliseconds since some time.
    safe fn now() -> f64;
}

/// The first thread makes the bursts, the others are busy meanwhile.
pub(crate) fn run(work: Work) -> Count {
    if work.thread != 0 {
        return busy(work, || IS_OVER.load(SeqCst));
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
    IS_OVER.swap(true, SeqCst);
    Some(40 * bursts as u64)
}

/// Makes it ready for another run.
pub(crate) fn clean_up() {
    IS_OVER.swap(false, SeqCst);
}

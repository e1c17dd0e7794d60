//! Bytes in use, and the most that there were.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A count of bytes. Sizes are those asked for; what a heap rounds up is not counted.
#[derive(Debug)]
pub(crate) struct Account {
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Account {
    pub(crate) const fn new() -> Self {
        Self {
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Adds bytes, and returns how many there are then. It is not above what is in use: who finds it too many takes
    /// them away again, so another thread may see them meanwhile and be refused near a limit.
    #[inline(always)]
    pub(crate) fn add(&self, bytes: usize) -> usize {
        self.used.fetch_add(bytes, Relaxed).saturating_add(bytes)
    }

    /// Takes bytes away, and returns how many are left.
    #[inline(always)]
    pub(crate) fn remove(&self, bytes: usize) -> usize {
        self.used.fetch_sub(bytes, Relaxed).wrapping_sub(bytes)
    }

    /// So many are in use: that may be the most so far.
    #[inline(always)]
    pub(crate) fn reach(&self, used: usize) {
        // Mostly it is not, and a look is less than an exchange.
        if used > self.peak.load(Relaxed) {
            self.peak.fetch_max(used, Relaxed);
        }
    }

    #[inline(always)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// The peak is what is in use now.
    pub(crate) fn reset_peak(&self) {
        self.peak.store(self.used(), Relaxed);
    }
}

//! The one word that a thread's guards change.
//!
//! ```text
//! bits   0..6   kinds that a guard looks at      (each is counted)
//!        6      a hook is running
//!        7      what runs is permitted
//!        8..14  kinds that are refused
//!       16..22  kinds that the hook is called for
//!       24..30  kinds that stop the program
//!       32..64  the mark of the innermost guard that has one
//! ```
//!
//! With the feature `std` each thread has its own. Without it there is one for the module, which is the same where
//! there is one thread; in a module with shared memory and no std, a guard then holds for all threads.

/// What each group of bits says of a kind.
pub(crate) const COUNT: u32 = 0;
pub(crate) const NULL: u32 = 8;
pub(crate) const CALL: u32 = 16;
pub(crate) const TRAP: u32 = 24;

/// The mark's place.
pub(crate) const MARK: u32 = 32;

/// Every bit but the mark.
pub(crate) const POLICY: u64 = (1 << MARK) - 1;

/// A hook is running: it is not called within itself.
pub(crate) const IN_HOOK: u64 = 1 << 6;

/// The reserve is open.
pub(crate) const PERMITTED: u64 = 1 << 7;

/// The kinds, in all groups.
pub(crate) const KINDS: u64 = 0x3f3f_3f3f;

pub(crate) use place::{get, set};

#[cfg(feature = "std")]
mod place {
    use core::cell::Cell;

    std::thread_local! {
        // It needs no destructor, so it is there from the thread's start to its end, and asks for no memory.
        static WORD: Cell<u64> = const { Cell::new(0) };
    }

    #[inline(always)]
    pub(crate) fn get() -> u64 {
        WORD.get()
    }

    #[inline(always)]
    pub(crate) fn set(word: u64) {
        WORD.set(word);
    }
}

#[cfg(all(not(feature = "std"), target_has_atomic = "64"))]
mod place {
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

    static WORD: AtomicU64 = AtomicU64::new(0);

    #[inline(always)]
    pub(crate) fn get() -> u64 {
        WORD.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set(word: u64) {
        WORD.store(word, Relaxed);
    }
}

#[cfg(all(not(feature = "std"), not(target_has_atomic = "64")))]
mod place {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static LOW: AtomicU32 = AtomicU32::new(0);
    static HIGH: AtomicU32 = AtomicU32::new(0);

    #[inline(always)]
    pub(crate) fn get() -> u64 {
        u64::from(LOW.load(Relaxed)) | u64::from(HIGH.load(Relaxed)) << 32
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(crate) fn set(word: u64) {
        LOW.store(word as u32, Relaxed);
        HIGH.store((word >> 32) as u32, Relaxed);
    }
}

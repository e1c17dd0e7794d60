//! What a hardened heap (feature `hardened`) finds wrong, how it stops, and what it leaves for the host to read.
//!
//! A fault in what is asked is found before anything is changed; one in the records, where they are used. On WebAssembly
//! the module traps, and the fault's code and address stay behind in two statics, which the exported functions `alligator_fault` and
//! `alligator_fault_address` read: a host can call them after the trap. On other hosts it is a panic, but the methods of
//! `GlobalAlloc` must not unwind: there it ends the process. A heap that has found a fault stays stopped: whatever is
//! asked of it finds the same fault again. Other heaps go on.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Why a heap stops the program: a misuse that the feature `hardened` finds, or a lock that nobody will give back.
/// The numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Fault {
    /// What was at the address has been given back, or never given out. (If its memory has merged with other
    /// memory, and a longer block is there now, an address inside that one is called so, too.)
    DoubleFree = 1,
    /// No block starts at the address: it is inside a block, beside one, or in memory that the heap uses
    /// itself or shares with somebody else.
    NotABlock = 2,
    /// The address is in memory that the heap never had.
    Foreign = 3,
    /// The block at the address is in use, but has another size class, length or alignment.
    WrongLayout = 4,
    /// The memory at the address was written to while no block was there.
    WriteAfterFree = 5,
    /// The heap's own records contradict each other: they were written over.
    Corrupted = 6,
    /// The heap's lock is held by a thread that has ended, as far as can be told: see
    /// [`SpinLock`](crate::SpinLock). This one is found without the feature `hardened`, too.
    Stalled = 7,
}

/// All faults, by number.
const FAULTS: [Fault; 7] = [
    Fault::DoubleFree,
    Fault::NotABlock,
    Fault::Foreign,
    Fault::WrongLayout,
    Fault::WriteAfterFree,
    Fault::Corrupted,
    Fault::Stalled,
];

impl Fault {
    /// The fault's number, which `alligator_fault` returns.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The fault whose number is `code`; `None` for 0, which is no fault, and for numbers that have none.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        FAULTS.into_iter().find(|fault| fault.code() == code)
    }

    /// The fault that this program's heaps raised last, and the address it was found at. Without the feature
    /// `hardened`, it is `None` or [`Stalled`](Self::Stalled). *Time:* constant.
    #[must_use]
    pub fn last() -> Option<(Self, usize)> {
        let fault = Self::from_code(CODE.load(Relaxed))?;
        Some((fault, ADDRESS.load(Relaxed)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DoubleFree => "a block that is free already was given back",
            Self::NotABlock => "an address at which no block starts was given back",
            Self::Foreign => "an address outside the heap was given back",
            Self::WrongLayout => "a block was given back with another layout than it has",
            Self::WriteAfterFree => "free memory was written to",
            Self::Corrupted => "the heap's own records were written over",
            Self::Stalled => "the heap's lock is held by what has ended",
        })
    }
}

impl core::error::Error for Fault {}

/// The number of the fault raised last, or 0.
static CODE: AtomicU32 = AtomicU32::new(0);
/// The address it was found at.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);

/// Whether the process is ending because of a fault.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Stops the program because of `fault`, found at `address`: by a panic that unwinds, if this is no WebAssembly.
#[cold]
#[inline(never)]
pub(crate) fn raise(fault: Fault, address: usize) -> ! {
    note(fault, address);
    stop(fault, address)
}

/// Stops the program because of `fault`, found at `address`, without unwinding.
#[cold]
#[inline(never)]
pub(crate) fn abort(fault: Fault, address: usize) -> ! {
    note(fault, address);
    IS_ENDING.swap(true, Relaxed);
    stop_at_once(fault, address)
}

/// Leaves the fault for the host.
fn note(fault: Fault, address: usize) {
    ADDRESS.swap(address, Relaxed);
    CODE.swap(fault.code(), Relaxed);
}

/// Ends the process, too, if it is ending: who prints why may ask for memory, and must not wait for the lock that it
/// holds.
#[inline(always)]
pub(crate) fn follow() {
    if cfg!(not(target_family = "wasm")) && IS_ENDING.load(Relaxed) {
        let (fault, address) = Fault::last().unwrap_or((Fault::Stalled, 0));
        stop_at_once(fault, address);
    }
}

#[cfg(target_family = "wasm")]
fn stop(_fault: Fault, _address: usize) -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(target_arch = "wasm64")]
    core::arch::wasm64::unreachable();
}

#[cfg(not(target_family = "wasm"))]
fn stop(fault: Fault, address: usize) -> ! {
    panic!("{fault} ({address:#x})");
}

/// [`stop`], but no panic leaves it: it ends the process.
extern "C" fn stop_at_once(fault: Fault, address: usize) -> ! {
    stop(fault, address)
}

/// The number of the [`Fault`] that this module's heaps raised last, 0 for none: for the host, after a trap.
#[cfg(all(any(feature = "hardened", docsrs), target_family = "wasm"))]
#[cfg_attr(docsrs, doc(cfg(feature = "hardened")))]
#[unsafe(no_mangle)]
pub extern "C" fn alligator_fault() -> u32 {
    CODE.load(Relaxed)
}

/// The address at which the last fault was found, 0 for none: for the host, after a trap.
#[cfg(all(any(feature = "hardened", docsrs), target_family = "wasm"))]
#[cfg_attr(docsrs, doc(cfg(feature = "hardened")))]
#[unsafe(no_mangle)]
pub extern "C" fn alligator_fault_address() -> usize {
    ADDRESS.load(Relaxed)
}

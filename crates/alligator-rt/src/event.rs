//! What a guard looks at, and what is done about one time that it happened.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::guard::in_hook;
use crate::hook::{Hook, without_unwinding};
use crate::slot::Slot;
use crate::word::{self, CALL, COUNT, MARK, NULL, TRAP};

/// A kind of event. The numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Kind {
    /// The memory was to grow.
    Grow = 0,
    /// A lock was held by another thread.
    Wait = 1,
    /// A `realloc` has moved a block and copied it.
    Move = 2,
    /// A block was asked for.
    Alloc = 3,
    /// A block was given back.
    Free = 4,
    /// A block was to be resized.
    Realloc = 5,
}

/// How many kinds there are.
const KIND_COUNT: usize = 6;

impl Kind {
    /// The kind with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Grow),
            1 => Some(Self::Wait),
            2 => Some(Self::Move),
            3 => Some(Self::Alloc),
            4 => Some(Self::Free),
            5 => Some(Self::Realloc),
            _ => None,
        }
    }

    /// This kind's bit in one group of the word.
    const fn bit(self, group: u32) -> u64 {
        1 << (self as u32 + group)
    }

    /// The bit that says that it is looked at.
    pub(crate) const fn looked_at(self) -> u64 {
        self.bit(COUNT)
    }

    /// The bit that says that a hook is called.
    pub(crate) const fn called(self) -> u64 {
        self.bit(CALL)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Grow => "the memory was to grow",
            Self::Wait => "a lock was held by another thread",
            Self::Move => "a block was moved",
            Self::Alloc => "a block was asked for",
            Self::Free => "a block was given back",
            Self::Realloc => "a block was to be resized",
        })
    }
}

/// Something that a guard looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// The block's size in bytes; the new one if it is resized. 0 for growth and waiting.
    pub size: usize,
    /// The block's alignment in bytes. 0 for growth and waiting.
    pub align: usize,
    /// Pages asked of the host; 0 but for growth.
    pub pages: usize,
    /// The guard's mark, 0 for none.
    pub mark: u32,
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.kind)?;
        match self.kind {
            Kind::Grow => write!(formatter, " by {} pages", self.pages)?,
            Kind::Wait => {}
            _ => write!(formatter, ", {} bytes at {}", self.size, self.align)?,
        }
        write!(formatter, ", under the guard with mark {}", self.mark)
    }
}

/// What the caller has to do about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    GoOn,
    Refuse,
}

/// How often each kind happened under a guard that looks at it.
pub(crate) static COUNTS: [AtomicU32; KIND_COUNT] = [const { AtomicU32::new(0) }; KIND_COUNT];

static LAST: Slot<Event> = Slot::new();

/// A growth that the hook is to be told of when the heap is whole and unlocked.
static PENDING: Slot<Event> = Slot::new();

/// The function that [`on_event`] was given.
static HOOK: Hook<fn(&Event)> = Hook::new();

/// Calls `hook` for each event under a guard that says [`call`](crate::Guard::call), from now on, on all threads.
///
/// The hook may use the heap: no lock is held, everything is permitted, and what it does itself is no event. Of a
/// growth it is told when the heap is whole again: by [`Guarded`](crate::Guarded), or by [`Watched`](crate::Watched)
/// if that is `TOLD` and the growth took place. Of several growths in one request it is told the last. A hook must not
/// unwind: that ends the program.
pub fn on_event(hook: fn(&Event)) {
    // SAFETY: a function pointer's type.
    unsafe { HOOK.set(hook) };
}

/// The last event that a guard has counted, refused or stopped at. If another thread is at it at the same moment, that
/// one's is not kept, or none is returned. *Time:* constant.
pub fn last_event() -> Option<Event> {
    LAST.get()
}

/// How often events of this kind have happened under a guard that looks at it, modulo 2³². *Time:* constant.
pub fn event_count(kind: Kind) -> u32 {
    COUNTS[kind as usize].load(Relaxed)
}

/// Sets all counts to 0 and forgets the last event. *Time:* constant.
pub fn reset_events() {
    for count in &COUNTS {
        count.store(0, Relaxed);
    }
    LAST.put(None);
}

/// An event for which the word has the kind's bit: counts it, and does what the guard says. `word` is the thread's.
#[cold]
#[inline(never)]
pub(crate) fn happened(word: u64, mut event: Event) -> Answer {
    event.mark = (word >> MARK) as u32;
    let kind = event.kind;
    COUNTS[kind as usize].fetch_add(1, Relaxed);
    LAST.put(Some(event));
    if word & kind.bit(TRAP) != 0 {
        stop(event);
    }
    if word & kind.bit(CALL) != 0 {
        if kind == Kind::Grow {
            PENDING.put(Some(event));
        } else {
            call(&event);
        }
    }
    if word & kind.bit(NULL) != 0 {
        Answer::Refuse
    } else {
        Answer::GoOn
    }
}

/// Tells the hook of a growth, if there was one that it is to be told of. No lock is held.
#[cold]
#[inline(never)]
pub(crate) fn deliver_growth() {
    if let Some(event) = PENDING.take() {
        call(&event);
    }
}

/// Calls the hook, if there is one.
fn call(event: &Event) {
    if let Some(hook) = HOOK.get() {
        in_hook(|| without_unwinding(|| hook(event)));
    }
}

/// Stops the program. On WebAssembly it traps; elsewhere it is a panic that ends the process.
#[cold]
fn stop(event: Event) -> ! {
    #[cfg(target_arch = "wasm32")]
    {
        let _ = event;
        core::arch::wasm32::unreachable()
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        // Who prints it may allocate.
        word::set(0);
        without_unwinding(|| panic!("{event}"))
    }
}

/// The event of a request for a block.
#[inline(always)]
pub(crate) fn of_block(kind: Kind, size: usize, align: usize) -> Event {
    Event {
        kind,
        size,
        align,
        pages: 0,
        mark: 0,
    }
}

/// If a guard looks at `kind`, the thread's word.
#[inline(always)]
pub(crate) fn word_for(kind: Kind) -> Option<u64> {
    let word = word::get();
    (word & kind.looked_at() != 0).then_some(word)
}

//! Guards: what the thread must not do for now, in one word.

use core::fmt;
use core::marker::PhantomData;
use core::ops::BitOr;

use crate::event::Kind;
use crate::word::{self, CALL, COUNT, IN_HOOK, KINDS, MARK, NULL, PERMITTED, POLICY, TRAP};

/// What is not to happen, and what becomes of it if it does.
///
/// Made of the constants below, joined by `|`. Each event is counted; [`null`](Self::null), [`call`](Self::call) and
/// [`trap`](Self::trap) add to that, for all kinds that are named so far.
///
/// ```
/// use alligator_rt::Guard;
/// /// The audio callback: growth and blocks are counted, and `process` is what the event says.
/// const CALLBACK: Guard = Guard::GROW.null().or(Guard::ALLOC).or(Guard::FREE).mark(1);
/// let guard = CALLBACK.enter();
/// // The callback's work.
/// drop(guard);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Guard(u64);

impl Guard {
    /// The memory grows: a heap over [`Watched`](crate::Watched) asks its source for pages.
    pub const GROW: Self = Self::of(Kind::Grow);
    /// A lock is held by another thread: a heap with a [`WatchedLock`](crate::WatchedLock) has to wait.
    pub const WAIT: Self = Self::of(Kind::Wait);
    /// A `realloc` has moved and copied more bytes than [`Guarded::moves_above`](crate::Guarded::moves_above) says. It is
    /// known only afterwards, so it cannot be refused.
    pub const MOVE: Self = Self::of(Kind::Move);
    /// A block is asked for, zeroed or not.
    pub const ALLOC: Self = Self::of(Kind::Alloc);
    /// A block is given back. If it is refused, [`Guarded`](crate::Guarded) keeps it for later.
    pub const FREE: Self = Self::of(Kind::Free);
    /// A block is resized.
    pub const REALLOC: Self = Self::of(Kind::Realloc);
    /// Whatever asks an allocator: `ALLOC | FREE | REALLOC`.
    pub const CALLS: Self = Self::ALLOC.or(Self::FREE).or(Self::REALLOC);
    /// All that may take longer than a constant time: `GROW | WAIT | MOVE`.
    pub const UNBOUNDED: Self = Self::GROW.or(Self::WAIT).or(Self::MOVE);

    const fn of(kind: Kind) -> Self {
        Self(kind.looked_at())
    }

    /// The kinds, as the lowest bits.
    const fn kinds(self) -> u64 {
        self.0 >> COUNT & 0x3f
    }

    /// Both: `|` for constants. Of two marks it has the second.
    pub const fn or(self, other: Self) -> Self {
        let mark = if other.0 >> MARK == 0 { self } else { other };
        Self((self.0 | other.0) & POLICY | mark.0 & !POLICY)
    }

    /// The request gets null, a growth is refused, a free is put off. Waiting and moving cannot be refused.
    pub const fn null(self) -> Self {
        Self(self.0 | self.kinds() << NULL)
    }

    /// The function that [`on_event`](crate::on_event) was given is called.
    pub const fn call(self) -> Self {
        Self(self.0 | self.kinds() << CALL)
    }

    /// The program stops, with the event left for the host to read: see [`last_event`](crate::last_event).
    pub const fn trap(self) -> Self {
        Self(self.0 | self.kinds() << TRAP)
    }

    /// A number that each event will have, to tell where it happened; 0 is none.
    pub const fn mark(self, mark: u32) -> Self {
        Self(self.0 & POLICY | (mark as u64) << MARK)
    }

    /// The guard that these bits say: kinds in bits 0 to 5 ([`Kind`]'s numbers), the same shifted by 8 for
    /// [`null`](Self::null), by 16 for [`call`](Self::call), by 24 for [`trap`](Self::trap). For other languages.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits as u64 & KINDS)
    }

    /// The guard holds from here to where the answer is dropped, on this thread, and adds to those that hold already.
    ///
    /// Several have to be dropped in reverse order, as scopes do by themselves; one that is forgotten holds on.
    /// *Time:* constant, 12 Wasm instructions with the drop.
    #[inline(always)]
    pub fn enter(self) -> Entered {
        let before = word::get();
        // An outer guard's mark stays if this one has none.
        let kept = if self.0 >> MARK == 0 {
            before
        } else {
            before & POLICY
        };
        word::set(kept | self.0);
        Entered::new(before)
    }

    /// Does `action` under this guard.
    #[inline(always)]
    pub fn during<R>(self, action: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        action()
    }
}

impl BitOr for Guard {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Guard({:#x})", self.0)
    }
}

/// A guard that holds until this is dropped.
#[derive(Debug)]
#[must_use = "the guard holds until this is dropped"]
pub struct Entered {
    before: u64,
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Entered {
    #[inline(always)]
    fn new(before: u64) -> Self {
        Self {
            before,
            thread: PhantomData,
        }
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        word::set(self.before);
    }
}

/// Does `action` as if no guard held on this thread, and with the reserves of limits open to it. A guard that is
/// entered within holds again. *Time:* constant, besides `action`.
#[inline(always)]
pub fn permit<R>(action: impl FnOnce() -> R) -> R {
    let before = word::get();
    let _entered = Entered::new(before);
    word::set(before & !KINDS | PERMITTED);
    action()
}

/// Whether this is code that [`permit`] was asked for.
#[inline(always)]
pub fn is_permitted() -> bool {
    word::get() & PERMITTED != 0
}

/// Does `action`, a hook's call, with everything permitted; not if one is running already.
pub(crate) fn in_hook<R>(action: impl FnOnce() -> R) -> Option<R> {
    let before = word::get();
    if before & IN_HOOK != 0 {
        return None;
    }
    let _entered = Entered::new(before);
    word::set(before & !KINDS | PERMITTED | IN_HOOK);
    Some(action())
}

/// Enters a guard without a value that leaves it, for other languages: [`leave_bits`] gets what this returns.
#[cfg(feature = "exports")]
#[inline(always)]
pub(crate) fn enter_bits(bits: u32) -> u64 {
    let entered = Guard::from_bits(bits).enter();
    let before = entered.before;
    core::mem::forget(entered);
    before
}

/// Leaves what [`enter_bits`] has entered.
#[cfg(feature = "exports")]
#[inline(always)]
pub(crate) fn leave_bits(before: u64) {
    drop(Entered::new(before));
}

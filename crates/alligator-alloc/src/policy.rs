//! What the modes of a heap differ in: types and constants, no code. One program can have heaps of several modes.

use core::num::NonZeroUsize;

/// The address of a freed slot.
pub(crate) type Entry = Option<NonZeroUsize>;

/// How a heap trades speed, memory and safety: [`Standard`] or [`Hardened`].
///
/// ```
/// # #[cfg(target_family = "wasm")]
/// # {
/// use alligator_alloc::{AlligatorAlloc, DefaultLock, Hardened, OnDemand, WasmMemory};
///
/// // Hardened, whatever features other crates turn on.
/// static HEAP: AlligatorAlloc<WasmMemory<OnDemand>, DefaultLock, Hardened> = AlligatorAlloc::new();
/// # }
/// ```
pub trait Policy: sealed::Policy {}

impl<P: sealed::Policy> Policy for P {}

pub(crate) mod sealed {
    use crate::policy::Entries;

    /// What nobody outside can implement.
    #[doc(hidden)]
    pub trait Policy: core::fmt::Debug + 'static {
        /// Whether misuse is looked for: see `docs/hardened.md`.
        const HARDENED: bool;
        /// What a class keeps of freed slots, and one entry that is always empty.
        type Magazine: Entries;
    }
}

/// Entries of a magazine: an array of them.
#[doc(hidden)]
pub trait Entries: core::fmt::Debug {
    /// Without a slot.
    const EMPTY: Self;
    /// The most slots: one less than there are entries.
    const SLOTS_MAX: usize;
}

impl<const N: usize> Entries for [Entry; N] {
    const EMPTY: Self = [None; N];
    const SLOTS_MAX: usize = N.saturating_sub(1);
}

/// Fast: what is given back is kept in short magazines for the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Standard;

impl sealed::Policy for Standard {
    const HARDENED: bool = false;
    type Magazine = [Entry; MAGAZINE_SLOTS + 1];
}

/// Misuse stops the program and says what it was. Nothing is kept in magazines: the records say at once what is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hardened;

impl sealed::Policy for Hardened {
    const HARDENED: bool = true;
    type Magazine = [Entry; 0];
}

/// Slots in a magazine.
pub(crate) const MAGAZINE_SLOTS: usize = 20;

/// What the program's features ask for: [`Hardened`] with the feature `hardened`, else [`Standard`].
#[cfg(feature = "hardened")]
pub type DefaultPolicy = Hardened;
/// What the program's features ask for: [`Hardened`] with the feature `hardened`, else [`Standard`].
#[cfg(not(feature = "hardened"))]
pub type DefaultPolicy = Standard;

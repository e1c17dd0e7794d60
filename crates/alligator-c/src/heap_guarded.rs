//! The one heap of the program, where guards look at it: in the place of `heap.rs` with the feature `guards`.

use alligator_alloc::AlligatorAlloc;
use alligator_rt::{Guarded, Watched, WatchedLock};

use crate::memory::Memory;

type Whole = AlligatorAlloc<Watched<Memory>, WatchedLock>;

/// All that malloc and the others give out comes from here.
pub(crate) static HEAP: Guarded<Whole> =
    Guarded::new(AlligatorAlloc::with_source(Watched::new(Memory::NEW)));

/// The heap where no call is for a block.
#[inline(always)]
pub(crate) fn whole() -> &'static Whole {
    HEAP.inner()
}

//! The one heap of the program.

use alligator_alloc::AlligatorAlloc;

use crate::memory::Memory;

/// All that malloc and the others give out comes from here.
pub(crate) static HEAP: AlligatorAlloc<Memory> = AlligatorAlloc::with_source(Memory::NEW);

/// The heap where no call is for a block.
#[inline(always)]
pub(crate) fn whole() -> &'static AlligatorAlloc<Memory> {
    &HEAP
}

//! Where memory comes from: the port. No other module knows that there is a host.

mod arena;
pub(crate) mod range;
#[cfg(target_family = "wasm")]
mod wasm;

use core::ops::Range;

use crate::units::{PAGE_SHIFT, PAGES_ALL};
pub use arena::{Arena, ArenaMemory};
#[cfg(all(target_family = "wasm", thread_caches))]
pub(crate) use wasm::is_static;
#[cfg(target_family = "wasm")]
pub use wasm::{Growth, OnDemand, ReserveOnly, WasmMemory, claim_initial_memory};

/// A supply of memory for one heap.
///
/// Addresses are in bytes; pages are of [`PAGE_BYTES`](crate::PAGE_BYTES).
///
/// # Safety
///
/// The implementor guarantees, as long as the source exists and wherever it is moved, that
/// - the ranges given by [`spare`](Source::spare) and [`grow`](Source::grow) are readable and writable
///   through [`pointer`](Source::pointer), and used by nobody else;
/// - `pointer(address)` has that address;
/// - they do not overlap, each grown range lies above all earlier ones, and starts and ends at a multiple of
///   the page size;
/// - [`end`](Source::end) is never less than it was, nor than the end of what was given; where `spare` is all there
///   is, `end` is its end;
/// - grown memory is zero;
/// - none of the ranges contains the first 1024 bytes of the address space.
///
/// The heap promises to touch nothing outside these ranges, and to ask for no pointer outside them, so not for
/// `pointer(0)`. Ranges that are empty, unaligned, out of order or wrap around it takes for none.
pub unsafe trait Source {
    /// Whether an allocation that finds no room may call [`grow`](Source::grow). If not, only
    /// [`reserve`](crate::Heap::reserve) does, and the allocation fails instead.
    const ON_DEMAND: bool = true;
    /// The fewest pages to grow by at a time, at least one.
    const STEP_PAGES: usize = 1;

    /// Whether [`after_growth`](Source::after_growth) does anything. If not, saying so here saves some instructions.
    const IS_TOLD: bool = true;

    /// Whether the heap may take for granted that [`spare`](Source::spare), [`end`](Source::end) and
    /// [`grow`](Source::grow) keep the contract. If not, it looks each time, and takes no memory that is out of order.
    /// A source that says so starts and ends what is spare at multiples of 1 KiB; none starts and ends at `end`.
    const IS_TRUSTED: bool = false;

    /// Memory that is there from the start, if any: the addresses of its first byte and of the byte after
    /// its last. It need not be zero. The heap asks before the first `grow`; again, if it could not use that memory by
    /// itself and nothing was added to it.
    fn spare(&mut self) -> Range<usize>;

    /// The address after the last byte of all memory, whoever owns it (0 for 4 GiB on 32 bits).
    fn end(&self) -> usize;

    /// Whether [`grow`](Source::grow) may give at least one page, for an allocation or for a
    /// `reservation`: false where a limit is reached, so that nothing is done for its sake.
    /// True if that can only be known by asking the host. *Time:* constant.
    #[inline(always)]
    fn may_grow(&self, reservation: bool) -> bool {
        let _ = reservation;
        true
    }

    /// Adds `pages` to the end of the memory and returns the address of their first byte, or `None` if the
    /// source cannot or will not; a source that refuses need not ask the host. It must not unwind, nor use the heap
    /// that asks. The address is at least what [`end`](Source::end) said, more if somebody else has grown the memory
    /// since. *Time:* the host's.
    fn grow(&mut self, pages: usize) -> Option<usize>;

    /// Whether threads may keep blocks of this memory for themselves, and grow it by
    /// [`grow_shared`](Source::grow_shared). If so, the implementor guarantees besides that the memory's provenance is
    /// exposed, that the memory stays for ever, also when the source is gone, and that an `AlligatorAlloc` over it is neither moved nor dropped once it has been
    /// used; the heap itself sees to the latter on WebAssembly, where it gives threads nothing if it is no static.
    const IS_SHARED: bool = false;

    /// As [`grow`](Source::grow), while other threads use this source. Only called if [`IS_SHARED`](Source::IS_SHARED)
    /// says that it can be.
    #[inline(always)]
    fn grow_shared(&self, pages: usize) -> Option<usize> {
        let _ = pages;
        None
    }

    /// Called after the memory has grown, with the pages it has now, when the heap is whole and unlocked: see
    /// `Growth::after_growth`.
    #[inline(always)]
    fn after_growth(pages: usize) {
        let _ = pages;
    }

    /// Called before anything is asked of the heap other than by the unsafe methods of `GlobalAlloc`: it may be
    /// another than the program's global allocator.
    #[inline(always)]
    fn used_as_value(&mut self) {}

    /// A pointer to `address`, which is inside memory that this source gave. *Time:* constant.
    fn pointer(&self, address: usize) -> *mut u8;
}

/// A source whose heap may be a program's global allocator: any, but on WASI 0.2 and later.
///
/// There, std and the C library give back each other's blocks: what the host returns in a call, such as the environment's
/// variables, is put into blocks that Rust's global allocator gives and C's `free` gets. So the two must be one heap, as
/// they are with the crate `alligator-c` and its feature `malloc`.
///
/// # Safety
///
/// On those targets, the C library's `malloc` and `free` use the same heap.
#[diagnostic::on_unimplemented(
    message = "on this target Rust's global allocator and C's `malloc` must be one heap",
    label = "C's `free` would get this heap's blocks",
    note = "use the crate alligator-c with its feature `malloc`: \
            `#[global_allocator] static ALLOCATOR: alligator_c::Alligator = alligator_c::Alligator;`"
)]
pub unsafe trait GlobalSource: Source {}

// SAFETY: C's functions never see a block of Rust's on these targets, unless the program hands it to them.
#[cfg(not(any(target_env = "p2", target_env = "p3")))]
unsafe impl<S: Source> GlobalSource for S {}

/// Checks the constants of `S`, when the program is compiled.
///
/// ```
/// # use alligator_alloc::{Heap, Source};
/// # struct Steps<const PAGES: usize>;
/// # unsafe impl<const PAGES: usize> Source for Steps<PAGES> {
/// #     const STEP_PAGES: usize = PAGES;
/// #     fn spare(&mut self) -> core::ops::Range<usize> { 0..0 }
/// #     fn end(&self) -> usize { 65_536 }
/// #     fn grow(&mut self, _pages: usize) -> Option<usize> { None }
/// #     fn pointer(&self, _address: usize) -> *mut u8 { core::ptr::null_mut() }
/// # }
/// let heap = Heap::new(Steps::<1>);
/// ```
///
/// ```compile_fail,E0080
/// # use alligator_alloc::{Heap, Source};
/// # struct Steps<const PAGES: usize>;
/// # unsafe impl<const PAGES: usize> Source for Steps<PAGES> {
/// #     const STEP_PAGES: usize = PAGES;
/// #     fn spare(&mut self) -> core::ops::Range<usize> { 0..0 }
/// #     fn end(&self) -> usize { 65_536 }
/// #     fn grow(&mut self, _pages: usize) -> Option<usize> { None }
/// #     fn pointer(&self, _address: usize) -> *mut u8 { core::ptr::null_mut() }
/// # }
/// let heap = Heap::new(Steps::<0>); // A step of no page.
/// ```
pub(crate) const fn check_constants<S: Source>() {
    assert!(S::STEP_PAGES > 0, "STEP_PAGES is at least 1");
    assert!(
        S::STEP_PAGES < PAGES_ALL,
        "STEP_PAGES is less than all pages there can be"
    );
}

/// The pages of a memory that ends at `end`, 0 for all that there can be.
pub(crate) fn pages_until(end: usize) -> usize {
    (end.wrapping_sub(1) >> PAGE_SHIFT) + 1
}

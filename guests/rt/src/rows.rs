//! Each operation as an export, through which its bound is proved. The first of each group is the heap without a
//! wrapper, to compare with.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use alligator_alloc::{AlligatorAlloc, ReserveOnly, WasmMemory};
use alligator_rt::{Budget, Guard, Guarded, Limited, Watched, is_permitted, permit};

type Heap = AlligatorAlloc<Watched<WasmMemory>>;

const fn heap() -> Heap {
    AlligatorAlloc::with_source(Watched::new(WasmMemory::new()))
}

static BARE: AlligatorAlloc = AlligatorAlloc::new();
static WATCHED: Heap = heap();
static GUARDED: Guarded<Heap> = Guarded::new(heap());
static DEFERRING: Guarded<Heap, 64> = Guarded::new(heap());
static BUDGET: Budget<AlligatorAlloc> = Budget::new("rows", 1 << 20, AlligatorAlloc::new());
static RESERVED: Guarded<AlligatorAlloc<WasmMemory<ReserveOnly>>> =
    Guarded::new(AlligatorAlloc::new());
static LIMITED: Limited<AlligatorAlloc> = Limited::new(AlligatorAlloc::new());

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

static IS_PERMITTED: AtomicBool = AtomicBool::new(false);

/// What is done under the guard below, so that no store of it can be left out.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn inside() {
    IS_PERMITTED.store(is_permitted(), Relaxed);
}

/// Whether `inside` found itself permitted when it was called last.
#[unsafe(no_mangle)]
extern "C" fn was_permitted() -> bool {
    IS_PERMITTED.load(Relaxed)
}

/// A guard, with a call of `inside`.
#[unsafe(no_mangle)]
extern "C" fn guard() {
    let _entered = Guard::UNBOUNDED.null().mark(7).enter();
    inside();
}

/// Permission, with a call of `inside`.
#[unsafe(no_mangle)]
extern "C" fn permitted() {
    permit(|| inside());
}

/// At most eight blocks.
#[unsafe(no_mangle)]
extern "C" fn collect_8() -> usize {
    DEFERRING.collect(8)
}

macro_rules! rows {
    ($allocator:ident, $alloc:ident, $dealloc:ident, $realloc:ident, $alloc_zeroed:ident) => {
        /// # Safety
        /// As of `GlobalAlloc`.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $alloc(size: usize, align: usize) -> *mut u8 {
            // SAFETY: the caller's duty.
            unsafe { $allocator.alloc(Layout::from_size_align_unchecked(size, align)) }
        }

        /// # Safety
        /// As of `GlobalAlloc`.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $dealloc(block: *mut u8, size: usize, align: usize) {
            // SAFETY: the caller's duty.
            unsafe { $allocator.dealloc(block, Layout::from_size_align_unchecked(size, align)) }
        }

        /// # Safety
        /// As of `GlobalAlloc`.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $realloc(
            block: *mut u8,
            size: usize,
            align: usize,
            new_size: usize,
        ) -> *mut u8 {
            // SAFETY: the caller's duty.
            unsafe {
                let layout = Layout::from_size_align_unchecked(size, align);
                $allocator.realloc(block, layout, new_size)
            }
        }

        /// # Safety
        /// As of `GlobalAlloc`.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $alloc_zeroed(size: usize, align: usize) -> *mut u8 {
            // SAFETY: the caller's duty.
            unsafe { $allocator.alloc_zeroed(Layout::from_size_align_unchecked(size, align)) }
        }
    };
}

rows!(
    BARE,
    bare_alloc,
    bare_dealloc,
    bare_realloc,
    bare_alloc_zeroed
);
rows!(
    WATCHED,
    watched_alloc,
    watched_dealloc,
    watched_realloc,
    watched_alloc_zeroed
);
rows!(
    GUARDED,
    guarded_alloc,
    guarded_dealloc,
    guarded_realloc,
    guarded_alloc_zeroed
);
rows!(
    BUDGET,
    budget_alloc,
    budget_dealloc,
    budget_realloc,
    budget_alloc_zeroed
);
rows!(
    LIMITED,
    limited_alloc,
    limited_dealloc,
    limited_realloc,
    limited_alloc_zeroed
);

/// A free that may be put off.
///
/// # Safety
/// As of `GlobalAlloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn deferring_dealloc(block: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's duty.
    unsafe { DEFERRING.dealloc(block, Layout::from_size_align_unchecked(size, align)) }
}

/// A block of a heap that only `reserve` lets grow.
///
/// # Safety
/// As of `GlobalAlloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn reserved_alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { RESERVED.alloc(Layout::from_size_align_unchecked(size, align)) }
}

//! One allocator, and two statics beside its heap: what `cargo xtask attacks` attacks.
//!
//! The host plays the buggy program: it calls the functions below, writes into the memory where it should not,
//! and looks at what the allocator made of it. Nothing here keeps count of blocks, so nothing can be fooled.
#![no_std]

#[cfg(feature = "alligator-c")]
mod by_address;
#[cfg(feature = "weak")]
mod weak;

use core::alloc::{GlobalAlloc, Layout};

#[cfg(feature = "alligator")]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();
#[cfg(feature = "alligator-c")]
static ALLOCATOR: by_address::ByAddress = by_address::ByAddress;
#[cfg(feature = "dlmalloc")]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
#[cfg(feature = "rlsf")]
static ALLOCATOR: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();
#[cfg(feature = "talc")]
#[global_allocator] // The crate `alloc`, which talc links, demands one.
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
#[cfg(feature = "wasmalloc")]
static ALLOCATOR: wasmalloc::WasmAlloc = wasmalloc::WasmAlloc::new();
#[cfg(feature = "weak")]
static ALLOCATOR: weak::Weak = weak::Weak::new();

/// Bytes of a static that attack programs prepare: what looks like blocks, in memory that is not the heap's.
const TARGET_BYTES: usize = 1024;
/// Bytes of a static that no program writes to.
const VICTIM_BYTES: usize = 256;

#[repr(C, align(16))]
struct Static<const BYTES: usize>(core::cell::UnsafeCell<[u8; BYTES]>);

// SAFETY: the module has one thread, and only the host looks at it.
unsafe impl<const BYTES: usize> Sync for Static<BYTES> {}

static TARGET: Static<TARGET_BYTES> = Static(core::cell::UnsafeCell::new([0; TARGET_BYTES]));
static VICTIM: Static<VICTIM_BYTES> = Static(core::cell::UnsafeCell::new([0xA5; VICTIM_BYTES]));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

unsafe extern "C" {
    /// The first byte after the module's data and stack; the linker defines it.
    static __heap_base: u8;
}

/// Where the memory begins that allocators hand out: before it are the stack and all statics.
#[unsafe(no_mangle)]
pub extern "C" fn heap_base() -> usize {
    (&raw const __heap_base).addr()
}

/// Where the static of [`TARGET_BYTES`] is.
#[unsafe(no_mangle)]
pub extern "C" fn target_address() -> usize {
    TARGET.0.get().addr()
}

/// [`TARGET_BYTES`], for the host.
#[unsafe(no_mangle)]
pub extern "C" fn target_bytes() -> usize {
    TARGET_BYTES
}

/// Where the static of [`VICTIM_BYTES`] is.
#[unsafe(no_mangle)]
pub extern "C" fn victim_address() -> usize {
    VICTIM.0.get().addr()
}

/// [`VICTIM_BYTES`], for the host.
#[unsafe(no_mangle)]
pub extern "C" fn victim_bytes() -> usize {
    VICTIM_BYTES
}

/// # Safety
/// `align` is a power of two, and `size` rounded up to it is at most `isize::MAX`.
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: the caller's duty is the callee's.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// `size` bytes at a multiple of `align`, or null.
///
/// # Safety
/// `size` is not 0; `size` and `align` make a `Layout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty is the callees'.
    unsafe { ALLOCATOR.alloc(layout(size, align)) }
}

/// As [`op_alloc`], all zero.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's duty is the callees'.
    unsafe { ALLOCATOR.alloc_zeroed(layout(size, align)) }
}

/// Gives a block back.
///
/// # Safety
/// `size` and `align` make a `Layout`. Whether `pointer` is such a block is what the attack is about.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_dealloc(pointer: *mut u8, size: usize, align: usize) {
    // SAFETY: none. The host wants to know what happens.
    unsafe { ALLOCATOR.dealloc(pointer, layout(size, align)) }
}

/// Resizes a block.
///
/// # Safety
/// As for [`op_dealloc`]; `new` is not 0 and makes a `Layout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn op_realloc(
    pointer: *mut u8,
    size: usize,
    align: usize,
    new: usize,
) -> *mut u8 {
    // SAFETY: none. The host wants to know what happens.
    unsafe { ALLOCATOR.realloc(pointer, layout(size, align), new) }
}

//! The global allocator that the features choose, set up as its own documentation recommends for
//! single-threaded Wasm.

#[cfg(feature = "external-unit")]
#[global_allocator]
static ALLOCATOR: external::Alligator = external::Alligator;

#[cfg(feature = "external-new")]
#[global_allocator]
static ALLOCATOR: external::AlligatorAlloc = external::AlligatorAlloc::new();

#[cfg(feature = "talc")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(feature = "rlsf")]
#[global_allocator]
static ALLOCATOR: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();

#[cfg(feature = "dlmalloc")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(feature = "wasmalloc")]
#[global_allocator]
static ALLOCATOR: wasmalloc::WasmAlloc = wasmalloc::WasmAlloc::new();

#[cfg(feature = "lol_alloc")]
#[global_allocator]
static ALLOCATOR: lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator> =
    // SAFETY: the module has one thread.
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

#[cfg(feature = "control")]
mod control {
    use core::alloc::{GlobalAlloc, Layout};

    /// Owns nothing and gives everyone the same address.
    struct Control;

    const ADDRESS: *mut u8 = core::ptr::without_provenance_mut(64);

    // SAFETY: nothing reads or writes through what it returns.
    unsafe impl GlobalAlloc for Control {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            ADDRESS
        }
        unsafe fn alloc_zeroed(&self, _: Layout) -> *mut u8 {
            ADDRESS
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
        unsafe fn realloc(&self, ptr: *mut u8, _: Layout, _: usize) -> *mut u8 {
            ptr
        }
    }

    #[global_allocator]
    static ALLOCATOR: Control = Control;
}

//! The global allocator: Alligator or std's own, and around it, in the `trace` and `record` builds, a wrapper that tells
//! the host.

#[cfg(feature = "alligator")]
type Inner = alligator_alloc::AlligatorAlloc;

#[cfg(feature = "alligator")]
const fn inner() -> Inner {
    Inner::new()
}

#[cfg(not(feature = "alligator"))]
type Inner = std::alloc::System;

#[cfg(not(feature = "alligator"))]
const fn inner() -> Inner {
    std::alloc::System
}

#[cfg(not(any(feature = "trace", feature = "record")))]
#[global_allocator]
static HEAP: Inner = inner();

#[cfg(feature = "record")]
#[global_allocator]
static HEAP: recording::Recording<Inner> = recording::Recording(inner());

#[cfg(feature = "trace")]
#[global_allocator]
static HEAP: traced::Traced = traced::Traced;

/// The allocator itself, for the heap walk.
#[cfg(feature = "picture")]
pub fn allocator() -> &'static Inner {
    #[cfg(feature = "trace")]
    return &traced::ALLOCATOR;
    #[cfg(not(feature = "trace"))]
    return &HEAP;
}

#[cfg(feature = "record")]
#[path = "../../../lab/driver/recording.rs"]
mod recording;

#[cfg(feature = "trace")]
mod traced {
    use super::{Inner, inner};
    use core::alloc::{GlobalAlloc, Layout};

    pub static ALLOCATOR: Inner = inner();

    /// Calls the host before and after each call of the allocator; the host reads its instruction counter at both.
    pub struct Traced;

    // What a call is, as the host knows it.
    const NOTHING: u32 = 0;
    const ALLOC: u32 = 1;
    const DEALLOC: u32 = 2;
    const REALLOC: u32 = 3;

    #[link(wasm_import_module = "trace")]
    unsafe extern "C" {
        /// A call is about to begin: it gives back `old_bytes` and asks for `new_bytes`.
        safe fn enter(call: u32, old_bytes: usize, new_bytes: usize);
        /// The call has returned `address`.
        safe fn leave(address: *mut u8);
    }

    /// A pair of host calls with nothing between: the cost the host subtracts.
    #[unsafe(no_mangle)]
    pub extern "C" fn calibrate() {
        enter(NOTHING, 0, 0);
        leave(core::ptr::null_mut());
    }

    // The calls measured stay out of line for every allocator alike: a figure is one call, its arguments included.

    #[inline(never)]
    unsafe fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { ALLOCATOR.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        unsafe { ALLOCATOR.alloc_zeroed(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { ALLOCATOR.dealloc(block, layout) }
    }

    #[inline(never)]
    unsafe fn realloc(block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { ALLOCATOR.realloc(block, layout, new_bytes) }
    }

    // SAFETY: every method passes the caller's arguments and the allocator's answer on unchanged.
    unsafe impl GlobalAlloc for Traced {
        #[inline(never)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            enter(ALLOC, 0, layout.size());
            // SAFETY: passed on unchanged.
            let block = unsafe { alloc(layout) };
            leave(block);
            block
        }

        #[inline(never)]
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            enter(ALLOC, 0, layout.size());
            // SAFETY: passed on unchanged.
            let block = unsafe { alloc_zeroed(layout) };
            leave(block);
            block
        }

        #[inline(never)]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            enter(DEALLOC, layout.size(), 0);
            // SAFETY: passed on unchanged.
            unsafe { dealloc(block, layout) };
            leave(core::ptr::null_mut());
        }

        #[inline(never)]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
            enter(REALLOC, layout.size(), new_bytes);
            // SAFETY: passed on unchanged.
            let block = unsafe { realloc(block, layout, new_bytes) };
            leave(block);
            block
        }
    }
}

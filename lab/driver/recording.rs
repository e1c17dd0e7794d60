//! An allocator that tells the host what it does, and leaves the work to another. The host makes traces of what it is
//! told.

use core::alloc::{GlobalAlloc, Layout};

#[link(wasm_import_module = "trace")]
unsafe extern "C" {
    /// Tells of an operation that succeeded. 0: alloc of the block at `ptr`; 1: its dealloc;
    /// 2: realloc of the block at `old`, which is now at `ptr` with `size` bytes; 3: alloc_zeroed.
    safe fn record(operation: u32, ptr: *mut u8, size: usize, align: usize, old: *mut u8);
}

/// The allocator that does the work.
pub struct Recording<A>(pub A);

// SAFETY: all four functions are the other allocator's; telling the host touches no memory of ours.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Recording<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty is the callee's.
        let ptr = unsafe { self.0.alloc(layout) };
        told(0, ptr, layout, core::ptr::null_mut())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty is the callee's.
        let ptr = unsafe { self.0.alloc_zeroed(layout) };
        told(3, ptr, layout, core::ptr::null_mut())
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        told(1, ptr, layout, core::ptr::null_mut());
        // SAFETY: the caller's duty is the callee's.
        unsafe { self.0.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's duty is the callee's.
        let ptr = unsafe { self.0.realloc(old, layout, size) };
        // SAFETY: the caller's duty: `size` and the alignment make a layout.
        let layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        told(2, ptr, layout, old)
    }
}

/// Tells the host unless `ptr` is null, and returns it.
fn told(operation: u32, ptr: *mut u8, layout: Layout, old: *mut u8) -> *mut u8 {
    if !ptr.is_null() {
        record(operation, ptr, layout.size(), layout.align(), old);
    }
    ptr
}

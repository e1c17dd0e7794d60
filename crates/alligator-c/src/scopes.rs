//! Scopes for C: those of `alligator-rt`, over the one heap. In the C library they are an object of their own, which is
//! compiled without the feature `malloc`, and so without the heap.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::ptr::NonNull;

use alligator_rt::{Mark, Scope};

use crate::blocks::{ALIGN, layout, or_no_memory};
use crate::global::Alligator;

/// A part of the heap that is filled block by block and given back at once: memory for one frame of a game, or for
/// one request. It takes at most 24 chunks of the heap (56 where addresses have 64 bits), each longer than all
/// before it together. A scope is for one thread at a time.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "C's name")]
pub struct alligator_scope(Scope<'static, Alligator>);

/// A place in a scope, to go back to.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct alligator_mark {
    /// Only the functions here know what this means.
    pub parts: [usize; 3],
}

/// A scope that has taken nothing yet. It never holds more than `limit` bytes of the heap, what is unused in its
/// chunks included; 0 is no limit.
///
/// Returns NULL, and sets errno to ENOMEM, if there is no memory.
///
/// Time: as malloc.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_scope_new(limit: usize) -> *mut alligator_scope {
    let limit = if limit == 0 { usize::MAX } else { limit };
    // SAFETY: the layout is not empty.
    let block = NonNull::new(unsafe { Alligator.alloc(Layout::new::<alligator_scope>()) });
    let scope: *mut alligator_scope = or_no_memory(block).cast();
    if !scope.is_null() {
        // SAFETY: a new block of this layout.
        unsafe { scope.write(alligator_scope(Scope::with_limit(&Alligator, limit))) };
    }
    scope
}

/// Makes sure that blocks of `bytes` together, each rounded up to 16, need nothing more of the heap. What is reserved
/// before alligator_scope_mark stays when the scope is rewound.
///
/// Returns whether there was as much, within the scope's limit.
///
/// Time: as malloc, twice at most.
///
/// # Safety
///
/// `scope` is one of alligator_scope_new, and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_scope_reserve(
    scope: *const alligator_scope,
    bytes: usize,
) -> bool {
    // SAFETY: the caller's duty.
    unsafe { &(*scope).0 }.reserve(bytes)
}

/// A new block of `size` bytes in the scope, at a multiple of 16. It cannot be given back by itself: neither free nor
/// realloc may have it.
///
/// Returns NULL, and sets errno to ENOMEM, if there is no memory, or the scope's limit is reached.
///
/// Time: constant; some instructions as long as there is room in the scope's last chunk, else as malloc, twice at
/// most.
///
/// # Safety
///
/// As for [`alligator_scope_reserve`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_scope_alloc(
    scope: *mut alligator_scope,
    size: usize,
) -> *mut c_void {
    // SAFETY: the caller's duty.
    let scope = unsafe { &(*scope).0 };
    or_no_memory(layout(size, ALIGN).and_then(|layout| scope.alloc_layout(layout)))
}

/// Writes to `*mark` where the scope is now.
///
/// Time: constant.
///
/// # Safety
///
/// As for [`alligator_scope_reserve`]; `*mark` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_scope_mark(
    scope: *const alligator_scope,
    mark: *mut alligator_mark,
) {
    // SAFETY: the caller's duty.
    let parts = unsafe { &(*scope).0 }.mark().to_parts();
    // SAFETY: the caller's duty.
    unsafe { mark.write(alligator_mark { parts }) };
}

/// Gives back all blocks that are newer than `*mark`, and the chunks that have come since. A mark from before the last
/// reset, or of another scope, does no harm to the heap, but older blocks may be lost, too.
///
/// Time: constant, a free for each chunk.
///
/// # Safety
///
/// As for [`alligator_scope_reserve`]; `*mark` can be read. Nobody uses the blocks any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_scope_rewind(
    scope: *mut alligator_scope,
    mark: *const alligator_mark,
) {
    // SAFETY: the caller's duty.
    let mark = Mark::from_parts(unsafe { (*mark).parts });
    // SAFETY: the caller's duty.
    unsafe { &mut (*scope).0 }.rewind(mark);
}

/// Gives back all blocks of the scope, and its chunks to the heap. The scope can be filled anew.
///
/// Time: constant, a free for each chunk.
///
/// # Safety
///
/// As for [`alligator_scope_reserve`]. Nobody uses the blocks any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_scope_reset(scope: *mut alligator_scope) {
    // SAFETY: the caller's duty.
    unsafe { &mut (*scope).0 }.reset();
}

/// Gives back the scope, with all blocks in it. NULL is no scope, and is left alone.
///
/// Time: constant, a free for each chunk and one for the scope.
///
/// # Safety
///
/// As for [`alligator_scope_reset`], or `scope` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alligator_scope_free(scope: *mut alligator_scope) {
    if scope.is_null() {
        return;
    }
    // SAFETY: the caller's duty; it is not used after this.
    unsafe { scope.drop_in_place() };
    // SAFETY: `alligator_scope_new` has allocated it with this layout.
    unsafe { Alligator.dealloc(scope.cast(), Layout::new::<alligator_scope>()) };
}

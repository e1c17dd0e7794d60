//! Blocks that were given back under a guard, and wait to be given back to their heap.
//!
//! The list is in the blocks themselves: its link and the block's layout stand in its first bytes.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

/// What is written into a block that waits. It may be unaligned there.
#[derive(Clone, Copy)]
struct Node {
    next: *mut u8,
    layout: Layout,
}

/// The bytes that a block needs to be on the list: 12 on 32 bits.
pub(crate) const BYTES_MIN: usize = size_of::<Node>();

struct List {
    first: *mut u8,
    length: usize,
}

/// A list of blocks. Nobody waits for it: who finds another thread at it goes without.
pub(crate) struct Deferred {
    is_busy: AtomicBool,
    list: UnsafeCell<List>,
}

// SAFETY: the list is only reached by who has set the flag; the blocks on it are nobody else's.
unsafe impl Send for Deferred {}
// SAFETY: as above.
unsafe impl Sync for Deferred {}

impl Deferred {
    pub(crate) const fn new() -> Self {
        Self {
            is_busy: AtomicBool::new(false),
            list: UnsafeCell::new(List {
                first: ptr::null_mut(),
                length: 0,
            }),
        }
    }

    /// Puts a block on the list, unless it is too short or `most` are there. *Time:* constant.
    ///
    /// # Safety
    ///
    /// The block at `pointer` has this layout, and is the list's from now on, if this is true.
    pub(crate) unsafe fn put(&self, pointer: *mut u8, layout: Layout, most: usize) -> bool {
        if layout.size() < BYTES_MIN {
            return false;
        }
        self.with(|list| {
            if list.length >= most {
                return false;
            }
            let node = Node {
                next: list.first,
                layout,
            };
            // SAFETY: the block is long enough and, as the caller says, nobody's.
            unsafe { pointer.cast::<Node>().write_unaligned(node) };
            list.first = pointer;
            list.length += 1;
            true
        })
        .unwrap_or(false)
    }

    /// Takes a block off the list: the one that was put there last. *Time:* constant.
    pub(crate) fn take(&self) -> Option<(*mut u8, Layout)> {
        self.with(|list| {
            let pointer = list.first;
            if pointer.is_null() {
                return None;
            }
            // SAFETY: `put` has written it, and nobody has had the block since.
            let node = unsafe { pointer.cast::<Node>().read_unaligned() };
            list.first = node.next;
            list.length -= 1;
            Some((pointer, node.layout))
        })
        .flatten()
    }

    /// How many blocks wait; 0 if another thread is at the list. *Time:* constant.
    pub(crate) fn length(&self) -> usize {
        self.with(|list| list.length).unwrap_or(0)
    }

    #[inline(always)]
    fn with<R>(&self, action: impl FnOnce(&mut List) -> R) -> Option<R> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was open, and is ours until the store below; `action` does not come back here.
        let result = action(unsafe { &mut *self.list.get() });
        self.is_busy.store(false, Ordering::Release);
        Some(result)
    }
}

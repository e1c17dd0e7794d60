//! Operations of a scope, and with the feature `bumpalo` of a `Bump`, each an export: the host counts. Both take their
//! chunks from one heap, which has been reserved.
#![no_std]

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::null_mut;

use alligator_alloc::AlligatorAlloc;
use alligator_rt::{Mark, Scope};
use allocator_api2::vec::Vec;

#[global_allocator]
static HEAP: AlligatorAlloc = AlligatorAlloc::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What only the one thread of this module reaches.
struct Single<T>(UnsafeCell<T>);

// SAFETY: the module's memory is not shared.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// # Safety
    /// Nobody has the other reference any more.
    #[expect(clippy::mut_from_ref, reason = "the caller's duty")]
    unsafe fn get(&self) -> &mut T {
        // SAFETY: the caller's duty.
        unsafe { &mut *self.0.get() }
    }
}

/// What is copied from.
static TEXT: [u8; 4096] = [b'a'; 4096];

static SCOPE: Single<Scope<'static, AlligatorAlloc>> = Single::new(Scope::new(&HEAP));
static START: Single<Option<Mark>> = Single::new(None);

/// Takes in memory, so that nothing measured grows it.
#[unsafe(no_mangle)]
extern "C" fn reserve(bytes: usize) -> bool {
    HEAP.reserve(bytes)
}

fn or_null<T: ?Sized>(value: Option<&mut T>) -> *mut u8 {
    value.map_or(null_mut(), |value| (&raw mut *value).cast())
}

/// `size` and `align` make a `Layout`.
fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: the host's duty.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// The operations of an arena, under names that begin with its own: `$get` is a `&'static` to it.
macro_rules! operations {
    ($get:expr; $small:ident $big:ident $layout:ident $text:ident $vector:ident; $alloc:expr, $raw:expr, $slice:expr) => {
        /// bumpalo's benchmark `allocate-small`: a byte.
        #[unsafe(no_mangle)]
        extern "C" fn $small() -> *mut u8 {
            $alloc($get, 1_u8)
        }

        /// bumpalo's benchmark `allocate-big`: 32 words.
        #[unsafe(no_mangle)]
        extern "C" fn $big() -> *mut u8 {
            $alloc($get, [0_usize; 32])
        }

        /// A layout that only the host knows.
        #[unsafe(no_mangle)]
        extern "C" fn $layout(size: usize, align: usize) -> *mut u8 {
            $raw($get, layout(size, align))
        }

        /// A text of so many bytes.
        #[unsafe(no_mangle)]
        extern "C" fn $text(bytes: usize) -> *mut u8 {
            $slice($get, TEXT.get(..bytes).unwrap_or_default())
        }

        /// A vector that grows number by number.
        #[unsafe(no_mangle)]
        extern "C" fn $vector(count: u32) -> u32 {
            let mut numbers = Vec::new_in($get);
            for number in 0..count {
                numbers.push(number);
            }
            numbers.iter().sum()
        }
    };
}

operations!(
    // SAFETY: exports return before the next one is called, and no reference is kept.
    &*unsafe { SCOPE.get() };
    scope_small scope_big scope_layout scope_text scope_vector;
    |scope: &'static Scope<'static, AlligatorAlloc>, value| or_null(alloc(scope, value)),
    |scope: &'static Scope<'static, AlligatorAlloc>, layout| {
        scope.alloc_layout(layout).map_or(null_mut(), |block| block.as_ptr())
    },
    |scope: &'static Scope<'static, AlligatorAlloc>, bytes| or_null(scope.alloc_slice(bytes))
);

#[inline(always)]
fn alloc<T>(scope: &'static Scope<'static, AlligatorAlloc>, value: T) -> Option<&'static mut T> {
    scope.alloc(value)
}

/// Gives all back.
#[unsafe(no_mangle)]
extern "C" fn scope_reset() {
    // SAFETY: no reference is kept from one call to the next.
    unsafe { SCOPE.get() }.reset();
}

/// Reserves, and marks what `scope_rewind` keeps.
#[unsafe(no_mangle)]
extern "C" fn scope_start(bytes: usize) -> bool {
    // SAFETY: as above.
    let scope = unsafe { SCOPE.get() };
    let is_there = scope.reserve(bytes);
    // SAFETY: as above.
    *unsafe { START.get() } = Some(scope.mark());
    is_there
}

/// Goes back to what was reserved.
#[unsafe(no_mangle)]
extern "C" fn scope_rewind() {
    // SAFETY: as above.
    if let Some(mark) = unsafe { START.get() } {
        // SAFETY: as above.
        unsafe { SCOPE.get() }.rewind(*mark);
    }
}

/// Gives back all but the first chunk.
#[unsafe(no_mangle)]
extern "C" fn scope_restart() {
    // SAFETY: as above.
    unsafe { SCOPE.get() }.restart();
}

/// Bytes that the scope has of the heap.
#[unsafe(no_mangle)]
extern "C" fn scope_held() -> usize {
    // SAFETY: as above.
    unsafe { SCOPE.get() }.held_bytes()
}

#[cfg(feature = "bumpalo")]
mod peer {
    use bumpalo::Bump;

    use super::*;

    static BUMP: Single<Option<Bump>> = Single::new(None);

    /// The arena, which `bump_start` has made.
    #[inline(always)]
    fn get() -> &'static Bump {
        // SAFETY: exports return before the next one is called, and no reference is kept.
        let bump = unsafe { BUMP.get() };
        // SAFETY: the host calls `bump_start` first. Without this, each call would look.
        unsafe { bump.as_ref().unwrap_unchecked() }
    }

    operations!(
        get();
        bump_small bump_big bump_layout bump_text bump_vector;
        |bump: &'static Bump, value| or_null(bump.try_alloc(value).ok()),
        |bump: &'static Bump, layout| {
            bump.try_alloc_layout(layout).map_or(null_mut(), |block| block.as_ptr())
        },
        |bump: &'static Bump, bytes| or_null(bump.try_alloc_slice_copy(bytes).ok())
    );

    /// A new arena that has so many bytes.
    #[unsafe(no_mangle)]
    extern "C" fn bump_start(bytes: usize) -> bool {
        // SAFETY: no reference is kept from one call to the next.
        let bump = unsafe { BUMP.get() };
        *bump = Bump::try_with_capacity(bytes).ok();
        bump.is_some()
    }

    /// Gives all back but the last chunk.
    #[unsafe(no_mangle)]
    extern "C" fn bump_reset() {
        // SAFETY: as above.
        if let Some(bump) = unsafe { BUMP.get() } {
            bump.reset();
        }
    }

    /// Gives all back: the arena is dropped, and a new one made, without memory.
    #[unsafe(no_mangle)]
    extern "C" fn bump_drop() {
        // SAFETY: as above.
        *unsafe { BUMP.get() } = Some(Bump::new());
    }

    /// Bytes that the arena has of the heap.
    #[unsafe(no_mangle)]
    extern "C" fn bump_held() -> usize {
        get().allocated_bytes_including_metadata()
    }
}

//! The contract kit inside a module, on the allocator that a feature chooses. All of it is in statics: the
//! program asks nothing of the allocator but what the clauses ask.
#![no_std]

use core::arch::wasm32::{memory_grow, memory_size};
use core::fmt::Write;
use core::ops::Range;

use alligator_contract::{Block, CLAUSES, Unsound, Verdict, World};

#[cfg(feature = "alligator")]
type Inner = alligator_alloc::AlligatorAlloc;
#[cfg(feature = "alligator")]
const INNER: Inner = alligator_alloc::AlligatorAlloc::new();
#[cfg(feature = "dlmalloc")]
type Inner = dlmalloc::GlobalDlmalloc;
#[cfg(feature = "dlmalloc")]
const INNER: Inner = dlmalloc::GlobalDlmalloc;
#[cfg(feature = "talc")]
type Inner = talc::wasm::WasmDynamicTalc;
#[cfg(feature = "talc")]
const INNER: Inner = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(not(feature = "rt"))]
#[global_allocator]
static ALLOCATOR: Inner = INNER;

#[cfg(feature = "rt")]
mod wrapped {
    use alligator_rt::{Budget, Guarded, Limited};

    pub type Wrapped = Guarded<Limited<Budget<super::Inner>>, 64>;

    #[global_allocator]
    pub static ALLOCATOR: Wrapped =
        Guarded::new(Limited::new(Budget::new("all", usize::MAX, super::INNER)));

    /// Events are counted, frees put off; soft limits are crossed now and then.
    pub fn enter() {
        ALLOCATOR.inner().set_soft(100_000, 50_000);
        ALLOCATOR.inner().on_soft(|_| {});
        let guard = alligator_rt::Guard::CALLS.or(alligator_rt::Guard::FREE.null());
        core::mem::forget(guard.enter());
    }
}
#[cfg(feature = "rt")]
use wrapped::ALLOCATOR;

const PAGE_BYTES: usize = 65_536;

/// Places for blocks: clauses that fill a memory of some megabytes need most of them.
static mut STORAGE: [Block; 1 << 15] = [Block::NONE; 1 << 15];

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Shows a message.
    fn say(bytes: *const u8, length: usize);
}

unsafe extern "C" {
    static __heap_base: u8;
    static __heap_end: u8;
}

/// A text that is written into a static buffer.
struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let place = self.bytes.get_mut(self.length..self.length + text.len());
        place
            .ok_or(core::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// Tells the host; what is too long is cut off.
fn tell(message: &dyn core::fmt::Display) {
    let mut text = Text {
        bytes: [0; 512],
        length: 0,
    };
    let _ = write!(text, "{message}");
    // SAFETY: the text is as long as that.
    unsafe { say(text.bytes.as_ptr(), text.length) };
}

#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    tell(panic);
    core::arch::wasm32::unreachable()
}

/// This module's memory, which the host limits to so many pages.
struct Memory {
    pages_max: usize,
}

impl World for Memory {
    fn check(&self) -> Result<(), Unsound> {
        #[cfg(all(feature = "alligator", feature = "check"))]
        ALLOCATOR.check().map_err(|violation| {
            tell(&violation);
            Unsound {
                invariant: "see the line before",
                address: violation.address,
            }
        })?;
        Ok(())
    }

    fn room_bytes(&self) -> usize {
        // What the program's data takes is not the allocator's.
        self.pages_max * (PAGE_BYTES / 64 * 63)
    }

    fn last_byte(&self) -> Option<usize> {
        Some((self.pages_max - 1) * PAGE_BYTES + (PAGE_BYTES - 1))
    }

    fn initial_tail(&self) -> Range<usize> {
        // Of the three only Alligator promises to use it.
        if cfg!(not(feature = "alligator")) {
            return 0..0;
        }
        (&raw const __heap_base).addr()..(&raw const __heap_end).addr()
    }

    fn grow_by_somebody_else(&self, pages: usize) -> Option<*mut u8> {
        if memory_size::<0>() + pages > self.pages_max {
            return None;
        }
        let first = memory_grow::<0>(pages);
        (first != usize::MAX).then(|| core::ptr::with_exposed_provenance_mut(first * PAGE_BYTES))
    }
}

/// Tells the host the name of clause number `index`; 1 if there is one.
#[unsafe(no_mangle)]
extern "C" fn name(index: usize) -> u32 {
    let Some(clause) = CLAUSES.get(index) else {
        return 0;
    };
    tell(&clause.name);
    1
}

/// Runs clause number `index` in a memory that can have `pages_max` pages: 0 if it is kept, 1 if it does not
/// apply, 2 if it is broken; then the host has been told how.
#[unsafe(no_mangle)]
extern "C" fn run(index: usize, pages_max: usize) -> u32 {
    // SAFETY: the only reference to it; the host calls once.
    let storage = unsafe { &mut *(&raw mut STORAGE) };
    #[cfg(feature = "rt")]
    wrapped::enter();
    let outcome = CLAUSES[index].run(&ALLOCATOR, &Memory { pages_max }, storage);
    match outcome {
        Ok(Verdict::Kept) => 0,
        Ok(Verdict::DoesNotApply) => 1,
        Err(failure) => {
            tell(&failure);
            2
        }
    }
}

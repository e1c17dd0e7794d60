//! The model's programs on the global heap of this module, and a hash of all that can be seen of them.

use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::ptr::NonNull;
use std::arch::wasm32::{memory_grow, memory_size};

use alligator_alloc::{AlligatorAlloc, PAGE_BYTES};
use alligator_model::{MIXES, Machine, Program, Subject, slots_of, steps_of};

#[global_allocator]
static ALLOCATOR: AlligatorAlloc = AlligatorAlloc::new();

/// Steps of a program of small blocks.
const STEPS: usize = 300_000;

/// Pages that the model can tell apart.
const PAGES_MAX: usize = 2048;

/// Somebody else grows the memory up to so many pages.
const OTHERS_PAGES_MAX: usize = 512;

/// The heap of this module. The model's own tables are in it, too.
struct Global;

impl Subject for Global {
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no program asks for zero bytes.
        NonNull::new(unsafe { ALLOCATOR.alloc(layout) })
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: as above.
        NonNull::new(unsafe { ALLOCATOR.alloc_zeroed(layout) })
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { ALLOCATOR.dealloc(block.as_ptr(), layout) };
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's duty.
        NonNull::new(unsafe { ALLOCATOR.realloc(block.as_ptr(), layout, new_size) })
    }

    fn reserve(&mut self, bytes: usize) {
        let _ = ALLOCATOR.reserve(bytes);
    }

    fn grow_by_somebody_else(&mut self, pages: usize) {
        if memory_size::<0>() < OTHERS_PAGES_MAX {
            memory_grow::<0>(pages);
        }
    }

    /// The memory's limit is the engine's.
    fn limit(&mut self, _pages: usize) {}

    fn range(&self) -> Range<usize> {
        0..PAGES_MAX * PAGE_BYTES
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn require_empty(&self) -> Result<(), String> {
        Ok(())
    }
}

fn mixed(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

/// The hash of all memory from the module's data on: data, stack, blocks and the heap's own headers.
fn hash_of_memory() -> u64 {
    let words = memory_size::<0>() * (PAGE_BYTES / 8);
    let read = |index| {
        let word = core::ptr::with_exposed_provenance::<u64>(index * 8);
        // SAFETY: a word of this module's memory, all of which is initialised.
        unsafe { word.read_volatile() }
    };
    // The first 1024 bytes are nobody's.
    (128..words).map(read).fold(words as u64, mixed)
}

/// Runs program `number / 2`: the lower half of its hash if `number` is even, the upper one if it is odd. Traps if
/// the heap does not do what it owes, and returns 0 if there is no such program. To be called in a fresh instance.
#[unsafe(no_mangle)]
extern "C" fn program(number: u32) -> u32 {
    let Some(&mix) = MIXES.get(number as usize / 2) else {
        return 0;
    };
    let mut machine = Machine::new(Global, slots_of(mix));
    for step in Program::new(u64::from(number / 2), mix).take(steps_of(mix, STEPS)) {
        machine.step(step).expect("the heap does what it owes");
    }
    let hash = mixed(machine.tally().hash, hash_of_memory());
    machine.free_all().expect("the heap does what it owes");
    let hash = mixed(hash, hash_of_memory());
    (if number % 2 == 0 { hash } else { hash >> 32 }) as u32
}

/// Programs there are.
#[unsafe(no_mangle)]
extern "C" fn programs() -> u32 {
    MIXES.len() as u32
}

//! A program whose whole heap is a fixed piece of memory, as on a device without an operating system: what
//! does not fit fails at once, and the rest goes on.
//!
//! ```text
//! cargo run -p alligator-alloc --release --example arena
//! ```

use core::alloc::Layout;
use core::mem::MaybeUninit;

use alligator_alloc::{Arena, Heap};

/// The heap's memory: in bss, so it takes no room in the executable.
static mut MEMORY: [MaybeUninit<u8>; 256 * 1024] = [MaybeUninit::uninit(); 256 * 1024];

/// Allocates blocks of `layout` until the heap is full, gives them back, and returns how many there were.
fn fill(heap: &mut Heap<Arena>, layout: Layout) -> usize {
    let mut blocks = Vec::new();
    while let Some(block) = heap.allocate(layout) {
        blocks.push(block);
    }
    let count = blocks.len();
    for block in blocks {
        // SAFETY: `allocate` gave it for this layout, and it is given back once.
        unsafe { heap.deallocate(block, layout) };
    }
    count
}

fn main() {
    let memory = &raw mut MEMORY;
    // SAFETY: `main` runs once and nobody else names MEMORY.
    let memory = unsafe { &mut *memory };
    let mut heap = Heap::new(Arena::new(memory));
    // Memory that one size has used serves all others. The last line is a little below the first, since a few
    // freed blocks of each size are kept for the next request.
    for size in [24, 100, 1000, 10_000, 100_000, 24] {
        let layout = Layout::from_size_align(size, 8).expect("8 is a power of two");
        println!("{:5} blocks of {size:6} bytes", fill(&mut heap, layout));
    }
}

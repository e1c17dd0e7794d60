//! Prints how long its environment is. With the feature `value`, it has a heap as a value besides.

#[cfg(feature = "rust-heap")]
#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

#[cfg(feature = "c-heap")]
#[global_allocator]
static ALLOCATOR: alligator_c::Alligator = alligator_c::Alligator;

#[cfg(feature = "value")]
fn use_a_heap() {
    use alligator_alloc::{Arena, Heap};
    use core::alloc::Layout;
    use core::mem::MaybeUninit;

    let memory = vec![MaybeUninit::uninit(); 1 << 20].leak();
    let mut heap = Heap::new(Arena::new(memory));
    let layout = Layout::new::<[u64; 100]>();
    let block = heap.allocate(layout).expect("a megabyte is enough");
    // SAFETY: the block is of this heap and this layout.
    unsafe { heap.deallocate(block, layout) };
}

fn main() {
    #[cfg(feature = "value")]
    use_a_heap();
    let variables = std::env::vars();
    let bytes: usize = variables
        .map(|(name, value)| name.len() + value.len())
        .sum();
    println!("{bytes} bytes of environment");
}

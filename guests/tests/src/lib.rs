//! One test per export, each run in a module of its own. A failed one traps, and has told the host why.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::sync::atomic::{AtomicUsize, Ordering};

use alligator_alloc::{AlligatorAlloc, Growth, PAGE_BYTES, ReserveOnly, WasmMemory};

#[global_allocator]
static ALLOC: AlligatorAlloc = AlligatorAlloc::new();

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Shows a message.
    fn say(bytes: *const u8, length: usize);
    /// Lets the host grow the memory by so many pages.
    fn grow(pages: usize);
}

unsafe extern "C" {
    static __heap_base: u8;
}

/// Makes a failed assertion tell the host.
fn prepare() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        // SAFETY: the text is as long as that.
        unsafe { say(text.as_ptr(), text.len()) };
    }));
}

fn assert_sound() {
    assert_eq!(ALLOC.check(), Ok(()));
}

/// The end of the memory, as the heap grew it or somebody else did.
fn end() -> usize {
    memory_size::<0>().wrapping_mul(PAGE_BYTES)
}

#[unsafe(no_mangle)]
extern "C" fn test_the_spare_tail_of_the_initial_memory_is_used() {
    prepare();
    let heap_base = (&raw const __heap_base).addr();
    let initial_end = end();
    let mut blocks = Vec::new();
    while end() < initial_end + PAGE_BYTES * 4 {
        blocks.push(Box::new([7_u8; 3_000]));
    }
    let inside =
        |block: &Box<[u8; 3_000]>| (heap_base..initial_end).contains(&block.as_ptr().addr());
    let used = blocks.iter().filter(|block| inside(block)).count() * 3_072;
    let tail = initial_end - heap_base;
    assert!(used + 24_000 > tail, "{used} of {tail} bytes are used");
    assert_sound();
}

/// Blocks of many sizes, some of which are always in use, with the bytes they must have.
struct Churn {
    blocks: Vec<Vec<u8>>,
    turn: usize,
}

impl Churn {
    fn step(&mut self) {
        self.turn += 1;
        let mark = self.turn.to_le_bytes()[0];
        let size = (self.turn * 7_919) % if self.turn % 9 == 0 { 200_000 } else { 3_000 } + 1;
        self.blocks.push(vec![mark; size]);
        if self.blocks.len() > 60 {
            let index = self.turn * 31 % self.blocks.len();
            let block = self.blocks.swap_remove(index);
            assert!(
                block.iter().all(|&byte| byte == block[0]),
                "a block is damaged"
            );
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn test_the_host_may_grow_the_memory_between_ours() {
    prepare();
    let mut churn = Churn {
        blocks: Vec::new(),
        turn: 0,
    };
    for turn in 0..400 {
        churn.step();
        if turn % 3 == 0 {
            // SAFETY: the host only grows the memory.
            unsafe { grow(turn % 7) };
        }
        assert_sound();
    }
}

#[unsafe(no_mangle)]
extern "C" fn test_fresh_pages_are_known_to_be_zero_and_used_ones_not() {
    prepare();
    for size in [100, 5_000, 70_000, 300_000] {
        for _ in 0..20 {
            let mut zeroed = vec![0_u8; size];
            assert!(
                zeroed.iter().all(|&byte| byte == 0),
                "{size} bytes are not zero"
            );
            zeroed.fill(0xEE);
        }
    }
    assert_sound();
}

/// A heap of its own beside the global one; the initial memory is the global one's.
struct Limited;

static GROWN_PAGES: AtomicUsize = AtomicUsize::new(0);

impl Growth for Limited {
    const STEP_PAGES: usize = 4;
    const PAGES_MAX: usize = 60;
    const USE_INITIAL_MEMORY: bool = false;

    fn after_growth(pages: usize) {
        GROWN_PAGES.store(pages, Ordering::Relaxed);
    }
}

#[unsafe(no_mangle)]
extern "C" fn test_no_growth_exceeds_the_limit_and_each_is_told() {
    prepare();
    static LIMITED: AlligatorAlloc<WasmMemory<Limited>> = AlligatorAlloc::new();
    let layout = Layout::new::<[u8; 9_000]>();
    let before = memory_size::<0>();
    let mut blocks = 0;
    // SAFETY: the layout is longer than zero bytes.
    while !unsafe { LIMITED.alloc(layout) }.is_null() {
        blocks += 1;
        assert_eq!(GROWN_PAGES.load(Ordering::Relaxed), memory_size::<0>());
        assert_eq!(LIMITED.check(), Ok(()));
    }
    assert!(blocks > (60 - before) * 4, "{blocks} blocks only");
    assert!(memory_size::<0>() <= 60);
    assert!(memory_size::<0>() + 2 >= 60, "{} pages", memory_size::<0>());
}

/// Grows only when told.
struct Reserved;

impl Growth for Reserved {
    const ON_DEMAND: bool = ReserveOnly::ON_DEMAND;
    const USE_INITIAL_MEMORY: bool = false;
}

#[unsafe(no_mangle)]
extern "C" fn test_only_reserve_grows_where_growth_is_not_on_demand() {
    prepare();
    static RESERVED: AlligatorAlloc<WasmMemory<Reserved>> = AlligatorAlloc::new();
    let layout = Layout::new::<[u8; 50_000]>();
    let before = memory_size::<0>();
    // SAFETY: the layout is longer than zero bytes.
    assert!(unsafe { RESERVED.alloc(layout) }.is_null());
    assert_eq!(memory_size::<0>(), before);
    assert!(RESERVED.reserve(50_000));
    let reserved = memory_size::<0>();
    // SAFETY: the layout is longer than zero bytes.
    assert!(!unsafe { RESERVED.alloc(layout) }.is_null());
    assert_eq!(memory_size::<0>(), reserved);
    assert_eq!(RESERVED.check(), Ok(()));
}

/// Allocates `size` until null; returns the address after the highest block.
fn fill_up(size: usize) -> usize {
    let layout = Layout::from_size_align(size, 8).expect("a layout");
    let mut highest = 0;
    loop {
        // SAFETY: the size is not zero.
        let block = unsafe { ALLOC.alloc(layout) };
        if block.is_null() {
            return highest;
        }
        // SAFETY: the block is as long as that.
        unsafe { block.add(size - 1).write(0xAB) };
        // SAFETY: as above.
        unsafe { block.write(0xCD) };
        highest = highest.max(block.addr() + (size - 1));
    }
}

#[unsafe(no_mangle)]
extern "C" fn test_the_memory_is_used_up_to_the_last_page_below_four_gibibytes() {
    prepare();
    let kept = vec![1_u8; 1_000];
    let left = 65_536 - memory_size::<0>();
    assert_ne!(memory_grow::<0>(left - 4_000), usize::MAX);
    let mut highest = 0;
    for size in [60_000_000, 3_000_000, 200_000, 30_000, 2_000, 100] {
        highest = highest.max(fill_up(size));
        assert_sound();
    }
    assert_eq!(memory_size::<0>(), 65_536);
    // At the end lie the records, of somebody else's pages, too: a KiB and 24 bytes for each KiB.
    let unused = usize::MAX - highest;
    assert!(unused < 24 * (4 << 20) + 4 * 1_024, "{unused} bytes are unused at the end");
    assert!(kept.iter().all(|&byte| byte == 1));
    drop(kept);
    assert_sound();
}

#[unsafe(no_mangle)]
extern "C" fn test_blocks_of_half_the_address_space_are_served() {
    prepare();
    let size = isize::MAX.unsigned_abs() - 2 * PAGE_BYTES;
    let layout = Layout::from_size_align(size, 8).expect("a layout");
    // SAFETY: the size is not zero.
    let block = unsafe { ALLOC.alloc_zeroed(layout) };
    assert!(!block.is_null());
    assert_sound();
    // SAFETY: the size is not zero.
    assert!(unsafe { ALLOC.alloc(layout) }.is_null());
    // SAFETY: the allocator gave it for this layout.
    let smaller = unsafe { ALLOC.realloc(block, layout, size / 2) };
    assert_eq!(smaller, block);
    let rest = Layout::from_size_align(size / 2, 8).expect("a layout");
    // SAFETY: the allocator gave it for this layout now.
    unsafe { ALLOC.dealloc(smaller, rest) };
    assert_sound();
    // SAFETY: the size is not zero.
    let again = unsafe { ALLOC.alloc(layout) };
    // The same memory but for less than a page: a long block takes the upper end of what is free.
    assert!(again >= block && again.addr() - block.addr() < PAGE_BYTES);
    assert_sound();
}

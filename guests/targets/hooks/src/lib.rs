//! Growth hooks that allocate, in the program's own heap.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, RefCell};

use alligator_alloc::{AlligatorAlloc, Growth, WasmMemory};

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Tells the host, which calls `make`.
    safe fn grown(pages: usize);
}

/// What the hook does.
#[derive(Clone, Copy, PartialEq)]
enum Hook {
    Nothing,
    /// Makes a text and keeps it.
    Keeps,
    /// Makes something, and never while it is at it.
    KeepsOnce,
    /// Makes something and gives back what it made before.
    Replaces,
    /// Needs more memory than there is, each time.
    IsGreedy,
    /// Reserves memory, each time.
    Reserves,
    /// Tells the host, which makes blocks.
    TellsTheHost,
}

const HOOKS: [Hook; 7] = [
    Hook::Nothing,
    Hook::Keeps,
    Hook::KeepsOnce,
    Hook::Replaces,
    Hook::IsGreedy,
    Hook::Reserves,
    Hook::TellsTheHost,
];

thread_local! {
    static HOOK: Cell<Hook> = const { Cell::new(Hook::Nothing) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static DEPTH_MAX: Cell<u32> = const { Cell::new(0) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static TOLD_PAGES: Cell<usize> = const { Cell::new(0) };
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// What each byte has that a hook has made.
const MARK: u8 = 0x5A;

struct Told;

impl Growth for Told {
    fn after_growth(pages: usize) {
        let depth = DEPTH.get() + 1;
        DEPTH.set(depth);
        DEPTH_MAX.set(DEPTH_MAX.get().max(depth));
        CALLS.set(CALLS.get() + 1);
        TOLD_PAGES.set(pages);
        act(HOOK.get(), pages);
        DEPTH.set(depth - 1);
    }
}

fn act(hook: Hook, pages: usize) {
    match hook {
        Hook::Nothing => {}
        Hook::Keeps => keep(format!("{pages} pages").len()),
        Hook::KeepsOnce => {
            HOOK.set(Hook::Nothing);
            keep(40 + pages % 3000);
            HOOK.set(hook);
        }
        Hook::Replaces => {
            keep(1 + pages * 31 % 9000);
            KEPT.with(|kept| {
                if let Ok(mut kept) = kept.try_borrow_mut() {
                    let index = pages % kept.len();
                    kept.swap_remove(index).resize(20_000, MARK);
                }
            });
        }
        Hook::IsGreedy => keep(100_000),
        Hook::Reserves => {
            let _ = ALLOCATOR.reserve(200_000);
        }
        Hook::TellsTheHost => grown(pages),
    }
}

/// Makes a block and keeps it; within itself it makes one and gives it back.
fn keep(size: usize) {
    let block = vec![MARK; size];
    KEPT.with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            kept.push(block);
        }
    });
}

#[global_allocator]
static ALLOCATOR: AlligatorAlloc<WasmMemory<Told>> = AlligatorAlloc::new();

/// The host's block of so many bytes, all of them `MARK`; null if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn make(size: usize) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(size.max(1), 8) else {
        return core::ptr::null_mut();
    };
    // SAFETY: the size is not zero.
    let block = unsafe { ALLOCATOR.alloc(layout) };
    if !block.is_null() {
        // SAFETY: the block is as long as that.
        unsafe { block.write_bytes(MARK, size) };
    }
    block
}

/// Has the hook do the `number`th thing from now on.
#[unsafe(no_mangle)]
pub extern "C" fn hook(number: usize) {
    HOOK.set(HOOKS[number]);
}

/// Blocks with other contents than were written to them, the hooks' too.
fn wrong(blocks: &[(u8, Vec<u8>)]) -> u32 {
    HOOK.set(Hook::Nothing);
    let is_wrong = |(mark, block): &&(u8, Vec<u8>)| block.iter().any(|byte| byte != mark);
    let blocks = blocks.iter().filter(is_wrong).count();
    let kept = KEPT.with_borrow(|kept| {
        let is_wrong = |block: &&Vec<u8>| block.iter().any(|&byte| byte != MARK);
        kept.iter().filter(is_wrong).count()
    });
    (blocks + kept) as u32
}

/// Makes blocks of up to `size` bytes and gives some of them back.
#[unsafe(no_mangle)]
pub extern "C" fn churn(rounds: usize, size: usize) -> u32 {
    let mut blocks: Vec<(u8, Vec<u8>)> = Vec::new();
    for round in 0..rounds {
        let mark = round as u8;
        blocks.push((mark, vec![mark; 1 + round * 7919 % size]));
        if round % 3 == 1 {
            blocks.swap_remove(round * 31 % blocks.len());
        }
        if round % 7 == 0 {
            let index = round * 13 % blocks.len();
            let (mark, block) = &mut blocks[index];
            block.resize(1 + round * 104_729 % (2 * size), *mark);
        }
    }
    let wrong = wrong(&blocks);
    core::mem::forget(blocks);
    wrong
}

/// Zeroed blocks that are not zero, and others that have changed.
#[unsafe(no_mangle)]
pub extern "C" fn zeroed(rounds: usize) -> u32 {
    let mut blocks: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut not_zero = 0;
    for round in 0..rounds {
        let mut block = vec![0_u8; 3000 + round * 7919 % 90_000];
        not_zero += u32::from(block.iter().any(|&byte| byte != 0));
        block.fill(0x77);
        blocks.push((0x77, block));
        if round % 4 == 0 {
            KEPT.with_borrow_mut(Vec::pop);
        }
        if round % 5 == 0 {
            blocks.swap_remove(round * 31 % blocks.len());
        }
    }
    let wrong = wrong(&blocks);
    core::mem::forget(blocks);
    wrong + not_zero
}

/// How often the hook was called.
#[unsafe(no_mangle)]
pub extern "C" fn calls() -> u32 {
    CALLS.get()
}

/// How deep the hook was within itself.
#[unsafe(no_mangle)]
pub extern "C" fn depth_max() -> u32 {
    DEPTH_MAX.get()
}

/// The pages the hook was told last.
#[unsafe(no_mangle)]
pub extern "C" fn told_pages() -> usize {
    TOLD_PAGES.get()
}

//! Several heaps over one memory, made by safe code. Each export counts the bytes of live blocks that have changed, and
//! adds what must not happen besides.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::slice;

use alligator_alloc::{AlligatorAlloc, ReserveOnly, WasmMemory};

type Reserved = AlligatorAlloc<WasmMemory<ReserveOnly>>;

static SOUND: Reserved = AlligatorAlloc::new();
static FRAME: Reserved = AlligatorAlloc::new();
static FIRST: AlligatorAlloc = AlligatorAlloc::new();
static SECOND: AlligatorAlloc = AlligatorAlloc::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Blocks that are still in use, each with one value in all of its bytes.
struct Live {
    blocks: [(usize, usize, u8); 512],
    count: usize,
}

impl Live {
    const NONE: Self = Self {
        blocks: [(0, 0, 0); 512],
        count: 0,
    };

    /// Takes `size` bytes of `heap` and fills them with `mark`; whether there were any.
    fn take(&mut self, heap: &impl GlobalAlloc, size: usize, mark: u8) -> bool {
        let Ok(layout) = Layout::from_size_align(size, 8) else {
            return false;
        };
        // SAFETY: the size is not zero.
        let block = unsafe { heap.alloc(layout) };
        if block.is_null() || self.count == self.blocks.len() {
            return false;
        }
        // SAFETY: the block is as long as that.
        unsafe { block.write_bytes(mark, size) };
        self.blocks[self.count] = (block.expose_provenance(), size, mark);
        self.count += 1;
        true
    }

    /// Bytes that others have changed.
    fn changed(&self) -> u32 {
        let changed_in = |&(at, size, mark): &(usize, usize, u8)| {
            let block: *const u8 = core::ptr::with_exposed_provenance(at);
            // SAFETY: `take` had this block, and nobody gives it back.
            let bytes = unsafe { slice::from_raw_parts(block, size) };
            bytes.iter().filter(|&&byte| byte != mark).count() as u32
        };
        self.blocks[..self.count].iter().map(changed_in).sum()
    }
}

/// Takes blocks of each heap in turn, until none has more.
fn take_turns(live: &mut Live, heaps: &[&dyn GlobalAlloc], sizes: &[usize]) {
    for (turn, size) in sizes.iter().cycle().enumerate().take(500) {
        let mut is_served = false;
        for (mark, heap) in (1..).zip(heaps) {
            is_served |= live.take(&ByReference(*heap), *size, mark);
        }
        if !is_served && turn > sizes.len() {
            break;
        }
    }
}

/// A heap by reference.
struct ByReference<'a>(&'a dyn GlobalAlloc);

// SAFETY: it is the heap's.
unsafe impl GlobalAlloc for ByReference<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { self.0.dealloc(block, layout) };
    }
}

const SIZES: [usize; 6] = [1000, 24, 5000, 300, 17, 2048];

/// Two heaps that never grow the memory. One of them at least gets blocks.
#[unsafe(no_mangle)]
pub extern "C" fn reserved() -> u32 {
    let mut live = Live::NONE;
    take_turns(&mut live, &[&SOUND, &FRAME], &SIZES);
    live.changed() + u32::from(live.count == 0)
}

/// Two heaps that grow the memory if it can.
#[unsafe(no_mangle)]
pub extern "C" fn on_demand() -> u32 {
    let mut live = Live::NONE;
    take_turns(&mut live, &[&FIRST, &SECOND], &SIZES);
    live.changed() + u32::from(live.count == 0)
}

/// All four, two of which have reserved something before.
#[unsafe(no_mangle)]
pub extern "C" fn mixed() -> u32 {
    let mut live = Live::NONE;
    let _ = FRAME.reserve(3_000);
    let _ = SECOND.reserve(3_000);
    take_turns(&mut live, &[&FIRST, &SOUND, &SECOND, &FRAME], &SIZES);
    live.changed() + u32::from(live.count == 0)
}

/// A heap after the other as a local variable; the blocks of each stay in use.
#[unsafe(no_mangle)]
pub extern "C" fn one_after_the_other() -> u32 {
    let mut live = Live::NONE;
    for mark in 1..100 {
        let heap = Reserved::new();
        live.take(&heap, 400, mark);
        let heap = AlligatorAlloc::<WasmMemory>::new();
        live.take(&heap, 400, mark | 0x80);
    }
    live.changed() + u32::from(live.count == 0)
}

/// A heap that is moved between its operations goes on with what it had.
#[unsafe(no_mangle)]
pub extern "C" fn moved() -> u32 {
    let mut live = Live::NONE;
    let heap = Reserved::new();
    let mut failed = u32::from(!live.take(&heap, 400, 1));
    let mut places = [None, Some(heap)];
    places.swap(0, 1);
    if let Some(heap) = &places[0] {
        failed += u32::from(!live.take(heap, 400, 2));
        failed += u32::from(!live.take(heap, 4000, 3));
    }
    live.changed() + failed
}
